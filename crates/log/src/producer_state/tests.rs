use super::*;

const CLIENT: Claim = Claim {
    origin: Origin::Client,
    guard: None,
    marker: None,
    must_verify: true,
};

fn header(id: i64, epoch: i16, sequence: i32, offset: Offset, records: i32) -> BatchHeader {
    BatchHeader {
        base_offset: offset,
        last_offset_delta: records - 1,
        max_timestamp: 1000 + offset,
        producer_id: id,
        producer_epoch: epoch,
        base_sequence: sequence,
        record_count: records,
        ..BatchHeader::default()
    }
}

fn judge(state: &ProducerState, header: &BatchHeader) -> Result<Verdict, AppendError> {
    state.judge(&Staged::default(), header, &CLIENT)
}

#[test]
fn the_last_five_batches_are_recognised_and_older_ones_lie_before_them() {
    let mut state = ProducerState::default();
    for n in 0..7 {
        let next = header(9, 0, n * 2, i64::from(n) * 10, 2);
        assert_eq!(judge(&state, &next), Ok(Verdict::Append));
        state.replay(&next, None, Offset::MAX);
    }
    for n in 2..7 {
        let again = header(9, 0, n * 2, 0, 2);
        let Ok(Verdict::DuplicateOf(earlier)) = judge(&state, &again) else {
            panic!("batch {n} was not recognised");
        };
        assert_eq!(earlier.first_offset(), i64::from(n) * 10);
    }
    for (sequence, records) in [(2, 2), (0, 2), (0, 4)] {
        let old = judge(&state, &header(9, 0, sequence, 0, records));
        assert_eq!(old, Ok(Verdict::DuplicateBefore(20)), "{sequence}");
    }
    assert!(judge(&state, &header(9, 0, 2, 0, 3)).is_err(), "half known");
    assert!(judge(&state, &header(9, 0, 15, 0, 1)).is_err(), "a gap");
    assert!(
        judge(&state, &header(9, 0, 13, 0, 1)).is_err(),
        "another cut of known sequences"
    );
}

#[test]
fn only_what_was_certainly_taken_counts_as_repeated() {
    let mut state = ProducerState::default();
    for n in 0..7 {
        // Nothing is known of what came before the first batch.
        let next = header(9, 0, 100 + n, i64::from(n), 1);
        state.replay(&next, None, Offset::MAX);
    }
    let old = |sequence, records| judge(&state, &header(9, 0, sequence, 0, records));
    assert_eq!(old(100, 2), Ok(Verdict::DuplicateBefore(2)));
    assert!(matches!(
        old(99, 1),
        Err(AppendError::OutOfOrderSequence {
            sequence: 99,
            last_sequence: 106,
            ..
        })
    ));
    assert!(old(99, 2).is_err() && old(107, 1) == Ok(Verdict::Append));
    let mut wrapped = ProducerState::default();
    for n in 0..9 {
        let sequence = i32::MAX.wrapping_add(n - 1) & i32::MAX;
        wrapped.replay(&header(9, 0, sequence, i64::from(n), 1), None, Offset::MAX);
    }
    let old = |sequence| judge(&wrapped, &header(9, 0, sequence, 0, 1));
    assert_eq!(old(i32::MAX), Ok(Verdict::DuplicateBefore(4)));
    assert_eq!(old(0), Ok(Verdict::DuplicateBefore(4)));
    assert!(old(i32::MAX - 2).is_err());
}

#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let mut state = ProducerState::default();
    state.replay(&header(9, 1, 0, 0, 3), None, Offset::MAX);
    assert!(matches!(
        judge(&state, &header(9, 2, 3, 0, 1)),
        Err(AppendError::OutOfOrderSequence { .. })
    ));
    let bumped = header(9, 2, 0, 3, 1);
    assert_eq!(judge(&state, &bumped), Ok(Verdict::Append));
    state.replay(&bumped, None, Offset::MAX);
    assert!(matches!(
        judge(&state, &header(9, 1, 3, 0, 1)),
        Err(AppendError::InvalidProducerEpoch {
            epoch: 1,
            current_epoch: 2,
            ..
        })
    ));
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    assert_eq!(
        judge(&ProducerState::default(), &header(9, 3, 77, 0, 1)),
        Ok(Verdict::Append)
    );
}

#[test]
fn sequences_wrap_after_the_largest() {
    let mut state = ProducerState::default();
    let last = header(9, 0, i32::MAX - 1, 0, 4);
    assert_eq!(last.last_sequence(), 1);
    state.replay(&last, None, Offset::MAX);
    assert!(matches!(judge(&state, &last), Ok(Verdict::DuplicateOf(_))));
    assert_eq!(judge(&state, &header(9, 0, 2, 4, 1)), Ok(Verdict::Append));
    state.replay(&header(8, 0, i32::MAX, 4, 1), None, Offset::MAX);
    assert_eq!(judge(&state, &header(8, 0, 0, 5, 1)), Ok(Verdict::Append));
}

#[test]
fn staged_batches_count_only_after_the_commit() {
    let mut state = ProducerState::default();
    let mut staged = Staged::default();
    let first = header(9, 0, 0, 0, 1);
    state.stage(&mut staged, &first, None);
    let again = state.judge(&staged, &first, &CLIENT);
    assert!(matches!(again, Ok(Verdict::DuplicateOf(_))));
    assert_eq!(judge(&state, &first), Ok(Verdict::Append));
    state.commit(staged, 0);
    assert!(matches!(judge(&state, &first), Ok(Verdict::DuplicateOf(_))));
}

#[test]
fn silent_producers_are_forgotten() {
    let mut state = ProducerState::default();
    state.replay(&header(1, 0, 0, 0, 1), None, Offset::MAX);
    state.replay(&header(2, 0, 0, 500, 1), None, Offset::MAX);
    state.expire(2000, 1000);
    let left: Vec<ProducerId> = state.iter().map(|(id, _)| id).collect();
    assert_eq!(left, [2]);
}

fn transactional(id: i64, epoch: i16, sequence: i32, offset: Offset) -> BatchHeader {
    let plain = header(id, epoch, sequence, offset, 1);
    BatchHeader {
        attributes: plain.attributes.with_transactional(true),
        ..plain
    }
}

fn marker(epoch: i16, coordinator_epoch: i32, transaction_version: i16) -> TransactionMarker {
    TransactionMarker {
        producer_id: 9,
        producer_epoch: epoch,
        coordinator_epoch,
        commit: false,
        transaction_version,
    }
}

fn control(marker: &TransactionMarker, offset: Offset) -> (BatchHeader, Option<EndTxnMarker>) {
    let data = transactional(9, marker.producer_epoch, NO_SEQUENCE, offset);
    let header = BatchHeader {
        attributes: data.attributes.with_control(true),
        ..data
    };
    let end = EndTxnMarker {
        committed: marker.commit,
        coordinator_epoch: marker.coordinator_epoch,
    };
    (header, Some(end))
}

fn judge_marker(state: &ProducerState, marker: TransactionMarker) -> Result<Verdict, AppendError> {
    let claim = Claim {
        origin: Origin::Coordinator,
        marker: Some(marker),
        ..CLIENT
    };
    state.judge(&Staged::default(), &control(&marker, 0).0, &claim)
}

fn replay_marker(state: &mut ProducerState, marker: TransactionMarker, offset: Offset) {
    let (header, end) = control(&marker, offset);
    state.replay(&header, end, Offset::MAX);
}

fn verify(state: &mut ProducerState, epoch: i16, sequence: i32, bumps: bool) -> Verification {
    let asked = Asked {
        producer_id: 9,
        epoch,
        sequence,
        supports_epoch_bump: bumps,
        now_ms: 0,
    };
    state.verify(asked).unwrap()
}

fn guarded(state: &ProducerState, header: &BatchHeader, by: Verification) -> bool {
    let Verification::Needed(guard) = by else {
        panic!("the transaction is open already");
    };
    let claim = Claim {
        guard: Some(guard),
        ..CLIENT
    };
    state.judge(&Staged::default(), header, &claim) == Ok(Verdict::Append)
}

#[test]
fn a_transaction_begins_with_a_guard_and_goes_on_without() {
    let mut state = ProducerState::default();
    let first = transactional(9, 0, 0, 0);
    let refused = judge(&state, &first);
    assert!(matches!(refused, Err(AppendError::InvalidTxnState { .. })));
    let verification = verify(&mut state, 0, 0, false);
    assert!(guarded(&state, &first, verification));
    let mut staged = Staged::default();
    state.stage(&mut staged, &first, None);
    state.commit(staged, 0);
    assert_eq!(verify(&mut state, 0, 1, false), Verification::Ongoing);
    let second = transactional(9, 0, 1, 1);
    assert_eq!(judge(&state, &second), Ok(Verdict::Append));
    let plain = judge(&state, &header(9, 0, 1, 1, 1));
    assert!(matches!(plain, Err(AppendError::InvalidTxnState { .. })));
    let off = Claim {
        must_verify: false,
        ..CLIENT
    };
    let unverified = transactional(7, 0, 0, 0);
    assert!(state.judge(&Staged::default(), &unverified, &off).is_ok());
}

#[test]
fn a_guard_ends_with_the_next_marker_but_for_the_transaction_that_follows_it() {
    for (bumps, outlives) in [(false, false), (true, true)] {
        let mut state = ProducerState::default();
        state.replay(&transactional(9, 0, 0, 0), None, Offset::MAX);
        let verification = verify(&mut state, 1, 0, bumps);
        let version = if bumps { 2 } else { 1 };
        let (header, end) = control(&marker(1, 0, version), 1);
        let mut staged = Staged::default();
        state.stage(&mut staged, &header, end);
        state.commit(staged, 0);
        let next = transactional(9, 1, 0, 2);
        assert_eq!(guarded(&state, &next, verification), outlives);
    }
}

#[test]
fn a_guard_is_spent_by_a_batch_that_is_still_being_written() {
    let mut state = ProducerState::default();
    let Verification::Needed(guard) = verify(&mut state, 0, 0, false) else {
        panic!("nothing is open");
    };
    let mut staged = Staged::default();
    state.stage(&mut staged, &transactional(9, 0, 0, 0), None);
    let (header, end) = control(&marker(0, 0, 1), 1);
    state.stage(&mut staged, &header, end);
    let claim = Claim {
        guard: Some(guard),
        ..CLIENT
    };
    let late = state.judge(&staged, &transactional(9, 0, 1, 2), &claim);
    assert!(matches!(late, Err(AppendError::InvalidTxnState { .. })));
}

#[test]
fn a_request_that_overtook_the_first_one_of_a_transaction_is_out_of_order() {
    let mut state = ProducerState::default();
    verify(&mut state, 0, 0, false);
    let overtaking = verify(&mut state, 0, 5, false);
    assert!(!guarded(&state, &transactional(9, 0, 5, 0), overtaking));
    assert!(guarded(&state, &transactional(9, 0, 0, 0), overtaking));
    let mut unknown = ProducerState::default();
    let anywhere = verify(&mut unknown, 0, 5, false);
    assert!(guarded(&unknown, &transactional(9, 0, 5, 0), anywhere));
    let mut bumped = ProducerState::default();
    let from_zero = verify(&mut bumped, 0, 5, true);
    assert!(!guarded(&bumped, &transactional(9, 0, 5, 0), from_zero));
}

#[test]
fn markers_are_fenced_by_newer_producers_and_newer_coordinators() {
    let mut state = ProducerState::default();
    state.replay(&transactional(9, 3, 0, 0), None, Offset::MAX);
    let fenced = |m| matches!(m, Err(AppendError::InvalidProducerEpoch { .. }));
    assert!(fenced(judge_marker(&state, marker(2, 0, 1))));
    assert_eq!(judge_marker(&state, marker(3, 0, 1)), Ok(Verdict::Append));
    assert!(fenced(judge_marker(&state, marker(3, 0, 2))));
    assert_eq!(judge_marker(&state, marker(4, 0, 2)), Ok(Verdict::Append));
    replay_marker(&mut state, marker(4, 7, 2), 1);
    assert_eq!(
        judge_marker(&state, marker(4, 7, 2)),
        Ok(Verdict::Append),
        "the coordinator did not hear that it was written"
    );
    assert!(matches!(
        judge_marker(&state, marker(4, 6, 2)),
        Err(AppendError::TransactionCoordinatorFenced {
            coordinator_epoch: 6,
            current_epoch: 7,
            ..
        })
    ));
    assert_eq!(judge_marker(&state, marker(4, 8, 2)), Ok(Verdict::Append));
    let known = state.entries[&9].clone();
    assert_eq!((known.epoch, known.coordinator_epoch), (4, 7));
    assert!(known.batches.is_empty() && known.transaction_start.is_none());
}

#[test]
fn a_marker_without_a_transaction_ends_nothing_and_is_remembered() {
    let mut state = ProducerState::default();
    let (header, end) = control(&marker(5, 2, 1), 3);
    let mut staged = Staged::default();
    state.stage(&mut staged, &header, end);
    assert_eq!(state.commit(staged, 0), []);
    assert_eq!(state.last_stable_offset(0, 4), 4);
    assert_eq!(state.entries[&9].epoch, 5);
    assert!(judge(&state, &transactional(9, 4, 0, 4)).is_err());
}

#[test]
fn open_transactions_do_not_expire() {
    let mut state = ProducerState::default();
    state.replay(&transactional(9, 0, 0, 0), None, Offset::MAX);
    state.expire(i64::MAX, 1);
    assert_eq!(state.oldest_open().unwrap().producer_id, 9);
    replay_marker(&mut state, marker(0, 0, 1), 1);
    state.expire(i64::MAX, 1);
    assert!(state.is_empty());
}
