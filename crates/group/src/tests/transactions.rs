use std::sync::Arc;

use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn offsets_of_a_transaction_are_seen_once_it_is_committed() {
    let mut h = Harness::new();
    h.send(commit("", -1, 5));
    let token = h.send(txn_commit(7, 10));
    assert_eq!(h.committed(token), ErrorCode::None);
    assert_eq!(h.fetch(), 5);
    assert_eq!(h.fetch_stable(), Err(ErrorCode::UnstableOffsetCommit));
    let token = h.end(7, true);
    assert_eq!(h.ended(token), ErrorCode::None);
    assert_eq!(h.fetch_stable(), Ok(10));
}

#[test]
fn offsets_of_an_aborted_transaction_are_never_seen() {
    let mut h = Harness::new();
    h.send(commit("", -1, 5));
    h.send(txn_commit(7, 10));
    h.end(7, false);
    assert_eq!(h.fetch_stable(), Ok(5));
    // A second end, as a coordinator sends it again that has not heard of the first, does nothing.
    h.end(7, true);
    assert_eq!(h.fetch_stable(), Ok(5));
}

#[test]
fn a_transaction_ends_only_its_own_producers_offsets() {
    let mut h = Harness::new();
    h.send(txn_commit(7, 10));
    h.send(txn_commit(8, 20));
    h.end(7, true);
    assert_eq!(h.fetch(), 10);
    assert_eq!(h.fetch_stable(), Err(ErrorCode::UnstableOffsetCommit));
    h.end(8, false);
    assert_eq!(h.fetch_stable(), Ok(10));
}

#[test]
fn the_commit_that_is_later_in_the_log_wins_whenever_its_transaction_ends() {
    let mut h = Harness::new();
    h.send(txn_commit(7, 10));
    h.send(commit("", -1, 30));
    h.end(7, true);
    assert_eq!(h.fetch_stable(), Ok(30));

    h.send(txn_commit(7, 40));
    h.send(txn_commit(8, 50));
    h.end(8, true);
    h.end(7, true);
    assert_eq!(h.fetch_stable(), Ok(50));
    h.restart();
    assert_eq!(h.fetch_stable(), Ok(50));
}

#[test]
fn a_restart_finds_open_transactions_and_their_ends() {
    let mut h = Harness::new();
    h.send(txn_commit(7, 10));
    h.restart();
    assert_eq!(h.fetch(), -1);
    assert_eq!(h.fetch_stable(), Err(ErrorCode::UnstableOffsetCommit));
    h.end(7, true);
    h.restart();
    assert_eq!(h.fetch_stable(), Ok(10));
    assert_eq!(h.coordinator.counts().pending_offsets, 0);
}

#[test]
fn stable_fetches_wait_for_a_marker_that_is_on_its_way() {
    let mut h = Harness::new();
    h.send(txn_commit(7, 10));
    h.instant_log = false;
    let end = h.end(7, true);
    let stable = h.send(fetch_request(true));
    assert!(h.is_parked(end) && h.is_parked(stable));
    assert_eq!(h.fetch(), -1);
    h.settle_all();
    assert_eq!(h.ended(end), ErrorCode::None);
    assert_eq!(h.fetched(stable), 10);
}

#[test]
fn a_marker_that_cannot_be_stored_ends_nothing_and_tells_the_logs_own_error() {
    let mut h = Harness::new();
    h.send(txn_commit(7, 10));
    h.instant_log = false;
    let end = h.end(7, true);
    h.settle(Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(h.ended(end), ErrorCode::InvalidProducerEpoch);
    assert_eq!(h.fetch_stable(), Err(ErrorCode::UnstableOffsetCommit));
}

#[test]
fn a_transactional_commit_that_cannot_be_stored_leaves_nothing_pending() {
    let mut h = Harness::new();
    h.instant_log = false;
    let token = h.send(txn_commit(7, 10));
    h.settle(Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(h.committed(token), ErrorCode::NotCoordinator);
    h.instant_log = true;
    assert_eq!(h.fetch_stable(), Ok(-1));
}

#[test]
fn members_are_checked_where_the_producer_names_one() {
    let mut h = Harness::new();
    let unknown = |h: &mut Harness, reports| {
        let mut request = txn_commit_request(7, "m", 3, 10);
        request.reports_unknown_group = reports;
        let token = h.send(Request::TxnOffsetCommit(request));
        h.committed(token)
    };
    assert_eq!(unknown(&mut h, true), ErrorCode::GroupIdNotFound);
    assert_eq!(unknown(&mut h, false), ErrorCode::IllegalGeneration);
    let ids = h.stable_group(&["a"]);
    let by = |h: &mut Harness, member: &str, generation, instance: Option<&str>| {
        let mut request = txn_commit_request(7, member, generation, 10);
        request.group_instance_id = instance.map(Arc::from);
        let token = h.send(Request::TxnOffsetCommit(request));
        h.committed(token)
    };
    let member = ids[0].to_string();
    assert_eq!(by(&mut h, &member, 1, None), ErrorCode::None);
    assert_eq!(by(&mut h, &member, 2, None), ErrorCode::IllegalGeneration);
    assert_eq!(by(&mut h, "other", 1, None), ErrorCode::UnknownMemberId);
    assert_eq!(
        by(&mut h, &member, 1, Some("x")),
        ErrorCode::UnknownMemberId
    );
    // Before version 3 nobody is named, and the transactional id alone fences.
    assert_eq!(by(&mut h, "", -1, None), ErrorCode::None);
}

#[test]
fn a_rebalance_does_not_hold_up_a_transaction() {
    let mut h = Harness::new();
    let a = h.send(join("a"));
    h.pass(6_000);
    let answer = h.joined(a).clone();
    assert_eq!(h.state(), "CompletingRebalance");
    let request = txn_commit_request(7, &answer.member_id, answer.generation_id, 10);
    let token = h.send(Request::TxnOffsetCommit(request));
    assert_eq!(h.committed(token), ErrorCode::None);
}

#[test]
fn the_empty_group_takes_no_transaction() {
    let mut h = Harness::new();
    let mut request = txn_commit_request(7, "", -1, 10);
    request.group_id = "".into();
    let token = h.send(Request::TxnOffsetCommit(request));
    assert_eq!(h.committed(token), ErrorCode::InvalidGroupId);
}

#[test]
fn a_group_with_an_open_transaction_does_not_expire() {
    let mut h = Harness::new();
    let month_ms = 30 * 24 * 60 * 60 * 1_000;
    h.send(commit("", -1, 5));
    h.send(txn_commit(7, 10));
    h.pass(month_ms);
    assert_eq!(h.fetch(), 5);
    h.end(7, false);
    h.pass(month_ms);
    assert_eq!(h.fetch(), -1);
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
    // A transaction that was aborted leaves a group behind that has nothing.
    h.send(txn_commit(7, 10));
    h.pass(month_ms);
    assert_eq!(h.state(), "Empty");
    h.end(7, false);
    h.pass(month_ms);
    assert_eq!(h.describe().error, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_deleted_topics_offsets_are_gone_from_open_transactions() {
    let mut h = Harness::new();
    h.send(txn_commit(7, 10));
    let topics = [("t".into(), ottla_model::Uuid([1; 16]))];
    let effects = h.coordinator.topics_deleted(h.now_ms, &topics);
    h.carry_out(effects);
    h.end(7, true);
    assert_eq!(h.fetch_stable(), Ok(-1));
    h.restart();
    assert_eq!(h.fetch_stable(), Ok(-1));
}
