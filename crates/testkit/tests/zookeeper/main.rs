//! The Rust client of ZooKeeper, `zookeeper-client`, against the keeper: what a client may rely on.
//!
//! `OTTLA_TEST_KEEPER` names the servers, HOST:PORT,…; each test works under a znode of its own.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees no tests in the functions that tests share"
)]

mod nodes;
mod sessions;

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error};

const WAIT_LIMIT: Duration = Duration::from_secs(30);
const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());

/// The servers that a test talks to; without any the test says that it did not run.
fn servers(test: &str) -> Option<String> {
    let given = std::env::var("OTTLA_TEST_KEEPER").ok();
    if given.is_none() {
        // Past the test harness, which keeps what a test prints to itself.
        let line = format!("\nnot run: {test}: OTTLA_TEST_KEEPER names no servers\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
    given
}

async fn client(servers: &str) -> Client {
    let connector = Client::connector().with_session_timeout(Duration::from_secs(20));
    connector.connect(servers).await.unwrap()
}

/// A client, and a znode that no other test has used.
async fn client_and_path(servers: &str, name: &str) -> (Client, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = format!("/rust-{name}-{:x}-{number}", now.as_nanos());
    let client = client(servers).await;
    client.create(&path, b"", &PERSISTENT).await.unwrap();
    (client, path)
}

/// Waits for what must come soon.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WAIT_LIMIT, future).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("not within {WAIT_LIMIT:?}: {what}"),
    }
}

/// Waits until a znode is gone.
async fn gone(client: &Client, path: &str) {
    let poll = async {
        while client.check_stat(path).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("a znode goes", poll).await;
}

fn error_of<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Error {
    outcome.unwrap_err()
}
