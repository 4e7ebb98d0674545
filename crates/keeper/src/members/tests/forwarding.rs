use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_raft::NodeId;
use tokio::sync::mpsc::UnboundedReceiver;

use super::world::{Node, Plan, agree, leader, stop_all, within};
use crate::members::{ForwardLink, LinkEnded};

type Inbox = UnboundedReceiver<(NodeId, u64, Option<Bytes>)>;

/// An ensemble, its leader's number and term, a follower's number, and what comes to the leader.
async fn ensemble(plan: &Plan) -> (BTreeMap<NodeId, Node>, NodeId, u64, NodeId, Inbox) {
    let nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "before").await;
    let leading = leader(&nodes).await;
    let (id, term, inbox) = (leading.members.id(), leading.state().term, leading.listen());
    let follower = (1..=3).find(|other| *other != id).unwrap();
    (nodes, id, term, follower, inbox)
}

async fn next(inbox: &mut Inbox) -> Option<Bytes> {
    within("a frame", inbox.recv()).await.unwrap().2
}

async fn end(link: &ForwardLink) -> String {
    within("the end of a stream", link.ended()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_arrive_in_their_order_and_the_end_is_told() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let (nodes, id, term, follower, mut inbox) = ensemble(&plan).await;
    let link = nodes[&follower].members.forward(id, term);
    let frame = |number: u32| {
        let mut frame = number.to_be_bytes().to_vec();
        // Some of them are larger than what is written at once.
        frame.resize(
            4 + number as usize % 97 * if number.is_multiple_of(50) { 9_001 } else { 1 },
            7,
        );
        Bytes::from(frame)
    };
    let sending = async {
        for number in 0..5_000 {
            link.send(frame(number)).await.unwrap();
        }
        link.send(Bytes::new()).await.unwrap();
        link.send(Bytes::from_static(b"bad")).await.unwrap();
    };
    let receiving = async {
        for number in 0..5_000 {
            let (from, in_term, received) = inbox.recv().await.unwrap();
            assert_eq!(
                (from, in_term, received),
                (follower, term, Some(frame(number)))
            );
        }
        assert_eq!(next(&mut inbox).await, None, "the stream has ended");
    };
    within("a stream", async { tokio::join!(sending, receiving) }).await;
    let reason = end(&link).await;
    assert!(reason.contains("that is no frame"), "{reason}");
    assert!(link.is_ended());
    assert_eq!(link.send(Bytes::from_static(b"more")).await, Err(LinkEnded));
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_does_not_take_more_holds_the_sender_back() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let (nodes, id, term, follower, _inbox) = ensemble(&plan).await;
    let link = nodes[&follower].members.forward(id, term);
    link.send(Bytes::from_static(b"slow")).await.unwrap();
    let frame = Bytes::from(vec![1; 1 << 20]);
    let mut sent = 0;
    let sending = async {
        loop {
            link.send(frame.clone()).await.unwrap();
            sent += 1;
        }
    };
    // More than the queue and what the network holds never goes in, and the stream lives on: both
    // sides still say that they are there.
    let patience = std::time::Duration::from_secs(5);
    let outcome = tokio::time::timeout(patience, sending).await;
    assert!(
        outcome.is_err() && (1..100).contains(&sent),
        "{sent} MiB were taken"
    );
    assert!(!link.is_ended());
    drop(link);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_stream_takes_the_place_of_an_older_one() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let (nodes, id, term, follower, mut inbox) = ensemble(&plan).await;
    let older = nodes[&follower].members.forward(id, term);
    older.send(Bytes::from_static(b"old")).await.unwrap();
    assert_eq!(next(&mut inbox).await, Some(Bytes::from_static(b"old")));
    // It is in the middle of a frame that takes long.
    older.send(Bytes::from_static(b"slow")).await.unwrap();
    older.send(Bytes::from_static(b"late")).await.unwrap();
    let newer = nodes[&follower].members.forward(id, term);
    newer.send(Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(next(&mut inbox).await, None, "the older one ends first");
    assert_eq!(next(&mut inbox).await, Some(Bytes::from_static(b"new")));
    let reason = end(&older).await;
    assert!(reason.contains("taken its place"), "{reason}");
    // Given up, it ends there, too.
    drop(newer);
    assert_eq!(next(&mut inbox).await, None);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_office_of_the_leader() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let (mut nodes, id, term, follower, mut inbox) = ensemble(&plan).await;
    let wrong_term = nodes[&follower].members.forward(id, term + 1);
    let reason = end(&wrong_term).await;
    assert!(reason.contains(&format!("term {}", term + 1)), "{reason}");
    let no_leader = nodes[&follower].members.forward(9, term);
    assert!(end(&no_leader).await.contains("no address"));

    let link = nodes[&follower].members.forward(id, term);
    link.send(Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(next(&mut inbox).await, Some(Bytes::from_static(b"one")));
    let resigned = nodes[&id]
        .raft
        .resign(std::time::Duration::from_secs(20))
        .await;
    assert!(resigned, "{:?}", nodes[&id].state());
    let reason = end(&link).await;
    assert!(reason.contains("leads no more"), "{reason}");
    assert_eq!(next(&mut inbox).await, None);

    // A leader that stops is noticed without a word of its own.
    let leading = leader(&nodes).await;
    let (id, term, mut inbox) = (leading.members.id(), leading.state().term, leading.listen());
    let follower = (1..=3).find(|other| *other != id).unwrap();
    let link = nodes[&follower].members.forward(id, term);
    link.send(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(next(&mut inbox).await, Some(Bytes::from_static(b"two")));
    nodes.remove(&id).unwrap().stop().await;
    end(&link).await;
    stop_all(nodes).await;
}
