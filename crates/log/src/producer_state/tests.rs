use super::*;

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
    state.judge(&Staged::default(), header, Origin::Client)
}

#[test]
fn the_last_five_batches_are_recognised_and_older_ones_are_out_of_order() {
    let mut state = ProducerState::default();
    for n in 0..7 {
        let next = header(9, 0, n * 2, i64::from(n) * 10, 2);
        assert_eq!(judge(&state, &next), Ok(Verdict::Append));
        state.replay(&next);
    }
    for n in 2..7 {
        let again = header(9, 0, n * 2, 0, 2);
        let Ok(Verdict::DuplicateOf(earlier)) = judge(&state, &again) else {
            panic!("batch {n} was not recognised");
        };
        assert_eq!(earlier.first_offset(), i64::from(n) * 10);
    }
    assert!(matches!(
        judge(&state, &header(9, 0, 2, 0, 2)),
        Err(AppendError::OutOfOrderSequence {
            sequence: 2,
            last_sequence: 13,
            ..
        })
    ));
    assert!(judge(&state, &header(9, 0, 15, 0, 1)).is_err(), "a gap");
    assert!(
        judge(&state, &header(9, 0, 13, 0, 1)).is_err(),
        "another cut of known sequences"
    );
}

#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let mut state = ProducerState::default();
    state.replay(&header(9, 1, 0, 0, 3));
    assert!(matches!(
        judge(&state, &header(9, 2, 3, 0, 1)),
        Err(AppendError::OutOfOrderSequence { .. })
    ));
    let bumped = header(9, 2, 0, 3, 1);
    assert_eq!(judge(&state, &bumped), Ok(Verdict::Append));
    state.replay(&bumped);
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
    state.replay(&last);
    assert!(matches!(judge(&state, &last), Ok(Verdict::DuplicateOf(_))));
    assert_eq!(judge(&state, &header(9, 0, 2, 4, 1)), Ok(Verdict::Append));
    state.replay(&header(8, 0, i32::MAX, 4, 1));
    assert_eq!(judge(&state, &header(8, 0, 0, 5, 1)), Ok(Verdict::Append));
}

#[test]
fn staged_batches_count_only_after_the_commit() {
    let mut state = ProducerState::default();
    let mut staged = Staged::default();
    let first = header(9, 0, 0, 0, 1);
    state.stage(&mut staged, &first);
    let again = state.judge(&staged, &first, Origin::Client);
    assert!(matches!(again, Ok(Verdict::DuplicateOf(_))));
    assert_eq!(judge(&state, &first), Ok(Verdict::Append));
    state.commit(staged);
    assert!(matches!(judge(&state, &first), Ok(Verdict::DuplicateOf(_))));
}

#[test]
fn silent_producers_are_forgotten() {
    let mut state = ProducerState::default();
    state.replay(&header(1, 0, 0, 0, 1));
    state.replay(&header(2, 0, 0, 500, 1));
    state.expire(2000, 1000);
    let left: Vec<ProducerId> = state.iter().map(|(id, _)| id).collect();
    assert_eq!(left, [2]);
}
