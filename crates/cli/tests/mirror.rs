//! `ottla mirror` between two nodes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

mod command;

use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use ottla_cli::Exit;
use ottla_client::{
    Acks, Broker, Client, ClientOptions, CommittedOffset, NewTopic, Producer, ProducerOptions,
    ProducerRecord,
};
use ottla_record::{BatchBuilder, BatchOptions, Compression, DecompressLimit, Header, Record};
use ottla_runtime::Runtime;
use ottla_testkit::{Broker as Node, Launch, Profile, node_binary};
use ottla_wire::Chunks;
use ottla_wire::Response;
use ottla_wire::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest,
};
use serde_json::Value;

use command::{Ran, run};

/// Versions in which producers name topics, and add partitions by themselves (before KIP-890).
const ADD_PARTITIONS: i16 = 3;
const PRODUCE: i16 = 11;
const END: i16 = 3;

/// Two clusters; a broker that the environment names would be one only.
struct Clusters {
    source: Node,
    target: Node,
    from: Client,
    to: Client,
}

fn node() -> Node {
    let profile = if cfg!(debug_assertions) {
        Profile::Dev
    } else {
        Profile::Release
    };
    let launch = Launch::Ottla {
        binary: node_binary(profile).unwrap(),
        settings: Vec::new(),
    };
    Node::start(launch).unwrap()
}

async fn client(node: &Node) -> Client {
    let servers = vec![node.bootstrap()];
    let connecting = Client::connect(Runtime::real(), servers, ClientOptions::default());
    connecting.await.unwrap()
}

impl Clusters {
    async fn start() -> Clusters {
        let (source, target) = (node(), node());
        let (from, to) = (client(&source).await, client(&target).await);
        Clusters {
            source,
            target,
            from,
            to,
        }
    }

    async fn mirror(&self, flags: &str) -> Ran {
        let line = format!("mirror --from {} {flags}", self.source.bootstrap());
        run(&self.target.bootstrap(), &line).await
    }

    /// The summary of a mirror that worked.
    async fn mirrored(&self, flags: &str) -> Value {
        let ran = self.mirror(&format!("{flags} -o json")).await;
        assert_eq!(ran.exit, Exit::Ok, "{}{}", ran.out, ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }
}

async fn create(client: &Client, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let configs = configs.iter();
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        configs: configs
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..NewTopic::default()
    };
    for (_, outcome) in client.create_topics(&[topic], false).await.unwrap() {
        outcome.unwrap();
    }
    client.partitions(name).await.unwrap();
}

/// Some with keys, values and headers, some without.
fn record(topic: &str, partition: i32, number: i64) -> ProducerRecord {
    let text = |what: &str| Bytes::from(format!("{what}-{partition}-{number}"));
    let headers = vec![
        Header::new("trace", Some(text("trace"))),
        Header::new("trace", None),
    ];
    ProducerRecord {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: (number % 3 != 0).then(|| text("key")),
        value: (number % 7 != 0).then(|| text("value")),
        headers: if number % 2 == 0 { headers } else { Vec::new() },
        timestamp_ms: Some(1_700_000_000_000 + number * 1000),
    }
}

async fn produce(client: &Client, topic: &str, partitions: i32, numbers: std::ops::Range<i64>) {
    for compression in [Compression::None, Compression::Zstd] {
        let producer = Producer::new(
            client.clone(),
            ProducerOptions {
                compression,
                batch_bytes: 16 * 1024,
                ..ProducerOptions::default()
            },
        );
        let mut sent = Vec::new();
        for number in numbers.clone() {
            for partition in 0..partitions {
                sent.push(
                    producer
                        .send(record(topic, partition, number))
                        .await
                        .unwrap(),
                );
            }
        }
        for delivery in sent {
            delivery.await.unwrap();
        }
    }
}

/// A transaction of so many records in partition 0.
async fn transact(client: &Client, topic: &str, id: &str, count: i64, committed: bool) {
    let init = InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: 60_000,
        ..InitProducerIdRequest::default()
    };
    let (producer_id, producer_epoch) = loop {
        // Asking for the id makes the topic of the transactions, and waits for its coordinator.
        drop(client.describe_transaction(id).await);
        let answer = client.call(Broker::Any, init.clone().into()).await.unwrap();
        let Response::InitProducerId(answer) = answer else {
            panic!("another answer");
        };
        match answer.error_code {
            0 => break (answer.producer_id, answer.producer_epoch),
            // The coordinator is not there yet, or still busy.
            14..=16 | 51 => {}
            code => panic!("error {code}"),
        }
    };
    let add = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.into(),
        v3_and_below_producer_id: producer_id,
        v3_and_below_producer_epoch: producer_epoch,
        v3_and_below_topics: vec![AddPartitionsToTxnTopic {
            name: topic.into(),
            partitions: vec![0],
            ..AddPartitionsToTxnTopic::default()
        }],
        ..AddPartitionsToTxnRequest::default()
    };
    let added = client.call_version(Broker::Any, ADD_PARTITIONS, add.into());
    let Response::AddPartitionsToTxn(added) = added.await.unwrap() else {
        panic!("another answer");
    };
    let topics = added.results_by_topic_v3_and_below.into_iter();
    let mut results = topics.flat_map(|topic| topic.results_by_partition);
    assert!(results.all(|p| p.partition_error_code == 0));
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id,
        producer_epoch,
        base_sequence: 0,
        transactional: true,
        ..BatchOptions::default()
    });
    for number in 0..count {
        let value = format!("{id}-{committed}-{number}");
        let appended = builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
        appended.unwrap();
    }
    let produce = ProduceRequest {
        transactional_id: Some(id.into()),
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(Chunks::from(builder.build().unwrap())),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let produced = client.call_version(Broker::Any, PRODUCE, produce.into());
    let Response::Produce(produced) = produced.await.unwrap() else {
        panic!("another answer");
    };
    let topics = produced.responses.into_iter();
    let mut results = topics.flat_map(|topic| topic.partition_responses);
    assert!(results.all(|p| p.error_code == 0));
    let end = EndTxnRequest {
        transactional_id: id.into(),
        producer_id,
        producer_epoch,
        committed,
        ..EndTxnRequest::default()
    };
    let ended = client.call_version(Broker::Any, END, end.into());
    let Response::EndTxn(ended) = ended.await.unwrap() else {
        panic!("another answer");
    };
    assert_eq!(ended.error_code, 0);
}

/// All committed records of a partition.
async fn records(client: &Client, topic: &str, partition: i32) -> Vec<Record> {
    let (mut all, mut next) = (Vec::new(), 0);
    loop {
        let fetched = client.fetch_committed(topic, partition, next, 1024 * 1024);
        let fetched = fetched.await.unwrap();
        for batch in &fetched.batches {
            let records = batch.records(DecompressLimit(64 * 1024 * 1024)).unwrap();
            all.extend(records.map(Result::unwrap).filter(|r| r.offset >= next));
        }
        next = fetched.next_offset;
        if next >= fetched.last_stable_offset {
            return all;
        }
    }
}

/// The same records in the same order; where they lie is another question.
fn without_offsets(records: Vec<Record>) -> Vec<Record> {
    let record = |(offset, record): (i64, Record)| Record { offset, ..record };
    (0..).zip(records).map(record).collect()
}

#[tokio::test]
async fn records_come_over_with_offsets_timestamps_headers_and_settings() {
    let clusters = Clusters::start().await;
    let configs = [
        ("retention.ms", "-1"),
        ("max.message.bytes", "200000"),
        ("message.timestamp.type", "CreateTime"),
    ];
    create(&clusters.from, "orders", 3, &configs).await;
    create(&clusters.from, "empty", 2, &[]).await;
    create(&clusters.from, "secret", 1, &[]).await;
    produce(&clusters.from, "orders", 3, 0..300).await;
    // More than once: the second time there is nothing to do, the third time there is some.
    let summary = clusters.mirrored("--exclude se*").await;
    assert_eq!(summary["records"], 1800, "{summary}");
    let told = summary["topics"].as_array().unwrap();
    let names: Vec<_> = told.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["empty", "orders"]);
    assert_eq!(told[1]["same_offsets"], true);
    assert_eq!(told[1]["configs"]["retention.ms"], "-1");
    assert_eq!(clusters.mirrored("--exclude se*").await["records"], 0);
    produce(&clusters.from, "orders", 3, 300..310).await;
    assert_eq!(clusters.mirrored("-t orders").await["records"], 60);
    for partition in 0..3 {
        let original = records(&clusters.from, "orders", partition).await;
        assert_eq!(original.len(), 620);
        assert_eq!(records(&clusters.to, "orders", partition).await, original);
    }
    let topics = clusters.to.metadata(None).await.unwrap().topics;
    let mut names: Vec<String> = topics.into_iter().map(|t| t.name.unwrap().into()).collect();
    names.sort();
    assert_eq!(names, ["__ottla_mirror", "empty", "orders"]);
    let target = clusters.target.bootstrap();
    let described = run(&target, "topic describe orders -o json").await;
    let described: Value = serde_json::from_str(&described.out).unwrap();
    assert!(described.to_string().contains("200000"), "{described}");
}

#[tokio::test]
async fn aborted_records_stay_behind_and_group_offsets_are_translated() {
    let clusters = Clusters::start().await;
    create(&clusters.from, "ledger", 1, &[]).await;
    // Source offsets: 0-2, marker 3; aborted 4-5, marker 6; 7-8, marker 9.
    transact(&clusters.from, "ledger", "id", 3, true).await;
    transact(&clusters.from, "ledger", "id", 2, false).await;
    transact(&clusters.from, "ledger", "id", 2, true).await;
    let groups = [("a", 2), ("b", 4), ("c", 8), ("d", 10)];
    for (group, offset) in groups {
        let offset = CommittedOffset {
            topic: "ledger".to_owned(),
            partition: 0,
            offset,
            leader_epoch: -1,
            metadata: "note".to_owned(),
        };
        let offsets = [offset];
        let committed = clusters.from.commit_offsets(group, &offsets);
        committed.await.unwrap();
    }
    let summary = clusters.mirrored("").await;
    assert_eq!(summary["topics"][0]["same_offsets"], false, "{summary}");
    let copied = records(&clusters.to, "ledger", 0).await;
    let values = copied.iter().map(|r| r.value.clone().unwrap());
    let values: Vec<String> = values
        .map(|v| String::from_utf8(v.to_vec()).unwrap())
        .collect();
    let expected = [
        "id-true-0",
        "id-true-1",
        "id-true-2",
        "id-true-0",
        "id-true-1",
    ];
    assert_eq!(values, expected);
    for (group, expected) in [("a", 2), ("b", 3), ("c", 4), ("d", 5)] {
        let there = clusters.to.committed_offsets(group).await.unwrap();
        assert_eq!(
            (there[0].offset, there[0].metadata.as_str()),
            (expected, "note"),
            "{group}"
        );
    }
    // A group that has read on in the target is not set back.
    let on = CommittedOffset {
        offset: 5,
        ..clusters.to.committed_offsets("a").await.unwrap()[0].clone()
    };
    clusters.to.commit_offsets("a", &[on]).await.unwrap();
    let summary = clusters.mirrored("-g a").await;
    assert_eq!(summary["groups"][0]["unchanged"], 1, "{summary}");
    let there = clusters.to.committed_offsets("a").await.unwrap();
    assert_eq!(there[0].offset, 5);
}

#[tokio::test]
async fn a_mirror_that_is_killed_again_and_again_neither_loses_nor_repeats_a_record() {
    let clusters = Clusters::start().await;
    create(&clusters.from, "events", 4, &[]).await;
    for round in 0..8 {
        produce(&clusters.from, "events", 4, round * 400..(round + 1) * 400).await;
        transact(&clusters.from, "events", "id", 3, round % 3 != 0).await;
    }
    let binary = node_binary(Profile::Dev).unwrap();
    for attempt in 0..12 {
        let mut killed = Command::new(&binary)
            .args(["mirror", "--from", &clusters.source.bootstrap()])
            .args(["--to", &clusters.target.bootstrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // However far it came by then: each moment has to do.
        tokio::time::sleep(Duration::from_millis(40 + attempt * 25)).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    clusters.mirrored("").await;
    for partition in 0..4 {
        let original = without_offsets(records(&clusters.from, "events", partition).await);
        let copied = records(&clusters.to, "events", partition).await;
        assert!(original.len() >= 6400);
        assert_eq!(copied.len(), original.len(), "partition {partition}");
        assert_eq!(copied, original, "partition {partition}");
    }
}

#[tokio::test]
async fn two_mirrors_at_the_same_time_do_not_copy_anything_twice() {
    let clusters = Clusters::start().await;
    create(&clusters.from, "events", 2, &[]).await;
    produce(&clusters.from, "events", 2, 0..2000).await;
    // Either may fail; a last one alone finishes.
    let (one, two) = tokio::join!(clusters.mirror(""), clusters.mirror(""));
    let last = clusters.mirror("").await;
    assert_eq!(last.exit, Exit::Ok, "{}{}{}", one.err, two.err, last.err);
    for partition in 0..2 {
        let original = records(&clusters.from, "events", partition).await;
        assert_eq!(records(&clusters.to, "events", partition).await, original);
    }
}

#[tokio::test]
async fn what_would_spoil_the_target_is_refused() {
    let clusters = Clusters::start().await;
    let source = clusters.source.bootstrap();
    let same = run(&source, &format!("mirror --from {source}")).await;
    assert_eq!(same.exit, Exit::Usage);
    assert!(same.err.contains("are the same cluster"), "{}", same.err);

    create(&clusters.from, "wide", 3, &[]).await;
    create(&clusters.to, "wide", 2, &[]).await;
    create(&clusters.from, "used", 1, &[]).await;
    create(&clusters.to, "used", 1, &[]).await;
    create(&clusters.from, "fine", 1, &[]).await;
    produce(&clusters.to, "used", 1, 0..1).await;
    produce(&clusters.from, "fine", 1, 0..5).await;
    let ran = clusters.mirror("").await;
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.out);
    let told = "it has 3 partitions in the source and 2 in the target";
    assert!(ran.err.contains(told), "{}", ran.err);
    assert!(ran.err.contains("not copied by this tool"), "{}", ran.err);
    // The others are copied.
    assert_eq!(records(&clusters.to, "fine", 0).await.len(), 10);

    // A record that somebody else wrote behind the copy is found by the next run.
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(1, None, Some(b"foreign"), &[]).unwrap();
    let produced = clusters
        .to
        .produce("fine", 0, Acks::All, builder.build().unwrap());
    produced.await.unwrap();
    produce(&clusters.from, "fine", 1, 5..6).await;
    let ran = clusters.mirror("-t fine").await;
    assert_eq!(ran.exit, Exit::Failed, "{}", ran.out);
    assert!(ran.err.contains("somebody else writes"), "{}", ran.err);

    let missing = clusters.mirror("-t nothing*").await;
    assert_eq!(missing.exit, Exit::NotFound, "{}", missing.err);
    let closed = ottla_testkit::free_port().unwrap();
    let target = clusters.target.bootstrap();
    let ran = run(&target, &format!("mirror --from 127.0.0.1:{closed}")).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(ran.err.contains("--from"), "{}", ran.err);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_settings_that_do_not_fit_are_named() {
    let clusters = Clusters::start().await;
    let configs = [
        ("message.timestamp.type", "LogAppendTime"),
        ("cleanup.policy", "compact"),
    ];
    create(&clusters.from, "log", 1, &configs).await;
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(1, Some(b"k"), Some(b"v"), &[]).unwrap();
    let produced = clusters
        .from
        .produce("log", 0, Acks::All, builder.build().unwrap());
    produced.await.unwrap();
    let dry = clusters.mirrored("--dry-run").await;
    assert_eq!(
        (&dry["records"], &dry["dry_run"]),
        (&1.into(), &true.into())
    );
    assert_eq!(
        dry["topics"][0]["left_out"][0]["name"],
        "message.timestamp.type"
    );
    assert!(clusters.to.metadata(None).await.unwrap().topics.is_empty());

    let ran = clusters.mirror("").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    let told = "message.timestamp.type=LogAppendTime is left out";
    assert!(ran.err.contains(told), "{}", ran.err);
    // The time that the source's broker set is the record's own in the target.
    let original = records(&clusters.from, "log", 0).await;
    assert!(original[0].timestamp > 1);
    assert_eq!(records(&clusters.to, "log", 0).await, original);
}
