//! EndTxn, state by state and version by version.

use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

const INVALID: EndResponse = Err(ErrorCode::InvalidTxnState);
const FENCED: EndResponse = Err(ErrorCode::ProducerFenced);
const WAIT: EndResponse = Err(ErrorCode::ConcurrentTransactions);
const UNKNOWN: EndResponse = Err(ErrorCode::InvalidProducerIdMapping);

#[test]
fn a_commit_reaches_every_partition_before_it_is_complete() {
    let mut h = Harness::new();
    let mine = h.init().unwrap();
    assert_eq!(h.add(mine, &[("a", 0), ("b", 3)], V2), ErrorCode::None);
    h.instant_markers = false;
    let next = producer(7_000, 1);
    assert_eq!(h.end(mine, true, V2), Ok(Some(next)));
    let markers = h.markers[0].clone();
    assert_eq!(markers.partitions, [at(("a", 0)), at(("b", 3))]);
    assert_eq!((markers.producer_id, markers.producer_epoch), (7_000, 1));
    assert!(markers.commit);

    // One partition answers; the other one is told again.
    let outcomes = vec![
        (at(("a", 0)), MarkerOutcome::Written),
        (
            at(("b", 3)),
            MarkerOutcome::Failed(ErrorCode::NotLeaderOrFollower),
        ),
    ];
    h.markers.clear();
    let effects = h
        .coordinator
        .marked(h.now_ms, &id(), markers.marking_id, outcomes);
    h.carry_out(effects);
    assert_eq!(h.state(), TransactionState::PrepareCommit);
    assert_eq!(h.describe().unwrap().partitions, [at(("b", 3))]);
    assert!(h.markers.is_empty());
    h.pass(20);
    assert_eq!(h.markers[0].partitions, [at(("b", 3))]);
    h.settle_markers(MarkerOutcome::Written);
    assert_eq!(h.state(), TransactionState::CompleteCommit);
    assert_eq!(h.describe().unwrap().producer, next);
}

#[test]
fn markers_are_tried_again_ever_more_slowly_until_they_are_written() {
    let mut h = Harness::new();
    let mine = h.ongoing(V0);
    h.instant_markers = false;
    assert_eq!(h.end(mine, false, V0), Ok(None));
    let mut waits = Vec::new();
    for _ in 0..9 {
        h.settle_markers(MarkerOutcome::Failed(ErrorCode::KafkaStorageError));
        let at_ms = h.coordinator.next_deadline_ms().unwrap();
        waits.push(at_ms - h.now_ms);
        h.pass(at_ms - h.now_ms);
    }
    assert_eq!(waits, [20, 40, 80, 160, 320, 640, 1_000, 1_000, 1_000]);
    h.settle_markers(MarkerOutcome::Written);
    assert_eq!(h.state(), TransactionState::CompleteAbort);
}

#[test]
fn deleted_and_newer_partitions_do_not_hold_up_completion() {
    for outcome in [MarkerOutcome::Deleted, MarkerOutcome::Fenced] {
        let mut h = Harness::new();
        let mine = h.ongoing(V2);
        h.instant_markers = false;
        h.end(mine, true, V2).unwrap();
        h.settle_markers(outcome);
        assert_eq!(h.state(), TransactionState::CompleteCommit);
        let skipped = |n: &Notice| matches!(n, Notice::MarkerSkipped { .. });
        assert!(h.notices.iter().any(skipped));
    }
}

#[test]
fn outcomes_of_an_earlier_round_change_nothing() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.instant_markers = false;
    h.end(mine, true, V2).unwrap();
    let late = h.markers[0].clone();
    h.settle_markers(MarkerOutcome::Failed(ErrorCode::NotLeaderOrFollower));
    h.pass(20);
    let outcomes = vec![(at(("a", 0)), MarkerOutcome::Written)];
    let effects = h
        .coordinator
        .marked(h.now_ms, &id(), late.marking_id, outcomes);
    assert_eq!(effects, []);
    assert_eq!(h.state(), TransactionState::PrepareCommit);
}

#[test]
fn a_completion_that_cannot_be_written_is_tried_again() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.instant_log = false;
    h.ask(end_request(mine, true, V2));
    h.settle_append(Ok(()));
    h.settle_append(Err(ErrorCode::KafkaStorageError));
    assert_eq!(h.state(), TransactionState::PrepareCommit);
    assert_eq!(h.end(mine, true, V2), WAIT);
    h.pass(20);
    h.settle_append(Ok(()));
    assert_eq!(h.state(), TransactionState::CompleteCommit);
}

#[test]
fn an_end_that_cannot_be_written_did_not_happen() {
    let mut h = Harness::new();
    let mine = h.ongoing(V2);
    h.instant_log = false;
    let token = h.ask(end_request(mine, true, V2));
    h.settle_append(Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(
        h.replies[&token],
        Response::End(Err(ErrorCode::CoordinatorNotAvailable))
    );
    assert_eq!(h.state(), TransactionState::Ongoing);
    h.instant_log = true;
    let next = producer(7_000, 1);
    assert_eq!(h.end(mine, false, V2), Ok(Some(next)), "even otherwise");
}

/// What EndTxn is told in each state: abort and commit, by the epoch before and by the current one.
struct Row {
    abort: [EndResponse; 2],
    commit: [EndResponse; 2],
}

fn check(
    reach: impl Fn(&mut Harness) -> ProducerIdAndEpoch,
    version: TransactionVersion,
    row: Row,
) {
    for (commit, answers) in [(false, row.abort), (true, row.commit)] {
        for (back, expected) in [(1, &answers[0]), (0, &answers[1])] {
            let mut h = Harness::new();
            let current = reach(&mut h);
            let asks = producer(current.producer_id, current.producer_epoch - back);
            let said = h.end(asks, commit, version);
            assert_eq!(&said, expected, "commit {commit}, {back} epochs back");
        }
    }
}

#[test]
fn version_2_tells_repetitions_from_new_requests_by_their_epoch() {
    let bumped = |epoch| Ok(Some(producer(7_000, epoch)));
    let empty = |h: &mut Harness| {
        h.init().unwrap();
        h.init().unwrap()
    };
    let row = Row {
        abort: [FENCED, bumped(2)],
        commit: [FENCED, INVALID],
    };
    check(empty, V2, row);
    let ongoing = |h: &mut Harness| {
        h.init().unwrap();
        h.ongoing(V2)
    };
    let row = Row {
        abort: [FENCED, bumped(2)],
        commit: [FENCED, bumped(2)],
    };
    check(ongoing, V2, row);
    let aborted = |h: &mut Harness| {
        let mine = h.ongoing(V2);
        h.end(mine, false, V2).unwrap().unwrap()
    };
    let row = Row {
        abort: [bumped(1), bumped(2)],
        commit: [INVALID, INVALID],
    };
    check(aborted, V2, row);
    let committed = |h: &mut Harness| {
        let mine = h.ongoing(V2);
        h.end(mine, true, V2).unwrap().unwrap()
    };
    let row = Row {
        abort: [INVALID, bumped(2)],
        commit: [bumped(1), INVALID],
    };
    check(committed, V2, row);
}

#[test]
fn version_0_knows_repetitions_by_the_state_alone() {
    let empty = |h: &mut Harness| {
        h.init().unwrap();
        h.init().unwrap()
    };
    let row = Row {
        abort: [FENCED, INVALID],
        commit: [FENCED, INVALID],
    };
    check(empty, V0, row);
    let ongoing = |h: &mut Harness| {
        h.init().unwrap();
        h.ongoing(V0)
    };
    let row = Row {
        abort: [FENCED, Ok(None)],
        commit: [FENCED, Ok(None)],
    };
    check(ongoing, V0, row);
    let aborted = |h: &mut Harness| {
        h.init().unwrap();
        let mine = h.ongoing(V0);
        h.end(mine, false, V0).unwrap();
        mine
    };
    let row = Row {
        abort: [FENCED, Ok(None)],
        commit: [FENCED, INVALID],
    };
    check(aborted, V0, row);
    let committed = |h: &mut Harness| {
        h.init().unwrap();
        let mine = h.ongoing(V0);
        h.end(mine, true, V0).unwrap();
        mine
    };
    let row = Row {
        abort: [FENCED, INVALID],
        commit: [FENCED, Ok(None)],
    };
    check(committed, V0, row);
}

#[test]
fn while_markers_are_on_their_way_every_end_waits() {
    for version in [V0, V2] {
        let mut h = Harness::new();
        let mine = h.ongoing(version);
        h.instant_markers = false;
        let next = h.end(mine, true, version).unwrap().unwrap_or(mine);
        assert_eq!(h.end(next, true, version), WAIT);
        assert_eq!(h.end(next, false, version), WAIT);
    }
}

#[test]
fn strangers_end_nothing() {
    for version in [V0, V2] {
        let mut h = Harness::new();
        assert_eq!(h.end(producer(7_000, 0), true, version), UNKNOWN);
        let mine = h.ongoing(version);
        assert_eq!(h.end(producer(1, 0), true, version), UNKNOWN);
        let future = producer(mine.producer_id, 1);
        assert_eq!(h.end(future, true, version), FENCED);
        assert_eq!(h.end(producer(mine.producer_id, -1), true, version), FENCED);
        let nameless = Request::End(EndRequest {
            transactional_id: "".into(),
            producer: mine,
            commit: true,
            client_version: version,
        });
        let refused = Response::End(Err(ErrorCode::InvalidRequest));
        assert_eq!(h.call(nameless), refused);
        assert_eq!(h.state(), TransactionState::Ongoing);
    }
}

#[test]
fn a_delayed_commit_does_not_touch_the_next_transaction_in_version_2() {
    let mut h = Harness::new();
    let first = h.ongoing(V2);
    let second = h.end(first, true, V2).unwrap().unwrap();
    assert_eq!(h.add(second, &[("a", 0)], V2), ErrorCode::None);
    assert_eq!(h.end(first, true, V2), FENCED);
    assert_eq!(h.end(first, false, V2), FENCED);
    assert_eq!(h.add(first, &[("b", 0)], V2), ErrorCode::ProducerFenced);
    assert_eq!(h.describe().unwrap().partitions, [at(("a", 0))]);
}

#[test]
fn an_abort_of_nothing_has_no_markers_and_bumps_the_epoch() {
    let mut h = Harness::new();
    let mine = h.init().unwrap();
    assert_eq!(h.end(mine, false, V2), Ok(Some(producer(7_000, 1))));
    assert_eq!(h.state(), TransactionState::CompleteAbort);
    assert_eq!(h.written, []);
}
