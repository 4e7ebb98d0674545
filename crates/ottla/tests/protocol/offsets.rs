//! ListOffsets: timestamps and the names that negative ones stand for.

use ottla_model::ErrorCode;
use ottla_record::BatchOptions;
use ottla_wire::ApiKey;
use ottla_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_wire::messages::list_offsets_response::ListOffsetsPartitionResponse;
use ottla_wire::messages::*;

use crate::harness::*;

fn request(topic: &str, partition: i32, timestamps: &[i64]) -> ListOffsetsRequest {
    let partitions = timestamps.iter().map(|&timestamp| ListOffsetsPartition {
        partition_index: partition,
        timestamp,
        ..ListOffsetsPartition::default()
    });
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.into(),
            partitions: partitions.collect(),
            ..ListOffsetsTopic::default()
        }],
        ..ListOffsetsRequest::default()
    }
}

async fn ask(
    client: &mut Connection,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsPartitionResponse {
    client
        .ask(version, request)
        .await
        .topics
        .remove(0)
        .partitions
        .remove(0)
}

#[tokio::test]
async fn every_version_knows_its_special_timestamps() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let base = now_ms() - 1_000;
    let records = [
        (base, None, "a"),
        (base + 30, None, "b"),
        (base + 20, None, "c"),
    ];
    client
        .produce("topic", 0, batch(BatchOptions::default(), &records))
        .await;
    for version in ApiKey::ListOffsets.stable_versions() {
        let mut found = async |timestamp| {
            let answer = ask(&mut client, version, request("topic", 0, &[timestamp])).await;
            assert_eq!(answer.leader_epoch >= 0, version >= 4 && answer.offset >= 0);
            (error(answer.error_code), answer.offset, answer.timestamp)
        };
        let since = |first, expected| {
            if version >= first {
                expected
            } else {
                (ErrorCode::UnsupportedVersion, -1, -1)
            }
        };
        assert_eq!(found(-1).await, (ErrorCode::None, 3, -1));
        assert_eq!(found(-2).await, (ErrorCode::None, 0, -1));
        assert_eq!(found(-3).await, since(7, (ErrorCode::None, 1, base + 30)));
        assert_eq!(found(-4).await, since(8, (ErrorCode::None, 0, -1)));
        assert_eq!(found(-5).await, since(9, (ErrorCode::None, -1, -1)));
        assert_eq!(found(-6).await, since(11, (ErrorCode::None, -1, -1)));
        assert_eq!(found(-7).await, since(99, (ErrorCode::None, -1, -1)));
        assert_eq!(found(0).await, (ErrorCode::None, 0, base));
        assert_eq!(found(base + 1).await, (ErrorCode::None, 1, base + 30));
        assert_eq!(found(base + 30).await, (ErrorCode::None, 1, base + 30));
        assert_eq!(
            found(base + 31).await,
            (ErrorCode::None, -1, -1),
            "later than all records"
        );
    }
}

#[tokio::test]
async fn an_empty_partition_has_a_start_and_an_end_but_no_records() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    for (timestamp, offset) in [(-1, 0), (-2, 0), (-3, -1), (0, -1)] {
        let answer = ask(&mut client, 8, request("topic", 0, &[timestamp])).await;
        assert_eq!(
            (answer.error_code, answer.offset),
            (0, offset),
            "{timestamp}"
        );
    }
}

#[tokio::test]
async fn wrong_questions_have_kafkas_errors() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let missing = ErrorCode::UnknownTopicOrPartition;
    let answer = ask(&mut client, 8, request("missing", 0, &[-1])).await;
    assert_eq!((error(answer.error_code), answer.offset), (missing, -1));
    let answer = ask(&mut client, 8, request("topic", 4, &[-1])).await;
    assert_eq!(error(answer.error_code), missing);
    let mut epoch = request("topic", 0, &[-1]);
    epoch.topics[0].partitions[0].current_leader_epoch = 3;
    let answer = ask(&mut client, 8, epoch).await;
    assert_eq!(error(answer.error_code), ErrorCode::UnknownLeaderEpoch);
    // Kafka answers a partition that is named twice with an error.
    let twice = client
        .ask(8, request("topic", 0, &[-1, -2]))
        .await
        .topics
        .remove(0);
    let codes: Vec<_> = twice
        .partitions
        .iter()
        .map(|p| error(p.error_code))
        .collect();
    assert!(codes.contains(&ErrorCode::InvalidRequest), "{codes:?}");
}
