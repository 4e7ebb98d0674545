//! Sessions, and locks that live as long as they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use zookeeper_client::{Acls, Client, LockPrefix};

use crate::{EPHEMERAL, client, client_and_path, gone, servers, soon};

#[tokio::test]
async fn ephemerals_go_with_their_session() {
    let Some(servers) = servers("ephemerals") else {
        return;
    };
    let (watching, path) = client_and_path(&servers, "ephemerals").await;
    let owner = client(&servers).await;
    owner.sync(&path).await.unwrap();
    let ephemeral = format!("{path}/e");
    owner.create(&ephemeral, b"", &EPHEMERAL).await.unwrap();
    watching.sync(&path).await.unwrap();
    let (stat, watcher) = watching.check_and_watch_stat(&ephemeral).await.unwrap();
    assert_eq!(stat.unwrap().ephemeral_owner, owner.session_id().0);
    drop(owner);
    let event = soon("the deletion", watcher.changed()).await;
    assert_eq!(event.path, ephemeral);
}

#[tokio::test]
async fn a_session_is_taken_up_again() {
    let Some(servers) = servers("sessions") else {
        return;
    };
    let (watching, path) = client_and_path(&servers, "sessions").await;
    // Whoever is detached leaves its session behind.
    let connector = Client::connector().with_session_timeout(Duration::from_secs(20));
    let first = connector.with_detached().connect(&servers).await.unwrap();
    first.sync(&path).await.unwrap();
    let ephemeral = format!("{path}/e");
    first.create(&ephemeral, b"", &EPHEMERAL).await.unwrap();
    let session = first.into_session();
    let id = session.id();
    let second = Client::connector().with_session(session);
    let second = second.connect(&servers).await.unwrap();
    assert_eq!(second.session_id(), id);
    let (_, stat) = second.get_data(&ephemeral).await.unwrap();
    assert_eq!(stat.ephemeral_owner, id.0);
    drop(second);
    gone(&watching, &ephemeral).await;
}

#[tokio::test]
async fn a_lock_has_one_holder_at_a_time() {
    let Some(servers) = servers("locks") else {
        return;
    };
    let (_client, path) = client_and_path(&servers, "locks").await;
    let (inside, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for _ in 0..4 {
        let (inside, taken, path) = (Arc::clone(&inside), Arc::clone(&taken), path.clone());
        let client = client(&servers).await;
        client.sync(&path).await.unwrap();
        workers.push(tokio::spawn(async move {
            for _ in 0..5 {
                let prefix = LockPrefix::new_curator(&path, "latch-").unwrap();
                let lock = client.lock(prefix, b"", Acls::anyone_all()).await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                tokio::time::sleep(Duration::from_millis(5)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                taken.fetch_add(1, Ordering::SeqCst);
                drop(lock);
            }
        }));
    }
    for worker in workers {
        soon("a worker is done", worker).await.unwrap();
    }
    assert_eq!(taken.load(Ordering::SeqCst), 20);
}
