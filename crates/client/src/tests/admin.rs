//! Topics, and offsets of groups.

use ottla_model::ErrorCode;
use ottla_wire::ApiKey;

use super::node::{Fault, Node};
use crate::{CommittedOffset, Error, NewTopic, OffsetAt};

fn new_topic(name: &str) -> NewTopic {
    NewTopic {
        name: name.into(),
        partitions: Some(2),
        ..NewTopic::default()
    }
}

#[tokio::test]
async fn topics_are_created_and_deleted_with_an_outcome_each() {
    for oldest in [false, true] {
        let node = Node::start("there", 1, oldest).await;
        let client = node.client().await;
        let wanted = [new_topic("there"), new_topic("new")];
        let outcomes = client.create_topics(&wanted, false).await.unwrap();
        assert_eq!(outcomes[0].0, "there");
        let error = outcomes[0].1.as_ref().err().unwrap();
        assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
        assert!(error.to_string().contains("topic there"), "{error}");
        assert!(error.to_string().contains("it is there already"), "{error}");
        assert!(outcomes[1].1.is_ok());
        assert_eq!(client.partitions("new").await.unwrap().len(), 2);
        let outcomes = client.delete_topics(&["new", "missing"]).await.unwrap();
        assert!(outcomes[0].1.is_ok());
        assert!(outcomes[1].1.is_err());
        assert!(!node.state.lock().topics.contains_key("new"));
    }
}

#[tokio::test]
async fn validating_creates_nothing() {
    let node = Node::start("there", 1, false).await;
    let client = node.client().await;
    let outcomes = client
        .create_topics(&[new_topic("new")], true)
        .await
        .unwrap();
    assert!(outcomes[0].1.is_ok());
    assert_eq!(node.state.lock().topics.len(), 1);
}

#[tokio::test]
async fn a_change_is_not_repeated_when_it_may_have_been_done() {
    let node = Node::start("there", 1, false).await;
    let client = node.client().await;
    node.fail(ApiKey::CreateTopics, [Fault::LoseResponse]);
    let outcome = client.create_topics(&[new_topic("new")], false).await;
    assert!(matches!(outcome.err(), Some(Error::Disconnected { .. })));
    assert_eq!(node.seen(ApiKey::CreateTopics), 1);
}

#[tokio::test]
async fn groups_keep_offsets_while_coordinators_move() {
    for oldest in [false, true] {
        let node = Node::start("t", 2, oldest).await;
        let client = node.client().await;
        node.fail(
            ApiKey::FindCoordinator,
            [Fault::Code(ErrorCode::CoordinatorNotAvailable)],
        );
        node.fail(
            ApiKey::OffsetCommit,
            [Fault::Code(ErrorCode::NotCoordinator)],
        );
        let offset = |partition, offset| CommittedOffset {
            topic: "t".into(),
            partition,
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        };
        let offsets = [offset(0, 5), offset(1, 9)];
        client.commit_offsets("g", &offsets).await.unwrap();
        let committed = client.committed_offsets("g").await;
        if oldest {
            // Version 1 cannot ask for all offsets of a group.
            let error = committed.err().unwrap().to_string();
            let expected = "knows OffsetFetch only up to version 1, and version 2 is needed for \
                            this; it needs Kafka 0.10.2 or newer";
            assert!(error.ends_with(expected), "{error}");
            continue;
        }
        let committed = committed.unwrap();
        let short: Vec<_> = committed.iter().map(|c| (c.partition, c.offset)).collect();
        assert_eq!(short, [(0, 5), (1, 9)]);
    }
}

#[tokio::test]
async fn offsets_are_looked_up_again_after_a_leader_has_moved() {
    let node = Node::start("t", 2, false).await;
    let client = node.client().await;
    node.state.lock().log("t", 1).unwrap().end = 33;
    node.fail(
        ApiKey::ListOffsets,
        [Fault::Code(ErrorCode::NotLeaderOrFollower)],
    );
    let wanted = [("t", 1, OffsetAt::Latest), ("t", 0, OffsetAt::Earliest)];
    let found = client.list_offsets(&wanted).await.unwrap();
    let short: Vec<_> = found.iter().map(|f| (f.partition, f.offset)).collect();
    assert_eq!(short, [(0, Some(0)), (1, Some(33))]);
    let none = client
        .list_offsets(&[("t", 0, OffsetAt::Timestamp(5))])
        .await
        .unwrap();
    assert_eq!(none[0].offset, None);
    let error = client
        .list_offsets(&[("t", 8, OffsetAt::Latest)])
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("its partitions are 0 to 1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_broker_that_does_not_know_an_api_is_told_with_the_release_that_does() {
    let node = Node::start("t", 1, false).await;
    let client = node.client().await;
    let error = client.describe_transaction("x").await.err().unwrap();
    let expected = format!(
        "the broker at {} does not know DescribeTransactions; it needs Kafka 3.0 or newer",
        node.address()
    );
    assert_eq!(error.to_string(), expected);
}
