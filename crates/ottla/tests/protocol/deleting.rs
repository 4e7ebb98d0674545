//! What people delete by hand: groups and committed offsets.

use ottla_model::ErrorCode;
use ottla_wire::ApiKey;
use ottla_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_wire::messages::offset_fetch_request::OffsetFetchRequestTopic;
use ottla_wire::messages::*;

use crate::groups::{join_request, ready};
use crate::harness::*;

async fn commit(client: &mut Connection, group: &str, topic: &str, offsets: &[i64]) {
    let partitions = (0..)
        .zip(offsets)
        .map(
            |(partition_index, &committed_offset)| OffsetCommitRequestPartition {
                partition_index,
                committed_offset,
                ..OffsetCommitRequestPartition::default()
            },
        );
    let request = OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.into(),
            partitions: partitions.collect(),
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let answer = client.ask(9, request).await;
    let codes = answer.topics[0].partitions.iter().map(|p| p.error_code);
    assert!(codes.into_iter().all(|code| code == 0));
}

/// The committed offset of each of two partitions, -1 for none.
async fn committed(client: &mut Connection, group: &str, topic: &str) -> Vec<i64> {
    let request = OffsetFetchRequest {
        group_id: group.into(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: topic.into(),
            partition_indexes: vec![0, 1],
            ..OffsetFetchRequestTopic::default()
        }]),
        ..OffsetFetchRequest::default()
    };
    let topic = client.ask(7, request).await.topics.remove(0);
    assert!(topic.partitions.iter().all(|p| p.error_code == 0));
    topic
        .partitions
        .iter()
        .map(|p| p.committed_offset)
        .collect()
}

async fn delete_groups(
    client: &mut Connection,
    version: i16,
    groups: &[&str],
) -> Vec<(String, ErrorCode)> {
    let request = DeleteGroupsRequest {
        groups_names: groups.iter().map(|&g| g.into()).collect(),
        ..DeleteGroupsRequest::default()
    };
    let results = client.ask(version, request).await.results;
    let results = results.iter();
    results
        .map(|r| (r.group_id.to_string(), error(r.error_code)))
        .collect()
}

#[tokio::test]
async fn groups_are_deleted_with_their_offsets_in_every_version_and_for_good() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 2, &[]).await;
    for version in ApiKey::DeleteGroups.stable_versions() {
        let group = format!("group-{version}");
        ready(&mut client, &group).await;
        commit(&mut client, &group, "topic", &[5, 6]).await;
        let answer = delete_groups(&mut client, version, &[&group, "unknown", &group]).await;
        let unknown = ("unknown".to_owned(), ErrorCode::GroupIdNotFound);
        assert_eq!(answer, [(group.clone(), ErrorCode::None), unknown]);
        assert_eq!(committed(&mut client, &group, "topic").await, [-1, -1]);
    }
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group-0").await;
    assert_eq!(committed(&mut client, "group-0", "topic").await, [-1, -1]);
    node.stop().await;
}

#[tokio::test]
async fn a_group_with_members_is_not_deleted() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    ready(&mut client, "group").await;
    assert_eq!(client.ask(3, join_request("group", "")).await.error_code, 0);
    let answer = delete_groups(&mut client, 2, &["group"]).await;
    assert_eq!(answer[0].1, ErrorCode::NonEmptyGroup);
    node.stop().await;
}

fn offset_delete(group: &str, topics: &[(&str, &[i32])]) -> OffsetDeleteRequest {
    let topics = topics.iter().map(|(name, partitions)| {
        let partitions = partitions
            .iter()
            .map(|&partition_index| OffsetDeleteRequestPartition { partition_index });
        OffsetDeleteRequestTopic {
            name: (*name).into(),
            partitions: partitions.collect(),
        }
    });
    OffsetDeleteRequest {
        group_id: group.into(),
        topics: topics.collect(),
    }
}

#[tokio::test]
async fn offsets_are_deleted_one_by_one() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 2, &[]).await;
    ready(&mut client, "group").await;
    commit(&mut client, "group", "topic", &[5, 6]).await;
    let request = offset_delete("group", &[("missing", &[0]), ("topic", &[7, 1])]);
    let answer = client.ask(0, request).await;
    assert_eq!(answer.error_code, 0);
    let codes: Vec<_> = answer
        .topics
        .iter()
        .flat_map(|t| {
            t.partitions
                .iter()
                .map(|p| (&*t.name, p.partition_index, error(p.error_code)))
        })
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(
        codes,
        [
            ("missing", 0, unknown),
            ("topic", 7, unknown),
            ("topic", 1, ErrorCode::None)
        ]
    );
    assert_eq!(committed(&mut client, "group", "topic").await, [5, -1]);
    let answer = client
        .ask(0, offset_delete("nobody", &[("topic", &[0])]))
        .await;
    assert_eq!(error(answer.error_code), ErrorCode::GroupIdNotFound);
    assert!(answer.topics.is_empty());
    node.stop().await;
}
