//! DescribeTransactions, ListTransactions, and the numbers for metrics.

use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

fn list(h: &mut Harness, request: ListRequest) -> Vec<Listed> {
    match h.call(Request::List(request)) {
        Response::List(listed) => listed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn filters_leave_what_passes_all_of_them() {
    let mut h = Harness::new();
    h.ongoing(V2);
    let ours = [Listed {
        transactional_id: ID.into(),
        producer_id: 7_000,
        state: TransactionState::Ongoing,
    }];
    assert_eq!(list(&mut h, ListRequest::default()), ours);
    let by_state = |states: &[TransactionState]| ListRequest {
        states: Some(states.iter().copied().collect()),
        ..ListRequest::default()
    };
    assert_eq!(list(&mut h, by_state(&[TransactionState::Ongoing])), ours);
    assert_eq!(list(&mut h, by_state(&[TransactionState::Empty])), []);
    assert_eq!(list(&mut h, by_state(&[])), [], "all names were unknown");
    let by_producer = |id| ListRequest {
        producer_ids: [id].into(),
        ..ListRequest::default()
    };
    assert_eq!(list(&mut h, by_producer(7_000)), ours);
    assert_eq!(list(&mut h, by_producer(1)), []);
    h.pass(500);
    let running = |ms| ListRequest {
        running_longer_than_ms: Some(ms),
        ..ListRequest::default()
    };
    assert_eq!(list(&mut h, running(499)), ours);
    assert_eq!(list(&mut h, running(500)), []);
}

#[test]
fn descriptions_say_what_is_durable() {
    let mut h = Harness::new();
    assert_eq!(h.describe(), Err(ErrorCode::TransactionalIdNotFound));
    assert_eq!(
        h.call(Request::Describe("".into())),
        Response::Describe(Err(ErrorCode::InvalidRequest))
    );
    let mine = h.ongoing(V2);
    h.instant_log = false;
    h.ask(end_request(mine, true, V2));
    assert_eq!(
        h.describe(),
        Ok(Described {
            state: TransactionState::Ongoing,
            producer: mine,
            transaction_timeout_ms: 60_000,
            start_ms: h.now_ms,
            partitions: vec![at(("a", 0))],
        })
    );
}

#[test]
fn the_oldest_open_transaction_is_known_until_it_is_complete() {
    let mut h = Harness::new();
    assert_eq!(h.coordinator.oldest_open_start_ms(), None);
    let began_ms = h.now_ms;
    let mine = h.ongoing(V2);
    h.pass(10);
    h.instant_markers = false;
    h.end(mine, true, V2).unwrap();
    assert_eq!(h.coordinator.oldest_open_start_ms(), Some(began_ms));
    assert_eq!(h.coordinator.open_transactions(), 1);
    assert_eq!(
        h.coordinator.counts().transactional_ids_by_state,
        [("PrepareCommit", 1)].into()
    );
    h.settle_markers(MarkerOutcome::Written);
    assert_eq!(h.coordinator.oldest_open_start_ms(), None);
    assert_eq!(h.coordinator.open_transactions(), 0);
}
