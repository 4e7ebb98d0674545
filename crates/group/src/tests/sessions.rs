use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn a_silent_member_is_removed_and_the_others_rebalance() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    let ids = h.sync_all(&tokens);
    for _ in 0..3 {
        h.pass(9_000);
        assert_eq!(h.heartbeat(&ids[1], 1), ErrorCode::None);
    }
    assert_eq!(h.state(), "Stable");
    h.pass(3_000);
    assert_eq!(h.state(), "PreparingRebalance");
    assert_eq!(h.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
    assert_eq!(h.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
    let b = h.send(rejoin(&ids[1]));
    assert_eq!(h.joined(b).leader, ids[1]);
}

#[test]
fn commits_keep_a_session_alive() {
    let mut h = Harness::new();
    let token = h.send(join("a"));
    h.pass(3_000);
    let ids = h.sync_all(&[token]);
    for _ in 0..5 {
        h.pass(20_000);
        let token = h.send(commit(&ids[0], 1, 1));
        assert_eq!(h.committed(token), ErrorCode::None);
    }
    h.pass(30_000);
    assert_eq!(h.state(), "Empty");
}

#[test]
fn the_rebalance_timeout_drops_members_that_have_not_joined() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    let ids = h.sync_all(&tokens);
    let c = h.send(join("c"));
    let b = h.send(rejoin(&ids[1]));
    // The leader goes on with its heartbeats but never joins.
    for _ in 0..5 {
        h.pass(11_000);
        assert_eq!(h.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
        assert!(h.is_parked(b));
    }
    h.pass(5_000);
    assert_eq!(h.joined(b).generation_id, 2);
    assert_eq!(h.joined(c).generation_id, 2);
    assert_ne!(h.joined(b).leader, ids[0]);
    assert_eq!(h.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn members_that_never_sync_are_dropped() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    let leader = h.joined(tokens[0]).leader.clone();
    let follower = if h.joined(tokens[0]).member_id == leader {
        h.joined(tokens[1]).member_id.clone()
    } else {
        h.joined(tokens[0]).member_id.clone()
    };
    let parked = h.send(sync(&follower, 1));
    for _ in 0..4 {
        h.pass(14_000);
        assert_eq!(h.heartbeat(&leader, 1), ErrorCode::None);
        assert!(h.is_parked(parked));
    }
    h.pass(4_000);
    assert_eq!(h.synced(parked).error, ErrorCode::RebalanceInProgress);
    assert_eq!(h.heartbeat(&leader, 1), ErrorCode::UnknownMemberId);
    let token = h.send(rejoin(&follower));
    assert_eq!(h.joined(token).generation_id, 2);
    assert_eq!(h.joined(token).leader, follower);
}

#[test]
fn a_parked_request_keeps_its_member_alive() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    let ids = h.sync_all(&tokens);
    let a = h.send(rejoin(&ids[0]));
    // b's session is renewed by heartbeats while a waits longer than its own session.
    for _ in 0..5 {
        h.pass(10_000);
        h.heartbeat(&ids[1], 1);
    }
    assert!(h.is_parked(a));
    let b = h.send(rejoin(&ids[1]));
    assert_eq!(h.joined(a).error, ErrorCode::None);
    assert_eq!(h.joined(b).error, ErrorCode::None);
}

#[test]
fn a_new_member_is_dropped_when_the_rebalance_outlasts_its_join() {
    let mut h = Harness::with(Options {
        new_member_join_timeout_ms: 20_000,
        ..Options::default()
    });
    let token = h.send(join("a"));
    h.pass(3_000);
    let ids = h.sync_all(&[token]);
    let b = h.send(join("b"));
    h.pass(15_000);
    h.heartbeat(&ids[0], 1);
    h.pass(6_000);
    assert_eq!(h.joined(b).error, ErrorCode::UnknownMemberId);
    let a = h.send(rejoin(&ids[0]));
    assert_eq!(h.joined(a).members.len(), 1);
}

#[test]
fn a_group_whose_only_member_vanishes_before_the_initial_join_is_empty() {
    let mut h = Harness::with(Options {
        initial_rebalance_delay_ms: 60_000,
        new_member_join_timeout_ms: 10_000,
        ..Options::default()
    });
    let a = h.send(join("a"));
    h.pass(10_000);
    assert_eq!(h.joined(a).error, ErrorCode::UnknownMemberId);
    assert_eq!(h.state(), "Empty");
}

#[test]
fn static_members_that_stay_away_hold_the_group_until_their_sessions_end() {
    let mut h = Harness::new();
    let tokens = [h.send(join_static("pod-1")), h.send(join_static("pod-2"))];
    h.pass(20_000);
    let ids = h.sync_all(&tokens);
    // The leader leaves for good; the other one only heartbeats.
    h.send(leave(&ids[0], None));
    for _ in 0..12 {
        h.pass(10_000);
        assert_eq!(h.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
    }
    h.pass(30_000);
    assert_eq!(h.state(), "Empty");
}
