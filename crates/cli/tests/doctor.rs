//! `ottla doctor` against nodes that advertise what clients cannot use.
//!
//! These nodes are wrong on purpose, so that a broker that the environment gives does not serve.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

mod command;

use ottla_cli::Exit;
use ottla_testkit::{TestNode, free_port};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use command::{Ran, run};

/// A node that advertises this; `None` when the environment names a broker of its own.
fn node(advertised: &str) -> Option<TestNode> {
    let node = TestNode::start_with(&[("advertised.listeners", advertised)]).unwrap();
    matches!(node, TestNode::Own(_)).then_some(node)
}

/// Passes connections on to `target`, as a port-forward does; where it listens.
async fn forward_to(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut from, &mut to).await });
        }
    });
    address
}

/// Says these words to whoever sends anything; where it listens.
async fn says(words: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut heard = [0; 64];
                if stream.read(&mut heard).await.is_ok_and(|heard| heard > 0) {
                    // Whoever asked may have gone already.
                    stream.write_all(words).await.unwrap_or_default();
                }
            });
        }
    });
    address
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap()
}

/// The status and the words of the checks of one name.
fn checks(report: &Value, name: &str) -> Vec<(String, String)> {
    let all = report["checks"].as_array().unwrap().iter();
    let these = all.filter(|check| check["check"] == name);
    let words = |check: &Value| {
        let status = check["status"].as_str().unwrap().to_owned();
        (status, format!("{} {}", check["found"], check["remedy"]))
    };
    these.map(words).collect()
}

#[tokio::test]
async fn a_healthy_node_passes_with_a_record_written_and_read_back() {
    let node = TestNode::start().unwrap();
    let bootstrap = node.bootstrap();
    let topic = format!("doctor-{}", ottla_runtime::Runtime::real().clock.now_ms());
    let create = format!("topic create {topic} -p 1 -c message.timestamp.type=LogAppendTime");
    assert_eq!(run(&bootstrap, &create).await.exit, Exit::Ok);
    let ran = run(&bootstrap, &format!("doctor -o json --write {topic}")).await;
    assert_eq!(ran.exit, Exit::Ok, "{}{}", ran.out, ran.err);
    let report = report(&ran);
    assert_eq!(report["problems"], 0);
    let trip = checks(&report, "round-trip");
    assert!(trip[0].1.contains("partition 0 at offset 0"), "{trip:?}");
    let clock = checks(&report, "clock");
    assert!(clock[0].1.contains("its clock is"), "{clock:?}");
    let advertised = checks(&report, "advertised");
    assert!(
        advertised[0].1.contains("itself answers there"),
        "{advertised:?}"
    );
}

#[tokio::test]
async fn an_advertised_name_that_does_not_resolve_is_a_problem() {
    let Some(node) = node("PLAINTEXT://kafka-0.kafka.invalid:9092") else {
        return;
    };
    let ran = run(&node.bootstrap(), "doctor -o json").await;
    assert_eq!(ran.exit, Exit::Unwell, "{}{}", ran.out, ran.err);
    let advertised = checks(&report(&ran), "advertised");
    assert_eq!(advertised[0].0, "problem");
    assert!(
        advertised[0].1.contains("does not resolve"),
        "{advertised:?}"
    );
    assert!(
        advertised[0].1.contains("set advertised.listeners"),
        "{advertised:?}"
    );
}

#[tokio::test]
async fn a_port_forward_to_a_node_whose_address_is_closed_from_here_says_what_to_change() {
    let closed = free_port().unwrap();
    let Some(node) = node(&format!("PLAINTEXT://localhost:{closed}")) else {
        return;
    };
    let bootstrap = forward_to(node.bootstrap()).await;
    let ran = run(&bootstrap, "doctor -o json").await;
    assert_eq!(ran.exit, Exit::Unwell, "{}{}", ran.out, ran.err);
    let report = report(&ran);
    let advertised = checks(&report, "advertised");
    assert!(
        advertised[0].1.contains("connection is refused"),
        "{advertised:?}"
    );
    let forward = checks(&report, "port-forward");
    assert_eq!(forward[0].0, "problem");
    let port = bootstrap.rsplit_once(':').unwrap().1;
    let expected = format!("advertised.listeners=…,LOCAL://localhost:{port}");
    assert!(forward[0].1.contains(&expected), "{forward:?}");
}

#[tokio::test]
async fn another_port_than_the_advertised_one_is_a_warning_while_both_lead_there() {
    let node = TestNode::start().unwrap();
    let bootstrap = forward_to(node.bootstrap()).await;
    let ran = run(&bootstrap, "doctor").await;
    assert_eq!(ran.exit, Exit::Ok, "{}{}", ran.out, ran.err);
    let expected = format!("WARNING  bootstrap {bootstrap}: you connected through {bootstrap}");
    assert!(ran.out.contains(&expected), "{}", ran.out);
    assert!(ran.out.contains("0 problems, "), "{}", ran.out);
}

#[tokio::test]
async fn a_cluster_at_the_end_of_another_ones_address_is_found_out() {
    let other = TestNode::start().unwrap();
    let Some(node) = node(&format!("PLAINTEXT://{}", other.bootstrap())) else {
        return;
    };
    let ran = run(&node.bootstrap(), "doctor -o json").await;
    assert_eq!(ran.exit, Exit::Unwell, "{}{}", ran.out, ran.err);
    let advertised = checks(&report(&ran), "advertised");
    assert!(
        advertised[0].1.contains("another cluster answers there"),
        "{advertised:?}"
    );
}

#[tokio::test]
async fn nobody_reached_is_its_own_exit_code_with_the_reason_told() {
    let closed = format!("127.0.0.1:{}", free_port().unwrap());
    let http = says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let tls = says(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x32]).await;
    let zookeeper = says(b"imok").await;
    let cases = [
        (closed.as_str(), "refused"),
        ("no-such-host.invalid:9092", "does not resolve"),
        (http.as_str(), "an HTTP server answers"),
        (tls.as_str(), "a TLS port answers"),
        (zookeeper.as_str(), "a ZooKeeper server answers"),
    ];
    for (bootstrap, expected) in cases {
        let ran = run(bootstrap, "doctor").await;
        assert_eq!(ran.exit, Exit::Unreachable, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains(expected), "{bootstrap}: {}", ran.out);
        assert!(ran.err.contains("1 problem found"), "{}", ran.err);
    }
}
