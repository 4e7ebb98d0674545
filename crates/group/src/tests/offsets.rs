use ottla_model::{ErrorCode, TopicId, Uuid};

use super::harness::*;
use crate::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn commit_to(topic: &str, topic_id: TopicId, partition: i32, offset: i64) -> OffsetCommitRequest {
    let mut request = commit_request("", -1, offset);
    request.topics[0].topic = topic.into();
    request.topics[0].topic_id = topic_id;
    request.topics[0].partitions[0].partition = partition;
    request
}

fn fetch_all(h: &mut Harness) -> Vec<FetchedTopic> {
    let token = h.send(Request::OffsetFetch(OffsetFetchRequest {
        group_id: "g".into(),
        member_id: None,
        member_epoch: -1,
        topics: None,
        require_stable: false,
    }));
    match &h.answers[&token] {
        Response::OffsetFetch(answer) => answer.topics.clone(),
        other => panic!("{other:?} is not an answer to OffsetFetch"),
    }
}

#[test]
fn a_commit_is_seen_once_it_is_durable() {
    let mut h = Harness::new();
    h.instant_log = false;
    assert_eq!(h.fetch(), -1);
    let token = h.send(commit("", -1, 42));
    assert!(h.is_parked(token));
    assert_eq!(h.fetch(), -1);
    let stable = h.send(fetch_request(true));
    assert!(h.is_parked(stable));
    h.settle_all();
    assert_eq!(h.committed(token), ErrorCode::None);
    assert_eq!(h.fetched(stable), 42);
    assert_eq!(h.fetch(), 42);
    let topics = fetch_all(&mut h);
    assert_eq!(topics[0].partitions[0].leader_epoch, 3);
    assert_eq!(&*topics[0].partitions[0].metadata, "note");
}

#[test]
fn a_commit_that_cannot_be_stored_does_not_happen() {
    let mut h = Harness::new();
    let token = h.send(commit("", -1, 1));
    assert_eq!(h.committed(token), ErrorCode::None);
    h.instant_log = false;
    for (log, told) in [
        (
            ErrorCode::NotEnoughReplicas,
            ErrorCode::CoordinatorNotAvailable,
        ),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::RecordListTooLarge, ErrorCode::UnknownServerError),
    ] {
        let token = h.send(commit("", -1, 2));
        h.settle(Err(log));
        assert_eq!(h.committed(token), told);
        assert_eq!(h.fetch(), 1);
    }
}

#[test]
fn the_later_of_two_commits_wins_even_if_the_first_fails() {
    let mut h = Harness::new();
    h.instant_log = false;
    let (first, second) = (h.send(commit("", -1, 1)), h.send(commit("", -1, 2)));
    h.settle(Err(ErrorCode::RequestTimedOut));
    h.settle(Ok(()));
    assert_eq!(h.committed(first), ErrorCode::CoordinatorNotAvailable);
    assert_eq!(h.committed(second), ErrorCode::None);
    assert_eq!(h.fetch(), 2);
}

#[test]
fn members_commit_in_their_generation_only() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    let ids = h.sync_all(&tokens);
    for (member_id, generation_id, expected) in [
        (&*ids[0], 1, ErrorCode::None),
        (&*ids[0], 0, ErrorCode::IllegalGeneration),
        (&*ids[0], 2, ErrorCode::IllegalGeneration),
        (&*ids[0], -1, ErrorCode::IllegalGeneration),
        ("ghost", 1, ErrorCode::UnknownMemberId),
        ("", 1, ErrorCode::UnknownMemberId),
        ("", -1, ErrorCode::UnknownMemberId),
    ] {
        let token = h.send(commit(member_id, generation_id, 7));
        assert_eq!(h.committed(token), expected, "{member_id} {generation_id}");
    }
    // While the group prepares to rebalance, members still commit what they have done.
    let a = h.send(rejoin(&ids[0]));
    let token = h.send(commit(&ids[1], 1, 8));
    assert_eq!(h.committed(token), ErrorCode::None);
    assert_eq!(h.fetch(), 8);
    // Once it has, nobody knows yet who reads what.
    h.send(rejoin(&ids[1]));
    assert_eq!(h.joined(a).generation_id, 2);
    let token = h.send(commit(&ids[1], 2, 9));
    assert_eq!(h.committed(token), ErrorCode::RebalanceInProgress);
    let token = h.send(commit(&ids[1], 1, 9));
    assert_eq!(h.committed(token), ErrorCode::IllegalGeneration);
    assert_eq!(h.fetch(), 8);
}

#[test]
fn an_unknown_group_is_named_as_the_client_understands() {
    let mut h = Harness::new();
    let token = h.send(commit("a", 1, 1));
    assert_eq!(h.committed(token), ErrorCode::GroupIdNotFound);
    let token = h.send(Request::OffsetCommit(OffsetCommitRequest {
        reports_unknown_group: false,
        ..commit_request("a", 1, 1)
    }));
    assert_eq!(h.committed(token), ErrorCode::IllegalGeneration);
}

#[test]
fn one_partition_that_is_refused_does_not_hold_back_the_others() {
    let mut h = Harness::new();
    let mut request = commit_request("", -1, 5);
    let mut long = request.topics[0].partitions[0].clone();
    long.partition = 1;
    // 4,096 characters of two UTF-16 units each are too many, 4,096 of one are not.
    long.metadata = Some("𝄞".repeat(4_096).into());
    request.topics[0].partitions.push(long.clone());
    long.partition = 2;
    long.metadata = Some("ä".repeat(4_096).into());
    request.topics[0].partitions.push(long);
    let token = h.send(Request::OffsetCommit(request));
    let Response::OffsetCommit(answer) = &h.answers[&token] else {
        panic!("not an answer to OffsetCommit");
    };
    assert_eq!(
        answer.topics[0].partitions,
        vec![
            (0, ErrorCode::None),
            (1, ErrorCode::OffsetMetadataTooLarge),
            (2, ErrorCode::None)
        ]
    );
    assert_eq!(fetch_all(&mut h)[0].partitions.len(), 2);
}

#[test]
fn a_commit_of_nothing_is_answered_at_once() {
    let mut h = Harness::new();
    h.instant_log = false;
    let token = h.send(Request::OffsetCommit(OffsetCommitRequest {
        topics: vec![],
        ..commit_request("", -1, 0)
    }));
    assert!(!h.is_parked(token));
    assert!(h.appends.is_empty());
}

#[test]
fn an_offset_of_a_deleted_topic_is_not_given_to_its_successor() {
    let mut h = Harness::new();
    let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
    h.send(Request::OffsetCommit(commit_to("t", old, 0, 5)));
    let ask = |topic_id| {
        Request::OffsetFetch(OffsetFetchRequest {
            group_id: "g".into(),
            member_id: None,
            member_epoch: -1,
            topics: Some(vec![FetchTopic {
                topic: "t".into(),
                topic_id,
                partitions: vec![0],
            }]),
            require_stable: false,
        })
    };
    for (topic_id, expected) in [(old, 5), (new, -1), (TopicId::ZERO, 5)] {
        let token = h.send(ask(topic_id));
        assert_eq!(h.fetched(token), expected);
    }
    assert_eq!(fetch_all(&mut h)[0].topic_id, old);
}

#[test]
fn deleted_topics_take_their_offsets_along() {
    let mut h = Harness::new();
    let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
    h.send(Request::OffsetCommit(commit_to("t", old, 0, 5)));
    h.send(Request::OffsetCommit(commit_to("t", new, 1, 6)));
    h.send(Request::OffsetCommit(commit_to("u", old, 0, 7)));
    h.instant_log = false;
    // A commit that is still on its way goes too.
    h.send(Request::OffsetCommit(commit_to("t", TopicId::ZERO, 2, 8)));
    let effects = h.coordinator.topics_deleted(h.now_ms, &[("t".into(), old)]);
    h.carry_out(effects);
    h.settle_all();
    let left: Vec<_> = fetch_all(&mut h)
        .iter()
        .map(|t| {
            (
                t.topic.to_string(),
                t.partitions[0].partition,
                t.partitions.len(),
            )
        })
        .collect();
    assert_eq!(left, vec![("t".into(), 1, 1), ("u".into(), 0, 1)]);
    h.restart();
    assert_eq!(h.coordinator.counts().offsets, 2);
}

#[test]
fn a_standalone_consumers_offsets_expire_by_their_own_age() {
    let mut h = Harness::new();
    h.send(Request::OffsetCommit(commit_to("t", TopicId::ZERO, 0, 1)));
    h.pass(3 * DAY_MS);
    h.send(Request::OffsetCommit(commit_to("t", TopicId::ZERO, 1, 1)));
    h.pass(4 * DAY_MS + 600_000);
    assert_eq!(fetch_all(&mut h)[0].partitions.len(), 1);
    assert_eq!(h.fetch(), -1);
    assert_eq!(h.state(), "Empty");
    h.pass(3 * DAY_MS + 600_000);
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
    assert_eq!(h.coordinator.counts().offsets, 0);
    h.restart();
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
}

#[test]
fn an_empty_groups_offsets_live_on_from_the_day_it_was_emptied() {
    let mut h = Harness::new();
    let token = h.send(join("a"));
    h.pass(3_000);
    let ids = h.sync_all(&[token]);
    h.send(commit(&ids[0], 1, 1));
    for _ in 0..20 {
        h.pass(DAY_MS / 2);
        let token = h.send(join("a"));
        h.pass(3_000);
        let ids = h.sync_all(&[token]);
        h.send(leave(&ids[0], None));
        assert_eq!(h.fetch(), 1);
    }
    h.pass(7 * DAY_MS - 600_000);
    assert_eq!(h.fetch(), 1);
    h.pass(2 * 600_000);
    assert_eq!(h.fetch(), -1);
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
    assert!(
        h.notices
            .iter()
            .any(|n| matches!(n, Notice::GroupDeleted { .. }))
    );
}

#[test]
fn a_living_group_keeps_what_it_is_subscribed_to() {
    let mut h = Harness::with(Options {
        // One check a day keeps this test short.
        offsets_retention_check_interval_ms: DAY_MS,
        session_timeout_ms_max: i32::MAX,
        ..Options::default()
    });
    let token = h.send(Request::Join(JoinRequest {
        session_timeout_ms: i32::MAX,
        ..join_request("a")
    }));
    h.pass(3_000);
    let ids = h.sync_all(&[token]);
    for topic in ["t", "gone"] {
        let mut request = commit_request(&ids[0], 1, 4);
        request.topics[0].topic = topic.into();
        h.send(Request::OffsetCommit(request));
    }
    h.pass(9 * DAY_MS);
    assert_eq!(h.state(), "Stable");
    let topics = fetch_all(&mut h);
    assert_eq!(topics.len(), 1);
    assert_eq!(&*topics[0].topic, "t");
}

#[test]
fn an_old_clients_own_retention_counts() {
    let mut h = Harness::new();
    h.send(Request::OffsetCommit(OffsetCommitRequest {
        retention_time_ms: Some(1_000),
        ..commit_request("", -1, 3)
    }));
    assert_eq!(h.fetch(), 3);
    h.restart();
    assert_eq!(h.fetch(), 3);
    h.pass(600_000);
    assert_eq!(h.fetch(), -1);
}

#[test]
fn a_group_whose_tombstone_is_on_its_way_is_dead_until_then() {
    let mut h = Harness::new();
    h.send(commit("", -1, 1));
    h.instant_log = false;
    h.pass(7 * DAY_MS + 600_000);
    assert_eq!(h.state(), "Dead");
    assert_eq!(h.fetch(), 1);
    let token = h.send(join("a"));
    assert_eq!(h.joined(token).error, ErrorCode::CoordinatorNotAvailable);
    let token = h.send(commit("", -1, 2));
    assert_eq!(h.committed(token), ErrorCode::CoordinatorNotAvailable);
    h.settle(Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(h.state(), "Empty");
    assert_eq!(h.fetch(), 1);
    h.pass(600_000);
    assert_eq!(h.state(), "Dead");
    h.settle_all();
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
    let token = h.send(join("a"));
    assert!(h.is_parked(token));
}

#[test]
fn a_commit_on_its_way_keeps_its_group_from_expiring() {
    let mut h = Harness::new();
    h.send(commit("", -1, 1));
    h.instant_log = false;
    h.pass(7 * DAY_MS - 1_000);
    let token = h.send(commit("", -1, 2));
    h.pass(600_000);
    assert_eq!(h.appends.len(), 1);
    h.settle_all();
    assert_eq!(h.committed(token), ErrorCode::None);
    h.pass(600_000);
    assert_eq!(h.fetch(), 2);
}

#[test]
fn many_offsets_expire_in_small_appends() {
    let mut h = Harness::new();
    let mut request = commit_request("", -1, 1);
    let first = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = (0..2_500)
        .map(|partition| CommitPartition {
            partition,
            ..first.clone()
        })
        .collect();
    h.send(Request::OffsetCommit(request));
    h.instant_log = false;
    h.pass(7 * DAY_MS + 600_000);
    let sizes: Vec<usize> = h
        .appends
        .iter()
        .map(|(_, entry)| entry.records().len())
        .collect();
    assert_eq!(sizes, vec![1_000, 1_000, 500]);
    h.settle_all();
    assert_eq!(h.coordinator.counts().offsets, 0);
    assert_eq!(h.state(), "Empty");
    h.instant_log = true;
    h.pass(600_000);
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
}
