//! Nodes that are lost, and that come back.

use ottla_model::ErrorCode;

use crate::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_leader_is_replaced_and_nothing_that_was_acknowledged_is_lost() {
    let mut quorum = TestQuorum::started(3, Finding::Voters).await;
    let cluster_id = quorum.cluster_id();
    let first = quorum.leader().await;
    quorum
        .handle(first)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    quorum.create(first, "before").await;
    quorum.kill(first).await;
    let other = *quorum.nodes.keys().next().unwrap();
    // Waits for the new leader by itself.
    quorum.create(other, "between").await;
    assert_ne!(quorum.leader().await, first);
    quorum.start(first).await.unwrap();
    quorum.create(first, "after").await;
    let image = quorum.settled("after").await;
    for name in ["before", "between", "after"] {
        assert!(image.topic(name).is_some(), "{name}");
    }
    quorum.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_takes_no_changes_and_says_so() {
    let mut quorum = TestQuorum::started(3, Finding::Voters).await;
    let cluster_id = quorum.cluster_id();
    let leader = quorum.leader().await;
    quorum
        .handle(leader)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    let others: Vec<i32> = (1..=3).filter(|id| *id != leader).collect();
    quorum.kill(others[0]).await;
    quorum.kill(others[1]).await;
    let refusal = refused(quorum.handle(leader).submit(create("lonely")).await);
    assert_eq!(refusal.code, ErrorCode::NotController);
    assert!(quorum.handle(leader).image().topic("lonely").is_none());
    quorum.start(others[0]).await.unwrap();
    quorum.create(leader, "together").await;
    quorum.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_stop_and_start_again_with_what_they_had() {
    let mut quorum = TestQuorum::started(3, Finding::Servers).await;
    let cluster_id = quorum.cluster_id();
    quorum.leader().await;
    quorum
        .handle(1)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    quorum.create(2, "kept").await;
    quorum.settled("kept").await;
    for id in 1..=3 {
        quorum.kill(id).await;
    }
    quorum.start_all().await;
    assert_eq!(quorum.cluster_id(), cluster_id);
    quorum.create(3, "new").await;
    let image = quorum.settled("new").await;
    assert!(image.topic("kept").is_some());
    quorum.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_in_order_hands_over_first() {
    let mut quorum = TestQuorum::started(3, Finding::Voters).await;
    let first = quorum.leader().await;
    quorum.handle(first).resign().await;
    assert_ne!(quorum.leader().await, first);
    quorum.kill(first).await;
    let cluster_id = quorum.cluster_id();
    let other = *quorum.nodes.keys().next().unwrap();
    quorum
        .handle(other)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    quorum.stop_all().await;
}
