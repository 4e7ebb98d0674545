use bytes::Bytes;
use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

/// A stable group of pod-1 and pod-2; returns the ids of the leader and the other one, and which
/// pods they are.
fn pods(h: &mut Harness) -> [(std::sync::Arc<str>, &'static str); 2] {
    let tokens = [h.send(join_static("pod-1")), h.send(join_static("pod-2"))];
    h.pass(10_000);
    let ids = h.sync_all(&tokens);
    if ids[0].starts_with("pod-1") {
        [(ids[0].clone(), "pod-1"), (ids[1].clone(), "pod-2")]
    } else {
        [(ids[0].clone(), "pod-2"), (ids[1].clone(), "pod-1")]
    }
}

#[test]
fn a_restarted_static_member_keeps_its_assignment_without_a_rebalance() {
    let mut h = Harness::new();
    let [_, (old_id, pod)] = pods(&mut h);
    let token = h.send(join_static(pod));
    let answer = h.joined(token).clone();
    assert_eq!(answer.error, ErrorCode::None);
    assert_eq!(answer.generation_id, 1);
    assert_ne!(answer.member_id, old_id);
    assert!(answer.member_id.starts_with(pod));
    assert!(!answer.skip_assignment);
    assert_eq!(h.state(), "Stable");
    let token = h.send(sync(&answer.member_id, 1));
    // Tests assign each member its first id.
    assert_eq!(
        h.synced(token).assignment,
        Bytes::copy_from_slice(old_id.as_bytes())
    );
    assert_eq!(h.heartbeat(&answer.member_id, 1), ErrorCode::None);
}

#[test]
fn a_restarted_leader_still_leads_and_is_told_not_to_assign() {
    let mut h = Harness::new();
    let [(old_id, pod), _] = pods(&mut h);
    let token = h.send(join_static(pod));
    let answer = h.joined(token).clone();
    assert!(answer.skip_assignment);
    assert_eq!(answer.leader, answer.member_id);
    assert_eq!(answer.members.len(), 2);

    // An older client cannot skip; it is told that the id before leads.
    let token = h.send(Request::Join(JoinRequest {
        group_instance_id: Some(pod.into()),
        supports_skip_assignment: false,
        ..join_request("c")
    }));
    let older = h.joined(token).clone();
    assert!(!older.skip_assignment);
    assert_eq!(older.leader, answer.member_id);
    assert_ne!(older.member_id, answer.member_id);
    assert_eq!(older.members, vec![]);
    assert_ne!(older.leader, old_id);
    assert_eq!(h.state(), "Stable");
}

#[test]
fn the_process_that_was_replaced_is_fenced() {
    let mut h = Harness::new();
    let [_, (old_id, pod)] = pods(&mut h);
    h.send(join_static(pod));
    let fenced = ErrorCode::FencedInstanceId;
    let token = h.send(Request::Heartbeat(HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: old_id.clone(),
        group_instance_id: Some(pod.into()),
    }));
    assert_eq!(h.answers[&token], Response::Heartbeat(fenced));
    let token = h.send(Request::OffsetCommit(OffsetCommitRequest {
        group_instance_id: Some(pod.into()),
        ..commit_request(&old_id, 1, 5)
    }));
    assert_eq!(h.committed(token), fenced);
    let token = h.send(Request::Sync(SyncRequest {
        group_instance_id: Some(pod.into()),
        ..sync_request(&old_id, 1)
    }));
    assert_eq!(h.synced(token).error, fenced);
    let token = h.send(Request::Join(JoinRequest {
        member_id: old_id,
        group_instance_id: Some(pod.into()),
        ..join_request("c")
    }));
    assert_eq!(h.joined(token).error, fenced);
}

#[test]
fn whoever_waits_under_the_old_id_is_fenced_at_once() {
    let mut h = Harness::new();
    let waiting = h.send(join_static("pod-1"));
    let newer = h.send(join_static("pod-1"));
    assert_eq!(h.joined(waiting).error, ErrorCode::FencedInstanceId);
    h.pass(10_000);
    assert_eq!(h.joined(newer).error, ErrorCode::None);
    assert_eq!(h.joined(newer).members.len(), 1);
}

#[test]
fn a_static_member_that_changes_the_election_causes_a_rebalance() {
    let mut h = Harness::new();
    let offer = |name: &str, protocols: &[&str]| {
        Request::Join(JoinRequest {
            group_instance_id: Some(name.into()),
            protocols: protocols.iter().map(|p| protocol(p, "t")).collect(),
            ..join_request("c")
        })
    };
    let token = h.send(offer("pod-1", &["range", "sticky"]));
    h.pass(3_000);
    h.sync_all(&[token]);
    let token = h.send(offer("pod-1", &["sticky"]));
    assert_eq!(h.joined(token).generation_id, 2);
    assert_eq!(h.joined(token).protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn a_static_member_that_returns_during_a_rebalance_starts_it_again() {
    let mut h = Harness::new();
    let tokens = [h.send(join_static("pod-1")), h.send(join_static("pod-2"))];
    h.pass(10_000);
    assert_eq!(h.state(), "CompletingRebalance");
    let other = h.joined(tokens[1]).member_id.clone();
    let back = h.send(join_static("pod-1"));
    assert_eq!(h.state(), "PreparingRebalance");
    h.send(rejoin(&other));
    assert_eq!(h.joined(back).generation_id, 2);
    assert_eq!(h.joined(back).error, ErrorCode::None);
}

#[test]
fn a_return_that_cannot_be_stored_is_undone() {
    let mut h = Harness::new();
    let [(leader, leader_pod), _] = pods(&mut h);
    h.instant_log = false;
    let token = h.send(join_static(leader_pod));
    assert!(h.is_parked(token));
    h.settle(Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(h.joined(token).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(h.heartbeat(&leader, 1), ErrorCode::None);
    assert_eq!(h.state(), "Stable");
    let described = h.describe();
    assert!(described.members.iter().any(|m| m.member_id == leader));
}

#[test]
fn a_return_that_meets_a_rebalance_joins_it() {
    let mut h = Harness::new();
    let [(leader, _), (_, pod)] = pods(&mut h);
    h.instant_log = false;
    let back = h.send(join_static(pod));
    let again = h.send(rejoin(&leader));
    assert_eq!(h.joined(back).generation_id, 2);
    assert_eq!(h.joined(again).generation_id, 2);
    h.settle_all();
    assert_eq!(h.state(), "CompletingRebalance");
}
