//! Epochs that are used up: another producer id takes over, and the old one may still ask.

use ottla_model::{ErrorCode, ProducerEpoch};

use super::harness::*;
use crate::transaction::Transaction;
use crate::*;

const LAST: ProducerEpoch = ProducerEpoch::MAX - 1;

fn with_epoch(state: TransactionState, epoch: ProducerEpoch) -> Transaction {
    Transaction {
        producer_epoch: epoch,
        state,
        previous_producer_id: 5,
        start_ms: if state == TransactionState::Empty {
            -1
        } else {
            1_000_000
        },
        ..Transaction::unused(5, 60_000, 1_000_000)
    }
}

fn reached(state: TransactionState, epoch: ProducerEpoch) -> Harness {
    let mut h = Harness::new();
    h.store(&with_epoch(state, epoch));
    h
}

#[test]
fn a_new_producer_gets_a_new_id_after_the_last_epoch() {
    let mut h = reached(TransactionState::Empty, LAST - 1);
    assert_eq!(h.init(), Ok(producer(5, LAST)));
    assert_eq!(h.init(), Ok(producer(7_000, 0)));
    assert_eq!(h.init(), Ok(producer(7_000, 1)));
}

#[test]
fn a_producer_that_goes_on_may_repeat_itself_over_the_new_id() {
    let mut h = reached(TransactionState::Empty, LAST);
    let old = producer(5, LAST);
    let new = producer(7_000, 0);
    assert_eq!(h.init_as(Some(old)), Ok(new));
    assert_eq!(h.init_as(Some(old)), Ok(new), "the answer was lost");
    assert_eq!(h.init_as(Some(new)), Ok(producer(7_000, 1)));
    assert_eq!(h.init_as(Some(old)), Err(ErrorCode::ProducerFenced));
}

#[test]
fn a_repetition_before_the_last_epoch_is_answered_with_it() {
    let mut h = reached(TransactionState::Empty, LAST - 1);
    let before = producer(5, LAST - 1);
    assert_eq!(h.init_as(Some(before)), Ok(producer(5, LAST)));
    assert_eq!(h.init_as(Some(before)), Ok(producer(5, LAST)));
    let older = producer(5, LAST - 2);
    assert_eq!(h.init_as(Some(older)), Err(ErrorCode::ProducerFenced));
}

#[test]
fn an_end_in_the_last_epoch_gives_a_new_id_and_can_be_repeated() {
    for commit in [true, false] {
        let mut h = reached(TransactionState::Empty, LAST);
        let old = producer(5, LAST);
        assert_eq!(h.add(old, &[("a", 0)], V2), ErrorCode::None);
        let new = producer(7_000, 0);
        assert_eq!(h.end(old, commit, V2), Ok(Some(new)));
        let marker = h.written.last().unwrap();
        let written = (marker.producer_id, marker.producer_epoch);
        assert_eq!(written, (5, ProducerEpoch::MAX));
        assert_eq!(h.end(old, commit, V2), Ok(Some(new)), "the answer was lost");
        assert_eq!(h.end(old, !commit, V2), Err(ErrorCode::InvalidTxnState));
        // After a restart, too: the record names the old id.
        h.restart();
        assert_eq!(h.end(old, commit, V2), Ok(Some(new)));
        assert_eq!(h.add(new, &[("a", 0)], V2), ErrorCode::None);
        assert_eq!(
            h.end(old, commit, V2),
            Err(ErrorCode::InvalidProducerIdMapping)
        );
    }
}

#[test]
fn a_restart_between_the_two_records_keeps_the_new_id() {
    let mut h = reached(TransactionState::Empty, LAST);
    let old = producer(5, LAST);
    assert_eq!(h.add(old, &[("a", 0)], V2), ErrorCode::None);
    h.instant_markers = false;
    let new = producer(7_000, 0);
    assert_eq!(h.end(old, true, V2), Ok(Some(new)));
    h.restart();
    h.settle_markers(MarkerOutcome::Written);
    assert_eq!(h.describe().unwrap().producer, new);
    assert_eq!(h.end(old, true, V2), Ok(Some(new)));
}

#[test]
fn version_0_ends_in_the_last_epoch_without_a_new_id() {
    let mut h = reached(TransactionState::Empty, LAST);
    let mine = producer(5, LAST);
    assert_eq!(h.add(mine, &[("a", 0)], V0), ErrorCode::None);
    assert_eq!(h.end(mine, true, V0), Ok(None));
    assert_eq!(h.describe().unwrap().producer, mine);
}

#[test]
fn a_producer_in_its_last_epoch_can_be_fenced() {
    let mut h = reached(TransactionState::Empty, LAST);
    let old = producer(5, LAST);
    assert_eq!(h.add(old, &[("a", 0)], V2), ErrorCode::None);
    assert_eq!(h.init(), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(h.written.last().unwrap().producer_epoch, ProducerEpoch::MAX);
    assert_eq!(h.init(), Ok(producer(7_000, 1)));
}

#[test]
fn a_timed_out_transaction_waits_for_the_producer_id_that_it_needs() {
    let mut h = reached(TransactionState::Empty, LAST);
    let old = producer(5, LAST);
    assert_eq!(h.add(old, &[("a", 0)], V2), ErrorCode::None);
    h.instant_ids = false;
    h.pass(60_001);
    assert_eq!((h.state(), h.ids_wanted), (TransactionState::Ongoing, 1));
    h.settle_id(Ok(()));
    h.pass(1);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
    assert_eq!(h.describe().unwrap().producer, producer(7_000, 0));
}
