//! What moves, who leads, who votes.

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::ApiKey;

use super::node::{Fault, Node};
use crate::{Election, Error, PartitionOutcome, Reassignment, VoterEndpoint};

fn wish(topic: &str, partition: i32, replicas: Option<&[i32]>) -> Reassignment {
    Reassignment {
        topic: topic.to_owned(),
        partition,
        replicas: replicas.map(<[i32]>::to_vec),
    }
}

fn codes(outcomes: Vec<PartitionOutcome>) -> Vec<(i32, Option<ErrorCode>)> {
    let code = |outcome: Result<(), Error>| outcome.err().map(|error| error.code().unwrap());
    let outcomes = outcomes.into_iter();
    outcomes
        .map(|(_, index, outcome)| (index, code(outcome)))
        .collect()
}

#[tokio::test]
async fn partitions_are_moved_listed_and_taken_back_with_an_outcome_each() {
    let node = Node::start("t", 2, false).await;
    let client = node.client().await;
    let wishes = [wish("t", 0, Some(&[1, 2])), wish("t", 5, Some(&[1, 2]))];
    let outcomes = client.alter_reassignments(&wishes).await.unwrap();
    let expected = [(0, None), (5, Some(ErrorCode::UnknownTopicOrPartition))];
    assert_eq!(codes(outcomes), expected);
    let ongoing = client.list_reassignments().await.unwrap();
    assert_eq!(ongoing.len(), 1);
    assert_eq!(ongoing[0].replicas, [1, 2, 7]);
    assert_eq!(ongoing[0].target(), [1, 2]);
    let back = [wish("t", 0, None), wish("t", 1, None)];
    let outcomes = client.alter_reassignments(&back).await.unwrap();
    let expected = [(0, None), (1, Some(ErrorCode::NoReassignmentInProgress))];
    assert_eq!(codes(outcomes), expected);
    assert_eq!(client.list_reassignments().await.unwrap(), []);
}

#[tokio::test]
async fn a_move_is_asked_for_again_when_its_answer_is_lost_or_the_controller_has_moved() {
    let node = Node::start("t", 1, false).await;
    let client = node.client().await;
    let api = ApiKey::AlterPartitionReassignments;
    node.fail(
        api,
        [Fault::LoseResponse, Fault::Code(ErrorCode::NotController)],
    );
    let wishes = [wish("t", 0, Some(&[1]))];
    let outcomes = client.alter_reassignments(&wishes).await.unwrap();
    assert_eq!(codes(outcomes), [(0, None)]);
    assert_eq!(node.seen(api), 3);
}

#[tokio::test]
async fn an_election_that_is_not_needed_is_told_from_one_that_fails() {
    let node = Node::start("t", 2, false).await;
    let client = node.client().await;
    let wanted: Vec<_> = [0, 1, 2].map(|index| ("t".to_owned(), index)).to_vec();
    let outcomes = client
        .elect_leaders(Election::Preferred, Some(&wanted))
        .await
        .unwrap();
    let expected = [
        (0, Some(ErrorCode::ElectionNotNeeded)),
        (1, None),
        (2, Some(ErrorCode::UnknownTopicOrPartition)),
    ];
    assert_eq!(codes(outcomes), expected);
}

#[tokio::test]
async fn an_unclean_election_is_not_asked_of_a_broker_that_would_hold_a_preferred_one() {
    let node = Node::start("t", 1, true).await;
    let client = node.client().await;
    let wanted = [("t".to_owned(), 0)];
    let unclean = client.elect_leaders(Election::Unclean, Some(&wanted)).await;
    let text = unclean.err().unwrap().to_string();
    assert!(text.ends_with("it needs Kafka 2.4 or newer"), "{text}");
    assert_eq!(node.seen(ApiKey::ElectLeaders), 0);
}

#[tokio::test]
async fn partitions_are_read_page_by_page() {
    let node = Node::start("a", 3, false).await;
    let client = node.client().await;
    client
        .create_topics(
            &[crate::NewTopic {
                name: "b".to_owned(),
                partitions: Some(4),
                ..crate::NewTopic::default()
            }],
            false,
        )
        .await
        .unwrap();
    for wanted in [&[][..], &["b", "a"]] {
        let topics = client.describe_topic_partitions(wanted).await.unwrap();
        let found: Vec<_> = topics
            .iter()
            .map(|topic| {
                let indexes = topic.partitions.iter().map(|p| p.partition_index);
                (topic.name.as_deref().unwrap(), indexes.collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(found, [("a", vec![0, 1, 2]), ("b", vec![0, 1, 2, 3])]);
        assert_eq!(
            topics[1].partitions[3].eligible_leader_replicas,
            Some(vec![3])
        );
    }
    node.state.lock().cluster.turns_in_circles = true;
    let error = client.describe_topic_partitions(&[]).await.err().unwrap();
    assert!(error.to_string().contains("does not move on"), "{error}");
}

#[tokio::test]
async fn voters_are_added_and_removed_by_the_id_of_their_directory() {
    let node = Node::start("t", 1, false).await;
    let client = node.client().await;
    let endpoint = VoterEndpoint {
        listener: "CONTROLLER".to_owned(),
        host: "h".to_owned(),
        port: 9093,
    };
    let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
    let add =
        |directory| client.add_raft_voter(Some("c"), 4, directory, std::slice::from_ref(&endpoint));
    add(new).await.unwrap();
    let again = add(new).await.err().unwrap();
    assert_eq!(again.code(), Some(ErrorCode::DuplicateVoter));
    let quorum = client.describe_quorum().await.unwrap().unwrap();
    let voter = &quorum.state.current_voters[0];
    assert_eq!((voter.replica_id, voter.replica_directory_id), (4, new));
    let wrong = client.remove_raft_voter(Some("c"), 4, old).await;
    assert_eq!(wrong.err().unwrap().code(), Some(ErrorCode::VoterNotFound));
    // A lost answer is not asked for again: a second try would tell that there is no such voter.
    node.state.lock().cluster.voters.insert(4, new);
    node.fail(ApiKey::RemoveRaftVoter, [Fault::LoseResponse]);
    let lost = client.remove_raft_voter(Some("c"), 4, new).await;
    assert!(matches!(lost.err(), Some(Error::Disconnected { .. })));
    assert_eq!(node.seen(ApiKey::RemoveRaftVoter), 2);
}
