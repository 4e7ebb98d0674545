//! Offsets that are committed as part of a transaction (KIP-98, KIP-447, KIP-890).

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::ApiKey;
use ottla_wire::messages::offset_fetch_request::OffsetFetchRequestTopic;
use ottla_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::messages::*;

use crate::groups::ready;
use crate::harness::*;

/// The producers of old, which add the group to the transaction themselves.
const OLD: i16 = 4;
/// The first version that adds the group by itself.
const NEW: i16 = 5;

/// A transactional producer, as its client remembers it.
struct Producer {
    transactional_id: String,
    id: i64,
    epoch: i16,
}

/// Waits until the transaction coordinator has loaded and given the producer its epoch.
async fn producer(client: &mut Connection, transactional_id: &str) -> Producer {
    for _ in 0..1_000 {
        let find = FindCoordinatorRequest {
            key: transactional_id.into(),
            key_type: 1,
            ..FindCoordinatorRequest::default()
        };
        assert_eq!(client.ask(3, find).await.error_code, 0);
        let init = InitProducerIdRequest {
            transactional_id: Some(transactional_id.into()),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        let answer = client.ask(5, init).await;
        match error(answer.error_code) {
            ErrorCode::None => {
                return Producer {
                    transactional_id: transactional_id.to_owned(),
                    id: answer.producer_id,
                    epoch: answer.producer_epoch,
                };
            }
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::ConcurrentTransactions => {}
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the transaction coordinator gives no producer id");
}

impl Producer {
    async fn add_group(&self, client: &mut Connection, group: &str) -> ErrorCode {
        for _ in 0..1_000 {
            let request = AddOffsetsToTxnRequest {
                transactional_id: self.transactional_id.as_str().into(),
                producer_id: self.id,
                producer_epoch: self.epoch,
                group_id: group.into(),
                ..AddOffsetsToTxnRequest::default()
            };
            let answer = error(client.ask(3, request).await.error_code);
            if !must_wait(answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the transaction before does not end");
    }

    fn commit_request(
        &self,
        group: &str,
        topic: (&str, Uuid),
        offset: i64,
    ) -> TxnOffsetCommitRequest {
        TxnOffsetCommitRequest {
            transactional_id: self.transactional_id.as_str().into(),
            group_id: group.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.0.into(),
                topic_id: topic.1,
                partitions: vec![TxnOffsetCommitRequestPartition {
                    partition_index: 0,
                    committed_offset: offset,
                    ..TxnOffsetCommitRequestPartition::default()
                }],
                ..TxnOffsetCommitRequestTopic::default()
            }],
            ..TxnOffsetCommitRequest::default()
        }
    }

    async fn commit(
        &self,
        client: &mut Connection,
        version: i16,
        group: &str,
        topic: (&str, Uuid),
        offset: i64,
    ) -> ErrorCode {
        for _ in 0..1_000 {
            let request = self.commit_request(group, topic, offset);
            let answer = ask(client, version, request).await;
            if !must_wait(answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the transaction before does not end");
    }

    /// Ends the transaction. The markers follow a little later.
    async fn end(&mut self, client: &mut Connection, version: i16, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.as_str().into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
            ..EndTxnRequest::default()
        };
        let answer = client.ask(version, request).await;
        assert_eq!(error(answer.error_code), ErrorCode::None);
        if version >= 5 {
            (self.id, self.epoch) = (answer.producer_id, answer.producer_epoch);
        }
    }
}

/// Clients try again while the transaction before still ends, and while its coordinator loads.
fn must_wait(answer: ErrorCode) -> bool {
    use ErrorCode::{ConcurrentTransactions, CoordinatorLoadInProgress};
    matches!(answer, ConcurrentTransactions | CoordinatorLoadInProgress)
}

async fn ask(client: &mut Connection, version: i16, request: TxnOffsetCommitRequest) -> ErrorCode {
    let topic = client.ask(version, request).await.topics.remove(0);
    assert_eq!(topic.name.is_empty(), version >= 6);
    error(topic.partitions[0].error_code)
}

async fn fetch(
    client: &mut Connection,
    group: &str,
    topic: &str,
    require_stable: bool,
) -> Result<i64, ErrorCode> {
    let request = OffsetFetchRequest {
        group_id: group.into(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: topic.into(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopic::default()
        }]),
        require_stable,
        ..OffsetFetchRequest::default()
    };
    let answer = client.ask(7, request).await;
    assert_eq!(answer.error_code, 0);
    let found = &answer.topics[0].partitions[0];
    match error(found.error_code) {
        ErrorCode::None => Ok(found.committed_offset),
        code => Err(code),
    }
}

/// The offset once no transaction is open any more.
async fn stable(client: &mut Connection, group: &str, topic: &str) -> i64 {
    for _ in 0..1_000 {
        match fetch(client, group, topic, true).await {
            Ok(offset) => return offset,
            Err(ErrorCode::UnstableOffsetCommit) => {}
            Err(other) => panic!("{other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the transaction does not end");
}

const UNSTABLE: Result<i64, ErrorCode> = Err(ErrorCode::UnstableOffsetCommit);

#[tokio::test]
async fn offsets_are_committed_and_dropped_with_their_transaction_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let topic = ("topic", client.create("topic", 1, &[]).await);
    ready(&mut client, "group").await;
    let mut expected = -1;
    for version in ApiKey::TxnOffsetCommit.stable_versions() {
        let name = format!("producer-{version}");
        let mut producer = producer(&mut client, &name).await;
        for committed in [true, false] {
            if version < NEW {
                assert_eq!(
                    producer.add_group(&mut client, "group").await,
                    ErrorCode::None
                );
            }
            let offset = i64::from(version) * 10 + i64::from(committed);
            let answer = producer
                .commit(&mut client, version, "group", topic, offset)
                .await;
            assert_eq!(answer, ErrorCode::None, "version {version}");
            assert_eq!(
                fetch(&mut client, "group", "topic", false).await,
                Ok(expected)
            );
            assert_eq!(fetch(&mut client, "group", "topic", true).await, UNSTABLE);
            let end_version = if version < NEW { 4 } else { 5 };
            producer.end(&mut client, end_version, committed).await;
            if committed {
                expected = offset;
            }
            assert_eq!(stable(&mut client, "group", "topic").await, expected);
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn a_transaction_survives_a_restart_and_ends_after_it() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let topic = ("topic", client.create("topic", 1, &[]).await);
    ready(&mut client, "group").await;
    let mut kept = producer(&mut client, "kept").await;
    let answer = kept.commit(&mut client, NEW, "group", topic, 7).await;
    assert_eq!(answer, ErrorCode::None);
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    assert_eq!(fetch(&mut client, "group", "topic", false).await, Ok(-1));
    assert_eq!(fetch(&mut client, "group", "topic", true).await, UNSTABLE);
    // It goes on, once its coordinator has loaded, too.
    let added = kept.add_group(&mut client, "group").await;
    assert_eq!(added, ErrorCode::None);
    let answer = kept.commit(&mut client, NEW, "group", topic, 8).await;
    assert_eq!(answer, ErrorCode::None);
    kept.end(&mut client, 5, true).await;
    assert_eq!(stable(&mut client, "group", "topic").await, 8);
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    assert_eq!(fetch(&mut client, "group", "topic", true).await, Ok(8));
    node.stop().await;
}

#[tokio::test]
async fn offsets_outside_of_a_transaction_are_refused() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let topic = ("topic", client.create("topic", 1, &[]).await);
    ready(&mut client, "group").await;
    let old = producer(&mut client, "producer").await;
    for (version, expected) in [
        (0, ErrorCode::InvalidTxnState),
        (3, ErrorCode::InvalidTxnState),
        (OLD, ErrorCode::TransactionAbortable),
    ] {
        let answer = old.commit(&mut client, version, "group", topic, 1).await;
        assert_eq!(answer, expected, "version {version}");
    }
    // The next one of the same name fences it.
    let new = producer(&mut client, "producer").await;
    assert_eq!((new.id, new.epoch), (old.id, old.epoch + 1));
    for version in [OLD, NEW] {
        let answer = old.commit(&mut client, version, "group", topic, 1).await;
        assert_eq!(answer, ErrorCode::InvalidProducerEpoch, "version {version}");
    }
    let stranger = Producer {
        transactional_id: "producer".to_owned(),
        id: new.id + 1_000,
        epoch: 0,
    };
    let answer = stranger.commit(&mut client, NEW, "group", topic, 1).await;
    assert_eq!(answer, ErrorCode::InvalidProducerIdMapping);
    assert_eq!(fetch(&mut client, "group", "topic", true).await, Ok(-1));
    node.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_has_an_error_of_its_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let topic = ("topic", client.create("topic", 1, &[]).await);
    ready(&mut client, "group").await;
    let producer = producer(&mut client, "producer").await;
    let missing = ("missing", Uuid([9; 16]));
    for (version, expected) in [
        (NEW, ErrorCode::UnknownTopicOrPartition),
        (6, ErrorCode::UnknownTopicId),
    ] {
        let answer = producer
            .commit(&mut client, version, "group", missing, 1)
            .await;
        assert_eq!(answer, expected);
    }
    for (version, expected) in [
        (NEW, ErrorCode::IllegalGeneration),
        (6, ErrorCode::GroupIdNotFound),
    ] {
        let mut request = producer.commit_request("group", topic, 1);
        request.generation_id_or_member_epoch = 3;
        request.member_id = "member".into();
        assert_eq!(ask(&mut client, version, request).await, expected);
    }
    let nameless = producer.commit_request("", topic, 1);
    let answer = ask(&mut client, NEW, nameless).await;
    assert_eq!(answer, ErrorCode::InvalidGroupId);
    node.stop().await;
}

#[tokio::test]
async fn a_group_that_is_deleted_in_the_middle_of_a_transaction_stays_deleted() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let topic = ("topic", client.create("topic", 1, &[]).await);
    ready(&mut client, "group").await;
    let mut producer = producer(&mut client, "producer").await;
    producer.commit(&mut client, NEW, "group", topic, 7).await;
    let request = DeleteGroupsRequest {
        groups_names: vec!["group".into()],
        ..DeleteGroupsRequest::default()
    };
    assert_eq!(
        client.ask(2, request.clone()).await.results[0].error_code,
        0
    );
    producer.end(&mut client, 5, true).await;
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    assert_eq!(fetch(&mut client, "group", "topic", true).await, Ok(-1));
    let answer = client.ask(2, request).await.results[0].error_code;
    assert_eq!(error(answer), ErrorCode::GroupIdNotFound);
    node.stop().await;
}
