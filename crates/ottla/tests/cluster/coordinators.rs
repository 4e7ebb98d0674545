//! Coordinators of groups and transactions on several brokers: they move with their partitions, and
//! reach partitions that others lead.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla_client::{Broker, Client, CommittedOffset, NewTopic};
use ottla_model::coordinator_partition;
use ottla_model::{CONSUMER_OFFSETS_TOPIC, ErrorCode, TRANSACTION_STATE_TOPIC};
use ottla_record::{BatchBuilder, BatchOptions, DecompressLimit};
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::messages::{
    EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest,
    TxnOffsetCommitRequest,
};
use ottla_wire::{Chunks, Request, Response};

use crate::harness::{Cluster, PATIENCE};

const TOPICS: [&str; 3] = ["a", "b", "c"];
/// The newest versions with topics by name.
const PRODUCE: i16 = 12;
const TXN_OFFSET_COMMIT: i16 = 5;

fn settings() -> Vec<(&'static str, &'static str)> {
    vec![
        ("offsets.topic.num.partitions", "3"),
        ("offsets.topic.replication.factor", "3"),
        ("transaction.state.log.num.partitions", "3"),
        ("transaction.state.log.replication.factor", "3"),
        ("transaction.state.log.min.isr", "1"),
    ]
}

/// The broker that coordinates a key.
fn coordinator(cluster: &Cluster, topic: &str, key: &str) -> i32 {
    let partition = coordinator_partition(key, 3);
    cluster.leader(topic, partition)
}

/// Topics of one partition, each with another leader.
async fn create_topics(cluster: &Cluster) {
    let replicas = [[1, 2, 3], [2, 3, 1], [3, 1, 2]];
    let topics = TOPICS
        .iter()
        .zip(replicas)
        .map(|(name, replicas)| NewTopic {
            name: (*name).to_owned(),
            assignments: vec![replicas.to_vec()],
            ..NewTopic::default()
        });
    let topics: Vec<_> = topics.collect();
    let client = cluster.client().await;
    client.create_topics(&topics, false).await.unwrap();
    let leaders = TOPICS.map(|topic| cluster.leader(topic, 0));
    assert_eq!(leaders, [1, 2, 3]);
}

/// Waits until nobody is behind.
async fn all_in_sync(cluster: &Cluster) {
    cluster
        .until("everybody is in sync", |cluster| {
            let image = cluster.image();
            let mut partitions = image.topics().flat_map(|topic| &topic.partitions);
            partitions.all(|p| p.isr.len() == p.replicas.len())
        })
        .await;
}

fn is_temporary(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::ConcurrentTransactions
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::RequestTimedOut
            | ErrorCode::NetworkException
    )
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap()
}

/// A transactional producer (KIP-890, version 2).
struct Producer {
    client: Client,
    transactional_id: String,
    id: i64,
    epoch: i16,
    sequences: BTreeMap<String, i32>,
}

impl Producer {
    async fn new(cluster: &Cluster, transactional_id: &str) -> Self {
        let mut producer = Producer {
            client: cluster.client().await,
            transactional_id: transactional_id.to_owned(),
            id: -1,
            epoch: -1,
            sequences: BTreeMap::new(),
        };
        let request = InitProducerIdRequest {
            transactional_id: Some(transactional_id.into()),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        let answer = producer.ask_coordinator(1, transactional_id, request.into(), |r| match r {
            Response::InitProducerId(r) => code(r.error_code),
            _ => panic!("something else"),
        });
        let Response::InitProducerId(answer) = answer.await else {
            panic!("something else");
        };
        (producer.id, producer.epoch) = (answer.producer_id, answer.producer_epoch);
        producer
    }

    /// Asks the coordinator of a key until the answer is final, which must be a good one.
    async fn ask_coordinator(
        &self,
        key_type: i8,
        key: &str,
        request: Request,
        code_of: impl Fn(&Response) -> ErrorCode,
    ) -> Response {
        let began = Instant::now();
        loop {
            if let Some(node) = self.find(key_type, key).await {
                let version = match request {
                    Request::TxnOffsetCommit(_) => Some(TXN_OFFSET_COMMIT),
                    _ => None,
                };
                let to = Broker::Id(node);
                let answer = match version {
                    Some(version) => self.client.call_version(to, version, request.clone()).await,
                    None => self.client.call(to, request.clone()).await,
                };
                if let Ok(answer) = answer {
                    match code_of(&answer) {
                        ErrorCode::None => return answer,
                        code => assert!(is_temporary(code), "{code:?} to {request:?}"),
                    }
                }
            }
            assert!(began.elapsed() < PATIENCE, "no answer to {request:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn find(&self, key_type: i8, key: &str) -> Option<i32> {
        let request = FindCoordinatorRequest {
            key_type,
            coordinator_keys: vec![key.into()],
            ..FindCoordinatorRequest::default()
        };
        self.client.metadata(Some(&[])).await.ok()?;
        let answer = self.client.call(Broker::Any, request.into()).await;
        let Ok(Response::FindCoordinator(answer)) = answer else {
            return None;
        };
        let found = &answer.coordinators[0];
        let found_code = code(found.error_code);
        assert!(found_code == ErrorCode::None || is_temporary(found_code));
        (found_code == ErrorCode::None).then_some(found.node_id)
    }

    async fn send(&mut self, topic: &str, value: &str) {
        let sequence = self.sequences.entry(topic.to_owned()).or_default();
        let options = BatchOptions {
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence: *sequence,
            transactional: true,
            ..BatchOptions::default()
        };
        *sequence += 1;
        let mut builder = BatchBuilder::new(options);
        builder
            .append(1000, None, Some(value.as_bytes()), &[])
            .unwrap();
        let batch = builder.build_batch().unwrap();
        let request = ProduceRequest {
            transactional_id: Some(self.transactional_id.as_str().into()),
            acks: -1,
            timeout_ms: 2000,
            topic_data: vec![TopicProduceData {
                name: topic.into(),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(Chunks::from(batch.bytes().clone())),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let began = Instant::now();
        loop {
            let metadata = self.client.metadata(Some(&[topic])).await.unwrap();
            let leader = metadata.topics[0].partitions[0].leader_id;
            let request = Request::from(request.clone());
            let sent = self
                .client
                .call_version(Broker::Id(leader), PRODUCE, request);
            if let Ok(Response::Produce(answer)) = sent.await {
                match code(answer.responses[0].partition_responses[0].error_code) {
                    ErrorCode::None => return,
                    code => assert!(is_temporary(code), "{code:?} to {topic}"),
                }
            }
            assert!(began.elapsed() < PATIENCE, "{topic} takes no record");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn commit_offset(&self, group: &str, offset: i64) {
        let request = TxnOffsetCommitRequest {
            transactional_id: self.transactional_id.as_str().into(),
            group_id: group.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: TOPICS[0].into(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    partition_index: 0,
                    committed_offset: offset,
                    ..TxnOffsetCommitRequestPartition::default()
                }],
                ..TxnOffsetCommitRequestTopic::default()
            }],
            ..TxnOffsetCommitRequest::default()
        };
        self.ask_coordinator(0, group, request.into(), |r| match r {
            Response::TxnOffsetCommit(r) => code(r.topics[0].partitions[0].error_code),
            _ => panic!("something else"),
        })
        .await;
    }

    async fn end(&mut self, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.as_str().into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
            ..EndTxnRequest::default()
        };
        let key = self.transactional_id.clone();
        let answer = self.ask_coordinator(1, &key, request.into(), |r| match r {
            Response::EndTxn(r) => code(r.error_code),
            _ => panic!("something else"),
        });
        let Response::EndTxn(answer) = answer.await else {
            panic!("something else");
        };
        (self.id, self.epoch) = (answer.producer_id, answer.producer_epoch);
        self.sequences.clear();
    }
}

/// Every committed value of a topic, once all transactions are decided.
async fn committed(cluster: &Cluster, topic: &str) -> Vec<String> {
    let client = cluster.client().await;
    let began = Instant::now();
    let (mut values, mut offset) = (Vec::new(), 0);
    loop {
        let fetched = client.fetch_committed(topic, 0, offset, 1 << 20).await;
        let fetched = fetched.unwrap();
        offset = fetched.next_offset;
        for batch in fetched.batches {
            for record in batch.records(DecompressLimit(1 << 20)).unwrap() {
                let value = record.unwrap().value.unwrap();
                values.push(String::from_utf8(value.to_vec()).unwrap());
            }
        }
        let leader = &cluster.brokers[&cluster.leader(topic, 0)];
        let logs = leader.handle.logs();
        let log = logs.iter().find(|(name, ..)| name == topic).unwrap();
        if offset == log.2.log_end_offset() {
            return values;
        }
        assert!(began.elapsed() < PATIENCE, "{topic} is never decided");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn offset(offset: i64) -> CommittedOffset {
    CommittedOffset {
        topic: TOPICS[0].to_owned(),
        partition: 0,
        offset,
        leader_epoch: -1,
        metadata: String::new(),
    }
}

#[tokio::test]
async fn committed_offsets_survive_their_coordinators() {
    let mut cluster = Cluster::start(3, &settings()).await;
    cluster.create(TOPICS[0], 3, &[]).await;
    for round in 1..4 {
        let groups = ["group 0", "group 1", "group 2", "group 3"];
        for group in groups {
            let client = cluster.client().await;
            client
                .commit_offsets(group, &[offset(round)])
                .await
                .unwrap();
        }
        all_in_sync(&cluster).await;
        let lost = coordinator(&cluster, CONSUMER_OFFSETS_TOPIC, groups[0]);
        cluster.lose_broker(lost).await;
        let client = cluster.client().await;
        for group in groups {
            let found = client.committed_offsets(group).await.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].offset, round);
        }
        client
            .commit_offsets(groups[0], &[offset(round * 100)])
            .await
            .unwrap();
        cluster.start_broker(lost).await;
        all_in_sync(&cluster).await;
        let client = cluster.client().await;
        let found = client.committed_offsets(groups[0]).await.unwrap();
        assert_eq!(found[0].offset, round * 100);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn transactions_span_brokers_and_survive_coordinators_and_leaders() {
    let mut cluster = Cluster::start(3, &settings()).await;
    create_topics(&cluster).await;
    let (id, group) = ("transactional", "group");
    let mut producer = Producer::new(&cluster, id).await;
    let mut expected: Vec<String> = Vec::new();
    for round in 0..6_i64 {
        for topic in TOPICS {
            producer.send(topic, &format!("{round} first")).await;
        }
        producer.commit_offset(group, round).await;
        all_in_sync(&cluster).await;
        // In the middle of the transaction somebody goes away.
        let lost = match round % 3 {
            0 => coordinator(&cluster, TRANSACTION_STATE_TOPIC, id),
            1 => cluster.leader(TOPICS[0], 0),
            _ => coordinator(&cluster, CONSUMER_OFFSETS_TOPIC, group),
        };
        cluster.lose_broker(lost).await;
        for topic in TOPICS {
            producer.send(topic, &format!("{round} second")).await;
        }
        let commits = round % 2 == 0;
        producer.end(commits).await;
        if commits {
            expected.extend(["first", "second"].map(|n| format!("{round} {n}")));
        }
        cluster.start_broker(lost).await;
        for topic in TOPICS {
            assert_eq!(committed(&cluster, topic).await, expected, "{topic}");
        }
        let client = cluster.client().await;
        let found = client.committed_offsets(group).await.unwrap();
        assert_eq!(found[0].offset, round - round % 2, "round {round}");
        all_in_sync(&cluster).await;
        let carries_on = Producer { client, ..producer };
        producer = carries_on;
    }
    for topic in TOPICS {
        cluster.agreed(topic, 0).await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_new_instance_aborts_what_the_old_one_left_open_on_other_brokers() {
    let cluster = Cluster::start(3, &settings()).await;
    create_topics(&cluster).await;
    let mut old = Producer::new(&cluster, "transactional").await;
    for topic in TOPICS {
        old.send(topic, "left open").await;
    }
    let mut new = Producer::new(&cluster, "transactional").await;
    assert_eq!(new.id, old.id);
    assert!(new.epoch > old.epoch);
    for topic in TOPICS {
        new.send(topic, "committed").await;
    }
    new.end(true).await;
    for topic in TOPICS {
        assert_eq!(committed(&cluster, topic).await, ["committed"]);
    }
    cluster.stop().await;
}
