//! Servers that form an ensemble.

use std::time::Duration;

use ottla_config::KeeperPeerType;
use ottla_jute::ErrorCode;

use crate::harness::{Client, Ensemble, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_through_one_server_is_read_through_the_others() {
    let ensemble = Ensemble::start(3).await;
    let mut first = ensemble.client(0).await;
    first.create("/a", "one", 0).await.unwrap();
    let (session, password) = (first.session, first.password.clone());
    for server in [1, 2, 0] {
        let known = Some((session, password.clone()));
        let moved = Client::connect(ensemble.connection(server).await, 10_000, known).await;
        let mut moved = moved.expect("the session is known everywhere");
        assert_eq!(moved.data("/a", false).await.unwrap(), "one");
        let path = format!("/of-{server}");
        moved.create(&path, "", 1).await.unwrap();
        assert_eq!(moved.create(&path, "", 1).await, Err(ErrorCode::NodeExists));
    }
    ensemble.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_their_ephemerals_survive_the_leader() {
    let mut ensemble = Ensemble::start(3).await;
    let leader = ensemble.leader().await;
    let other = (leader + 1) % 3;
    let mut client = ensemble.client(other).await;
    client.create("/e", "", 1).await.unwrap();
    ensemble.kill(leader).await;
    let began = std::time::Instant::now();
    let mut again = loop {
        assert!(began.elapsed() < PATIENCE, "nobody leads");
        let known = Some((client.session, client.password.clone()));
        let stream = ensemble.connection(other).await;
        match Client::connect(stream, 10_000, known).await {
            Some(client) => break client,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(again.exists("/e", false).await);
    again.create("/after", "", 0).await.unwrap();
    ensemble.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_writes_nothing() {
    let mut ensemble = Ensemble::start(3).await;
    let leader = ensemble.leader().await;
    let mut client = ensemble.client(leader).await;
    client.create("/before", "", 0).await.unwrap();
    ensemble.kill((leader + 1) % 3).await;
    ensemble.kill((leader + 2) % 3).await;
    let lost = client.create("/never", "", 0).await;
    assert_eq!(lost, Err(ErrorCode::ConnectionLoss));
    ensemble.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_gives_its_clients_up_when_a_majority_does_not_answer_the_leader() {
    let observed = |config: &mut ottla_config::KeeperConfig| {
        config.servers[2].peer_type = KeeperPeerType::Observer;
    };
    let mut ensemble = Ensemble::with(3, observed).await;
    let leader = ensemble.leader().await;
    let mut client = ensemble.client(2).await;
    client.create("/before", "", 0).await.unwrap();
    assert!(leader < 2, "the observer leads");
    // The leader goes on and is heard, but what it says is worth nothing.
    ensemble.kill(1 - leader).await;
    client.ended().await;
    ensemble.stop().await;
}
