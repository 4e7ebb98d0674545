//! What tools ask of a cluster: elections, moves of partitions, levels of features. With one node
//! most of it is refused, in Kafka's words.

use std::collections::BTreeMap;

use ottla_model::ErrorCode;
use ottla_wire::ApiKey;
use ottla_wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_wire::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic,
};
use ottla_wire::messages::elect_leaders_request::TopicPartitions;
use ottla_wire::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use ottla_wire::messages::update_features_request::FeatureUpdateKey;
use ottla_wire::messages::*;

use crate::harness::*;

#[tokio::test]
async fn elections_that_are_not_needed_are_not_held_in_any_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 2, &[]).await;
    for version in ApiKey::ElectLeaders.stable_versions() {
        let topic = |topic: &str, partitions: &[i32]| TopicPartitions {
            topic: topic.into(),
            partitions: partitions.to_vec(),
            ..TopicPartitions::default()
        };
        let request = |topic_partitions| ElectLeadersRequest {
            topic_partitions,
            timeout_ms: 5_000,
            ..ElectLeadersRequest::default()
        };
        let some = vec![topic("topic", &[0, 1, 1, 7]), topic("other", &[0])];
        let answer = client.ask(version, request(Some(some))).await;
        assert_eq!(error(answer.error_code), ErrorCode::None);
        let results = answer.replica_election_results.iter();
        let told: Vec<_> = results
            .flat_map(|topic| {
                let partitions = topic.partition_result.iter();
                partitions.map(|p| (topic.topic.to_string(), p.partition_id, error(p.error_code)))
            })
            .collect();
        let expected = [
            ("topic", 0, ErrorCode::ElectionNotNeeded),
            ("topic", 1, ErrorCode::ElectionNotNeeded),
            ("topic", 7, ErrorCode::UnknownTopicOrPartition),
            ("other", 0, ErrorCode::UnknownTopicOrPartition),
        ];
        assert_eq!(told, expected.map(|(t, p, code)| (t.to_owned(), p, code)));
        let all = client.ask(version, request(None)).await;
        assert_eq!(all.replica_election_results, []);
    }
    let strange = ElectLeadersRequest {
        election_type: 9,
        ..ElectLeadersRequest::default()
    };
    let answer = client.ask(2, strange).await;
    assert_eq!(error(answer.error_code), ErrorCode::InvalidRequest);
    node.stop().await;
}

async fn reassign(
    client: &mut Connection,
    version: i16,
    topic: &str,
    replicas: Option<Vec<i32>>,
) -> (ErrorCode, String) {
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: 5_000,
        topics: vec![ReassignableTopic {
            name: topic.into(),
            partitions: vec![ReassignablePartition {
                partition_index: 0,
                replicas,
                ..ReassignablePartition::default()
            }],
            ..ReassignableTopic::default()
        }],
        ..AlterPartitionReassignmentsRequest::default()
    };
    let mut answer = client.ask(version, request).await;
    assert_eq!(error(answer.error_code), ErrorCode::None);
    let mut result = answer.responses.remove(0);
    assert_eq!(&*result.name, topic);
    let result = result.partitions.remove(0);
    let message = result.error_message.map(|message| message.to_string());
    (error(result.error_code), message.unwrap_or_default())
}

#[tokio::test]
async fn moves_of_partitions_are_begun_listed_and_refused_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let own = node.kafka().identity.node_id.0;
    for version in ApiKey::AlterPartitionReassignments.stable_versions() {
        // It is there already.
        let there = reassign(&mut client, version, "topic", Some(vec![own])).await;
        assert_eq!(there, (ErrorCode::None, String::new()));
        let elsewhere = reassign(&mut client, version, "topic", Some(vec![own + 1])).await;
        assert_eq!(elsewhere.0, ErrorCode::InvalidReplicaAssignment);
        assert!(elsewhere.1.contains("not registered"), "{}", elsewhere.1);
        let cancel = reassign(&mut client, version, "topic", None).await;
        assert_eq!(cancel.0, ErrorCode::NoReassignmentInProgress);
        let unknown = reassign(&mut client, version, "other", Some(vec![own])).await;
        assert_eq!(unknown.0, ErrorCode::UnknownTopicOrPartition);
    }
    let one = ListPartitionReassignmentsTopics {
        name: "topic".into(),
        partition_indexes: vec![0, 1],
        ..ListPartitionReassignmentsTopics::default()
    };
    for topics in [None, Some(vec![one])] {
        let request = ListPartitionReassignmentsRequest {
            topics,
            ..ListPartitionReassignmentsRequest::default()
        };
        let answer = client.ask(0, request).await;
        assert_eq!(
            (error(answer.error_code), answer.topics),
            (ErrorCode::None, vec![])
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_not_registered_cannot_be_forgotten() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let request = UnregisterBrokerRequest {
        broker_id: 77,
        ..UnregisterBrokerRequest::default()
    };
    let answer = client.ask(0, request).await;
    assert_eq!(error(answer.error_code), ErrorCode::BrokerIdNotRegistered);
    assert_eq!(
        answer.error_message.as_deref(),
        Some("Broker ID 77 is not currently registered")
    );
    node.stop().await;
}

/// The finalized levels, by feature.
async fn levels(client: &mut Connection) -> BTreeMap<String, i16> {
    let request = ApiVersionsRequest {
        client_software_name: "tests".into(),
        client_software_version: "1.0".into(),
        ..ApiVersionsRequest::default()
    };
    let answer = client.ask(4, request).await;
    let supported = |name: &str| {
        let keys = answer.supported_features.iter();
        keys.clone().find(|key| &*key.name == name).cloned()
    };
    let keys = answer.finalized_features.iter();
    keys.map(|key| {
        let supported = supported(&key.name).unwrap();
        assert_eq!(key.min_version_level, key.max_version_level);
        assert!(supported.min_version <= key.max_version_level);
        assert!(key.max_version_level <= supported.max_version);
        (key.name.to_string(), key.max_version_level)
    })
    .collect()
}

fn update(level: i16, upgrade_type: i8, version: i16) -> UpdateFeaturesRequest {
    UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: "group.version".into(),
            max_version_level: level,
            upgrade_type: if version == 0 { 1 } else { upgrade_type },
            allow_downgrade: version == 0 && upgrade_type != 1,
            ..FeatureUpdateKey::default()
        }],
        ..UpdateFeaturesRequest::default()
    }
}

#[tokio::test]
async fn features_have_levels_that_go_up_and_down_and_outlive_a_restart() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let before = levels(&mut client).await;
    assert_eq!(
        (before["metadata.version"], before["group.version"]),
        (33, 1)
    );
    assert_eq!(before["transaction.version"], 2);
    for version in ApiKey::UpdateFeatures.stable_versions() {
        let upgrade_only = client.ask(version, update(0, 1, version)).await;
        assert_eq!(
            error(upgrade_only.error_code),
            ErrorCode::InvalidUpdateVersion
        );
        let message = upgrade_only.error_message.unwrap();
        assert!(message.contains("group.version"), "{message}");
        if version > 0 {
            let only_said = UpdateFeaturesRequest {
                validate_only: true,
                ..update(0, 2, version)
            };
            let answer = client.ask(version, only_said).await;
            assert_eq!(error(answer.error_code), ErrorCode::None);
            assert_eq!(levels(&mut client).await, before);
        }
        let down = client.ask(version, update(0, 2, version)).await;
        assert_eq!(error(down.error_code), ErrorCode::None);
        assert_eq!(down.results.len(), usize::from(version <= 1));
        assert!(!levels(&mut client).await.contains_key("group.version"));
        let up = client.ask(version, update(1, 1, version)).await;
        assert_eq!(error(up.error_code), ErrorCode::None);
        assert_eq!(levels(&mut client).await, before);
    }
    let strange = client.ask(2, update(1, 9, 2)).await;
    assert_eq!(error(strange.error_code), ErrorCode::InvalidUpdateVersion);
    let down = client.ask(2, update(0, 2, 2)).await;
    assert_eq!(error(down.error_code), ErrorCode::None);
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    assert!(!levels(&mut client).await.contains_key("group.version"));
    node.stop().await;
}

#[tokio::test]
async fn replicas_stay_in_the_one_folder_of_a_broker() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let described = client.ask(4, DescribeLogDirsRequest::default()).await;
    let own = described.results[0].log_dir.to_string();
    for version in ApiKey::AlterReplicaLogDirs.stable_versions() {
        let dir = |path: &str| AlterReplicaLogDir {
            path: path.into(),
            topics: ["topic", "other"]
                .map(|name| AlterReplicaLogDirTopic {
                    name: name.into(),
                    partitions: vec![0],
                    ..AlterReplicaLogDirTopic::default()
                })
                .to_vec(),
            ..AlterReplicaLogDir::default()
        };
        let request = AlterReplicaLogDirsRequest {
            dirs: vec![dir(&own), dir("/elsewhere")],
            ..AlterReplicaLogDirsRequest::default()
        };
        let answer = client.ask(version, request).await;
        let results = answer.results.iter();
        let told: Vec<_> = results
            .map(|topic| error(topic.partitions[0].error_code))
            .collect();
        let expected = [
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::LogDirNotFound,
            ErrorCode::LogDirNotFound,
        ];
        assert_eq!(told, expected);
    }
    node.stop().await;
}
