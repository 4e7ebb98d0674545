//! Produce: what is refused, and with which of Kafka's errors; idempotence.

use bytes::Bytes;
use ottla_model::{ErrorCode, Uuid};
use ottla_record::{BatchOptions, Compression};
use ottla_wire::messages::produce_response::PartitionProduceResponse;
use ottla_wire::messages::*;

use crate::fetching::{fetch_of, only};
use crate::harness::*;

fn plain(value: &str) -> Bytes {
    values_batch(&[value])
}

/// A batch of an idempotent producer.
fn numbered(producer_id: i64, producer_epoch: i16, base_sequence: i32, values: &[&str]) -> Bytes {
    let now = now_ms();
    let records: Vec<_> = values.iter().map(|v| (now, None, *v)).collect();
    let options = BatchOptions {
        producer_id,
        producer_epoch,
        base_sequence,
        ..Default::default()
    };
    batch(options, &records)
}

async fn ask(
    client: &mut Connection,
    version: i16,
    request: ProduceRequest,
) -> PartitionProduceResponse {
    client
        .ask(version, request)
        .await
        .responses
        .remove(0)
        .partition_responses
        .remove(0)
}

#[tokio::test]
async fn unknown_targets_and_wrong_acks_have_kafkas_errors() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let mut code = async |version, topic: &str, id: Uuid, partition, acks| {
        let mut request = produce(topic, partition, plain("x"), acks);
        request.topic_data[0].topic_id = id;
        let answer = ask(&mut client, version, request).await;
        assert_eq!((answer.index, answer.base_offset), (partition, -1));
        assert_eq!(answer.error_message.is_some(), version >= 8);
        error(answer.error_code)
    };
    let unknown = Uuid([3; 16]);
    let missing = ErrorCode::UnknownTopicOrPartition;
    for version in [3, 7, 8, 12] {
        assert_eq!(code(version, "missing", unknown, 0, -1).await, missing);
        assert_eq!(code(version, "not a name", unknown, 0, -1).await, missing);
        assert_eq!(code(version, "topic", id, 7, 1).await, missing);
        assert_eq!(code(version, "topic", id, -1, 1).await, missing);
        assert_eq!(
            code(version, "topic", id, 0, 2).await,
            ErrorCode::InvalidRequiredAcks
        );
    }
    assert_eq!(
        code(13, "", unknown, 0, -1).await,
        ErrorCode::UnknownTopicId
    );
    assert_eq!(code(13, "", id, 3, -1).await, missing);
    assert_eq!(
        code(13, "", id, 0, -2).await,
        ErrorCode::InvalidRequiredAcks
    );
}

#[tokio::test]
async fn batches_that_are_broken_or_too_large_are_refused() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client
        .create("topic", 1, &[("max.message.bytes", "1000")])
        .await;
    let large = client.produce("topic", 0, plain(&"x".repeat(1_000))).await;
    assert_eq!(error(large.error_code), ErrorCode::MessageTooLarge);
    let mut flipped = plain("value").to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let corrupt = client.produce("topic", 0, Bytes::from(flipped)).await;
    assert_eq!(error(corrupt.error_code), ErrorCode::CorruptMessage);
    let mut cut = plain("value");
    cut.truncate(cut.len() - 1);
    let cut = client.produce("topic", 0, cut).await;
    assert_eq!(error(cut.error_code), ErrorCode::CorruptMessage);
    let two = [plain("one"), plain("two")].concat();
    let two = client.produce("topic", 0, Bytes::from(two)).await;
    assert_eq!(error(two.error_code), ErrorCode::InvalidRecord);
    let none = client.produce("topic", 0, Bytes::new()).await;
    assert_eq!(error(none.error_code), ErrorCode::InvalidRecord);
    let mut old = plain("value").to_vec();
    old[16] = 1;
    let old = client.produce("topic", 0, Bytes::from(old)).await;
    assert_eq!(error(old.error_code), ErrorCode::InvalidRecord);
    assert_eq!(
        client.append("topic", &["fine"]).await,
        0,
        "nothing of that was written"
    );
}

#[tokio::test]
async fn timestamps_out_of_bounds_are_named_record_by_record() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let bounds = [
        ("message.timestamp.before.max.ms", "10000"),
        ("message.timestamp.after.max.ms", "10000"),
    ];
    client.create("topic", 1, &bounds).await;
    let now = now_ms();
    let records = [
        (now, None, "fine"),
        (now - 60_000, None, "old"),
        (now, None, "fine"),
        (now + 60_000, None, "new"),
    ];
    for compression in [Compression::None, Compression::Lz4] {
        let options = BatchOptions {
            compression,
            ..BatchOptions::default()
        };
        for version in [7, 8, 12] {
            let request = produce("topic", 0, batch(options, &records), -1);
            let refused = ask(&mut client, version, request).await;
            assert_eq!(error(refused.error_code), ErrorCode::InvalidTimestamp);
            let named: Vec<_> = refused
                .record_errors
                .iter()
                .map(|r| r.batch_index)
                .collect();
            assert_eq!(named, if version >= 8 { vec![1, 3] } else { vec![] });
        }
    }
    assert_eq!(client.append("topic", &["fine"]).await, 0);
}

#[tokio::test]
async fn compacted_topics_need_keys() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client
        .create("topic", 1, &[("cleanup.policy", "compact")])
        .await;
    let now = now_ms();
    let records = [(now, Some("key"), "a"), (now, None, "b")];
    let refused = client
        .produce("topic", 0, batch(BatchOptions::default(), &records))
        .await;
    assert_eq!(error(refused.error_code), ErrorCode::InvalidRecord);
    let named: Vec<_> = refused
        .record_errors
        .iter()
        .map(|r| r.batch_index)
        .collect();
    assert_eq!(named, [1]);
    let fine = client
        .produce("topic", 0, batch(BatchOptions::default(), &records[..1]))
        .await;
    assert_eq!((fine.error_code, fine.base_offset), (0, 0));
}

#[tokio::test]
async fn zstandard_needs_version_7() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let options = BatchOptions {
        compression: Compression::Zstd,
        ..BatchOptions::default()
    };
    let bytes = batch(options, &[(now_ms(), None, "value")]);
    let refused = ask(&mut client, 6, produce("topic", 0, bytes.clone(), -1)).await;
    assert_eq!(
        error(refused.error_code),
        ErrorCode::UnsupportedCompressionType
    );
    let fine = ask(&mut client, 7, produce("topic", 0, bytes, -1)).await;
    assert_eq!(fine.error_code, 0);
}

#[tokio::test]
async fn internal_topics_are_for_the_admin_client_only() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client
        .create("__consumer_offsets", 1, &[("cleanup.policy", "compact")])
        .await;
    let refused = client.produce("__consumer_offsets", 0, plain("x")).await;
    assert_eq!(error(refused.error_code), ErrorCode::InvalidTopicException);
}

/// As in Kafka since 4.0; what happens when a replica is away, the tests of clusters show.
#[tokio::test]
async fn a_minimum_of_replicas_in_sync_beyond_all_replicas_means_all_of_them() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client
        .create("topic", 1, &[("min.insync.replicas", "2")])
        .await;
    let taken = client.produce("topic", 0, plain("x")).await;
    assert_eq!((taken.error_code, taken.base_offset), (0, 0));
}

#[tokio::test]
async fn without_acks_there_is_no_answer_and_an_error_closes_the_connection() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client
        .send(12, produce("topic", 0, plain("quiet"), 0))
        .await;
    assert_eq!(
        client.append("topic", &["loud"]).await,
        1,
        "the next answer is this one's"
    );
    client.send(12, produce("missing", 0, plain("x"), 0)).await;
    assert!(client.is_closed().await);
    let mut client = node.connect().await;
    let producer = client.producer_id().await;
    client
        .send(12, produce("topic", 0, numbered(producer, 0, 0, &["a"]), 0))
        .await;
    client
        .send(12, produce("topic", 0, numbered(producer, 0, 9, &["b"]), 0))
        .await;
    assert!(
        client.is_closed().await,
        "a sequence out of order is an error, too"
    );
    let mut client = node.connect().await;
    let all = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    assert_eq!(values(&all.records).len(), 3);
}

#[tokio::test]
async fn an_idempotent_producers_repetitions_get_the_first_offsets() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let producer = client.producer_id().await;
    for (sequence, offset) in (0..6).zip(0..) {
        let answer = client
            .produce("topic", 0, numbered(producer, 0, sequence, &["v"]))
            .await;
        assert_eq!((answer.error_code, answer.base_offset), (0, offset));
    }
    let again = client
        .produce("topic", 0, numbered(producer, 0, 3, &["v"]))
        .await;
    assert_eq!((again.error_code, again.base_offset), (0, 3));
    // The first of six is known to be there, but no longer where.
    let first = client
        .produce("topic", 0, numbered(producer, 0, 0, &["v"]))
        .await;
    assert_eq!(error(first.error_code), ErrorCode::DuplicateSequenceNumber);
    assert_eq!(first.base_offset, -1);
    let gap = client
        .produce("topic", 0, numbered(producer, 0, 9, &["v"]))
        .await;
    assert_eq!(error(gap.error_code), ErrorCode::OutOfOrderSequenceNumber);

    // All of this is remembered beyond the end of the process.
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    let again = client
        .produce("topic", 0, numbered(producer, 0, 5, &["v"]))
        .await;
    assert_eq!((again.error_code, again.base_offset), (0, 5));
    let earlier = client
        .produce("topic", 0, numbered(producer, 0, 2, &["v"]))
        .await;
    assert_eq!((earlier.error_code, earlier.base_offset), (0, 2));
    let gap = client
        .produce("topic", 0, numbered(producer, 0, 9, &["v"]))
        .await;
    assert_eq!(error(gap.error_code), ErrorCode::OutOfOrderSequenceNumber);
    let next = client
        .produce("topic", 0, numbered(producer, 0, 6, &["v"]))
        .await;
    assert_eq!((next.error_code, next.base_offset), (0, 6));

    // A new epoch begins at 0 and shuts out the old one.
    let bumped = client
        .produce("topic", 0, numbered(producer, 1, 0, &["v"]))
        .await;
    assert_eq!((bumped.error_code, bumped.base_offset), (0, 7));
    let stale = client
        .produce("topic", 0, numbered(producer, 0, 7, &["v"]))
        .await;
    assert_eq!(error(stale.error_code), ErrorCode::InvalidProducerEpoch);
    let all = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    assert_eq!(values(&all.records).len(), 8);
}

#[tokio::test]
async fn records_and_topics_outlive_the_process() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 2, &[("retention.ms", "-1")]).await;
    client.append("topic", &["one", "two"]).await;
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    let all = only(client.ask(17, fetch_of("topic", id, 0, 0)).await);
    assert_eq!(
        values(&all.records),
        [(0, "one".to_owned()), (1, "two".to_owned())]
    );
    assert_eq!(client.append("topic", &["three"]).await, 2);
}

#[tokio::test]
async fn one_request_may_name_many_partitions_and_each_has_its_own_answer() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 3, &[]).await;
    let mut request = produce("topic", 0, plain("a"), -1);
    for partition in [1, 9, 2] {
        let more = produce("topic", partition, plain("b"), -1)
            .topic_data
            .remove(0);
        request.topic_data[0]
            .partition_data
            .extend(more.partition_data);
    }
    let answer = client.ask(12, request).await.responses.remove(0);
    let told: Vec<_> = answer
        .partition_responses
        .iter()
        .map(|p| (p.index, p.error_code))
        .collect();
    assert_eq!(told, [(0, 0), (1, 0), (9, 3), (2, 0)]);
}

#[tokio::test]
async fn a_producer_that_the_node_does_not_know_may_begin_anywhere_and_an_epoch_only_at_0() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let unknown = client
        .produce("topic", 0, numbered(77, 3, 500, &["v"]))
        .await;
    assert_eq!((unknown.error_code, unknown.base_offset), (0, 0));
    let bumped = client
        .produce("topic", 0, numbered(77, 4, 501, &["v"]))
        .await;
    assert_eq!(
        error(bumped.error_code),
        ErrorCode::OutOfOrderSequenceNumber
    );
    let bumped = client.produce("topic", 0, numbered(77, 4, 0, &["v"])).await;
    assert_eq!((bumped.error_code, bumped.base_offset), (0, 1));
}

#[tokio::test]
async fn transactional_records_without_a_transactional_id_are_refused() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let options = BatchOptions {
        producer_id: 5,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..BatchOptions::default()
    };
    let bytes = batch(options, &[(now_ms(), None, "v")]);
    let refused = client.produce("topic", 0, bytes).await;
    assert_eq!(
        error(refused.error_code),
        ErrorCode::TransactionalIdAuthorizationFailed
    );
    assert!(refused.error_message.unwrap().contains("transaction"));
    let nameless = InitProducerIdRequest {
        transactional_id: Some("".into()),
        ..no_transactions()
    };
    let refused = client.ask(5, nameless).await;
    assert_eq!(error(refused.error_code), ErrorCode::InvalidRequest);
}
