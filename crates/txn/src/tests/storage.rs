//! What is in the log, and what becomes of it after a restart.

use bytes::Bytes;
use ottla_model::ErrorCode;

use super::harness::*;
use crate::*;

/// The bytes that Kafka 4.4 writes for an open transaction: key type 0, value version 1.
#[test]
fn records_are_kafkas() {
    let mut h = Harness::new();
    h.ongoing(V2);
    let (key, value) = h.log.last().unwrap();
    assert_eq!(&key[..], b"\x00\x00\x00\x06orders");
    let time = 1_000_000i64.to_be_bytes();
    let mut expected = Vec::new();
    expected.extend([0, 1]);
    expected.extend(7_000i64.to_be_bytes());
    expected.extend(0i16.to_be_bytes());
    expected.extend(60_000i32.to_be_bytes());
    expected.push(1);
    // One topic `a` with partition 0, and its tagged fields.
    expected.extend([2, 2, b'a', 2, 0, 0, 0, 0, 0]);
    expected.extend(time);
    expected.extend(time);
    // Two tagged fields: the previous producer id and the client's version.
    expected.extend([2, 0, 8]);
    expected.extend(7_000i64.to_be_bytes());
    expected.extend([2, 2, 0, 2]);
    assert_eq!(value.as_deref().unwrap(), expected);
}

#[test]
fn every_state_is_the_same_after_a_restart() {
    for commit in [true, false] {
        for version in [V0, V2] {
            let mut h = Harness::new();
            let mine = h.init().unwrap();
            let check = |h: &mut Harness| {
                let before = h.describe().unwrap();
                h.restart();
                assert_eq!(h.describe().unwrap(), before);
            };
            check(&mut h);
            h.add(mine, &[("a", 0), ("b", 1), ("a", 2)], version);
            check(&mut h);
            h.instant_markers = false;
            h.end(mine, commit, version).unwrap();
            check(&mut h);
            h.settle_markers(MarkerOutcome::Written);
            check(&mut h);
        }
    }
}

#[test]
fn markers_go_on_after_a_restart() {
    for commit in [true, false] {
        let mut h = Harness::new();
        let mine = h.init().unwrap();
        h.add(mine, &[("a", 0), ("b", 1)], V2);
        h.instant_markers = false;
        h.end(mine, commit, V2).unwrap();
        let first = h.markers[0].clone();
        h.restart();
        assert_eq!(
            h.markers[0],
            Markers {
                marking_id: h.markers[0].marking_id,
                ..first
            }
        );
        h.settle_markers(MarkerOutcome::Written);
        assert!(!matches!(
            h.state(),
            TransactionState::PrepareCommit | TransactionState::PrepareAbort
        ));
    }
}

#[test]
fn a_first_record_that_is_lost_leaves_nothing_behind() {
    let mut h = Harness::new();
    h.instant_log = false;
    let token = h.ask(init_request(None));
    h.settle_append(Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(
        h.replies[&token],
        Response::Init(Err(ErrorCode::NotCoordinator))
    );
    assert_eq!(h.describe(), Err(ErrorCode::TransactionalIdNotFound));
}

#[test]
fn giving_a_partition_up_answers_everyone() {
    let mut h = Harness::new();
    h.instant_log = false;
    h.instant_ids = false;
    let first = h.ask(init_request(None));
    let second = h.ask(init_request(None));
    h.settle_id(Ok(()));
    let effects = h.coordinator.unloaded();
    h.carry_out(effects);
    let gone = Response::Init(Err(ErrorCode::NotCoordinator));
    assert_eq!(h.replies[&first], gone);
    assert_eq!(h.replies[&second], gone);
    assert_eq!(h.coordinator.next_deadline_ms(), None);
}

#[test]
fn unknown_kinds_are_skipped_and_damage_is_named() {
    let mut h = Harness::new();
    h.ongoing(V2);
    let (key, value) = h.log.last().unwrap().clone();
    let value = value.unwrap();
    let c = &mut h.coordinator;
    assert_eq!(c.apply(&[0, 9, 1], None), Ok(()));
    assert_eq!(c.skipped_records(), 1);
    let newer = [&[0, 7], &value[2..]].concat();
    assert!(matches!(
        c.apply(&key, Some(&newer)),
        Err(Error::UnknownValueVersion { version: 7, .. })
    ));
    let mut unknown_state = value.to_vec();
    unknown_state[16] = 6;
    for damaged in [&value[..20], &unknown_state[..]] {
        let outcome = c.apply(&key, Some(damaged));
        assert!(matches!(outcome, Err(Error::Corrupt { .. })), "{outcome:?}");
    }
    assert!(matches!(
        c.apply(&Bytes::from_static(&[0, 0, 5]), None),
        Err(Error::Corrupt { .. })
    ));
    assert_eq!(h.state(), TransactionState::Ongoing);
}
