//! Backups of an ensemble at work, restored on another one.

use std::io::Read;
use std::net::Ipv4Addr;
use std::time::Instant;

use bytes::Bytes;
use ottla_jute::ErrorCode;
use ottla_keeper::Handle;
use ottla_keeper::backup::Caller;

use crate::harness::{Client, Ensemble, PATIENCE, TestServer};

const EPHEMERAL: i32 = 1;

fn caller() -> Caller {
    Caller {
        address: Ipv4Addr::LOCALHOST.into(),
        authorization: Some("ip".to_owned()),
    }
}

fn back_up(handle: &Handle) -> Vec<u8> {
    let backup = handle.backup(&caller()).map_err(|answer| answer.json);
    let backup = backup.unwrap();
    let size = backup.bytes;
    let bytes: Vec<u8> = backup.parts.flatten().collect();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

async fn restore(
    handle: &Handle,
    source: impl Read + Send + 'static,
    only_if_empty: bool,
) -> (u16, serde_json::Value) {
    let answer = handle.restore(&caller(), source, only_if_empty).await;
    (answer.status, serde_json::from_str(&answer.json).unwrap())
}

/// Waits until all servers have the same.
async fn equal(ensemble: &Ensemble) {
    let began = Instant::now();
    loop {
        let all: Vec<_> = (0..3).map(|n| ensemble.handle(n).fingerprint()).collect();
        if all.windows(2).all(|pair| pair[0] == pair[1]) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "they differ: {all:?}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Longer than any test takes.
const LONG_MS: i32 = 600_000;

fn unlimited(config: &mut ottla_config::KeeperConfig) {
    config.admin.rate_limiter_interval_ms = 0;
    config.session_timeout_ms_max = 600_000;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_gets_the_state_of_another_one_at_one_moment() {
    let one = Ensemble::with(3, unlimited).await;
    let client = Client::connect(one.connection(0).await, LONG_MS, None).await;
    let mut client = client.unwrap();
    client.create("/app", "", 0).await.unwrap();
    client.create("/app/me", "here", EPHEMERAL).await.unwrap();
    let large = "x".repeat(900_000);
    client.create("/app/large", &large, 0).await.unwrap();
    // Two counters, of which one is never ahead of the other by more than one.
    client.create("/app/first", "0", 0).await.unwrap();
    client.create("/app/second", "0", 0).await.unwrap();
    let writing = tokio::spawn(async move {
        for n in 1..400 {
            client.set("/app/first", &n.to_string()).await.unwrap();
            client.set("/app/second", &n.to_string()).await.unwrap();
        }
        client
    });
    let mut backups = Vec::new();
    while !writing.is_finished() && backups.len() < 4 {
        let server = backups.len() % 3;
        backups.push(back_up(one.handle(server)));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let client = writing.await.unwrap();
    let (session, zxid) = (client.session, client.last_zxid);

    let other = Ensemble::with(3, unlimited).await;
    let watching = Client::connect(other.connection(1).await, LONG_MS, None).await;
    let mut watching = watching.unwrap();
    let mut before_zxid = 0;
    for (n, backup) in backups.into_iter().enumerate() {
        let (status, told) =
            restore(other.handle(n % 3), std::io::Cursor::new(backup), false).await;
        assert_eq!(status, 200, "{told}");
        equal(&other).await;
        // Sessions may end at any time, which is a change.
        let now = told["last_zxid"].as_i64().unwrap();
        assert!(other.handle(0).fingerprint().0 >= now);
        assert!(now > before_zxid, "numbers do not go back");
        before_zxid = now;
        let mut reading = other.client(n % 3).await;
        let data = |text: Result<String, ErrorCode>| text.unwrap().parse::<i64>().unwrap();
        let first = data(reading.data("/app/first", false).await);
        let second = data(reading.data("/app/second", false).await);
        assert!(first == second || first == second + 1, "{first} {second}");
        assert_eq!(reading.data("/app/large", false).await.unwrap(), large);
        if n == 0 {
            // Its ephemeral node came with the session, which ends when nobody comes.
            assert_eq!(reading.data("/app/me", false).await.unwrap(), "here");
        }
        // And writes go on.
        reading.create("/app/new", "", 0).await.unwrap();
        equal(&other).await;
    }
    assert!(before_zxid > 0 && zxid > 0 && session != 0);
    // Whoever was there has lost the session.
    watching.ended().await;
    let known = Some((watching.session, watching.password.clone()));
    let back = Client::connect(other.connection(1).await, 10_000, known).await;
    assert!(back.is_none(), "the session has ended");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_changes_nothing() {
    let server = TestServer::with(unlimited).await;
    let client = Client::connect(server.connection().await, LONG_MS, None).await;
    let mut client = client.unwrap();
    client.create("/kept", "as it is", 0).await.unwrap();
    let backup = back_up(&server.handle);
    let before = server.handle.fingerprint();
    let cut = Bytes::copy_from_slice(&backup[..backup.len() - 60]);
    let (status, told) = restore(&server.handle, std::io::Cursor::new(cut), false).await;
    assert_eq!(status, 400, "{told}");
    let mut changed = backup.clone();
    changed[backup.len() / 2] ^= 1;
    let (status, _) = restore(&server.handle, std::io::Cursor::new(changed), false).await;
    assert_eq!(status, 400);
    let whole = std::io::Cursor::new(backup.clone());
    let (status, told) = restore(&server.handle, whole, true).await;
    assert_eq!(status, 409, "{told}");
    assert_eq!(server.handle.fingerprint(), before);
    assert_eq!(client.data("/kept", false).await.unwrap(), "as it is");

    // What was restored is there after a restart.
    client.create("/later", "", 0).await.unwrap();
    let (status, _) = restore(&server.handle, std::io::Cursor::new(backup), false).await;
    assert_eq!(status, 200);
    let server = server.restart().await;
    let mut client = server.client().await;
    assert!(client.exists("/kept", false).await);
    assert!(!client.exists("/later", false).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_zookeeper_come_back_with_their_sessions() {
    // The directory of a real ZooKeeper 3.9.4: see `znode`'s tests.
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../znode/tests/version-2/snapshot.26d.snappy"
    );
    let server = TestServer::with(unlimited).await;
    let file = std::fs::File::open(path).unwrap();
    let (status, told) = restore(&server.handle, file, true).await;
    assert_eq!(status, 200, "{told}");
    // The password that the ZooKeeper has given to this session.
    let password =
        Bytes::from_static(b"\xdb\x9f\xd5\x4d\xf1\xc5\xd8\x53\xc8\x1a\x3d\x7e\x85\xe8\x28\x39");
    let known = Some((72_057_868_821_069_848, password));
    let client = Client::connect(server.connection().await, 10_000, known).await;
    let mut client = client.expect("the session lives");
    assert!(client.exists("/zookeeper", false).await);
    assert!(client.last_zxid >= 0x26d);
    server.stop().await;
}
