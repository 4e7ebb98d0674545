//! Four-letter words over real connections, and bytes that are none.

use std::sync::Arc;
use std::time::Duration;

use ottla_config::{FourLetterWords, KeeperConfig, KeeperListener, KeeperServer};
use ottla_jute::Request;
use ottla_keeper::admin::Query;
use ottla_keeper::monitor::{Dialect, Value};
use ottla_keeper::{Handle, Options};
use ottla_model::{ClientAuth, StoreFile, StoreFormat, TlsOptions, TlsVersion};
use ottla_net::tls::Tls;
use ottla_runtime::Runtime;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Ensemble, PATIENCE, TestServer, config, free_port};

const WORDS: &str = "conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat wchc wchp \
                     wchs";

fn all_words(config: &mut KeeperConfig) {
    config.four_letter_words = FourLetterWords::All;
}

/// Sends bytes; everything that comes until the end of the connection.
async fn told<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> String {
    let telling = async {
        stream.write_all(bytes).await.unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    };
    let told = tokio::time::timeout(PATIENCE, telling).await;
    told.expect("the server answers and ends the connection")
}

async fn word(server: &TestServer, word: &str) -> String {
    told(server.connection().await, word.as_bytes()).await
}

/// A field of `mntr`.
fn field(mntr: &str, name: &str) -> f64 {
    let line = mntr
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    line.unwrap_or_else(|| panic!("{name} is missing in {mntr}"))
        .parse()
        .unwrap()
}

/// Waits until so many values were counted.
async fn settled(server: &TestServer, name: &str, wanted: u64) {
    let began = std::time::Instant::now();
    loop {
        let reading = server.handle.reading();
        let metric = reading.metrics.iter().find(|metric| metric.name == name);
        match &metric.unwrap_or_else(|| panic!("{name} is missing")).value {
            Value::Summary { read, .. } if read.count == wanted => return,
            other => assert!(began.elapsed() < PATIENCE, "{name} is {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_word_is_answered_and_ends_its_connection() {
    let server = TestServer::with(all_words).await;
    for name in WORDS.split_whitespace() {
        let text = word(&server, name).await;
        let begins = match name {
            "conf" => "clientPort=",
            "cons" => " /127.0.0.1:",
            "crst" => "Connection stats reset.\n",
            "dirs" => "datadir_size: ",
            "dump" => "SessionTracker dump:\nSession Sets (0)/(0):\nephemeral nodes dump:\n",
            "envi" => "Environment:\nzookeeper.version=3.9.4-",
            "gtmk" => "306",
            "isro" => "rw",
            "mntr" => "zk_version\t3.9.4-",
            "ruok" => "imok",
            "srst" => "Server stats reset.\n",
            "srvr" | "stat" => "Zookeeper version: 3.9.4-ottla-",
            "wchs" => "0 connections watching 0 paths\nTotal watches:0\n",
            _ => "",
        };
        assert!(text.starts_with(begins), "{name}: {text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn words_that_are_not_on_the_list_are_refused_by_name() {
    let only = |config: &mut KeeperConfig| {
        config.four_letter_words = FourLetterWords::Only(vec!["ruok".to_owned()]);
    };
    let server = TestServer::with(only).await;
    assert_eq!(word(&server, "ruok").await, "imok");
    assert!(
        word(&server, "srvr").await.starts_with("Zookeeper version"),
        "nobody can forbid it"
    );
    for name in ["mntr", "dump", "wchp", "stmk"] {
        let refused = format!("{name} is not executed because it is not in the whitelist.\n");
        assert_eq!(word(&server, name).await, refused);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_comes_behind_a_word_does_not_take_the_answer_away() {
    let server = TestServer::with(all_words).await;
    assert_eq!(word(&server, "ruok\n").await, "imok");
    assert_eq!(word(&server, "ruok\r\nmntr\r\nquit\r\n").await, "imok");
    let rubbish = format!("ruok{}", "x".repeat(30_000));
    assert_eq!(word(&server, &rubbish).await, "imok");
    // A client that sends slowly, and what it sends after the word when it has been answered.
    let mut stream = server.connection().await;
    for byte in b"srvr" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut first = [0; 9];
    stream.read_exact(&mut first).await.unwrap();
    stream.write_all(b"and more\n").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("Node count: 5\n"), "{rest}");
    server.stop().await;
}

#[tokio::test]
async fn half_a_word_is_waited_for_but_not_for_ever() {
    let quick = |config: &mut KeeperConfig| {
        all_words(config);
        config.session_timeout_ms_max = 1_000;
    };
    let server = TestServer::with(quick).await;
    let began = std::time::Instant::now();
    assert_eq!(word(&server, "ru").await, "");
    assert_eq!(word(&server, "stmk\0\0\0").await, "");
    assert!(began.elapsed() >= Duration::from_millis(1_900));
    // Whoever hangs up is not waited for.
    for bytes in ["", "ru", "stmk", "stmk1234567"] {
        let mut stream = server.connection().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let began = std::time::Instant::now();
        assert_eq!(told(stream, b"").await, "");
        assert!(began.elapsed() < Duration::from_millis(900), "{bytes:?}");
    }
    let mntr = word(&server, "mntr").await;
    assert_eq!(field(&mntr, "zk_sessionless_connections_expired"), 1.0);
    server.stop().await;
}

#[tokio::test]
async fn a_mask_of_eight_bytes_is_kept() {
    let server = TestServer::with(all_words).await;
    let mut sent = b"stmk".to_vec();
    sent.extend_from_slice(&(-5_i64).to_be_bytes());
    assert_eq!(told(server.connection().await, &sent).await, "-5");
    assert_eq!(word(&server, "gtmk").await, "-5");
    server.stop().await;
}

#[tokio::test]
async fn mntr_counts_what_clients_do() {
    let server = TestServer::with(all_words).await;
    let mut client = server.client().await;
    let mut other = server.client().await;
    client.create("/a", "0123456789", 0).await.unwrap();
    client.create("/a/e", "", 1).await.unwrap();
    assert_eq!(other.data("/a", true).await.unwrap(), "0123456789");
    assert!(!other.exists("/b", true).await);
    client.set("/a", "9876543210").await.unwrap();
    other.data("/a", false).await.unwrap();
    // An answer is counted a moment after it was sent.
    settled(&server, "readlatency", 3).await;
    settled(&server, "updatelatency", 5).await;
    let mntr = word(&server, "mntr").await;
    for (name, wanted) in [
        ("zk_znode_count", 7.0),
        ("zk_ephemerals_count", 1.0),
        ("zk_watch_count", 1.0),
        ("zk_global_sessions", 2.0),
        ("zk_num_alive_connections", 3.0),
        ("zk_outstanding_requests", 0.0),
        ("zk_connection_request_count", 2.0),
        ("zk_cnt_readlatency", 3.0),
        ("zk_cnt_updatelatency", 5.0),
        ("zk_cnt_node_changed_watch_count", 1.0),
        ("zk_commit_count", 5.0),
        ("zk_non_mtls_local_conn_count", 3.0),
        ("zk_packets_received", 9.0),
        ("zk_cnt_dbinittime", 1.0),
    ] {
        assert_eq!(field(&mntr, name), wanted, "{name}");
    }
    // The event, which has come before its reader's next answer.
    assert_eq!(field(&mntr, "zk_packets_sent"), 9.0);
    // An event of four bytes of kind, four of state, and a path of two bytes with its length.
    assert_eq!(field(&mntr, "zk_watch_bytes"), 16.0 + 4.0 + 4.0 + 4.0 + 2.0);
    assert_eq!(
        field(&mntr, "zk_last_client_response_size"),
        16.0 + 4.0 + 10.0 + 68.0
    );
    for name in [
        "zk_uptime",
        "zk_cnt_fsynctime",
        "zk_open_file_descriptor_count",
    ] {
        assert!(field(&mntr, name) >= 1.0, "{name}");
    }
    assert!(field(&mntr, "zk_bytes_received_count") > 9.0 * 12.0);
    let prometheus = server.handle.reading().prometheus(Dialect::Text);
    assert!(prometheus.contains("\nznode_count 7.0\n"), "{prometheus}");
    assert!(prometheus.contains("\nupdatelatency_count 5.0\n"));
    server.stop().await;
}

#[tokio::test]
async fn cons_tells_of_each_connection_until_it_is_reset() {
    let server = TestServer::with(all_words).await;
    let mut client = server.client().await;
    client.create("/a", "", 0).await.unwrap();
    client.data("/a", false).await.unwrap();
    settled(&server, "readlatency", 1).await;
    let session = format!(",sid=0x{:x},lop=GETD,est=", client.session);
    let cons = word(&server, "cons").await;
    let line = cons.lines().find(|line| line.contains(&session));
    let line = line.unwrap_or_else(|| panic!("{session} is missing in {cons}"));
    assert!(line.contains("[1](queued=0,recved=3,sent=3,"), "{line}");
    assert!(line.contains(",to=10000,lcxid=0x2,lzxid=0x"), "{line}");
    assert!(
        cons.ends_with("[0](queued=0,recved=1,sent=0)\n\n"),
        "the asker comes last: {cons}"
    );
    assert_eq!(word(&server, "crst").await, "Connection stats reset.\n");
    let cons = word(&server, "cons").await;
    assert!(
        cons.contains("recved=0,sent=0,") && cons.contains(",lop=NA,"),
        "{cons}"
    );
    let stat = word(&server, "stat").await;
    assert!(
        stat.contains("\nClients:\n /127.0.0.1:") && !stat.contains("sid="),
        "{stat}"
    );
    // Its session ends with it, or is left without a connection.
    client.ask(Request::CloseSession).await.unwrap();
    client.ended().await;
    drop(server.client().await);
    let began = std::time::Instant::now();
    while field(&word(&server, "mntr").await, "zk_connection_drop_count") < 1.0 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        field(&word(&server, "mntr").await, "zk_connection_drop_count"),
        1.0
    );
    server.stop().await;
}

#[tokio::test]
async fn dump_and_watches_name_sessions_and_paths() {
    let server = TestServer::with(all_words).await;
    let mut client = server.client().await;
    let session = format!("0x{:x}", client.session);
    client.create("/e", "", 1).await.unwrap();
    client.exists("/e", true).await;
    client.exists("/later", true).await;
    let dump = word(&server, "dump").await;
    assert!(
        dump.contains("Session Sets (1)/(1):\n1 expire at "),
        "{dump}"
    );
    assert!(dump.contains(" UTC 20"), "{dump}");
    let ephemerals =
        format!("Sessions with Ephemerals (1):\n{session}:\n\t/e\nConnections dump:\n");
    assert!(dump.contains(&ephemerals), "{dump}");
    assert!(dump.contains(&format!(" sessionId: {session}\n")), "{dump}");
    let wchs = "1 connections watching 2 paths\nTotal watches:2\n";
    assert_eq!(word(&server, "wchs").await, wchs);
    assert_eq!(
        word(&server, "wchc").await,
        format!("{session}\n\t/e\n\t/later\n\n")
    );
    assert_eq!(
        word(&server, "wchp").await,
        format!("/e\n\t{session}\n/later\n\t{session}\n\n")
    );
    let answer = server.handle.admin("watches", &Query::new());
    let wanted = format!("\"{}\" : [ \"/e\", \"/later\" ]", client.session);
    assert!(answer.json.contains(&wanted), "{}", answer.json);
    server.stop().await;
}

#[tokio::test]
async fn hash_tells_the_same_of_every_128th_change_after_the_same_changes() {
    let server = TestServer::with(all_words).await;
    let mut client = server.client().await;
    client.create("/h", "", 0).await.unwrap();
    assert_eq!(word(&server, "hash").await, "");
    for n in 0..260 {
        client.set("/h", &n.to_string()).await.unwrap();
    }
    let hash = word(&server, "hash").await;
    let lines: Vec<_> = hash.lines().collect();
    assert_eq!(lines.len(), 2, "{hash}");
    for line in lines {
        let (zxid, digest) = line.split_once(": ").unwrap();
        assert_eq!(i64::from_str_radix(zxid, 16).unwrap() % 128, 0);
        digest.parse::<i64>().unwrap();
    }
    server.stop().await;
}

/// A server whose ensemble is not there.
async fn alone_of_three(change: impl FnOnce(&mut KeeperConfig)) -> (TempDir, Runtime, Handle) {
    let dir = TempDir::new().unwrap();
    let mut config = config(dir.path());
    config.servers = (1..=3)
        .map(|id| {
            let line = format!("127.0.0.1:{}:{}", free_port(), free_port());
            KeeperServer::parse(id, &line).unwrap()
        })
        .collect();
    all_words(&mut config);
    change(&mut config);
    let runtime = Runtime::real();
    let options = Options {
        config: Arc::new(config),
        id: 1,
    };
    let stop = runtime.shutdown().clone();
    let handle = ottla_keeper::start(&runtime, options, &stop).await.unwrap();
    (dir, runtime, handle)
}

#[tokio::test]
async fn words_work_while_there_is_no_leader() {
    let (_dir, runtime, handle) = alone_of_three(|_| ()).await;
    let ask = async |word: &str| {
        let address = handle.client_ports()[0].address;
        told(TcpStream::connect(address).await.unwrap(), word.as_bytes()).await
    };
    assert_eq!(ask("ruok").await, "imok");
    assert_eq!(ask("isro").await, "null");
    assert_eq!(ask("gtmk").await, "306");
    assert!(ask("envi").await.starts_with("Environment:\n"));
    let not_serving = "This ZooKeeper instance is not currently serving requests";
    for word in "conf cons crst dirs dump mntr srst srvr stat wchc wchp wchs".split(' ') {
        assert_eq!(ask(word).await, format!("{not_serving}\n"), "{word}");
    }
    assert_eq!(ask("hash").await, not_serving);
    runtime.tasks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_alone_tells_of_its_followers() {
    let ensemble = Ensemble::with(3, all_words).await;
    let leader = ensemble.leader().await;
    let mut client = ensemble.client((leader + 1) % 3).await;
    client.create("/a", "", 0).await.unwrap();
    let mut tells = None;
    let began = std::time::Instant::now();
    while tells.is_none() {
        assert!(began.elapsed() < PATIENCE, "two followers never have all");
        let mntr = told(ensemble.connection(leader).await, b"mntr").await;
        tells = (field(&mntr, "zk_synced_followers") == 2.0).then_some(mntr);
    }
    let mntr = tells.unwrap();
    assert!(mntr.contains("zk_server_state\tleader\nzk_peer_state\tleading - broadcast\n"));
    for (name, wanted) in [
        ("zk_followers", 2.0),
        ("zk_learners", 2.0),
        ("zk_quorum_size", 3.0),
    ] {
        assert_eq!(field(&mntr, name), wanted, "{name}");
    }
    assert!(field(&mntr, "zk_commit_count") >= 2.0);
    assert!(field(&mntr, "zk_max_proposal_size") > 0.0);
    assert!(field(&mntr, "zk_cnt_quorum_ack_latency") >= 1.0);
    assert_eq!(field(&mntr, "zk_cnt_leader_unavailable_time"), 1.0);
    let srvr = told(ensemble.connection(leader).await, b"srvr").await;
    assert!(srvr.contains("\nMode: leader\n") && srvr.contains("\nProposal sizes last/min/max: "));
    let follower = told(ensemble.connection((leader + 1) % 3).await, b"mntr").await;
    assert!(
        follower.contains("\nzk_server_state\tfollower\nzk_peer_state\tfollowing - broadcast\n")
    );
    for name in [
        "zk_followers",
        "zk_synced_followers",
        "zk_pending_syncs",
        "zk_leader_uptime",
    ] {
        assert!(!follower.contains(&format!("\n{name}\t")), "{name}");
    }
    assert!(field(&follower, "zk_learner_commit_received_count") >= 2.0);
    assert_eq!(field(&follower, "zk_cnt_unavailable_time"), 1.0);
    assert!(field(&follower, "zk_looking_count") >= 1.0);
    let conf = told(ensemble.connection(leader).await, b"conf").await;
    assert!(
        conf.contains("\nmembership: \nserver.1=127.0.0.1:"),
        "{conf}"
    );
    let dump = told(ensemble.connection((leader + 1) % 3).await, b"dump").await;
    let session = format!("Global Sessions(1):\n0x{:x}\t10000ms\n", client.session);
    assert!(dump.contains(&session), "{dump}");
    ensemble.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_lost_the_others_says_that_it_lets_clients_read() {
    let reading = |config: &mut KeeperConfig| {
        all_words(config);
        config.read_only_mode_enabled = true;
    };
    let mut ensemble = Ensemble::with(3, reading).await;
    assert_eq!(told(ensemble.connection(0).await, b"isro").await, "rw");
    ensemble.kill(1).await;
    ensemble.kill(2).await;
    let began = std::time::Instant::now();
    while told(ensemble.connection(0).await, b"isro").await != "ro" {
        assert!(began.elapsed() < PATIENCE, "it believes in its leader");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let srvr = told(ensemble.connection(0).await, b"srvr").await;
    assert!(
        srvr.contains("\nREAD-ONLY mode; serving only read-only clients\n"),
        "{srvr}"
    );
    assert!(srvr.contains("\nMode: read-only\n"), "{srvr}");
    assert!(
        told(ensemble.connection(0).await, b"mntr")
            .await
            .contains("\nzk_peer_state\tlooking\n")
    );
    ensemble.stop().await;
}

/// A key for 127.0.0.1 with its certificate, and options for both sides.
fn keys(dir: &TempDir) -> (TlsOptions, TlsOptions) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let store = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        StoreFile {
            path,
            format: StoreFormat::Pem,
            password: None,
            password_path: None,
        }
    };
    let server = TlsOptions {
        key_store: Some(store(
            "keys.pem",
            &format!("{}{certificate}", key.serialize_pem()),
        )),
        trust_store: None,
        versions: vec![TlsVersion::V1_2, TlsVersion::V1_3],
        cipher_suites: Vec::new(),
        client_auth: ClientAuth::None,
        hostname_verification: true,
        client_hostname_verification: false,
        handshake_timeout_ms: 10_000,
    };
    let client = TlsOptions {
        key_store: None,
        trust_store: Some(store("trust.pem", &certificate)),
        ..server.clone()
    };
    (server, client)
}

#[tokio::test]
async fn words_work_on_the_port_with_tls_after_the_handshake() {
    let dir = TempDir::new().unwrap();
    let (of_server, of_client) = keys(&dir);
    let secure = |config: &mut KeeperConfig| {
        all_words(config);
        config.secure_client_listener = Some(KeeperListener {
            host: "127.0.0.1".to_owned(),
            port: 0,
        });
        config.client_tls = Some(of_server);
    };
    let server = TestServer::with(secure).await;
    let port = server
        .handle
        .client_ports()
        .iter()
        .find(|port| port.secure)
        .unwrap();
    let runtime = Runtime::real();
    let tls = Tls::load(&runtime, of_client).await.unwrap();
    let connect = async || {
        let stream = runtime
            .network
            .connect("127.0.0.1", port.address.port(), PATIENCE)
            .await
            .unwrap();
        tls.connect(stream, "localhost").await.unwrap()
    };
    assert_eq!(told(connect().await, b"ruok\n").await, "imok");
    let cons = told(connect().await, b"cons").await;
    assert!(cons.contains("[0](queued=0,recved=1,sent=0)"), "{cons}");
    // Words in the clear are no handshake.
    let plain = TcpStream::connect(port.address).await.unwrap();
    let mut stream = plain;
    stream.write_all(b"ruok").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    assert!(!rest.starts_with(b"imok"));
    let mntr = word(&server, "mntr").await;
    assert_eq!(field(&mntr, "zk_unsuccessful_handshake"), 1.0);
    assert_eq!(field(&mntr, "zk_outstanding_tls_handshake"), 0.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_first_bytes_end_their_connection_and_nothing_else() {
    let server = TestServer::with(all_words).await;
    let mut client = server.client().await;
    client.create("/before", "", 0).await.unwrap();
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let part = prop_oneof![
        prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        Just(b"stmk".to_vec()),
        Just(vec![0xff, 0xf4, 0xff, 0xfd]),
        any::<i32>().prop_map(|length| length.to_be_bytes().to_vec()),
        (0_i32..64).prop_map(|length| length.to_be_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..64),
    ];
    let bytes = prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat());
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let sent = bytes.new_tree(&mut runner).unwrap().current();
        let mut stream = server.connection().await;
        // The server may have ended the connection already.
        stream.write_all(&sent).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(PATIENCE, reading).await;
        drop(read.unwrap_or_else(|_| panic!("{sent:?} keeps its connection open")));
    }
    assert_eq!(client.data("/before", false).await.unwrap(), "");
    let mntr = word(&server, "mntr").await;
    assert_eq!(field(&mntr, "zk_outstanding_requests"), 0.0);
    server.stop().await;
}
