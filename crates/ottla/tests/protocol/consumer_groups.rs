//! Consumer groups of the new protocol (KIP-848), as their members and tools see them.

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::ApiKey;
use ottla_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use ottla_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_wire::messages::*;

use crate::groups::ready;
use crate::harness::*;

/// The number of the resource type GROUP (KIP-848).
const GROUP: i8 = 32;
const NO_WAIT: (&str, &str) = ("group.consumer.assignment.interval.ms", "0");

fn joins(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member.into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn beats(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member.into(),
        member_epoch: epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn partitions(answer: &ConsumerGroupHeartbeatResponse) -> Vec<i32> {
    let assignment = answer.assignment.iter();
    let topics = assignment.flat_map(|a| &a.topic_partitions);
    topics.flat_map(|t| t.partitions.clone()).collect()
}

async fn describe(client: &mut Connection, version: i16) -> ConsumerGroupDescribeResponse {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec!["g".into(), "other".into()],
        include_authorized_operations: true,
        ..ConsumerGroupDescribeRequest::default()
    };
    client.ask(version, request).await
}

#[tokio::test]
async fn a_member_lives_its_life_in_every_version() {
    for version in ApiKey::ConsumerGroupHeartbeat.stable_versions() {
        let node = TestNode::start(&[NO_WAIT]).await;
        let mut client = node.connect().await;
        let topic = client.create("t", 3, &[]).await;
        ready(&mut client, "g").await;
        // From version 1 on members choose their ids themselves.
        let own = if version == 0 { "" } else { "m" };
        let joined = client.ask(version, joins(own)).await;
        assert_eq!(
            error(joined.error_code),
            ErrorCode::None,
            "{:?}",
            joined.error_message
        );
        assert_eq!(partitions(&joined), vec![0, 1, 2]);
        assert_eq!(joined.heartbeat_interval_ms, 5_000);
        let member = joined.member_id.unwrap();
        let epoch = joined.member_epoch;
        let beaten = client.ask(version, beats(&member, epoch)).await;
        assert_eq!((beaten.error_code, beaten.assignment), (0, None));
        let fenced = client.ask(version, beats(&member, epoch + 1)).await;
        assert_eq!(error(fenced.error_code), ErrorCode::FencedMemberEpoch);
        assert!(fenced.error_message.is_some());
        let left = client.ask(version, beats(&member, -1)).await;
        assert_eq!((left.error_code, left.member_epoch), (0, -1));
        let gone = client.ask(version, beats(&member, epoch)).await;
        assert_eq!(error(gone.error_code), ErrorCode::UnknownMemberId);
        assert_ne!(topic, Uuid::ZERO);
    }
}

#[tokio::test]
async fn partitions_pass_from_member_to_member_and_a_restart_knows_them() {
    let node = TestNode::start(&[NO_WAIT]).await;
    let mut client = node.connect().await;
    let topic = client.create("t", 4, &[]).await;
    ready(&mut client, "g").await;
    let first = client.ask(1, joins("m1")).await;
    let second = client.ask(1, joins("m2")).await;
    assert!(partitions(&second).is_empty());
    let told = client.ask(1, beats("m1", first.member_epoch)).await;
    let kept = partitions(&told);
    assert_eq!(kept.len(), 2);
    let mut obeys = beats("m1", first.member_epoch);
    obeys.topic_partitions = Some(vec![TopicPartitions {
        topic_id: topic,
        partitions: kept.clone(),
        ..TopicPartitions::default()
    }]);
    assert_eq!(client.ask(1, obeys).await.member_epoch, second.member_epoch);
    let got = client.ask(1, beats("m2", second.member_epoch)).await;
    assert_eq!(partitions(&got).len(), 2);
    assert!(partitions(&got).iter().all(|p| !kept.contains(p)));

    let node = node.restart(&[NO_WAIT]).await;
    let mut client = node.connect().await;
    ready(&mut client, "g").await;
    for version in ApiKey::ConsumerGroupDescribe.stable_versions() {
        let groups = describe(&mut client, version).await.groups;
        let group = &groups[0];
        assert_eq!((group.error_code, &*group.group_state), (0, "Stable"));
        assert_eq!(&*group.assignor_name, "uniform");
        assert_eq!(group.members.len(), 2);
        for member in &group.members {
            assert_eq!(member.member_epoch, group.group_epoch);
            assert_eq!(member.assignment, member.target_assignment);
            let assigned = &member.assignment.topic_partitions[0];
            assert_eq!((&*assigned.topic_name, assigned.partitions.len()), ("t", 2));
            assert_eq!(member.member_type, if version == 0 { -1 } else { 1 });
        }
        assert_eq!(error(groups[1].error_code), ErrorCode::GroupIdNotFound);
    }
    let beaten = client.ask(1, beats("m1", second.member_epoch)).await;
    assert_eq!(beaten.error_code, 0);
    let listed = client.ask(5, ListGroupsRequest::default()).await.groups;
    assert_eq!(&*listed[0].group_type, "Consumer");
    assert_eq!(&*listed[0].protocol_type, "consumer");
}

#[tokio::test]
async fn commits_and_fetches_carry_member_epochs() {
    let node = TestNode::start(&[NO_WAIT]).await;
    let mut client = node.connect().await;
    let topic = client.create("t", 1, &[]).await;
    ready(&mut client, "g").await;
    let epoch = client.ask(1, joins("m")).await.member_epoch;
    let commit = |epoch| OffsetCommitRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        generation_id_or_member_epoch: epoch,
        topics: vec![OffsetCommitRequestTopic {
            topic_id: topic,
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 7,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let fetch = |epoch| OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g".into(),
            member_id: Some("m".into()),
            member_epoch: epoch,
            topics: Some(vec![OffsetFetchRequestTopics {
                topic_id: topic,
                partition_indexes: vec![0],
                ..OffsetFetchRequestTopics::default()
            }]),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    let code = |answer: OffsetCommitResponse| error(answer.topics[0].partitions[0].error_code);
    let stale = ErrorCode::StaleMemberEpoch;
    assert_eq!(code(client.ask(10, commit(epoch)).await), ErrorCode::None);
    assert_eq!(code(client.ask(10, commit(epoch + 1)).await), stale);
    let fetched = client.ask(10, fetch(epoch)).await.groups.remove(0);
    assert_eq!(fetched.topics[0].partitions[0].committed_offset, 7);
    let fetched = client.ask(10, fetch(epoch - 1)).await.groups.remove(0);
    assert_eq!(error(fetched.error_code), stale);
}

#[tokio::test]
async fn clients_are_told_that_consumer_groups_are_there() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let ask = ApiVersionsRequest {
        client_software_name: "tests".into(),
        client_software_version: "1.0".into(),
        ..ApiVersionsRequest::default()
    };
    let answer = client.ask(4, ask.clone()).await;
    let finalized = answer.finalized_features.iter();
    let mut finalized = finalized.filter(|f| &*f.name == "group.version");
    assert_eq!(finalized.next().unwrap().max_version_level, 1);
    assert!(answer.finalized_features_epoch >= 0);
    // Version 3 cannot say that a feature may be off, and leaves it out.
    let answer = client.ask(3, ask).await;
    assert!(answer.supported_features.iter().all(|f| f.min_version > 0));
}

#[tokio::test]
async fn a_groups_own_configuration_reaches_its_members() {
    let node = TestNode::start(&[NO_WAIT]).await;
    let mut client = node.connect().await;
    client.create("t", 1, &[]).await;
    ready(&mut client, "g").await;
    let set = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: GROUP,
            resource_name: "g".into(),
            configs: vec![AlterableConfig {
                name: "consumer.heartbeat.interval.ms".into(),
                value: Some("7000".into()),
                ..AlterableConfig::default()
            }],
            ..AlterConfigsResource::default()
        }],
        ..IncrementalAlterConfigsRequest::default()
    };
    let answer = client.ask(1, set).await.responses.remove(0);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    assert_eq!(client.ask(1, joins("m")).await.heartbeat_interval_ms, 7_000);
}
