use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn a_member_that_leaves_causes_a_rebalance() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a", "b"]);
    let token = h.send(leave(&ids[0], None));
    assert_eq!(h.left(token).members[0].error, ErrorCode::None);
    assert_eq!(h.state(), "PreparingRebalance");
    let b = h.send(rejoin(&ids[1]));
    assert_eq!(h.joined(b).leader, ids[1]);
    assert_eq!(h.joined(b).members.len(), 1);
}

#[test]
fn the_last_member_empties_the_group_and_its_answer_waits_for_the_log() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a"]);
    h.instant_log = false;
    let token = h.send(leave(&ids[0], None));
    assert!(h.is_parked(token));
    assert_eq!(h.state(), "Empty");
    h.settle_all();
    assert_eq!(h.left(token).error, ErrorCode::None);
    assert_eq!(h.describe().members, vec![]);

    let token = h.send(leave(&ids[0], None));
    assert_eq!(h.left(token).members[0].error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_failed_append_is_told_to_the_last_member_that_leaves() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a"]);
    h.instant_log = false;
    let token = h.send(leave(&ids[0], None));
    h.settle(Err(ErrorCode::KafkaStorageError));
    assert_eq!(h.left(token).error, ErrorCode::NotCoordinator);
    assert_eq!(h.state(), "Empty");
}

#[test]
fn several_members_leave_at_once_by_id_and_by_name() {
    let mut h = Harness::new();
    let tokens = [
        h.send(join("a")),
        h.send(join_static("pod-1")),
        h.send(join_static("pod-2")),
    ];
    h.pass(20_000);
    h.sync_all(&tokens);
    let (a, pod_2) = (
        h.joined(tokens[0]).member_id.clone(),
        h.joined(tokens[2]).member_id.clone(),
    );
    let member = |member_id: &str, name: Option<&str>| LeavingMember {
        member_id: member_id.into(),
        group_instance_id: name.map(Into::into),
        reason: None,
    };
    let token = h.send(Request::Leave(LeaveRequest {
        group_id: "g".into(),
        members: vec![
            member(&a, None),
            member("", Some("pod-1")),
            member("", Some("pod-9")),
            member("stale", Some("pod-2")),
            member("stale", None),
            member(&pod_2, Some("pod-2")),
        ],
    }));
    let errors: Vec<ErrorCode> = h.left(token).members.iter().map(|m| m.error).collect();
    assert_eq!(
        errors,
        vec![
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
            ErrorCode::FencedInstanceId,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
        ]
    );
    assert_eq!(h.state(), "Empty");
}

#[test]
fn who_waits_hears_of_its_own_removal() {
    let mut h = Harness::new();
    let a = h.send(join_static("pod-1"));
    h.send(leave("", Some("pod-1")));
    assert_eq!(h.joined(a).error, ErrorCode::UnknownMemberId);

    let (a, b) = (h.send(join_static("pod-1")), h.send(join_static("pod-2")));
    h.pass(20_000);
    let (leader, follower, name) = if h.joined(a).leader == h.joined(a).member_id {
        (a, b, "pod-2")
    } else {
        (b, a, "pod-1")
    };
    assert!(!h.is_parked(leader));
    let (id, generation_id) = (
        h.joined(follower).member_id.clone(),
        h.joined(follower).generation_id,
    );
    let waiting = h.send(sync(&id, generation_id));
    assert!(h.is_parked(waiting));
    h.send(leave("", Some(name)));
    assert_eq!(h.synced(waiting).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_pending_member_may_leave() {
    let mut h = Harness::new();
    let token = h.send(Request::Join(JoinRequest {
        requires_known_member_id: true,
        ..join_request("c")
    }));
    let id = h.joined(token).member_id.clone();
    let token = h.send(leave(&id, None));
    assert_eq!(h.left(token).members[0].error, ErrorCode::None);
    let token = h.send(leave(&id, None));
    assert_eq!(h.left(token).members[0].error, ErrorCode::UnknownMemberId);
}

#[test]
fn nobody_leaves_a_group_that_does_not_exist() {
    let mut h = Harness::new();
    let token = h.send(leave("a", None));
    assert_eq!(h.left(token).error, ErrorCode::None);
    assert_eq!(h.left(token).members[0].error, ErrorCode::UnknownMemberId);
    let token = h.send(Request::Leave(LeaveRequest {
        group_id: "".into(),
        members: vec![],
    }));
    assert_eq!(h.left(token).error, ErrorCode::InvalidGroupId);
}
