//! Records on their way there and back.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use ottla_model::ErrorCode;
use ottla_record::{BatchBuilder, BatchOptions, Compression, Header};
use ottla_wire::ApiKey;

use super::node::{Fault, Node};
use crate::{
    Acks, Client, ConsumedRecord, Consumer, ConsumerOptions, Error, Producer, ProducerOptions,
    ProducerRecord, Reset, Start, partition_of_key,
};

const WAIT: Duration = Duration::from_secs(10);

fn record(partition: Option<i32>, value: &str) -> ProducerRecord {
    ProducerRecord {
        topic: "t".into(),
        partition,
        value: Some(value.to_owned().into()),
        ..ProducerRecord::default()
    }
}

async fn read(client: &Client, start: Start, count: usize) -> Vec<ConsumedRecord> {
    let options = ConsumerOptions::default();
    let mut consumer = Consumer::new(client.clone(), options);
    consumer.assign("t", None, start).await.unwrap();
    let mut records = Vec::new();
    while records.len() < count {
        records.push(consumer.next(WAIT).await.unwrap().expect("a record"));
    }
    records
}

fn values(records: &[ConsumedRecord]) -> Vec<String> {
    let text = |r: &ConsumedRecord| {
        let value = r.record.value.clone().unwrap_or_default();
        String::from_utf8(value.to_vec()).unwrap()
    };
    records.iter().map(text).collect()
}

#[tokio::test]
async fn records_come_back_as_they_were_sent_with_every_compression_and_version() {
    for (compression, oldest) in Compression::ALL
        .into_iter()
        .flat_map(|c| [(c, false), (c, true)])
    {
        // Zstandard came with Produce 7, which the codec of an old broker would refuse.
        if oldest && compression == Compression::Zstd {
            continue;
        }
        let node = Node::start("t", 1, oldest).await;
        let client = node.client().await;
        let producer = Producer::new(
            client.clone(),
            ProducerOptions {
                compression,
                ..ProducerOptions::default()
            },
        );
        let mut sent = ProducerRecord {
            topic: "t".into(),
            key: Some(Bytes::from_static(b"k")),
            value: None,
            headers: vec![
                Header::new("h", Some(Bytes::from_static(b"1"))),
                Header::new("h", None),
            ],
            timestamp_ms: Some(1234),
            ..ProducerRecord::default()
        };
        let first = producer.send(sent.clone()).await.unwrap();
        sent.value = Some(vec![b'x'; 1_000_000].into());
        let second = producer.send(sent.clone()).await.unwrap();
        assert_eq!(first.await.unwrap().offset, 0);
        assert_eq!(second.await.unwrap().offset, 1);
        let records = read(&client, Start::Earliest, 2).await;
        for (n, got) in (0..).zip(&records) {
            assert_eq!((got.record.offset, got.record.timestamp), (n, 1234));
            assert_eq!(got.record.key, sent.key);
            assert_eq!(got.record.headers, sent.headers);
        }
        assert_eq!(records[0].record.value, None);
        assert_eq!(records[1].record.value, sent.value);
    }
}

#[tokio::test]
async fn a_lost_response_writes_nothing_twice_and_keeps_the_order() {
    let node = Node::start("t", 1, false).await;
    let client = node.client().await;
    let options = ProducerOptions {
        linger: Duration::ZERO,
        batch_bytes: 200,
        ..ProducerOptions::default()
    };
    let producer = Producer::new(client.clone(), options);
    node.fail(
        ApiKey::Produce,
        [
            Fault::LoseResponse,
            Fault::Code(ErrorCode::NotLeaderOrFollower),
            Fault::Code(ErrorCode::NotEnoughReplicas),
            Fault::LoseResponse,
        ],
    );
    let mut deliveries = Vec::new();
    for n in 0..50 {
        deliveries.push(
            producer
                .send(record(Some(0), &n.to_string()))
                .await
                .unwrap(),
        );
    }
    producer.flush().await;
    for delivered in join_all(deliveries).await {
        delivered.unwrap();
    }
    let expected: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    let got = read(&client, Start::Earliest, 50).await;
    assert_eq!(values(&got), expected);
    assert_eq!(node.state.lock().log("t", 0).unwrap().end, 50);
    assert!(node.state.lock().log("t", 0).unwrap().batches.len() > 1);
}

#[tokio::test]
async fn a_refused_batch_fails_its_records_and_the_next_ones_go_on() {
    let node = Node::start("t", 1, false).await;
    let producer = Producer::new(node.client().await, ProducerOptions::default());
    node.fail(ApiKey::Produce, [Fault::Code(ErrorCode::MessageTooLarge)]);
    let refused = producer.send(record(Some(0), "a")).await.unwrap();
    let error = refused.await.err().unwrap();
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge));
    assert!(error.to_string().contains("t-0"), "{error}");
    let next = producer.send(record(Some(0), "b")).await.unwrap();
    assert_eq!(next.await.unwrap().offset, 0);
}

#[tokio::test]
async fn keys_choose_the_partition_and_records_without_share_batches() {
    let node = Node::start("t", 5, false).await;
    let producer = Producer::new(node.client().await, ProducerOptions::default());
    for n in 0..20u32 {
        let mut keyed = record(None, "v");
        keyed.key = Some(Bytes::copy_from_slice(&n.to_be_bytes()));
        let place = producer.send(keyed).await.unwrap().await.unwrap();
        assert_eq!(place.partition, partition_of_key(&n.to_be_bytes(), 5));
    }
    let mut places = Vec::new();
    for _ in 0..20 {
        let sent = producer.send(record(None, "v")).await.unwrap();
        places.push(sent.await.unwrap().partition);
    }
    places.dedup();
    assert_eq!(places.len(), 1);
    let error = producer.send(record(Some(5), "v")).await.err().unwrap();
    assert!(
        matches!(error, Error::NoSuchPartition { last: 4, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn acks_0_waits_for_no_answer() {
    let node = Node::start("t", 1, false).await;
    let options = ProducerOptions {
        acks: Acks::None,
        ..ProducerOptions::default()
    };
    let client = node.client().await;
    let producer = Producer::new(client.clone(), options);
    for n in 0..3 {
        let sent = producer
            .send(record(Some(0), &n.to_string()))
            .await
            .unwrap();
        assert_eq!(sent.await.unwrap().offset, -1);
    }
    let got = read(&client, Start::Earliest, 3).await;
    assert_eq!(values(&got), ["0", "1", "2"]);
    assert_eq!(node.seen(ApiKey::InitProducerId), 0);
}

#[tokio::test]
async fn a_record_beyond_the_buffer_is_refused_and_a_full_buffer_only_waits() {
    let node = Node::start("t", 1, false).await;
    let options = ProducerOptions {
        buffer_bytes: 1_000,
        batch_bytes: 300,
        ..ProducerOptions::default()
    };
    let producer = Producer::new(node.client().await, options);
    let error = producer.send(record(Some(0), &"x".repeat(1_000))).await;
    assert!(matches!(
        error.err(),
        Some(Error::RecordTooLarge { limit: 1_000, .. })
    ));
    for _ in 0..100 {
        // Deliveries that nobody awaits give their room back, too.
        drop(
            producer
                .send(record(Some(0), &"x".repeat(100)))
                .await
                .unwrap(),
        );
    }
    producer.flush().await;
    assert_eq!(node.state.lock().log("t", 0).unwrap().end, 100);
}

/// Ten batches of ten records each.
async fn hundred(node: &Node) -> Client {
    let client = node.client().await;
    for batch in 0..10 {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for n in 0..10 {
            let value = (batch * 10 + n).to_string();
            builder
                .append(1, None, Some(value.as_bytes()), &[])
                .unwrap();
        }
        let bytes = builder.build().unwrap();
        let produced = client.produce("t", 0, Acks::All, bytes).await.unwrap();
        assert_eq!(produced.base_offset, batch * 10);
    }
    client
}

#[tokio::test]
async fn reading_begins_where_it_is_told() {
    let node = Node::start("t", 1, false).await;
    let client = hundred(&node).await;
    assert_eq!(
        values(&read(&client, Start::Offset(57), 3).await),
        ["57", "58", "59"]
    );
    let all: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(values(&read(&client, Start::Earliest, 100).await), all);
    for start in [Start::Latest, Start::Timestamp(99)] {
        let mut consumer = Consumer::new(client.clone(), ConsumerOptions::default());
        consumer.assign("t", Some(&[0]), start).await.unwrap();
        let soon = Duration::from_millis(5);
        assert_eq!(consumer.next(soon).await.unwrap(), None);
        assert!(consumer.is_at_end());
        assert_eq!(consumer.positions().collect::<Vec<_>>(), [("t", 0, 100)]);
    }
}

#[tokio::test]
async fn the_end_is_known_with_the_last_record() {
    let node = Node::start("t", 2, false).await;
    let client = hundred(&node).await;
    let mut consumer = Consumer::new(client, ConsumerOptions::default());
    consumer.assign("t", None, Start::Earliest).await.unwrap();
    let mut read = 0;
    while !consumer.is_at_end() {
        assert_eq!(consumer.positions().next(), Some(("t", 0, read)));
        consumer.next(WAIT).await.unwrap().expect("a record");
        read += 1;
    }
    assert_eq!(read, 100);
}

#[tokio::test]
async fn an_offset_that_is_not_there_is_an_error_or_a_reset() {
    let node = Node::start("t", 1, false).await;
    let client = hundred(&node).await;
    node.state.lock().log("t", 0).unwrap().start = 20;
    let mut strict = Consumer::new(client.clone(), ConsumerOptions::default());
    strict.assign("t", None, Start::Offset(5)).await.unwrap();
    let error = strict.next(WAIT).await.err().unwrap();
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
    assert!(error.to_string().contains("offset 5 of t-0"), "{error}");
    let options = ConsumerOptions {
        reset: Reset::Earliest,
        ..ConsumerOptions::default()
    };
    let mut lenient = Consumer::new(client, options);
    lenient.assign("t", None, Start::Offset(5)).await.unwrap();
    assert_eq!(lenient.next(WAIT).await.unwrap().unwrap().record.offset, 20);
}

#[tokio::test]
async fn reading_survives_moved_leaders_and_lost_connections() {
    let node = Node::start("t", 1, false).await;
    let client = hundred(&node).await;
    let faults = [
        Fault::Code(ErrorCode::NotLeaderOrFollower),
        Fault::LoseResponse,
        Fault::Code(ErrorCode::FencedLeaderEpoch),
    ];
    node.fail(ApiKey::Fetch, faults);
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(values(&read(&client, Start::Earliest, 100).await), expected);
}

#[tokio::test]
async fn a_flipped_byte_is_an_error_that_names_the_partition() {
    let node = Node::start("t", 1, false).await;
    let client = hundred(&node).await;
    {
        let mut state = node.state.lock();
        let batch = &mut state.log("t", 0).unwrap().batches[0];
        let mut bytes = batch.bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        *batch = ottla_record::Batch::parse(bytes.into()).unwrap();
    }
    let mut consumer = Consumer::new(client, ConsumerOptions::default());
    consumer.assign("t", None, Start::Earliest).await.unwrap();
    let error = consumer.next(WAIT).await.err().unwrap();
    assert!(error.to_string().starts_with("records of t-0"), "{error}");
}
