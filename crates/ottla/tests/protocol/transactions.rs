//! Transactions: producers of both versions of the protocol, readers of what is committed, and
//! what people look at when one hangs.

use std::time::Duration;

use ottla_model::{ErrorCode, Uuid};
use ottla_record::BatchOptions;
use ottla_wire::ApiKey;
use ottla_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_wire::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_wire::messages::*;

use crate::fetching::{fetch_of, only};
use crate::harness::*;

/// A transactional producer and its connection.
pub(crate) struct Producer {
    pub(crate) client: Connection,
    pub(crate) transactional_id: &'static str,
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    sequence: i32,
}

/// A node with a topic of two partitions, and few partitions of the internal topics.
pub(crate) async fn node(settings: &[(&str, &str)]) -> TestNode {
    let few = [("transaction.state.log.num.partitions", "2")];
    let settings: Vec<_> = few.iter().chain(settings).copied().collect();
    let node = TestNode::start(&settings).await;
    node.connect().await.create("topic", 2, &[]).await;
    node
}

/// Makes the topic of transactions, and waits until the coordinator of this id answers.
async fn coordinator(client: &mut Connection, transactional_id: &str) {
    let find = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec![transactional_id.into()],
        ..FindCoordinatorRequest::default()
    };
    let found = client.ask(6, find).await.coordinators.remove(0);
    assert_eq!(found.error_code, 0, "{:?}", found.error_message);
    loop {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![transactional_id.into()],
            ..DescribeTransactionsRequest::default()
        };
        let state = client.ask(0, request).await.transaction_states.remove(0);
        if error(state.error_code) != ErrorCode::CoordinatorLoadInProgress {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn init(transactional_id: &str, timeout_ms: i32) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: Some(transactional_id.into()),
        transaction_timeout_ms: timeout_ms,
        ..InitProducerIdRequest::default()
    }
}

impl Producer {
    pub(crate) async fn new(node: &TestNode, transactional_id: &'static str) -> Self {
        Producer::with(node, transactional_id, 5, 60_000).await
    }

    async fn with(
        node: &TestNode,
        transactional_id: &'static str,
        version: i16,
        timeout_ms: i32,
    ) -> Self {
        let mut client = node.connect().await;
        coordinator(&mut client, transactional_id).await;
        // An open transaction of the producer before is aborted first.
        let identity = loop {
            let answer = client
                .ask(version, init(transactional_id, timeout_ms))
                .await;
            match error(answer.error_code) {
                ErrorCode::ConcurrentTransactions => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                ErrorCode::None => break answer,
                other => panic!("version {version}: {other:?}"),
            }
        };
        Producer {
            client,
            transactional_id,
            id: identity.producer_id,
            epoch: identity.producer_epoch,
            sequence: 0,
        }
    }

    /// What Produce says to one value, in a version that names topics by name.
    pub(crate) async fn produce(&mut self, version: i16, partition: i32, value: &str) -> ErrorCode {
        let code = self
            .produce_as(version, partition, value, self.sequence)
            .await;
        if code == ErrorCode::None {
            self.sequence += 1;
        }
        code
    }

    async fn produce_as(
        &mut self,
        version: i16,
        partition: i32,
        value: &str,
        base_sequence: i32,
    ) -> ErrorCode {
        let options = BatchOptions {
            producer_id: self.id,
            producer_epoch: self.epoch,
            base_sequence,
            transactional: true,
            ..BatchOptions::default()
        };
        let bytes = batch(options, &[(now_ms(), None, value)]);
        let mut request = produce("topic", partition, bytes, -1);
        request.transactional_id = Some(self.transactional_id.into());
        let mut answer = self.client.ask(version, request).await;
        error(
            answer
                .responses
                .remove(0)
                .partition_responses
                .remove(0)
                .error_code,
        )
    }

    /// AddPartitionsToTxn of a version for producers: each partition's code.
    async fn add(&mut self, version: i16, partitions: &[i32]) -> Vec<ErrorCode> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.transactional_id.into(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: "topic".into(),
                partitions: partitions.to_vec(),
                ..AddPartitionsToTxnTopic::default()
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        let mut answer = self.client.ask(version, request).await;
        let topic = answer.results_by_topic_v3_and_below.remove(0);
        let results = topic.results_by_partition.iter();
        results.map(|r| error(r.partition_error_code)).collect()
    }

    /// The same, again and again while the transaction before is still being ended.
    async fn add_soon(&mut self, version: i16, partition: i32) {
        loop {
            match self.add(version, &[partition]).await[0] {
                ErrorCode::None => return,
                ErrorCode::ConcurrentTransactions => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn end_request(&self, commit: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.transactional_id.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed: commit,
            ..EndTxnRequest::default()
        }
    }

    /// EndTxn; the producer takes the identity that it is given.
    pub(crate) async fn end(&mut self, version: i16, commit: bool) -> ErrorCode {
        let answer = self.client.ask(version, self.end_request(commit)).await;
        if answer.error_code == 0 && version >= 5 {
            (self.id, self.epoch) = (answer.producer_id, answer.producer_epoch);
            self.sequence = 0;
        }
        error(answer.error_code)
    }

    /// The state of the transactional id.
    async fn state(&mut self) -> describe_transactions_response::TransactionState {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![self.transactional_id.into()],
            ..DescribeTransactionsRequest::default()
        };
        let mut answer = self.client.ask(0, request).await;
        answer.transaction_states.remove(0)
    }

    /// Waits until the transactional id is in this state.
    pub(crate) async fn wait_for(&mut self, state: &str) {
        let wait = async {
            while &*self.state().await.transaction_state != state {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("the transaction does not become {state}"));
    }
}

fn committed_fetch(partition: i32, offset: i64) -> FetchRequest {
    FetchRequest {
        isolation_level: 1,
        ..fetch_of("topic", Uuid::ZERO, partition, offset)
    }
}

/// The values that a reader of committed records sees in a partition.
pub(crate) async fn committed(client: &mut Connection, partition: i32) -> Vec<String> {
    let data = only(client.ask(12, committed_fetch(partition, 0)).await);
    let mut aborted = data.aborted_transactions.clone().unwrap();
    aborted.sort_by_key(|a| a.first_offset);
    let mut open = std::collections::BTreeSet::new();
    let mut seen = Vec::new();
    for batch in batches(&data.records) {
        let header = batch.header();
        while aborted
            .first()
            .is_some_and(|a| a.first_offset <= header.last_offset())
        {
            open.insert(aborted.remove(0).producer_id);
        }
        if header.attributes.is_control() {
            open.remove(&header.producer_id);
        } else if !(header.attributes.is_transactional() && open.contains(&header.producer_id)) {
            let records = batch.records(NO_LIMIT).unwrap();
            let values = records.map(|r| String::from_utf8(r.unwrap().value.unwrap().to_vec()));
            seen.extend(values.map(Result::unwrap));
        }
    }
    seen
}

/// The end of a partition, for a reader of committed records and for any other.
async fn ends(client: &mut Connection, partition: i32) -> (i64, i64) {
    let mut ends = [0; 2];
    for (isolation_level, end) in [(1, 0), (0, 1)] {
        let request = ListOffsetsRequest {
            isolation_level,
            topics: vec![ListOffsetsTopic {
                name: "topic".into(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: partition,
                    timestamp: -1,
                    ..ListOffsetsPartition::default()
                }],
                ..ListOffsetsTopic::default()
            }],
            ..ListOffsetsRequest::default()
        };
        let mut answer = client.ask(11, request).await;
        ends[end] = answer.topics.remove(0).partitions.remove(0).offset;
    }
    (ends[0], ends[1])
}

#[tokio::test]
async fn older_producers_commit_and_abort_in_every_version() {
    let node = node(&[]).await;
    let mut reader = node.connect().await;
    let mut expected = Vec::new();
    let adds = 0..=3i16;
    let mut adds = adds.cycle();
    for version in 0..=4i16 {
        let mut producer = Producer::with(&node, "older", version, 60_000).await;
        for commit in [true, false] {
            let add = adds.next().unwrap();
            producer.add_soon(add, 0).await;
            let value = format!("{version} {commit}");
            assert_eq!(producer.produce(9, 0, &value).await, ErrorCode::None);
            assert_eq!(committed(&mut reader, 0).await, expected);
            assert_eq!(producer.end(version, commit).await, ErrorCode::None);
            let ended = if commit {
                "CompleteCommit"
            } else {
                "CompleteAbort"
            };
            producer.wait_for(ended).await;
            if commit {
                expected.push(value);
            }
            assert_eq!(committed(&mut reader, 0).await, expected);
            assert_eq!(
                producer.end(version, commit).await,
                ErrorCode::None,
                "again"
            );
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn newer_producers_add_partitions_by_producing_and_get_a_new_epoch_each_time() {
    let node = node(&[]).await;
    let mut reader = node.connect().await;
    let mut producer = Producer::new(&node, "newer").await;
    let first = producer.id;
    for round in 0..4i16 {
        assert_eq!((producer.id, producer.epoch), (first, round));
        let value = format!("value {round}");
        assert_eq!(producer.produce(12, 0, &value).await, ErrorCode::None);
        let topics = producer.state().await.topics;
        assert_eq!(
            (&*topics[0].topic, &topics[0].partitions[..]),
            ("topic", &[0][..])
        );
        assert_eq!(producer.end(5, round % 2 == 0).await, ErrorCode::None);
    }
    producer.wait_for("CompleteAbort").await;
    assert_eq!(committed(&mut reader, 0).await, ["value 0", "value 2"]);
    // Four values and four markers.
    assert_eq!(ends(&mut reader, 0).await, (8, 8));
    node.stop().await;
}

#[tokio::test]
async fn a_reader_of_committed_records_waits_for_the_end_of_the_transaction() {
    let node = node(&[]).await;
    let mut producer = Producer::new(&node, "waiting").await;
    assert_eq!(producer.produce(12, 1, "value").await, ErrorCode::None);
    let mut reader = node.connect().await;
    assert_eq!(ends(&mut reader, 1).await, (0, 1));
    let waits = FetchRequest {
        min_bytes: 1,
        max_wait_ms: 60_000,
        ..committed_fetch(1, 0)
    };
    let id = reader.send(12, waits).await;
    assert_eq!(node.broker().open_transactions().0, 1);
    assert_eq!(producer.end(5, true).await, ErrorCode::None);
    let data = only(reader.receive::<FetchRequest>(12, id).await);
    assert_eq!(values(&data.records.clone())[0], (0, "value".to_owned()));
    assert_eq!(data.last_stable_offset, 2);
    assert_eq!(ends(&mut reader, 1).await, (2, 2));
    producer.wait_for("CompleteCommit").await;
    assert_eq!(node.broker().open_transactions(), (0, 0));
    node.stop().await;
}

#[tokio::test]
async fn records_of_a_partition_that_was_not_added_are_refused_in_the_words_of_the_version() {
    let node = node(&[]).await;
    let mut producer = Producer::new(&node, "strict").await;
    assert_eq!(
        producer.produce(10, 0, "v").await,
        ErrorCode::InvalidTxnState
    );
    let abortable = ErrorCode::TransactionAbortable;
    assert_eq!(producer.produce(11, 0, "v").await, abortable);
    assert_eq!(producer.add(3, &[1]).await, [ErrorCode::None]);
    assert_eq!(producer.produce(11, 0, "v").await, abortable);
    assert_eq!(producer.produce(11, 1, "v").await, ErrorCode::None);
    let foreign = Producer {
        client: node.connect().await,
        transactional_id: "nobody",
        ..producer
    };
    let mut foreign = foreign;
    coordinator(&mut foreign.client, "nobody").await;
    let unknown = ErrorCode::InvalidProducerIdMapping;
    assert_eq!(foreign.produce_as(12, 0, "v", 0).await, unknown);
    assert_eq!(foreign.add(0, &[0]).await, [unknown]);
    assert_eq!(foreign.end(5, true).await, unknown);
    node.stop().await;
}

#[tokio::test]
async fn without_verification_older_producers_are_believed() {
    let node = node(&[("transaction.partition.verification.enable", "false")]).await;
    let mut producer = Producer::new(&node, "believed").await;
    assert_eq!(producer.produce(11, 0, "v").await, ErrorCode::None);
    node.stop().await;
}

#[tokio::test]
async fn a_new_producer_fences_the_one_before_and_aborts_its_transaction() {
    let node = node(&[]).await;
    let mut reader = node.connect().await;
    let mut zombie = Producer::new(&node, "owned").await;
    assert_eq!(zombie.produce(12, 0, "lost").await, ErrorCode::None);
    let mut owner = Producer::new(&node, "owned").await;
    assert_eq!((owner.id, owner.epoch), (zombie.id, zombie.epoch + 2));
    let (fenced, old) = (ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch);
    assert_eq!(zombie.produce(12, 0, "late").await, old);
    assert_eq!(zombie.produce(12, 1, "late").await, old);
    assert_eq!(zombie.add(1, &[0]).await, [old]);
    assert_eq!(zombie.add(2, &[0]).await, [fenced]);
    assert_eq!(zombie.end(1, true).await, old);
    assert_eq!(zombie.end(5, true).await, fenced);
    for (version, code) in [(3, old), (4, fenced)] {
        let request = InitProducerIdRequest {
            producer_id: zombie.id,
            producer_epoch: zombie.epoch,
            ..init("owned", 60_000)
        };
        let answer = zombie.client.ask(version, request).await;
        assert_eq!(error(answer.error_code), code);
    }
    assert_eq!(owner.produce(12, 0, "kept").await, ErrorCode::None);
    assert_eq!(owner.end(5, true).await, ErrorCode::None);
    owner.wait_for("CompleteCommit").await;
    assert_eq!(committed(&mut reader, 0).await, ["kept"]);
    node.stop().await;
}

#[tokio::test]
async fn nothing_late_touches_the_next_transaction() {
    let node = node(&[]).await;
    let mut reader = node.connect().await;
    let mut producer = Producer::new(&node, "late").await;
    assert_eq!(producer.produce(12, 0, "first").await, ErrorCode::None);
    let late_commit = producer.end_request(true);
    let late = (producer.id, producer.epoch);
    assert_eq!(producer.end(5, true).await, ErrorCode::None);
    assert_eq!(producer.produce(12, 0, "second").await, ErrorCode::None);
    let now = (producer.id, producer.epoch);
    let answer = producer.client.ask(5, late_commit).await;
    assert_eq!(error(answer.error_code), ErrorCode::ProducerFenced);
    (producer.id, producer.epoch) = late;
    let refused = ErrorCode::InvalidProducerEpoch;
    assert_eq!(producer.produce_as(12, 0, "late", 1).await, refused);
    assert_eq!(producer.produce_as(12, 1, "late", 0).await, refused);
    (producer.id, producer.epoch) = now;
    assert_eq!(committed(&mut reader, 0).await, ["first"]);
    assert_eq!(producer.end(5, false).await, ErrorCode::None);
    producer.wait_for("CompleteAbort").await;
    assert_eq!(committed(&mut reader, 0).await, ["first"]);
    node.stop().await;
}

#[tokio::test]
async fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let node = node(&[(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "10",
    )])
    .await;
    let mut reader = node.connect().await;
    let mut producer = Producer::with(&node, "slow", 5, 100).await;
    assert_eq!(producer.produce(12, 0, "lost").await, ErrorCode::None);
    producer.wait_for("CompleteAbort").await;
    assert_eq!(committed(&mut reader, 0).await, Vec::<String>::new());
    assert_eq!(ends(&mut reader, 0).await, (2, 2));
    assert_eq!(producer.end(5, true).await, ErrorCode::InvalidTxnState);
    assert_eq!(producer.end(5, false).await, ErrorCode::None);
    assert_eq!(producer.produce(12, 0, "kept").await, ErrorCode::None);
    for timeout_ms in [0, 900_001] {
        let answer = producer.client.ask(5, init("slow", timeout_ms)).await;
        let code = ErrorCode::InvalidTransactionTimeout;
        assert_eq!(error(answer.error_code), code);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_transaction_survives_a_restart_of_the_node() {
    let node = node(&[]).await;
    let mut producer = Producer::new(&node, "restart").await;
    assert_eq!(producer.produce(12, 0, "before").await, ErrorCode::None);
    let node = node.restart(&[]).await;
    producer.client = node.connect().await;
    coordinator(&mut producer.client, "restart").await;
    assert_eq!(producer.produce(12, 0, "after").await, ErrorCode::None);
    assert_eq!(producer.end(5, true).await, ErrorCode::None);
    producer.wait_for("CompleteCommit").await;
    let mut reader = node.connect().await;
    assert_eq!(committed(&mut reader, 0).await, ["before", "after"]);
    node.stop().await;
}

#[tokio::test]
async fn a_deleted_topic_does_not_hold_up_the_end_of_a_transaction() {
    let node = node(&[]).await;
    let mut producer = Producer::new(&node, "deleted").await;
    assert_eq!(producer.produce(12, 0, "lost").await, ErrorCode::None);
    let request = DeleteTopicsRequest {
        topic_names: vec!["topic".into()],
        timeout_ms: 5_000,
        ..DeleteTopicsRequest::default()
    };
    let answer = producer.client.ask(5, request).await;
    assert_eq!(answer.responses[0].error_code, 0);
    assert_eq!(producer.end(5, true).await, ErrorCode::None);
    producer.wait_for("CompleteCommit").await;
    node.stop().await;
}

#[tokio::test]
async fn offsets_of_groups_take_part_in_every_version() {
    let node = node(&[]).await;
    let mut producer = Producer::new(&node, "offsets").await;
    for version in ApiKey::AddOffsetsToTxn.stable_versions() {
        let request = AddOffsetsToTxnRequest {
            transactional_id: "offsets".into(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            group_id: "group".into(),
            ..AddOffsetsToTxnRequest::default()
        };
        let answer = producer.client.ask(version, request).await;
        assert_eq!(answer.error_code, 0, "version {version}");
        let topics = producer.state().await.topics;
        assert_eq!(&*topics[0].topic, "__consumer_offsets");
    }
    assert_eq!(producer.end(4, true).await, ErrorCode::None);
    producer.wait_for("CompleteCommit").await;
    node.stop().await;
}

#[tokio::test]
async fn brokers_add_and_verify_partitions_of_several_transactions_at_once() {
    let node = node(&[]).await;
    let mut one = Producer::new(&node, "one").await;
    let two = Producer::new(&node, "two").await;
    for version in 4..=5 {
        let transaction = |p: &Producer, verify_only, partition| AddPartitionsToTxnTransaction {
            transactional_id: p.transactional_id.into(),
            producer_id: p.id,
            producer_epoch: p.epoch,
            verify_only,
            topics: vec![AddPartitionsToTxnTopic {
                name: "topic".into(),
                partitions: vec![partition],
                ..AddPartitionsToTxnTopic::default()
            }],
            ..AddPartitionsToTxnTransaction::default()
        };
        let request = |transactions| AddPartitionsToTxnRequest {
            transactions,
            ..AddPartitionsToTxnRequest::default()
        };
        let transactions = vec![transaction(&one, false, 0), transaction(&two, true, 1)];
        let answer = one.client.ask(version, request(transactions)).await;
        let codes: Vec<_> = answer
            .results_by_transaction
            .iter()
            .map(|r| error(r.topic_results[0].results_by_partition[0].partition_error_code))
            .collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::TransactionAbortable]);
    }
    let codes = one.add(3, &[0, 7]).await;
    let missing = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [ErrorCode::OperationNotAttempted, missing]);
    node.stop().await;
}

#[tokio::test]
async fn transactions_are_listed_by_state_producer_age_and_name() {
    let node = node(&[]).await;
    let mut open = Producer::new(&node, "app-open").await;
    assert_eq!(open.produce(12, 0, "v").await, ErrorCode::None);
    let idle = Producer::new(&node, "app-idle").await;
    let mut client = node.connect().await;
    let mut list = async |version, request: ListTransactionsRequest| {
        let answer = client.ask(version, request).await;
        let states = answer.transaction_states.iter();
        let names: Vec<String> = states.map(|s| s.transactional_id.to_string()).collect();
        (
            error(answer.error_code),
            answer.unknown_state_filters,
            names,
        )
    };
    let all = ListTransactionsRequest::default;
    for version in ApiKey::ListTransactions.stable_versions() {
        let (code, unknown, names) = list(version, all()).await;
        assert_eq!((code, unknown.len()), (ErrorCode::None, 0));
        assert_eq!(names, ["app-idle", "app-open"]);
    }
    let by_state = ListTransactionsRequest {
        state_filters: vec!["Ongoing".into(), "Tired".into()],
        ..all()
    };
    let (_, unknown, names) = list(0, by_state).await;
    assert_eq!(
        (&*unknown[0], &names[..]),
        ("Tired", &["app-open".to_owned()][..])
    );
    let by_producer = ListTransactionsRequest {
        producer_id_filters: vec![idle.id],
        ..all()
    };
    assert_eq!(list(0, by_producer).await.2, ["app-idle"]);
    let old = ListTransactionsRequest {
        state_filters: vec!["Ongoing".into()],
        duration_filter: 3_600_000,
        ..all()
    };
    assert!(list(1, old).await.2.is_empty());
    let named = |pattern: &str| ListTransactionsRequest {
        transactional_id_pattern: Some(pattern.into()),
        ..all()
    };
    assert_eq!(list(2, named("app-o.*")).await.2, ["app-open"]);
    assert!(list(2, named("open")).await.2.is_empty(), "the whole id");
    assert_eq!(list(2, named("")).await.2.len(), 2);
    let code = list(2, named("(")).await.0;
    assert_eq!(code, ErrorCode::InvalidRegularExpression);
    node.stop().await;
}

#[tokio::test]
async fn a_hanging_transaction_can_be_ended_by_hand() {
    let node = node(&[]).await;
    let mut reader = node.connect().await;
    let mut producer = Producer::new(&node, "hanging").await;
    let versions = ApiKey::WriteTxnMarkers.stable_versions();
    for version in versions {
        producer.add_soon(3, 0).await;
        assert_eq!(producer.produce(11, 0, "hangs").await, ErrorCode::None);
        let before = ends(&mut reader, 0).await;
        assert_eq!(before.0 + 1, before.1);
        let marker = WritableTxnMarker {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            topics: vec![WritableTxnMarkerTopic {
                name: "topic".into(),
                partition_indexes: vec![0, 9],
                ..WritableTxnMarkerTopic::default()
            }],
            ..WritableTxnMarker::default()
        };
        let request = WriteTxnMarkersRequest {
            markers: vec![marker],
            ..WriteTxnMarkersRequest::default()
        };
        let answer = reader.ask(version, request).await;
        assert_eq!(answer.markers[0].producer_id, producer.id);
        let partitions = answer.markers[0].topics[0].partitions.iter();
        let codes: Vec<_> = partitions.map(|p| error(p.error_code)).collect();
        let missing = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(codes, [ErrorCode::None, missing]);
        let after = ends(&mut reader, 0).await;
        assert_eq!(after, (before.1 + 1, before.1 + 1));
        assert_eq!(producer.end(4, false).await, ErrorCode::None);
        producer.wait_for("CompleteAbort").await;
    }
    let nothing = reader.ask(1, WriteTxnMarkersRequest::default()).await;
    assert!(nothing.markers.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn unknown_transactional_ids_are_described_as_such() {
    let node = node(&[]).await;
    let mut client = node.connect().await;
    let ask = |ids: &[&str]| DescribeTransactionsRequest {
        transactional_ids: ids.iter().map(|&id| id.into()).collect(),
        ..DescribeTransactionsRequest::default()
    };
    let answer = client.ask(0, ask(&["any"])).await;
    let none_yet = ErrorCode::CoordinatorNotAvailable;
    assert_eq!(error(answer.transaction_states[0].error_code), none_yet);
    coordinator(&mut client, "any").await;
    coordinator(&mut client, "").await;
    let answer = client.ask(0, ask(&["any", "", "any"])).await;
    let states = answer.transaction_states.iter();
    let codes: Vec<_> = states.map(|s| error(s.error_code)).collect();
    let expected = [
        ErrorCode::TransactionalIdNotFound,
        ErrorCode::InvalidRequest,
    ];
    assert_eq!(codes, expected);
    node.stop().await;
}
