//! What a fetch returns: limits, waiting, positions, times and compression.

use std::time::{Duration, Instant};

use ottla_model::{ErrorCode, TopicName, TopicPartition};
use ottla_record::{BatchOptions, Compression, TimestampType};
use ottla_wire::messages::*;

use crate::fetching::{fetch_of, fetch_topic, only};
use crate::harness::*;

/// Three batches of about 1000 bytes each in partition 0.
async fn three_batches(client: &mut Connection, topic: &str) {
    for at in 0..3 {
        let value = format!("{at}").repeat(930);
        client.append(topic, &[&value]).await;
    }
}

#[tokio::test]
async fn limits_cut_between_batches_and_let_one_through() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    three_batches(&mut client, "topic").await;
    // Of the partition, of the request, how many batches come.
    for (partition_max_bytes, max_bytes, expected) in [
        (1, 1 << 20, 1),
        (1 << 20, 1, 1),
        (0, 1 << 20, 1),
        (1_500, 1 << 20, 1),
        (2_500, 1 << 20, 2),
        (1 << 20, 2_500, 2),
        (1 << 20, 1 << 20, 3),
        (-1, -1, 1),
    ] {
        let mut request = FetchRequest {
            max_bytes,
            ..fetch_of("topic", id, 0, 0)
        };
        request.topics[0].partitions[0].partition_max_bytes = partition_max_bytes;
        let data = only(client.ask(12, request).await);
        let found = batches(&data.records).len();
        assert_eq!(found, expected, "{partition_max_bytes} {max_bytes}");
    }
}

#[tokio::test]
async fn the_nodes_own_limit_holds_for_all_partitions_together() {
    let node = TestNode::start(&[("fetch.max.bytes", "1024")]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 3, &[]).await;
    let value = "x".repeat(2_000);
    for partition in 0..3 {
        client
            .produce("topic", partition, values_batch(&[&value]))
            .await;
    }
    let request = FetchRequest {
        topics: vec![fetch_topic("topic", id, &[(0, 0), (1, 0), (2, 0)])],
        ..FetchRequest::default()
    };
    let answer = client.ask(12, request).await;
    let sizes = answer.responses[0]
        .partitions
        .iter()
        .map(|p| !p.records.as_ref().unwrap().is_empty());
    assert_eq!(sizes.collect::<Vec<_>>(), [true, false, false]);
}

#[tokio::test]
async fn in_a_session_every_partition_gets_its_turn() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 3, &[]).await;
    for partition in 0..3 {
        for _ in 0..3 {
            client
                .produce(
                    "topic",
                    partition,
                    values_batch(&["a value of some length"]),
                )
                .await;
        }
    }
    let mut request = FetchRequest {
        session_epoch: 0,
        max_bytes: 1,
        topics: vec![fetch_topic("topic", id, &[(0, 0), (1, 0), (2, 0)])],
        ..FetchRequest::default()
    };
    let mut served = Vec::new();
    for epoch in 1..=6 {
        let answer = client.ask(12, request).await;
        let with_records = answer.responses.iter().flat_map(|t| &t.partitions);
        let mut with_records = with_records.filter(|p| !p.records.as_ref().unwrap().is_empty());
        let one = with_records.next().unwrap();
        assert!(with_records.next().is_none());
        served.push(one.partition_index);
        let next = batches(&one.records)[0].header().last_offset() + 1;
        request = FetchRequest {
            session_id: answer.session_id,
            session_epoch: epoch,
            max_bytes: 1,
            topics: vec![fetch_topic("topic", id, &[(one.partition_index, next)])],
            ..FetchRequest::default()
        };
    }
    assert_eq!(served, [0, 1, 2, 0, 1, 2]);
}

#[tokio::test]
async fn a_fetch_waits_for_records_and_comes_back_as_soon_as_they_are_there() {
    let node = TestNode::start(&[]).await;
    let (mut waiting, mut client) = (node.connect().await, node.connect().await);
    let id = client.create("topic", 2, &[]).await;
    let request = FetchRequest {
        max_wait_ms: 15_000,
        min_bytes: 1,
        topics: vec![fetch_topic("topic", id, &[(0, 0), (1, 0)])],
        ..FetchRequest::default()
    };
    let (begin, sent) = (Instant::now(), waiting.send(12, request).await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.produce("topic", 1, values_batch(&["news"])).await;
    let answer = waiting.receive::<FetchRequest>(12, sent).await;
    assert!(begin.elapsed() < Duration::from_secs(10));
    let data = &answer.responses[0].partitions[1];
    assert_eq!(values(&data.records), [(0, "news".to_owned())]);
}

#[tokio::test]
async fn a_fetch_waits_for_as_many_bytes_as_it_asks_for() {
    let node = TestNode::start(&[]).await;
    let (mut waiting, mut client) = (node.connect().await, node.connect().await);
    let id = client.create("topic", 1, &[]).await;
    let request = FetchRequest {
        max_wait_ms: 15_000,
        min_bytes: 1_500,
        ..fetch_of("topic", id, 0, 0)
    };
    let sent = waiting
        .send(
            12,
            FetchRequest {
                min_bytes: 1_500,
                ..request
            },
        )
        .await;
    let value = "x".repeat(930);
    client.append("topic", &[&value]).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    client.append("topic", &[&value]).await;
    let data = only(waiting.receive::<FetchRequest>(12, sent).await);
    assert_eq!(batches(&data.records).len(), 2);
}

#[tokio::test]
async fn a_fetch_comes_back_with_nothing_when_its_time_is_over() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let request = FetchRequest {
        max_wait_ms: 120,
        min_bytes: 1,
        ..fetch_of("topic", id, 0, 0)
    };
    let begin = Instant::now();
    let data = only(client.ask(12, request).await);
    assert!(begin.elapsed() >= Duration::from_millis(120));
    // Empty and not null, which librdkafka cannot read.
    assert!(data.error_code == 0 && data.records.unwrap().is_empty());
}

#[tokio::test]
async fn an_error_is_told_at_once() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let mut request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        ..fetch_of("topic", id, 0, 0)
    };
    request.topics.push(fetch_topic("missing", id, &[(0, 0)]));
    assert_eq!(client.ask(12, request).await.responses.len(), 2);
}

#[tokio::test]
async fn a_position_in_the_middle_of_a_batch_returns_all_of_it() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client.append("topic", &["a", "b", "c"]).await;
    client.append("topic", &["d"]).await;
    let data = only(client.ask(12, fetch_of("topic", id, 0, 1)).await);
    let found = values(&data.records);
    assert_eq!(
        found.iter().map(|(o, _)| *o).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    let data = only(client.ask(12, fetch_of("topic", id, 0, 3)).await);
    assert_eq!(values(&data.records), [(3, "d".to_owned())]);
}

#[tokio::test]
async fn log_append_time_is_the_nodes() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client
        .create("topic", 1, &[("message.timestamp.type", "LogAppendTime")])
        .await;
    let before = now_ms();
    for compression in [Compression::None, Compression::Gzip] {
        let options = BatchOptions {
            compression,
            ..BatchOptions::default()
        };
        let told = client
            .produce(
                "topic",
                0,
                batch(options, &[(5, None, "a"), (9, None, "b")]),
            )
            .await;
        assert_eq!(told.error_code, 0);
        assert!((before..=now_ms()).contains(&told.log_append_time_ms));
    }
    let data = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    for batch in batches(&data.records) {
        assert_eq!(
            batch.header().attributes.timestamp_type(),
            TimestampType::LogAppendTime
        );
        for record in batch.records(NO_LIMIT).unwrap() {
            assert!(record.unwrap().timestamp >= before);
        }
    }
}

#[tokio::test]
async fn batches_are_kept_as_sent_unless_the_topic_has_a_compression() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let all = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let names = ["uncompressed", "gzip", "snappy", "lz4", "zstd"];
    let value = "a value that can be compressed ".repeat(20);
    let records = [(now_ms(), Some("key"), &*value)];
    let topics = names
        .into_iter()
        .zip(all.map(Some))
        .chain([("producer", None)]);
    for (name, target) in topics {
        let id = client.create(name, 1, &[("compression.type", name)]).await;
        for compression in all {
            let options = BatchOptions {
                compression,
                ..BatchOptions::default()
            };
            let told = client.produce(name, 0, batch(options, &records)).await;
            assert_eq!(told.error_code, 0, "{compression:?} into {name}");
        }
        let data = only(client.ask(12, fetch_of(name, id, 0, 0)).await);
        let stored: Vec<_> = batches(&data.records)
            .iter()
            .map(|b| b.header().attributes.compression().unwrap())
            .collect();
        let expected = target.map_or(all.to_vec(), |target| vec![target; all.len()]);
        assert_eq!(stored, expected, "{name}");
        assert!(values(&data.records).iter().all(|(_, v)| *v == value));
    }
}

#[tokio::test]
async fn what_lies_before_the_log_start_is_gone() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client.append("topic", &["a", "b"]).await;
    client.append("topic", &["c"]).await;
    let name = TopicPartition::new(TopicName::new("topic").unwrap(), 0);
    let log = node.kafka().log_dir.log(&name).unwrap();
    node.kafka()
        .log_dir
        .delete_records_before(&log, 2)
        .await
        .unwrap();
    let gone = only(client.ask(12, fetch_of("topic", id, 0, 1)).await);
    assert_eq!(error(gone.error_code), ErrorCode::OffsetOutOfRange);
    assert_eq!(gone.log_start_offset, 2);
    let rest = only(client.ask(12, fetch_of("topic", id, 0, 2)).await);
    assert_eq!(
        (rest.log_start_offset, values(&rest.records)),
        (2, vec![(2, "c".to_owned())])
    );
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    let gone = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    assert_eq!(error(gone.error_code), ErrorCode::OffsetOutOfRange);
}

#[tokio::test]
async fn who_reads_committed_records_hears_of_aborted_transactions() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client.append("topic", &["a"]).await;
    for version in [4, 18] {
        let request = fetch_of("topic", id, 0, 0);
        let all = only(client.ask(version, request.clone()).await);
        assert_eq!(all.aborted_transactions, None);
        let request = FetchRequest {
            isolation_level: 1,
            ..request
        };
        let committed = only(client.ask(version, request).await);
        assert_eq!(committed.aborted_transactions, Some(vec![]));
        assert_eq!(values(&committed.records).len(), 1);
    }
}

#[tokio::test]
async fn a_node_that_stops_does_not_wait_for_those_who_wait() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        ..fetch_of("topic", id, 0, 0)
    };
    let sent = client.send(12, request).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let begin = Instant::now();
    node.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    let told = only(client.receive::<FetchRequest>(12, sent).await);
    assert_eq!(told.error_code, 0);
}
