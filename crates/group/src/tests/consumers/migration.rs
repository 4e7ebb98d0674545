//! From the classic protocol to the new one and back, while the members work.

use bytes::Bytes;
use ottla_model::ErrorCode;
use ottla_wire::Message;
use ottla_wire::messages::consumer_protocol_assignment::TopicPartition;
use ottla_wire::messages::consumer_protocol_subscription::TopicPartition as OwnedPartition;
use ottla_wire::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};

use super::harness::*;
use crate::tests::harness::{join_request, leave, sync_request};
use crate::*;

/// A JoinGroup of a consumer that reads `a` and says what it has of it.
fn classic_join(member: &str, has: &[i32]) -> JoinRequest {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["a".into()],
        owned_partitions: vec![OwnedPartition {
            topic: "a".into(),
            partitions: has.to_vec(),
        }],
        ..ConsumerProtocolSubscription::default()
    };
    let mut request = join_request("c");
    request.member_id = member.into();
    request.protocols[0].metadata = subscription.encode_versioned(3).unwrap();
    request
}

fn assignment(partitions: &[i32]) -> Bytes {
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: vec![TopicPartition {
            topic: "a".into(),
            partitions: partitions.to_vec(),
        }],
        user_data: None,
    };
    assignment.encode_versioned(3).unwrap()
}

fn partitions(bytes: &Bytes) -> Vec<i32> {
    let (_, read) = ConsumerProtocolAssignment::decode_versioned(bytes.clone()).unwrap();
    let topics = read.assigned_partitions.into_iter();
    topics.flat_map(|t| t.partitions).collect()
}

/// A stable classic group of one member that has all of `a`; returns its id.
fn classic_group(w: &mut World) -> std::sync::Arc<str> {
    let token = w.h.send(Request::Join(classic_join("", &[])));
    w.h.pass(4_000);
    let joined = w.h.joined(token).clone();
    let mut sync = sync_request(&joined.member_id, joined.generation_id);
    sync.assignments = vec![(joined.member_id.clone(), assignment(&[0, 1, 2, 3]))];
    w.h.send(Request::Sync(sync));
    assert_eq!(w.h.state(), "Stable");
    joined.member_id
}

fn sync(w: &mut World, member: &str, generation: i32) -> Result<Vec<i32>, ErrorCode> {
    let token = w.h.send(Request::Sync(sync_request(member, generation)));
    let answer = w.h.synced(token);
    if answer.error.is_none() {
        Ok(partitions(&answer.assignment))
    } else {
        Err(answer.error)
    }
}

#[test]
fn a_classic_group_upgrades_and_downgrades_without_losing_a_member() {
    let mut w = World::new();
    let old = classic_group(&mut w);
    let generation = w.h.coordinator.groups["g"].generation_id;
    // Upgrade: the first member of the new protocol.
    let joined = w.join("new", &["a"]);
    assert!(w.h.coordinator.groups.is_empty());
    assert_eq!(
        joined.assignment.unwrap().len(),
        0,
        "the old member has all"
    );
    assert_eq!(w.has(&old, "a"), vec![0, 1, 2, 3]);
    w.check_replay();
    // The old member is called, gives up half, and the new one gets it.
    assert_eq!(
        w.h.heartbeat(&old, generation),
        ErrorCode::RebalanceInProgress
    );
    let token = w.h.send(Request::Join(classic_join(&old, &[0, 1, 2, 3])));
    let rejoined = w.h.joined(token).clone();
    assert_eq!(rejoined.error, ErrorCode::None);
    assert_eq!(
        rejoined.generation_id, generation,
        "it has something to give up first"
    );
    let kept = sync(&mut w, &old, rejoined.generation_id).unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!(
        w.h.heartbeat(&old, generation),
        ErrorCode::RebalanceInProgress
    );
    let token = w.h.send(Request::Join(classic_join(&old, &kept)));
    let rejoined = w.h.joined(token).clone();
    assert_eq!(sync(&mut w, &old, rejoined.generation_id).unwrap(), kept);
    assert_eq!(w.h.heartbeat(&old, rejoined.generation_id), ErrorCode::None);
    w.settle(&["new"]);
    assert_eq!(w.has("new", "a").len(), 2);
    let described = w.describe();
    assert_eq!(described.state, "Stable");
    assert!(described.members.iter().any(|m| m.is_classic));
    w.check_replay();
    // Downgrade: the last member of the new protocol leaves.
    assert_eq!(w.beat(beats("new", -1)).error, ErrorCode::None);
    assert!(w.h.coordinator.consumers.is_empty());
    assert_eq!(w.h.state(), "PreparingRebalance");
    let replayed = w.h.replayed();
    assert!(replayed.consumers.is_empty());
    assert!(replayed.groups["g"].members.contains_key(&old));
    let token = w.h.send(Request::Join(classic_join(&old, &kept)));
    let rejoined = w.h.joined(token).clone();
    assert_eq!(rejoined.leader, old);
    assert!(rejoined.generation_id > generation);
}

#[test]
fn offsets_survive_a_migration() {
    let mut w = World::new();
    let old = classic_group(&mut w);
    let generation = w.h.coordinator.groups["g"].generation_id;
    w.h.send(crate::tests::harness::commit(&old, generation, 42));
    w.join("new", &["a"]);
    assert_eq!(w.h.fetch(), 42);
    w.beat(beats("new", -1));
    assert_eq!(w.h.fetch(), 42);
    w.check_replay();
}

#[test]
fn an_upgrade_that_cannot_be_written_leaves_the_classic_group() {
    let mut w = World::new();
    let old = classic_group(&mut w);
    let generation = w.h.coordinator.groups["g"].generation_id;
    w.h.instant_log = false;
    let join = w.h.send(Request::ConsumerHeartbeat(joins("new", &["a"])));
    w.h.settle(Err(ErrorCode::KafkaStorageError));
    assert_eq!(w.beaten(join).error, ErrorCode::NotCoordinator);
    assert!(w.h.coordinator.consumers.is_empty());
    assert_eq!(w.h.heartbeat(&old, generation), ErrorCode::None);
    // So does a downgrade.
    w.h.instant_log = true;
    w.join("new", &["a"]);
    w.h.instant_log = false;
    let leave = w.h.send(Request::ConsumerHeartbeat(beats("new", -1)));
    w.h.settle(Err(ErrorCode::KafkaStorageError));
    assert_eq!(w.beaten(leave).error, ErrorCode::NotCoordinator);
    assert_eq!(w.group().members.len(), 2);
    w.check_replay();
}

#[test]
fn policies_forbid_migrations() {
    let mut w = World::with(|o| o.consumer.migration_policy = MigrationPolicy::Downgrade);
    classic_group(&mut w);
    let refused = w.beat(joins("new", &["a"]));
    assert_eq!(refused.error, ErrorCode::GroupIdNotFound);
    assert_eq!(w.h.state(), "Stable");

    let mut w = World::with(|o| o.consumer.migration_policy = MigrationPolicy::Disabled);
    w.join("new", &["a"]);
    let token = w.h.send(Request::Join(classic_join("", &[])));
    let error = w.h.joined(token).error;
    assert_eq!(error, ErrorCode::InconsistentGroupProtocol);

    let mut w = World::with(|o| o.consumer.migration_policy = MigrationPolicy::Upgrade);
    let old = classic_group(&mut w);
    w.join("new", &["a"]);
    w.beat(beats("new", -1));
    assert!(
        w.group().members.contains_key(&old),
        "it stays a consumer group"
    );
}

#[test]
fn groups_of_other_protocols_and_custom_assignors_are_not_upgraded() {
    let mut w = World::new();
    let mut request = join_request("connect");
    request.protocol_type = "connect".into();
    w.h.send(Request::Join(request));
    w.h.pass(4_000);
    let refused = w.beat(joins("new", &["a"]));
    assert_eq!(refused.error, ErrorCode::GroupIdNotFound);

    let mut w = World::new();
    let old = classic_group(&mut w);
    let group = w.h.coordinator.groups.get_mut("g").unwrap();
    let custom = ConsumerProtocolAssignment {
        user_data: Some(Bytes::from_static(b"mine")),
        ..ConsumerProtocolAssignment::default()
    };
    group.members.get_mut(&old).unwrap().assignment = custom.encode_versioned(1).unwrap();
    let refused = w.beat(joins("new", &["a"]));
    assert_eq!(refused.error, ErrorCode::GroupIdNotFound);
    assert_eq!(w.h.state(), "Stable");
}

#[test]
fn an_empty_group_takes_either_protocol() {
    let mut w = World::new();
    w.join("m1", &["a"]);
    w.beat(beats("m1", -1));
    let old = classic_group(&mut w);
    assert!(w.h.coordinator.consumers.is_empty());
    w.h.send(leave(&old, None));
    assert_eq!(w.h.state(), "Empty");
    w.join("m1", &["a"]);
    assert!(w.h.coordinator.groups.is_empty());
    assert_eq!(w.has("m1", "a").len(), 4);
    w.check_replay();
}

#[test]
fn classic_members_join_and_leave_a_consumer_group() {
    let mut w = World::new();
    w.join("new", &["a"]);
    let mut first = classic_join("", &[]);
    first.requires_known_member_id = true;
    let token = w.h.send(Request::Join(first));
    let answer = w.h.joined(token).clone();
    assert_eq!(answer.error, ErrorCode::MemberIdRequired);
    let token =
        w.h.send(Request::Join(classic_join(&answer.member_id, &[])));
    let joined = w.h.joined(token).clone();
    assert_eq!(joined.error, ErrorCode::None);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    let id = joined.member_id;
    assert_eq!(
        sync(&mut w, &id, joined.generation_id).unwrap(),
        Vec::<i32>::new()
    );
    let wrong = sync(&mut w, &id, joined.generation_id + 1);
    assert_eq!(wrong, Err(ErrorCode::IllegalGeneration));
    assert_eq!(sync(&mut w, "new", 2), Err(ErrorCode::UnknownMemberId));
    assert_eq!(w.h.heartbeat(&id, joined.generation_id), ErrorCode::None);
    // Once the other has given up what it gets, it is called to fetch it.
    w.settle(&["new"]);
    let called = w.h.heartbeat(&id, joined.generation_id);
    assert_eq!(called, ErrorCode::RebalanceInProgress);
    let token = w.h.send(Request::Join(classic_join(&id, &[])));
    let joined = w.h.joined(token).clone();
    assert_eq!(sync(&mut w, &id, joined.generation_id).unwrap().len(), 2);
    let token = w.h.send(leave(&id, None));
    assert_eq!(w.h.left(token).members[0].error, ErrorCode::None);
    w.settle(&["new"]);
    assert_eq!(w.has("new", "a").len(), 4);
    w.check_replay();
}

#[test]
fn classic_members_that_do_not_answer_the_call_are_removed() {
    let mut w = World::new();
    let old = classic_group(&mut w);
    let generation = w.h.coordinator.groups["g"].generation_id;
    w.join("new", &["a"]);
    for _ in 0..7 {
        w.h.heartbeat(&old, generation);
        w.settle(&["new"]);
        w.h.pass(10_000);
    }
    let gone = w.h.heartbeat(&old, generation);
    assert_eq!(gone, ErrorCode::UnknownMemberId);
    w.settle(&["new"]);
    assert_eq!(w.has("new", "a").len(), 4);
}
