use bytes::Bytes;

use super::*;

fn wanted(topic: &str, partition: i32) -> Wanted {
    Wanted {
        log_start_offset: -1,
        high_watermark: Offset::MAX,
        topic: TopicKey::Name(Text::from(topic)),
        partition,
        fetch_offset: 0,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        max_bytes: 1000,
    }
}

fn request(id: i32, epoch: i32, wanted: Vec<Wanted>) -> SessionRequest {
    SessionRequest {
        session_id: id,
        session_epoch: epoch,
        by_id: false,
        wanted,
        forgotten: Vec::new(),
    }
}

fn data(partition: i32, high_watermark: i64, records: &'static [u8]) -> PartitionData {
    PartitionData {
        partition_index: partition,
        high_watermark,
        log_start_offset: 0,
        records: Some(Bytes::from_static(records).into()),
        ..PartitionData::default()
    }
}

fn answers(context: &FetchContext, high_watermark: i64) -> Vec<(Wanted, PartitionData)> {
    context
        .wanted()
        .iter()
        .map(|w| (w.clone(), data(w.partition, high_watermark, b"")))
        .collect()
}

fn open(sessions: &FetchSessions) -> i32 {
    let context = sessions
        .begin(request(0, 0, vec![wanted("a", 0), wanted("a", 1)]), 0)
        .ok()
        .unwrap();
    let results = answers(&context, 5);
    let (id, told) = context.finish(sessions, false, results, 76, 0);
    assert_eq!(told.len(), 2);
    id
}

#[test]
fn an_incremental_answer_names_only_partitions_with_news() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions);
    assert_eq!(id, 77);

    let context = sessions.begin(request(id, 1, vec![]), 1).ok().unwrap();
    assert_eq!(context.wanted().len(), 2);
    let results = answers(&context, 5);
    let (same, told) = context.finish(&sessions, false, results, 0, 1);
    assert_eq!((same, told.len()), (id, 0));

    let context = sessions.begin(request(id, 2, vec![]), 2).ok().unwrap();
    let mut results = answers(&context, 5);
    results[0].1 = data(0, 6, b"records");
    let (_, told) = context.finish(&sessions, false, results, 0, 2);
    assert_eq!(told.len(), 1);

    // The partition that got records is served last next time.
    let context = sessions.begin(request(id, 3, vec![]), 3).ok().unwrap();
    let order: Vec<i32> = context.wanted().iter().map(|w| w.partition).collect();
    assert_eq!(order, [1, 0]);
}

#[test]
fn after_an_error_the_partition_is_named_again() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions);
    let context = sessions.begin(request(id, 1, vec![]), 1).ok().unwrap();
    let mut results = answers(&context, 5);
    results[1].1.error_code = ErrorCode::KafkaStorageError.code();
    assert_eq!(context.finish(&sessions, false, results, 0, 1).1.len(), 1);
    let context = sessions.begin(request(id, 2, vec![]), 1).ok().unwrap();
    let results = answers(&context, 5);
    assert_eq!(context.finish(&sessions, false, results, 0, 1).1.len(), 1);
}

#[test]
fn wrong_ids_and_epochs_are_refused() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions);
    let begin = |id, epoch| sessions.begin(request(id, epoch, vec![]), 1).err();
    assert_eq!(begin(id + 1, 1), Some(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(begin(id, 2), Some(ErrorCode::InvalidFetchSessionEpoch));
    let by_id = SessionRequest {
        by_id: true,
        ..request(id, 1, vec![])
    };
    assert_eq!(
        sessions.begin(by_id, 1).err(),
        Some(ErrorCode::FetchSessionTopicIdError)
    );
    assert_eq!(begin(id, FINAL_EPOCH), None);
    assert_eq!(begin(id, 1), Some(ErrorCode::FetchSessionIdNotFound));
}

#[test]
fn forgotten_partitions_leave_and_an_empty_session_ends() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions);
    let mut forget = request(id, 1, vec![wanted("b", 3)]);
    forget.forgotten = vec![(TopicKey::Name(Text::from("a")), 0)];
    let context = sessions.begin(forget, 1).ok().unwrap();
    let served: Vec<i32> = context.wanted().iter().map(|w| w.partition).collect();
    assert_eq!(served, [1, 3]);
    let mut forget = request(id, 2, vec![]);
    forget.forgotten = vec![
        (TopicKey::Name(Text::from("a")), 1),
        (TopicKey::Name(Text::from("b")), 3),
    ];
    assert!(sessions.begin(forget, 1).ok().unwrap().wanted().is_empty());
    assert_eq!(sessions.len(), 0);
}

#[test]
fn a_full_cache_makes_room_only_for_idle_sessions() {
    let sessions = FetchSessions::new(1);
    assert_ne!(open(&sessions), 0);
    assert_eq!(open(&sessions), 0);
    let context = sessions
        .begin(request(0, 0, vec![wanted("c", 0)]), 0)
        .ok()
        .unwrap();
    let results = answers(&context, 1);
    let (id, _) = context.finish(&sessions, false, results, 9, EVICTION_AGE_MS + 1);
    assert_ne!(id, 0);
    assert_eq!(sessions.len(), 1);
}
