use bytes::Bytes;
use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn three_members_live_through_a_rebalance() {
    let mut h = Harness::new();
    let (a, b) = (h.send(join("a")), h.send(join("b")));
    h.pass(2_999);
    assert!(h.is_parked(a) && h.is_parked(b));
    assert_eq!(h.state(), "PreparingRebalance");
    // b has joined during the delay, so it is extended once.
    h.pass(3_001);
    let (first, second) = (h.joined(a).clone(), h.joined(b).clone());
    assert_eq!((first.generation_id, second.generation_id), (1, 1));
    assert_eq!(first.leader, first.member_id);
    assert_eq!(first.members.len(), 2);
    assert_eq!(second.members, vec![]);
    assert_eq!(h.state(), "CompletingRebalance");

    // The follower waits for the leader.
    let b_sync = h.send(sync(&second.member_id, 1));
    assert!(h.is_parked(b_sync));
    let a_sync = h.send(Request::Sync(SyncRequest {
        assignments: vec![
            (first.member_id.clone(), Bytes::from_static(b"left")),
            (second.member_id.clone(), Bytes::from_static(b"right")),
        ],
        ..sync_request(&first.member_id, 1)
    }));
    assert_eq!(h.synced(a_sync).assignment, "left");
    assert_eq!(h.synced(b_sync).assignment, "right");
    assert_eq!(h.synced(b_sync).protocol_name.as_deref(), Some("range"));
    assert_eq!(h.state(), "Stable");

    // A third one comes: the others learn of it by heartbeat and join again.
    let c = h.send(join("c"));
    assert!(h.is_parked(c));
    assert_eq!(
        h.heartbeat(&first.member_id, 1),
        ErrorCode::RebalanceInProgress
    );
    let a = h.send(rejoin(&first.member_id));
    let b = h.send(rejoin(&second.member_id));
    assert_eq!(h.joined(a).generation_id, 2);
    assert_eq!(h.joined(a).members.len(), 3);
    assert_eq!(h.joined(a).leader, first.member_id);
    h.sync_all(&[a, b, c]);
    assert_eq!(h.state(), "Stable");
    assert_eq!(h.heartbeat(&second.member_id, 2), ErrorCode::None);
    assert_eq!(
        h.heartbeat(&second.member_id, 1),
        ErrorCode::IllegalGeneration
    );
}

#[test]
fn a_member_id_is_handed_out_before_the_member_joins() {
    let mut h = Harness::new();
    let request = JoinRequest {
        requires_known_member_id: true,
        ..join_request("c")
    };
    let first = h.send(Request::Join(request.clone()));
    assert_eq!(h.joined(first).error, ErrorCode::MemberIdRequired);
    let member_id = h.joined(first).member_id.clone();
    assert!(member_id.starts_with("c-"));
    assert_eq!(h.describe().members, vec![]);
    assert_eq!(h.state(), "Empty");

    let second = h.send(Request::Join(JoinRequest {
        member_id: member_id.clone(),
        ..request
    }));
    h.pass(3_000);
    assert_eq!(h.joined(second).member_id, member_id);
    assert_eq!(h.joined(second).error, ErrorCode::None);
}

#[test]
fn a_pending_member_that_stays_away_is_forgotten() {
    let mut h = Harness::new();
    let token = h.send(Request::Join(JoinRequest {
        requires_known_member_id: true,
        ..join_request("c")
    }));
    let member_id = h.joined(token).member_id.clone();
    h.pass(30_000);
    let token = h.send(rejoin(&member_id));
    assert_eq!(h.joined(token).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_pending_members() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a"]);
    let pending = h.send(Request::Join(JoinRequest {
        requires_known_member_id: true,
        ..join_request("b")
    }));
    let pending = h.joined(pending).member_id.clone();
    let a = h.send(rejoin(&ids[0]));
    assert!(h.is_parked(a));
    let b = h.send(rejoin(&pending));
    assert_eq!(h.joined(a).generation_id, 2);
    assert_eq!(h.joined(b).generation_id, 2);
}

#[test]
fn the_initial_delay_is_extended_while_members_come_up_to_the_rebalance_timeout() {
    let mut h = Harness::new();
    let request = |client: &str| {
        Request::Join(JoinRequest {
            rebalance_timeout_ms: 7_000,
            ..join_request(client)
        })
    };
    let start_ms = h.now_ms;
    let first = h.send(request("a"));
    for client in ["b", "c", "d", "e", "f"] {
        h.pass(1_300);
        h.send(request(client));
    }
    h.pass(499);
    assert!(h.is_parked(first));
    h.pass(1);
    assert_eq!(h.joined(first).members.len(), 6);
    assert_eq!(h.now_ms - start_ms, 7_000);
}

#[test]
fn nobody_joins_an_unknown_group_with_an_id() {
    let mut h = Harness::new();
    let token = h.send(rejoin("ghost"));
    assert_eq!(h.joined(token).error, ErrorCode::UnknownMemberId);
    assert_eq!(&*h.joined(token).member_id, "ghost");
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
}

#[test]
fn session_timeouts_and_group_ids_have_bounds() {
    let mut h = Harness::new();
    for session_timeout_ms in [-1, 5_999, 1_800_001] {
        let token = h.send(Request::Join(JoinRequest {
            session_timeout_ms,
            ..join_request("c")
        }));
        assert_eq!(h.joined(token).error, ErrorCode::InvalidSessionTimeout);
    }
    for group_id in [String::new(), "x".repeat(40_000)] {
        let token = h.send(Request::Join(JoinRequest {
            group_id: group_id.into(),
            ..join_request("c")
        }));
        assert_eq!(h.joined(token).error, ErrorCode::InvalidGroupId);
    }
    let token = h.send(Request::Join(JoinRequest {
        client_id: "x".repeat(32_767).into(),
        ..join_request("c")
    }));
    assert_eq!(h.joined(token).error, ErrorCode::InvalidRequest);
}

#[test]
fn members_need_a_protocol_in_common() {
    let mut h = Harness::new();
    for (protocol_type, protocols) in [("", vec![protocol("range", "t")]), ("consumer", vec![])] {
        let token = h.send(Request::Join(JoinRequest {
            protocol_type: protocol_type.into(),
            protocols,
            ..join_request("c")
        }));
        assert_eq!(h.joined(token).error, ErrorCode::InconsistentGroupProtocol);
    }
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
    h.stable_group(&["a"]);
    for request in [
        JoinRequest {
            protocol_type: "connect".into(),
            ..join_request("b")
        },
        JoinRequest {
            protocols: vec![protocol("sticky", "t")],
            ..join_request("b")
        },
    ] {
        let token = h.send(Request::Join(request));
        assert_eq!(h.joined(token).error, ErrorCode::InconsistentGroupProtocol);
    }
    assert_eq!(h.state(), "Stable");
}

#[test]
fn the_members_elect_the_protocol_that_most_want() {
    let mut h = Harness::new();
    let offers = [
        vec!["only-a", "range", "sticky"],
        vec!["sticky", "range"],
        vec!["sticky", "range"],
    ];
    let tokens: Vec<Token> = offers
        .iter()
        .map(|names| {
            h.send(Request::Join(JoinRequest {
                protocols: names.iter().map(|n| protocol(n, "t")).collect(),
                ..join_request("c")
            }))
        })
        .collect();
    h.pass(10_000);
    for token in tokens {
        assert_eq!(h.joined(token).protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn a_full_group_turns_others_away() {
    let mut h = Harness::with(Options {
        group_size_max: 2,
        ..Options::default()
    });
    let tokens = [h.send(join("a")), h.send(join("b"))];
    let third = h.send(join("c"));
    assert_eq!(h.joined(third).error, ErrorCode::GroupMaxSizeReached);
    h.pass(10_000);
    let ids = h.sync_all(&tokens);
    let third = h.send(join("c"));
    assert_eq!(h.joined(third).error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(h.state(), "Stable");
    let again = h.send(rejoin(&ids[1]));
    assert_eq!(h.joined(again).error, ErrorCode::None);
}

#[test]
fn only_changes_and_leaders_cause_a_rebalance() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a", "b"]);
    let same = h.send(rejoin(&ids[1]));
    assert_eq!(h.joined(same).generation_id, 1);
    assert_eq!(h.joined(same).members, vec![]);
    assert_eq!(h.state(), "Stable");
    let changed = h.send(Request::Join(JoinRequest {
        member_id: ids[1].clone(),
        protocols: vec![protocol("range", "other")],
        reason: Some("topics have changed".into()),
        ..join_request("b")
    }));
    assert!(h.is_parked(changed));
    assert_eq!(h.state(), "PreparingRebalance");
    assert!(h.notices.iter().any(|n| matches!(n,
        Notice::Rebalancing { reason, .. } if reason.contains("topics have changed"))));
    let leader = h.send(rejoin(&ids[0]));
    h.sync_all(&[leader, changed]);
    let leader = h.send(rejoin(&ids[0]));
    assert!(h.is_parked(leader));
    assert_eq!(h.state(), "PreparingRebalance");
}

#[test]
fn a_lost_join_answer_is_given_again() {
    let mut h = Harness::new();
    let first = h.send(join("a"));
    h.pass(3_000);
    let answer = h.joined(first).clone();
    let again = h.send(rejoin(&answer.member_id));
    assert_eq!(h.joined(again), &answer);
}

#[test]
fn a_join_that_is_sent_twice_is_answered_twice() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a", "b"]);
    let first = h.send(rejoin(&ids[0]));
    let second = h.send(rejoin(&ids[0]));
    assert_eq!(h.joined(first).error, ErrorCode::RebalanceInProgress);
    assert!(h.is_parked(second));
    h.send(rejoin(&ids[1]));
    assert_eq!(h.joined(second).error, ErrorCode::None);
}

#[test]
fn a_sync_is_checked() {
    let mut h = Harness::new();
    let token = h.send(sync("nobody", 1));
    assert_eq!(h.synced(token).error, ErrorCode::UnknownMemberId);
    let a = h.send(join("a"));
    h.pass(3_000);
    let id = h.joined(a).member_id.clone();
    let good = sync_request(&id, 1);
    let token = h.send(Request::Sync(SyncRequest {
        protocol_name: Some("sticky".into()),
        ..good.clone()
    }));
    assert_eq!(h.synced(token).error, ErrorCode::InconsistentGroupProtocol);
    let token = h.send(Request::Sync(SyncRequest {
        protocol_type: Some("connect".into()),
        ..good.clone()
    }));
    assert_eq!(h.synced(token).error, ErrorCode::InconsistentGroupProtocol);
    let token = h.send(sync(&id, 0));
    assert_eq!(h.synced(token).error, ErrorCode::IllegalGeneration);
    let token = h.send(Request::Sync(SyncRequest {
        protocol_name: None,
        protocol_type: None,
        ..good
    }));
    assert_eq!(h.synced(token).error, ErrorCode::None);
    h.send(join("b"));
    let token = h.send(sync(&id, 1));
    assert_eq!(h.synced(token).error, ErrorCode::RebalanceInProgress);
}
