//! A node that is a keeper alone, asked over HTTP.

mod backups;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ottla_config::{NodeConfig, Sources};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

struct Served {
    runtime: Runtime,
    http: SocketAddr,
    admin: SocketAddr,
    metrics: SocketAddr,
    node: Arc<OnceLock<Arc<Node>>>,
    config: Arc<NodeConfig>,
    _dir: tempfile::TempDir,
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Served {
    /// Opens the ports; the node is not there yet.
    async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// The same, with more lines of `zoo.cfg`.
    async fn open_with(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (admin, metrics) = (free_port(), free_port());
        let data = dir.path().display();
        let settings = [
            "process.roles=keeper".to_owned(),
            format!("dataDir={data}"),
            "clientPort=0".to_owned(),
            "clientPortAddress=127.0.0.1".to_owned(),
            format!("admin.serverPort={admin}"),
            "admin.serverAddress=127.0.0.1".to_owned(),
            "admin.commandURL=/zk/commands".to_owned(),
            "admin.rateLimiterIntervalInMS=0".to_owned(),
            "metricsProvider.className=PrometheusMetricsProvider".to_owned(),
            format!("metricsProvider.httpPort={metrics}"),
            "metricsProvider.httpHost=127.0.0.1".to_owned(),
        ];
        let more = more.iter().map(|line| (*line).to_owned());
        let settings: Vec<String> = settings.into_iter().chain(more).collect();
        let flags = settings.iter().map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let sources = Sources {
            flags: flags.collect(),
            env: BTreeMap::new(),
            file: None,
            hostname: "here".to_owned(),
            ..Sources::default()
        };
        let config = Arc::new(NodeConfig::load(sources).unwrap().config);
        let runtime = Runtime::real();
        let listener = runtime.network.listen("127.0.0.1", 0).await.unwrap();
        let http = listener.local_addr().unwrap();
        let node = Arc::new(OnceLock::new());
        let keeper = config.keeper.as_ref().unwrap();
        super::super::serve(&runtime, listener, &node, Some(&keeper.admin.command_url));
        open_ports(&runtime, keeper, &node).await.unwrap();
        Served {
            runtime,
            http,
            admin: SocketAddr::from(([127, 0, 0, 1], admin)),
            metrics: SocketAddr::from(([127, 0, 0, 1], metrics)),
            node,
            config,
            _dir: dir,
        }
    }

    async fn start(&self) {
        let node = Node::start(&self.runtime, &self.config, None)
            .await
            .unwrap();
        assert!(self.node.set(Arc::new(node)).is_ok());
    }
}

/// A request's answer: its status, its headers and its body.
async fn ask(at: SocketAddr, method: &str, target: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_leader_is_started_and_alive_but_not_ready() {
    let (own, others) = (free_port(), [free_port(), free_port()]);
    let ensemble = [
        "myid=1".to_owned(),
        format!("server.1=127.0.0.1:{own}:3888"),
        format!("server.2=127.0.0.1:{}:3888", others[0]),
        format!("server.3=127.0.0.1:{}:3888", others[1]),
    ];
    let lines: Vec<&str> = ensemble.iter().map(String::as_str).collect();
    for (read_only, ready) in [("false", 503), ("true", 200)] {
        let mode = format!("readonlymode.enabled={read_only}");
        let served = Served::open_with(&[&lines[..], &[&mode]].concat()).await;
        served.start().await;
        assert_eq!(ask(served.http, "GET", "/health/live").await.0, 200);
        assert_eq!(ask(served.http, "GET", "/health/startup").await.0, 200);
        let (status, _, body) = ask(served.http, "GET", "/health/ready").await;
        assert_eq!(status, ready, "{mode}: {body}");
        assert_eq!(body.contains("no leader"), ready == 503, "{body}");
        served.runtime.tasks.stop().await;
    }
    let alone = Served::open().await;
    alone.start().await;
    assert_eq!(ask(alone.http, "GET", "/health/ready").await.0, 200);
    alone.runtime.tasks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keeper_is_asked_on_the_nodes_port_and_on_its_own() {
    let served = Served::open().await;
    assert_eq!(
        ask(served.http, "GET", "/zk/commands/ruok").await.0,
        503,
        "there is no node yet"
    );
    assert_eq!(ask(served.metrics, "GET", "/metrics").await.0, 503);
    served.start().await;
    for at in [served.http, served.admin] {
        let (status, head, body) = ask(at, "GET", "/zk/commands/srvr").await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: application/json"), "{head}");
        let told: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(told["command"], "server_stats");
        assert_eq!(told["server_stats"]["server_state"], "standalone");
        for index in ["/zk/commands", "/zk/commands/"] {
            let (status, head, body) = ask(at, "GET", index).await;
            assert_eq!(status, 200);
            assert!(head.contains("content-type: text/html"), "{head}");
            assert!(
                body.contains("<a href=\"/zk/commands/monitor\">monitor</a>"),
                "{body}"
            );
        }
        let set = "/zk/commands/set_trace_mask?traceMask=7&other=%20";
        let (_, _, body) = ask(at, "GET", set).await;
        assert!(body.contains("\"tracemask\" : 7"), "{body}");
        for (method, target, wanted) in [
            ("GET", "/commands/ruok", 404),
            ("GET", "/zk/commandsruok", 404),
            ("GET", "/zk/commands/../../etc/passwd", 200),
            ("GET", "/zk/commands/nonsense%00%ff", 200),
            ("POST", "/zk/commands/ruok", 405),
            ("DELETE", "/zk/commands", 405),
        ] {
            assert_eq!(ask(at, method, target).await.0, wanted, "{method} {target}");
        }
    }
    assert_eq!(ask(served.http, "GET", "/health/live").await.0, 200);
    let (status, head, text) = ask(served.metrics, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        text.contains("# TYPE znode_count gauge\nznode_count 5.0\n"),
        "{text}"
    );
    assert!(text.contains("# TYPE proposal_count counter\n"), "{text}");
    let (_, _, text) = ask(served.http, "GET", "/metrics").await;
    assert!(text.contains("# TYPE proposal_count unknown\n"), "{text}");
    assert!(text.contains("\nottla_build_info{"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    served.runtime.tasks.stop().await;
}
