use bytes::Bytes;
use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn an_assignment_is_given_out_once_it_is_durable() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    h.instant_log = false;
    let ids = h.sync_all(&tokens);
    assert_eq!(h.state(), "CompletingRebalance");
    assert_eq!(h.appends.len(), 1);
    // A leader that asks again waits for the same append.
    let again = h.send(sync(&ids[0], 1));
    assert_eq!(h.appends.len(), 1);
    assert!(h.is_parked(again));
    h.settle_all();
    assert_eq!(
        h.synced(again).assignment,
        Bytes::copy_from_slice(ids[0].as_bytes())
    );
    assert_eq!(h.state(), "Stable");
}

#[test]
fn an_assignment_that_cannot_be_stored_is_not_given_out_and_the_group_rebalances() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    h.instant_log = false;
    let answers = [h.joined(tokens[0]).clone(), h.joined(tokens[1]).clone()];
    let parked: Vec<Token> = answers
        .iter()
        .map(|a| h.send(sync(&a.member_id, 1)))
        .collect();
    h.settle(Err(ErrorCode::NotEnoughReplicas));
    for token in parked {
        assert_eq!(h.synced(token).error, ErrorCode::CoordinatorNotAvailable);
        assert_eq!(h.synced(token).assignment, Bytes::new());
    }
    assert_eq!(h.state(), "PreparingRebalance");
    h.instant_log = true;
    let again: Vec<Token> = answers
        .iter()
        .map(|a| h.send(rejoin(&a.member_id)))
        .collect();
    assert_eq!(h.joined(again[0]).generation_id, 2);
    h.sync_all(&again);
    assert_eq!(h.state(), "Stable");
}

#[test]
fn an_assignment_of_a_generation_that_is_gone_changes_nothing() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join("b"))];
    h.pass(6_000);
    h.instant_log = false;
    let ids = h.sync_all(&tokens);
    let c = h.send(join("c"));
    let rejoined = [h.send(rejoin(&ids[0])), h.send(rejoin(&ids[1]))];
    assert_eq!(h.joined(c).generation_id, 2);
    h.settle(Ok(()));
    assert_eq!(h.state(), "CompletingRebalance");
    h.sync_all(&[rejoined[0], rejoined[1], c]);
    assert_eq!(h.state(), "CompletingRebalance");
    h.settle_all();
    assert_eq!(h.state(), "Stable");
    assert_eq!(h.describe().members.len(), 3);
}

#[test]
fn a_restart_finds_the_group_and_its_members_go_on() {
    let mut h = Harness::new();
    let tokens = [h.send(join("a")), h.send(join_static("pod"))];
    h.pass(6_000);
    let ids = h.sync_all(&tokens);
    h.send(commit(&ids[0], 1, 99));
    let before = h.describe();
    h.restart();
    assert_eq!(h.describe(), before);
    assert_eq!(h.fetch(), 99);
    assert_eq!(h.heartbeat(&ids[0], 1), ErrorCode::None);
    h.pass(29_000);
    assert_eq!(h.state(), "Stable");
    // Whoever does not show up within its session is removed.
    h.heartbeat(&ids[0], 1);
    h.pass(1_000);
    assert_eq!(h.state(), "PreparingRebalance");
    let token = h.send(rejoin(&ids[0]));
    assert_eq!(h.joined(token).generation_id, 2);
}

#[test]
fn a_restart_in_the_middle_of_a_rebalance_goes_back_to_the_generation_before() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a", "b"]);
    let c = h.send(join("c"));
    assert!(h.is_parked(c));
    h.restart();
    assert_eq!(h.state(), "Stable");
    assert_eq!(h.heartbeat(&ids[0], 1), ErrorCode::None);
}

#[test]
fn a_loaded_group_that_is_too_large_rebalances() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a", "b", "c"]);
    h.coordinator.out.options.group_size_max = 2;
    h.restart();
    assert_eq!(h.state(), "PreparingRebalance");
    let tokens: Vec<Token> = ids.iter().map(|id| h.send(rejoin(id))).collect();
    assert_eq!(h.joined(tokens[2]).error, ErrorCode::GroupMaxSizeReached);
    // Nobody else is awaited.
    assert_eq!(h.joined(tokens[0]).members.len(), 2);
    assert_eq!(h.joined(tokens[1]).generation_id, 2);
}

#[test]
fn an_unloaded_coordinator_owes_nobody_an_answer() {
    let mut h = Harness::new();
    let ids = h.stable_group(&["a", "b"]);
    h.instant_log = false;
    let mut owed = vec![h.send(commit(&ids[0], 1, 1)), h.send(fetch_request(true))];
    owed.push(h.send(rejoin(&ids[0])));
    let effects = h.coordinator.unloaded();
    h.carry_out(effects);
    assert_eq!(h.committed(owed[0]), ErrorCode::NotCoordinator);
    assert_eq!(h.joined(owed[2]).error, ErrorCode::NotCoordinator);
    assert!(owed.iter().all(|token| !h.is_parked(*token)));
    assert_eq!(h.coordinator.next_deadline_ms(), None);
    // The outcomes that still come are ignored.
    h.settle_all();
    assert_eq!(h.coordinator.counts(), Counts::default());
}

#[test]
fn an_outcome_is_taken_once() {
    let mut h = Harness::new();
    h.instant_log = false;
    h.send(commit("", -1, 1));
    let append_id = h.appends[0].0;
    h.settle_all();
    assert_eq!(h.coordinator.appended(h.now_ms, append_id, Ok(())), vec![]);
    assert_eq!(h.coordinator.appended(h.now_ms, 999, Ok(())), vec![]);
}
