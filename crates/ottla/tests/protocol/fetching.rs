//! Fetch: sessions, and what is wrong with a fetch.

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use ottla_wire::messages::fetch_response::PartitionData;
use ottla_wire::messages::*;

use crate::harness::*;

/// A fetch of partition 0 that does not wait and wants no session.
pub(crate) fn fetch_of(topic: &str, id: Uuid, partition: i32, offset: i64) -> FetchRequest {
    FetchRequest {
        min_bytes: 0,
        topics: vec![fetch_topic(topic, id, &[(partition, offset)])],
        ..FetchRequest::default()
    }
}

/// Partitions of one topic with the offsets to fetch from.
pub(crate) fn fetch_topic(topic: &str, id: Uuid, partitions: &[(i32, i64)]) -> FetchTopic {
    let partitions = partitions
        .iter()
        .map(|&(partition, fetch_offset)| FetchPartition {
            partition,
            fetch_offset,
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        });
    FetchTopic {
        topic: topic.into(),
        topic_id: id,
        partitions: partitions.collect(),
        ..FetchTopic::default()
    }
}

/// The only partition of an answer.
pub(crate) fn only(answer: FetchResponse) -> PartitionData {
    assert_eq!(answer.error_code, 0);
    let mut all: Vec<_> = answer
        .responses
        .into_iter()
        .flat_map(|t| t.partitions)
        .collect();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn unknown_topics_partitions_offsets_and_epochs_have_kafkas_errors() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client.append("topic", &["one"]).await;
    let unknown = Uuid([7; 16]);
    let by_name = fetch_of("missing", unknown, 0, 0);
    let by_id = by_name.clone();
    let mut code =
        async |version, request| error(only(client.ask(version, request).await).error_code);
    assert_eq!(code(12, by_name).await, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(17, by_id).await, ErrorCode::UnknownTopicId);
    let partition = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(code(12, fetch_of("topic", id, 5, 0)).await, partition);
    assert_eq!(code(13, fetch_of("topic", id, -1, 0)).await, partition);
    let range = ErrorCode::OffsetOutOfRange;
    assert_eq!(code(12, fetch_of("topic", id, 0, 2)).await, range);
    assert_eq!(code(12, fetch_of("topic", id, 0, -1)).await, range);
    assert_eq!(
        code(12, fetch_of("topic", id, 0, 1)).await,
        ErrorCode::None,
        "at the end"
    );
    let mut epoch = fetch_of("topic", id, 0, 0);
    epoch.topics[0].partitions[0].current_leader_epoch = 5;
    assert_eq!(code(12, epoch.clone()).await, ErrorCode::UnknownLeaderEpoch);
    epoch.topics[0].partitions[0].current_leader_epoch = 0;
    assert_eq!(code(12, epoch).await, ErrorCode::None);
}

#[tokio::test]
async fn a_fetch_out_of_range_says_where_the_log_starts() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client.append("topic", &["one", "two"]).await;
    let refused = only(client.ask(12, fetch_of("topic", id, 0, 99)).await);
    assert_eq!(error(refused.error_code), ErrorCode::OffsetOutOfRange);
    assert_eq!((refused.high_watermark, refused.log_start_offset), (-1, 0));
    assert!(refused.records.unwrap().is_empty());
}

/// A request of a session.
fn in_session(session_id: i32, session_epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest {
        session_id,
        session_epoch,
        topics,
        min_bytes: 0,
        ..FetchRequest::default()
    }
}

fn named(answer: &FetchResponse) -> Vec<i32> {
    answer
        .responses
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| p.partition_index))
        .collect()
}

#[tokio::test]
async fn a_session_answers_with_news_only() {
    for version in [7, 12, 13, 18] {
        let node = TestNode::start(&[]).await;
        let mut client = node.connect().await;
        let id = client.create("topic", 3, &[]).await;
        let all = vec![fetch_topic("topic", id, &[(0, 0), (1, 0), (2, 0)])];
        let opened = client.ask(version, in_session(0, 0, all)).await;
        let session = opened.session_id;
        assert!(opened.error_code == 0 && session > 0);
        assert_eq!(named(&opened), [0, 1, 2]);
        assert_eq!(node.broker().fetch_sessions(), 1);
        let quiet = client.ask(version, in_session(session, 1, vec![])).await;
        assert_eq!((quiet.session_id, named(&quiet)), (session, vec![]));
        client.produce("topic", 1, values_batch(&["new"])).await;
        let news = client.ask(version, in_session(session, 2, vec![])).await;
        assert_eq!(named(&news), [1]);
        // The position moves, and partition 2 is no longer wanted.
        let mut moved = in_session(session, 3, vec![fetch_topic("topic", id, &[(1, 1)])]);
        moved.forgotten_topics_data = vec![ForgottenTopic {
            topic: "topic".into(),
            topic_id: id,
            partitions: vec![2],
            ..ForgottenTopic::default()
        }];
        assert_eq!(named(&client.ask(version, moved).await), Vec::<i32>::new());
        client.produce("topic", 2, values_batch(&["new"])).await;
        let quiet = client.ask(version, in_session(session, 4, vec![])).await;
        assert_eq!(named(&quiet), Vec::<i32>::new());
        // The end: everything is named once more, and the session is gone.
        let all = vec![fetch_topic("topic", id, &[(0, 0)])];
        let last = client.ask(version, in_session(session, -1, all)).await;
        assert_eq!((last.session_id, named(&last)), (0, vec![0]));
        assert_eq!(node.broker().fetch_sessions(), 0);
    }
}

#[tokio::test]
async fn a_wrong_session_is_refused_whole() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let unknown = client.ask(12, in_session(4711, 1, vec![])).await;
    assert_eq!(error(unknown.error_code), ErrorCode::FetchSessionIdNotFound);
    assert_eq!((unknown.session_id, unknown.responses.len()), (0, 0));
    let all = vec![fetch_topic("topic", id, &[(0, 0)])];
    let session = client.ask(12, in_session(0, 0, all)).await.session_id;
    let skipped = client.ask(12, in_session(session, 2, vec![])).await;
    assert_eq!(
        error(skipped.error_code),
        ErrorCode::InvalidFetchSessionEpoch
    );
    let mixed = client.ask(13, in_session(session, 1, vec![])).await;
    assert_eq!(error(mixed.error_code), ErrorCode::FetchSessionTopicIdError);
    let fine = client.ask(12, in_session(session, 1, vec![])).await;
    assert_eq!(
        (fine.error_code, fine.session_id),
        (0, session),
        "it was not harmed"
    );
}

#[tokio::test]
async fn an_unknown_topic_id_in_a_session_is_told_each_time() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let all = vec![fetch_topic("", Uuid([9; 16]), &[(0, 0)])];
    let opened = client.ask(17, in_session(0, 0, all)).await;
    let session = opened.session_id;
    let again = client.ask(17, in_session(session, 1, vec![])).await;
    for answer in [opened, again] {
        assert_eq!(error(only(answer).error_code), ErrorCode::UnknownTopicId);
    }
}

#[tokio::test]
async fn without_room_for_sessions_fetches_are_served_without() {
    let node = TestNode::start(&[("max.incremental.fetch.session.cache.slots", "1")]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let all = || vec![fetch_topic("topic", id, &[(0, 0)])];
    assert!(client.ask(12, in_session(0, 0, all())).await.session_id > 0);
    let second = client.ask(12, in_session(0, 0, all())).await;
    assert_eq!(
        (second.error_code, second.session_id, named(&second)),
        (0, 0, vec![0])
    );
}

#[tokio::test]
async fn a_follower_that_went_another_way_is_told_where_the_logs_part() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client.append("topic", &["one"]).await;
    let mut request = fetch_of("topic", id, 0, 1);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let fine = only(client.ask(12, request.clone()).await);
    assert_eq!((fine.error_code, fine.diverging_epoch.end_offset), (0, -1));
}
