use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn a_deleted_group_takes_its_offsets_along() {
    let mut h = Harness::new();
    h.send(commit("", -1, 5));
    h.send(txn_commit(7, 10));
    let token = h.delete_group();
    assert_eq!(h.deleted(token), ErrorCode::None);
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
    assert_eq!(h.fetch(), -1);
    // The transaction ends, but there is no group any more whose offsets it could set.
    h.end(7, true);
    assert_eq!(h.fetch(), -1);
    h.restart();
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
    assert_eq!(h.coordinator.counts(), Counts::default());
    let token = h.delete_group();
    assert_eq!(h.deleted(token), ErrorCode::GroupIdNotFound);
}

#[test]
fn a_group_with_members_is_not_deleted() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a"]);
    let token = h.delete_group();
    assert_eq!(h.deleted(token), ErrorCode::NonEmptyGroup);
    h.send(leave(&ids[0], None));
    let token = h.delete_group();
    assert_eq!(h.deleted(token), ErrorCode::None);
}

#[test]
fn commits_that_are_on_their_way_do_not_outlive_their_group() {
    let mut h = Harness::new();
    h.send(commit("", -1, 5));
    h.instant_log = false;
    let mut other = commit_request("", -1, 6);
    other.topics[0].topic = "u".into();
    h.send(Request::OffsetCommit(other));
    let deletion = h.delete_group();
    // The group is on its way out: nothing new is taken, and it is not deleted twice.
    let late = h.send(commit("", -1, 7));
    assert_eq!(h.committed(late), ErrorCode::CoordinatorNotAvailable);
    let twice = h.delete_group();
    assert_eq!(h.deleted(twice), ErrorCode::GroupIdNotFound);
    assert!(h.is_parked(deletion));
    h.settle_all();
    assert_eq!(h.deleted(deletion), ErrorCode::None);
    assert_eq!(h.coordinator.counts(), Counts::default());
    h.restart();
    assert_eq!(h.coordinator.counts(), Counts::default());
}

#[test]
fn a_large_group_goes_in_pieces_and_lives_on_if_one_cannot_be_stored() {
    let mut h = Harness::new();
    let mut request = commit_request("", -1, 5);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = (0..2_500)
        .map(|p| CommitPartition {
            partition: p,
            ..partition.clone()
        })
        .collect();
    h.send(Request::OffsetCommit(request));
    h.instant_log = false;
    let first = h.delete_group();
    h.settle(Ok(()));
    assert_eq!(h.appends.len(), 1);
    h.settle(Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(h.deleted(first), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(h.state(), "Empty");
    assert_eq!(h.coordinator.counts().offsets, 1_500);
    let second = h.delete_group();
    h.settle_all();
    assert_eq!(h.deleted(second), ErrorCode::None);
    h.restart();
    assert_eq!(h.coordinator.counts(), Counts::default());
}

#[test]
fn offsets_are_deleted_for_topics_that_nobody_reads() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a"]);
    h.send(commit(&ids[0], 1, 5));
    let mut other = commit_request(&ids[0], 1, 6);
    other.topics[0].topic = "u".into();
    h.send(Request::OffsetCommit(other));
    let token = h.send(Request::OffsetDelete(OffsetDeleteRequest {
        group_id: "g".into(),
        topics: ["t", "u", "none"]
            .map(|topic| OffsetDeleteTopic {
                topic: topic.into(),
                partitions: vec![0],
            })
            .into(),
    }));
    let answer = h.offset_deleted(token).clone();
    assert_eq!(answer.error, ErrorCode::None);
    let errors: Vec<_> = answer.topics.iter().map(|(_, p)| p[0]).collect();
    assert_eq!(
        errors,
        [
            (0, ErrorCode::GroupSubscribedToTopic),
            (0, ErrorCode::None),
            (0, ErrorCode::None)
        ]
    );
    assert_eq!(h.coordinator.counts().offsets, 1);
    h.restart();
    assert_eq!(h.coordinator.counts().offsets, 1);
}

#[test]
fn deleting_an_offset_reaches_into_open_transactions_and_commits_on_their_way() {
    let mut h = Harness::new();
    h.send(txn_commit(7, 10));
    h.send(delete_offset());
    h.end(7, true);
    assert_eq!(h.fetch_stable(), Ok(-1));
    h.instant_log = false;
    h.send(commit("", -1, 5));
    h.send(delete_offset());
    h.settle_all();
    assert_eq!(h.fetch(), -1);
}

#[test]
fn whose_offsets_cannot_be_deleted() {
    let mut h = Harness::new();
    let token = h.send(delete_offset());
    assert_eq!(h.offset_deleted(token).error, ErrorCode::GroupIdNotFound);
    let token = h.send(Request::OffsetDelete(OffsetDeleteRequest {
        group_id: "".into(),
        topics: vec![],
    }));
    assert_eq!(h.offset_deleted(token).error, ErrorCode::InvalidGroupId);
    // Members of another protocol do not tell what they read.
    let mut request = join_request("a");
    request.protocol_type = "connect".into();
    h.send(Request::Join(request));
    h.pass(6_000);
    let token = h.send(delete_offset());
    assert_eq!(h.offset_deleted(token).error, ErrorCode::NonEmptyGroup);
}

#[test]
fn an_offset_that_cannot_be_deleted_stays() {
    let mut h = Harness::new();
    h.send(commit("", -1, 5));
    h.instant_log = false;
    let token = h.send(delete_offset());
    h.settle(Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(
        h.offset_deleted(token).error,
        ErrorCode::CoordinatorNotAvailable
    );
    assert_eq!(h.fetch(), 5);
}
