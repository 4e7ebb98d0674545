//! InitProducerId, state by state.

use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

#[test]
fn a_new_transactional_id_gets_a_producer_id_and_the_first_epoch() {
    let mut h = Harness::new();
    assert_eq!(h.init(), Ok(producer(7_000, 0)));
    assert_eq!(h.state(), TransactionState::Empty);
}

#[test]
fn each_further_producer_gets_the_next_epoch_and_fences_those_before() {
    let mut h = Harness::new();
    let first = h.init().unwrap();
    let second = h.init().unwrap();
    assert_eq!(second, producer(7_000, 1));
    assert_eq!(h.add(first, &[("a", 0)], V0), ErrorCode::ProducerFenced);
    assert_eq!(h.end(first, true, V0), Err(ErrorCode::ProducerFenced));
    assert_eq!(h.end(first, false, V2), Err(ErrorCode::ProducerFenced));
    assert_eq!(h.verify(first, ("a", 0)), Err(ErrorCode::ProducerFenced));
    assert_eq!(h.add(second, &[("a", 0)], V0), ErrorCode::None);
}

#[test]
fn requests_are_checked_in_kafkas_order() {
    let mut h = Harness::new();
    let mut ask = |change: fn(&mut InitRequest)| {
        let Request::Init(mut request) = init_request(None) else {
            unreachable!()
        };
        change(&mut request);
        match h.call(Request::Init(request)) {
            Response::Init(response) => response.map(drop),
            other => panic!("{other:?}"),
        }
    };
    let timeout = Err(ErrorCode::InvalidTransactionTimeout);
    let not_allowed = Err(ErrorCode::TransactionalIdAuthorizationFailed);
    assert_eq!(ask(|r| r.transaction_timeout_ms = 0), timeout);
    assert_eq!(ask(|r| r.transaction_timeout_ms = -1), timeout);
    assert_eq!(ask(|r| r.transaction_timeout_ms = 900_001), timeout);
    assert_eq!(ask(|r| r.transaction_timeout_ms = 900_000), Ok(()));
    assert_eq!(
        ask(|r| r.transactional_id = "".into()),
        Err(ErrorCode::InvalidRequest)
    );
    assert_eq!(
        ask(|r| r.transactional_id = "x".repeat(40_000).into()),
        Err(ErrorCode::InvalidRequest)
    );
    assert_eq!(
        ask(|r| {
            r.enable_two_phase_commit = true;
            r.keep_prepared_transaction = true;
        }),
        not_allowed
    );
    assert_eq!(
        ask(|r| {
            r.keep_prepared_transaction = true;
            r.transaction_timeout_ms = 0;
        }),
        Err(ErrorCode::UnsupportedVersion)
    );
}

#[test]
fn an_open_transaction_is_aborted_and_the_new_producer_comes_again() {
    let mut h = Harness::new();
    let old = h.ongoing(V0);
    assert_eq!(h.init(), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(h.state(), TransactionState::CompleteAbort);
    let marker = h.written.last().unwrap();
    assert_eq!((marker.commit, marker.producer_epoch), (false, 1));
    assert_eq!(marker.transaction_version, V2);
    assert_eq!(h.end(old, true, V0), Err(ErrorCode::ProducerFenced));
    assert_eq!(h.init(), Ok(producer(7_000, 2)));
}

#[test]
fn while_anything_is_under_way_producers_come_again() {
    let mut h = Harness::new();
    let old = h.ongoing(V2);
    h.instant_log = false;
    h.instant_markers = false;
    let again = Err(ErrorCode::ConcurrentTransactions);
    let ending = h.ask(end_request(old, true, V2));
    assert_eq!(h.init(), again, "the record is on its way");
    h.settle_append(Ok(()));
    assert_eq!(
        h.replies[&ending],
        Response::End(Ok(Some(producer(7_000, 1))))
    );
    assert_eq!(h.state(), TransactionState::PrepareCommit);
    assert_eq!(h.init(), again, "markers are on their way");
    h.settle_markers(MarkerOutcome::Written);
    assert_eq!(h.init(), again, "the completion is on its way");
    h.settle_append(Ok(()));
    h.instant_log = true;
    assert_eq!(h.init(), Ok(producer(7_000, 2)));
}

#[test]
fn a_producer_that_says_who_it_was_goes_on_with_the_next_epoch_and_may_repeat_itself() {
    let mut h = Harness::new();
    let first = h.init().unwrap();
    let second = h.init_as(Some(first)).unwrap();
    assert_eq!(second, producer(7_000, 1));
    assert_eq!(h.init_as(Some(first)), Ok(second), "the answer was lost");
    assert_eq!(h.init_as(Some(second)), Ok(producer(7_000, 2)));
    let fenced = Err(ErrorCode::ProducerFenced);
    assert_eq!(h.init_as(Some(first)), fenced);
    assert_eq!(h.init_as(Some(producer(1, 0))), fenced);
}

#[test]
fn a_producer_that_was_taken_over_cannot_go_on() {
    let mut h = Harness::new();
    let first = h.init().unwrap();
    let _second = h.init().unwrap();
    assert_eq!(h.init_as(Some(first)), Err(ErrorCode::ProducerFenced));
}

#[test]
fn a_producer_whose_transaction_timed_out_goes_on() {
    let mut h = Harness::new();
    let first = h.ongoing(V0);
    h.pass(70_001);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
    assert_eq!(h.end(first, true, V0), Err(ErrorCode::ProducerFenced));
    // The abort's epoch was never given to anyone else.
    assert_eq!(h.init_as(Some(first)), Ok(producer(7_000, 1)));
}

#[test]
fn an_unknown_transactional_id_takes_a_producer_that_remembers_more() {
    let mut h = Harness::new();
    assert_eq!(h.init_as(Some(producer(3, 9))), Ok(producer(7_000, 0)));
}

#[test]
fn two_phase_commit_takes_the_timeout_away_where_it_is_allowed() {
    let mut h = Harness::with(Options {
        two_phase_commit: true,
        ..Options::default()
    });
    let Request::Init(mut request) = init_request(None) else {
        unreachable!()
    };
    request.enable_two_phase_commit = true;
    request.transaction_timeout_ms = i32::MAX;
    let Response::Init(Ok(mine)) = h.call(Request::Init(request)) else {
        panic!("refused")
    };
    assert_eq!(h.add(mine, &[("a", 0)], V2), ErrorCode::None);
    h.pass(40 * 24 * 60 * 60 * 1_000);
    assert_eq!(h.state(), TransactionState::Ongoing);
    assert_eq!(h.end(mine, true, V2), Ok(Some(producer(7_000, 1))));
}

#[test]
fn a_producer_id_that_cannot_be_had_refuses_only_who_needs_it() {
    let mut h = Harness::new();
    h.instant_ids = false;
    let first = h.ask(init_request(None));
    let second = h.ask(init_request(None));
    h.settle_id(Err(ErrorCode::CoordinatorLoadInProgress));
    assert_eq!(
        h.replies[&first],
        Response::Init(Err(ErrorCode::CoordinatorLoadInProgress))
    );
    h.settle_id(Ok(()));
    assert_eq!(h.replies[&second], Response::Init(Ok(producer(7_000, 0))));
}

#[test]
fn two_first_producers_do_not_both_get_an_id() {
    let mut h = Harness::new();
    h.instant_ids = false;
    h.instant_log = false;
    let first = h.ask(init_request(None));
    let second = h.ask(init_request(None));
    h.settle_id(Ok(()));
    h.settle_id(Ok(()));
    assert_eq!(
        h.replies[&second],
        Response::Init(Err(ErrorCode::ConcurrentTransactions))
    );
    h.settle_append(Ok(()));
    assert_eq!(h.replies[&first], Response::Init(Ok(producer(7_000, 0))));
}
