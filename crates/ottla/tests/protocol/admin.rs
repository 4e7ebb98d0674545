//! What tools ask a node about itself and its logs.

use ottla_model::ErrorCode;
use ottla_record::BatchOptions;
use ottla_wire::ApiKey;
use ottla_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_wire::messages::describe_log_dirs_request::DescribableLogDirTopic;
use ottla_wire::messages::describe_producers_request::TopicRequest;
use ottla_wire::messages::describe_quorum_request;
use ottla_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_wire::messages::*;

use crate::fetching::fetch_of;
use crate::groups::ready;
use crate::harness::*;

async fn delete_records(
    client: &mut Connection,
    version: i16,
    topic: &str,
    wanted: &[(i32, i64)],
) -> Vec<(i32, i64, ErrorCode)> {
    let partitions = wanted
        .iter()
        .map(|&(partition_index, offset)| DeleteRecordsPartition {
            partition_index,
            offset,
            ..DeleteRecordsPartition::default()
        });
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: topic.into(),
            partitions: partitions.collect(),
            ..DeleteRecordsTopic::default()
        }],
        timeout_ms: 1_000,
        ..DeleteRecordsRequest::default()
    };
    let answer = client.ask(version, request).await.topics.remove(0);
    assert_eq!(&*answer.name, topic);
    let partitions = answer.partitions.iter();
    partitions
        .map(|p| (p.partition_index, p.low_watermark, error(p.error_code)))
        .collect()
}

#[tokio::test]
async fn deleted_records_are_gone_in_every_version_and_after_a_restart() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client
        .append("topic", &["a", "b", "c", "d", "e", "f"])
        .await;
    for (version, offset) in ApiKey::DeleteRecords.stable_versions().zip(1..) {
        let answer = delete_records(&mut client, version, "topic", &[(0, offset)]).await;
        assert_eq!(answer, [(0, offset, ErrorCode::None)]);
    }
    // What is gone already does not come back.
    let answer = delete_records(&mut client, 2, "topic", &[(0, 1)]).await;
    assert_eq!(answer, [(0, 3, ErrorCode::None)]);
    let refused = client.ask(12, fetch_of("topic", id, 0, 2)).await;
    let code = refused.responses[0].partitions[0].error_code;
    assert_eq!(error(code), ErrorCode::OffsetOutOfRange);
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    let answer = delete_records(&mut client, 2, "topic", &[(0, 0)]).await;
    assert_eq!(answer, [(0, 3, ErrorCode::None)]);
    let answer = delete_records(&mut client, 2, "topic", &[(0, -1)]).await;
    assert_eq!(answer, [(0, 6, ErrorCode::None)]);
    assert_eq!(client.append("topic", &["g"]).await, 6);
    node.stop().await;
}

#[tokio::test]
async fn records_that_cannot_be_deleted_are_refused_with_kafkas_errors() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let compact = [("cleanup.policy", "compact")];
    client.create("compact", 1, &compact).await;
    let both = [("cleanup.policy", "compact,delete")];
    client.create("both", 1, &both).await;
    ready(&mut client, "group").await;
    for (topic, partition, offset, expected) in [
        ("topic", 0, 1, ErrorCode::OffsetOutOfRange),
        ("topic", 0, -2, ErrorCode::OffsetOutOfRange),
        ("topic", 1, 0, ErrorCode::UnknownTopicOrPartition),
        ("missing", 0, 0, ErrorCode::UnknownTopicOrPartition),
        ("compact", 0, 0, ErrorCode::PolicyViolation),
        ("__consumer_offsets", 0, 0, ErrorCode::InvalidTopicException),
    ] {
        let answer = delete_records(&mut client, 2, topic, &[(partition, offset)]).await;
        assert_eq!(answer, [(partition, -1, expected)], "{topic} {offset}");
    }
    let answer = delete_records(&mut client, 2, "both", &[(0, 0)]).await;
    assert_eq!(answer, [(0, 0, ErrorCode::None)]);
    node.stop().await;
}

async fn end_of_epoch(
    client: &mut Connection,
    version: i16,
    topic: &str,
    (current_leader_epoch, leader_epoch): (i32, i32),
) -> (ErrorCode, i32, i64) {
    let request = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: topic.into(),
            partitions: vec![OffsetForLeaderPartition {
                partition: 0,
                current_leader_epoch,
                leader_epoch,
                ..OffsetForLeaderPartition::default()
            }],
            ..OffsetForLeaderTopic::default()
        }],
        ..OffsetForLeaderEpochRequest::default()
    };
    let mut answer = client.ask(version, request).await.topics.remove(0);
    let found = answer.partitions.remove(0);
    (
        error(found.error_code),
        found.leader_epoch,
        found.end_offset,
    )
}

#[tokio::test]
async fn a_leaders_term_ends_where_the_log_ends() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    for version in ApiKey::OffsetForLeaderEpoch.stable_versions() {
        // The leader knows its own term before it has written anything in it.
        let answer = end_of_epoch(&mut client, version, "topic", (-1, 0)).await;
        assert_eq!(answer, (ErrorCode::None, 0, 0));
    }
    client.append("topic", &["a", "b"]).await;
    for version in ApiKey::OffsetForLeaderEpoch.stable_versions() {
        let mut ask = async |epochs| end_of_epoch(&mut client, version, "topic", epochs).await;
        assert_eq!(ask((0, 0)).await, (ErrorCode::None, 0, 2));
        assert_eq!(ask((-1, -1)).await, (ErrorCode::None, -1, -1));
        assert_eq!(ask((-1, 5)).await, (ErrorCode::None, -1, -1));
        let unknown = ErrorCode::UnknownLeaderEpoch;
        assert_eq!(ask((5, 0)).await, (unknown, -1, -1));
        let fenced = ErrorCode::FencedLeaderEpoch;
        assert_eq!(ask((-2, 0)).await, (fenced, -1, -1));
        let missing = end_of_epoch(&mut client, version, "missing", (-1, 0)).await;
        assert_eq!(missing, (ErrorCode::UnknownTopicOrPartition, -1, -1));
    }
    node.stop().await;
}

#[tokio::test]
async fn the_data_folder_is_described_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 2, &[]).await;
    client.create("other", 1, &[]).await;
    client.append("topic", &["value"]).await;
    let written = values_batch(&["value"]).len() as i64;
    for version in ApiKey::DescribeLogDirs.stable_versions() {
        let all = DescribeLogDirsRequest {
            topics: None,
            ..DescribeLogDirsRequest::default()
        };
        let answer = client.ask(version, all).await;
        assert_eq!(answer.error_code, 0);
        let [dir] = answer.results.as_slice() else {
            panic!("{answer:?}");
        };
        assert_eq!(&*dir.log_dir, node.dir().to_str().unwrap());
        assert_eq!(dir.error_code, 0);
        let sizes: Vec<_> = dir
            .topics
            .iter()
            .flat_map(|t| {
                let partitions = t.partitions.iter();
                partitions.map(|p| (&*t.name, p.partition_index, p.partition_size, p.offset_lag))
            })
            .collect();
        let expected = [
            ("other", 0, 0, 0),
            ("topic", 0, written, 0),
            ("topic", 1, 0, 0),
        ];
        assert_eq!(sizes, expected);
        if version >= 4 {
            assert!(dir.total_bytes >= dir.usable_bytes && dir.usable_bytes > 0);
        } else {
            assert_eq!((dir.total_bytes, dir.usable_bytes), (-1, -1));
        }
        let some = DescribeLogDirsRequest {
            topics: Some(vec![DescribableLogDirTopic {
                topic: "topic".into(),
                partitions: vec![1, 7],
                ..DescribableLogDirTopic::default()
            }]),
            ..DescribeLogDirsRequest::default()
        };
        let answer = client.ask(version, some).await;
        let topics = &answer.results[0].topics;
        assert_eq!((topics.len(), topics[0].partitions.len()), (1, 1));
        assert_eq!(topics[0].partitions[0].partition_index, 1);
    }
    node.stop().await;
}

#[tokio::test]
async fn producers_are_described_with_their_last_sequence() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let options = BatchOptions {
        producer_id: client.producer_id().await,
        producer_epoch: 0,
        base_sequence: 0,
        ..BatchOptions::default()
    };
    let now = now_ms();
    let records = [(now, None, "a"), (now, None, "b")];
    let written = client.produce("topic", 0, batch(options, &records)).await;
    assert_eq!(written.error_code, 0);
    let topic = |name: &str, partitions: &[i32]| TopicRequest {
        name: name.into(),
        partition_indexes: partitions.to_vec(),
        ..TopicRequest::default()
    };
    let request = DescribeProducersRequest {
        topics: vec![
            topic("topic", &[0, 1]),
            topic("missing", &[0]),
            topic("in valid", &[0]),
        ],
        ..DescribeProducersRequest::default()
    };
    let answer = client.ask(0, request).await;
    let codes: Vec<_> = answer
        .topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| error(p.error_code)))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let invalid = ErrorCode::InvalidTopicException;
    assert_eq!(codes, [ErrorCode::None, unknown, unknown, invalid]);
    let [producer] = answer.topics[0].partitions[0].active_producers.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!(producer.producer_id, options.producer_id);
    assert_eq!((producer.producer_epoch, producer.last_sequence), (0, 1));
    assert_eq!(producer.last_timestamp, now);
    assert_eq!(producer.current_txn_start_offset, -1);
    node.stop().await;
}

fn quorum_of(topic: &str, partition: i32) -> DescribeQuorumRequest {
    DescribeQuorumRequest {
        topics: vec![describe_quorum_request::TopicData {
            topic_name: topic.into(),
            partitions: vec![describe_quorum_request::PartitionData {
                partition_index: partition,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..DescribeQuorumRequest::default()
    }
}

#[tokio::test]
async fn the_quorum_is_described_in_every_version_and_grows_with_the_metadata() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let own = node.kafka().identity.clone();
    let mut ends = Vec::new();
    for version in ApiKey::DescribeQuorum.stable_versions() {
        let before = now_ms();
        let answer = client
            .ask(version, quorum_of("__cluster_metadata", 0))
            .await;
        assert_eq!(answer.error_code, 0);
        let partition = &answer.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        assert_eq!(
            (partition.leader_id, partition.leader_epoch),
            (own.node_id.0, 1)
        );
        assert!(partition.observers.is_empty());
        let [voter] = partition.current_voters.as_slice() else {
            panic!("{answer:?}");
        };
        assert_eq!(voter.replica_id, own.node_id.0);
        assert_eq!(voter.log_end_offset, partition.high_watermark);
        assert_eq!(voter.last_fetch_timestamp >= before, version >= 1);
        if version >= 2 {
            assert_eq!(voter.replica_directory_id, own.directory_id);
            let listener = &answer.nodes[0].listeners[0];
            let port = node.address("PLAINTEXT").port();
            assert_eq!((&*listener.name, listener.port), ("PLAINTEXT", port));
        }
        ends.push(partition.high_watermark);
        client.create(&format!("topic-{version}"), 1, &[]).await;
    }
    assert!(ends.is_sorted_by(|a, b| a < b), "{ends:?}");
    for (topic, partition) in [("__cluster_metadata", 1), ("topic-0", 0)] {
        let answer = client.ask(2, quorum_of(topic, partition)).await;
        let code = answer.topics[0].partitions[0].error_code;
        assert_eq!(error(code), ErrorCode::UnknownTopicOrPartition);
    }
    // Every start is a new term.
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    let answer = client.ask(2, quorum_of("__cluster_metadata", 0)).await;
    assert_eq!(answer.topics[0].partitions[0].leader_epoch, 2);
    node.stop().await;
}
