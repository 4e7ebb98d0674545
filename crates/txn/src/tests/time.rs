//! Timeouts, expiry, and what is due when.

use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn a_transaction_is_aborted_when_it_is_open_for_longer_than_its_timeout() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.pass(60_000);
    assert_eq!(h.state(), TransactionState::Ongoing);
    h.pass(1);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
    let timed_out = |n: &Notice| {
        matches!(
            n,
            Notice::TimedOut {
                open_ms: 60_001,
                ..
            }
        )
    };
    assert!(h.notices.iter().any(timed_out));
    // The producer's abort is answered as done, with its next epoch; its commit cannot be.
    assert_eq!(h.end(mine, true, V2), Err(ErrorCode::InvalidTxnState));
    assert_eq!(h.end(mine, false, V2), Ok(Some(producer(7_000, 1))));
}

#[test]
fn adding_partitions_does_not_prolong_a_transaction() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.pass(50_000);
    assert_eq!(h.add(mine, &[("b", 0)], V2), ErrorCode::None);
    h.pass(10_001);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
}

#[test]
fn a_transaction_that_is_ending_does_not_time_out() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.instant_log = false;
    h.ask(end_request(mine, true, V2));
    h.pass(60_001);
    assert_eq!(h.appends.len(), 1, "nothing beside the end itself");
    h.settle_append(Ok(()));
    h.settle_append(Ok(()));
    assert_eq!(h.state(), TransactionState::CompleteCommit);
}

#[test]
fn an_abort_that_cannot_be_written_is_tried_again_after_the_interval() {
    let mut h = Harness::new();
    h.ongoing(V2);
    h.instant_log = false;
    h.pass(60_001);
    h.settle_append(Err(ErrorCode::KafkaStorageError));
    assert_eq!(h.state(), TransactionState::Ongoing);
    assert_eq!(h.coordinator.next_deadline_ms(), Some(h.now_ms + 10_000));
    h.pass(10_000);
    h.settle_append(Ok(()));
    assert_eq!(h.state(), TransactionState::PrepareAbort);
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_timeouts() {
    let mut h = Harness::new();
    h.ongoing(V2);
    h.pass(60_001);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
    h.now_ms -= 10_000_000;
    h.init().unwrap();
    h.ongoing(V2);
    h.pass(70_002);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
}

#[test]
fn a_timeout_survives_a_restart() {
    let mut h = Harness::new();
    h.ongoing(V0);
    h.pass(59_000);
    h.restart();
    h.pass(1_001);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
}

#[test]
fn transactional_ids_that_nobody_uses_are_forgotten() {
    const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
    const HOUR_MS: i64 = 60 * 60 * 1_000;
    let mut h = Harness::new();
    h.init().unwrap();
    h.pass(WEEK_MS - HOUR_MS);
    assert_eq!(h.state(), TransactionState::Empty);
    h.pass(2 * HOUR_MS);
    assert_eq!(h.describe(), Err(ErrorCode::TransactionalIdNotFound));
    assert_eq!(h.log.last().unwrap().1, None, "a tombstone");
    h.restart();
    assert_eq!(h.describe(), Err(ErrorCode::TransactionalIdNotFound));
    assert_eq!(h.init(), Ok(producer(7_001, 0)));
}

#[test]
fn an_id_whose_tombstone_cannot_be_written_stays() {
    let mut h = Harness::new();
    h.init().unwrap();
    h.instant_log = false;
    h.pass(8 * 24 * 60 * 60 * 1_000);
    assert_eq!(h.init(), Err(ErrorCode::ConcurrentTransactions));
    h.settle_append(Err(ErrorCode::KafkaStorageError));
    h.instant_log = true;
    assert_eq!(h.init(), Ok(producer(7_000, 1)));
}

#[test]
fn nothing_is_due_when_nothing_is_known() {
    assert_eq!(Harness::new().coordinator.next_deadline_ms(), None);
}
