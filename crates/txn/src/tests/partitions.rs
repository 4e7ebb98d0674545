//! AddPartitionsToTxn and its verification, state by state.

use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn the_first_partition_begins_the_transaction_and_further_ones_join_it() {
    let mut h = Harness::new();
    let mine = h.init().unwrap();
    assert_eq!(h.describe().unwrap().start_ms, -1);
    assert_eq!(h.add(mine, &[("a", 0)], V0), ErrorCode::None);
    let began_ms = h.now_ms;
    h.pass(5_000);
    assert_eq!(h.add(mine, &[("b", 1), ("a", 0)], V0), ErrorCode::None);
    let described = h.describe().unwrap();
    assert_eq!(described.state, TransactionState::Ongoing);
    assert_eq!(described.start_ms, began_ms);
    assert_eq!(described.partitions, [at(("a", 0)), at(("b", 1))]);
}

#[test]
fn partitions_that_are_there_already_cost_no_record() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    let records = h.log.len();
    assert_eq!(h.add(mine, &[("a", 0)], V2), ErrorCode::None);
    assert_eq!(h.log.len(), records);
}

#[test]
fn only_the_owner_adds_partitions() {
    let mut h = Harness::new();
    let mine = producer(7_000, 0);
    let unknown = ErrorCode::InvalidProducerIdMapping;
    assert_eq!(h.add(mine, &[("a", 0)], V0), unknown);
    assert_eq!(h.init(), Ok(mine));
    assert_eq!(h.add(producer(1, 0), &[("a", 0)], V0), unknown);
    let other_epoch = producer(7_000, 1);
    assert_eq!(
        h.add(other_epoch, &[("a", 0)], V2),
        ErrorCode::ProducerFenced
    );
    let nameless = Request::AddPartitions(AddPartitionsRequest {
        transactional_id: "".into(),
        producer: mine,
        partitions: [at(("a", 0))].into(),
        client_version: V0,
        patience_ms: 0,
    });
    assert_eq!(
        h.call(nameless),
        Response::AddPartitions(ErrorCode::InvalidRequest)
    );
}

#[test]
fn a_completed_transaction_is_followed_by_the_next() {
    let mut h = Harness::new();
    let mine = h.ongoing(V0);
    assert_eq!(h.end(mine, true, V0), Ok(None));
    h.pass(10);
    assert_eq!(h.add(mine, &[("b", 0)], V0), ErrorCode::None);
    let described = h.describe().unwrap();
    assert_eq!(described.partitions, [at(("b", 0))]);
    assert_eq!(described.start_ms, h.now_ms);
}

#[test]
fn while_a_transaction_ends_nothing_joins_it() {
    let mut h = Harness::new();
    let mine = h.ongoing(V0);
    h.instant_log = false;
    h.instant_markers = false;
    h.ask(end_request(mine, false, V0));
    let wait = ErrorCode::ConcurrentTransactions;
    assert_eq!(h.add(mine, &[("b", 0)], V0), wait);
    // The verification goes by what is durable: the log has the last word.
    assert_eq!(h.verify(mine, ("a", 0)), Ok(ErrorCode::None));
    h.settle_append(Ok(()));
    assert_eq!(h.add(mine, &[("a", 0)], V0), wait);
    assert_eq!(h.verify(mine, ("a", 0)), Err(wait));
    h.settle_markers(MarkerOutcome::Written);
    h.settle_append(Ok(()));
    assert_eq!(
        h.verify(mine, ("a", 0)),
        Ok(ErrorCode::TransactionAbortable)
    );
}

#[test]
fn verification_tells_partitions_of_the_transaction_from_others() {
    let mut h = Harness::new();
    let mine = h.ongoing(V0);
    assert_eq!(h.verify(mine, ("a", 0)), Ok(ErrorCode::None));
    assert_eq!(
        h.verify(mine, ("a", 1)),
        Ok(ErrorCode::TransactionAbortable)
    );
    assert_eq!(
        h.verify(producer(1, 0), ("a", 0)),
        Err(ErrorCode::InvalidProducerIdMapping)
    );
}

#[test]
fn partitions_whose_record_is_lost_are_not_in_the_transaction() {
    let mut h = Harness::new();
    let mine = h.ongoing(V0);
    h.instant_log = false;
    let token = h.ask(add_request(mine, &[("b", 0)], V0));
    h.settle_append(Err(ErrorCode::KafkaStorageError));
    assert_eq!(
        h.replies[&token],
        Response::AddPartitions(ErrorCode::NotCoordinator)
    );
    assert_eq!(h.describe().unwrap().partitions, [at(("a", 0))]);
    h.instant_log = true;
    assert_eq!(h.add(mine, &[("b", 0)], V0), ErrorCode::None);
}

fn patient(mine: ProducerIdAndEpoch, partition: (&str, i32), patience_ms: i64) -> Request {
    let Request::AddPartitions(request) = add_request(mine, &[partition], V2) else {
        unreachable!()
    };
    Request::AddPartitions(AddPartitionsRequest {
        patience_ms,
        ..request
    })
}

#[test]
fn who_has_patience_is_answered_when_the_transaction_before_has_ended() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.instant_log = false;
    h.instant_markers = false;
    h.ask(end_request(mine, true, V2));
    h.settle_append(Ok(()));
    let next = producer(mine.producer_id, 1);
    let first = h.ask(patient(next, ("b", 0), 100));
    let second = h.ask(patient(next, ("c", 0), 100));
    let late = h.ask(patient(mine, ("a", 0), 100));
    h.settle_markers(MarkerOutcome::Written);
    assert!(!h.replies.contains_key(&first));
    h.settle_append(Ok(()));
    let fenced = Response::AddPartitions(ErrorCode::ProducerFenced);
    h.settle_append(Ok(()));
    assert_eq!(h.replies[&first], Response::AddPartitions(ErrorCode::None));
    h.settle_append(Ok(()));
    assert_eq!(h.replies[&second], Response::AddPartitions(ErrorCode::None));
    assert_eq!(h.replies[&late], fenced);
    assert_eq!(
        h.describe().unwrap().partitions,
        [at(("b", 0)), at(("c", 0))]
    );
    assert_eq!(h.coordinator.next_deadline_ms(), Some(h.now_ms + 60_001));
}

#[test]
fn patience_ends() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.instant_markers = false;
    h.end(mine, true, V2).unwrap();
    let next = producer(mine.producer_id, 1);
    let token = h.ask(patient(next, ("b", 0), 100));
    h.pass(99);
    assert!(!h.replies.contains_key(&token));
    h.pass(1);
    let again = Response::AddPartitions(ErrorCode::ConcurrentTransactions);
    assert_eq!(h.replies[&token], again);
    h.settle_markers(MarkerOutcome::Written);
    assert_eq!(h.describe().unwrap().partitions, []);
    let gone = h.ask(patient(next, ("b", 0), 100));
    assert_eq!(h.replies[&gone], Response::AddPartitions(ErrorCode::None));
}

#[test]
fn a_partition_that_is_given_up_answers_those_who_wait() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.instant_markers = false;
    h.end(mine, true, V2).unwrap();
    let token = h.ask(patient(mine, ("b", 0), 100));
    let effects = h.coordinator.unloaded();
    h.carry_out(effects);
    let gone = Response::AddPartitions(ErrorCode::NotCoordinator);
    assert_eq!(h.replies[&token], gone);
}
