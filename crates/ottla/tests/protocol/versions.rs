//! Every API in every version: a valid request has an answer that its version can carry.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_wire::messages::delete_topics_request::DeleteTopicState;
use ottla_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_wire::messages::*;
use ottla_wire::{ApiKey, Reader};

use crate::fetching::fetch_of;
use crate::harness::*;

/// The stable versions of an API from `first` on.
fn versions(api: ApiKey) -> RangeInclusive<i16> {
    api.stable_versions()
}

#[tokio::test]
async fn what_is_advertised_is_what_is_there() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let mut told = BTreeMap::new();
    for version in versions(ApiKey::ApiVersions) {
        let answer = client.ask(version, api_versions()).await;
        assert_eq!(answer.error_code, 0, "version {version}");
        let all = answer
            .api_keys
            .iter()
            .map(|k| (k.api_key, (k.min_version, k.max_version)));
        told = all.collect();
    }
    let served = [
        0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
        32, 33, 34, 35, 37, 42, 43, 44, 45, 46, 47, 48, 49, 55, 57, 60, 61, 64, 65, 66, 68, 69, 71,
        72, 74, 75, 80, 81,
    ];
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), served);
    // librdkafka takes a broker that does not name version 0 for one that cannot produce.
    assert_eq!(told[&0], (0, 13));
    assert_eq!((told[&1], told[&2], told[&22]), ((4, 18), (1, 11), (0, 5)));
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "tests".into(),
        client_software_version: "1.0".into(),
        ..ApiVersionsRequest::default()
    }
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let (id, frame) = client.frame(5, api_versions());
    let mut frame = frame.to_vec();
    frame[6..8].copy_from_slice(&99i16.to_be_bytes());
    tokio::io::AsyncWriteExt::write_all(&mut client.stream, &frame)
        .await
        .unwrap();
    let mut reader = Reader::new(client.next_frame().await.unwrap());
    assert_eq!(reader.i32().unwrap(), id);
    let answer = ApiVersionsResponse::decode(0, &mut reader).unwrap();
    reader.finish().unwrap();
    assert_eq!(error(answer.error_code), ErrorCode::UnsupportedVersion);
    let own: Vec<_> = answer
        .api_keys
        .iter()
        .map(|k| (k.api_key, k.max_version))
        .collect();
    assert_eq!(own, [(18, 5)]);
    assert_eq!(
        client.ask(3, api_versions()).await.error_code,
        0,
        "the connection goes on"
    );
}

#[tokio::test]
async fn api_versions_refuses_software_names_that_are_none_and_other_clusters() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let nameless = ApiVersionsRequest::default();
    let answer = client.ask(4, nameless).await;
    assert_eq!(error(answer.error_code), ErrorCode::InvalidRequest);
    let misrouted = ApiVersionsRequest {
        cluster_id: Some("another".into()),
        node_id: node.kafka().identity.node_id.0,
        ..api_versions()
    };
    let answer = client.ask(5, misrouted).await;
    assert_eq!(error(answer.error_code), ErrorCode::RebootstrapRequired);
}

#[tokio::test]
async fn an_api_that_is_not_advertised_closes_the_connection() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let (_, frame) = client.frame(5, api_versions());
    let mut frame = frame.to_vec();
    // EndTxn, which this node does not have.
    frame[4..6].copy_from_slice(&26i16.to_be_bytes());
    tokio::io::AsyncWriteExt::write_all(&mut client.stream, &frame)
        .await
        .unwrap();
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn topics_are_created_described_grown_and_deleted_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    for version in versions(ApiKey::CreateTopics) {
        let name = format!("made-{version}");
        let request = CreateTopicsRequest {
            topics: vec![new_topic(&name, 2, &[("retention.ms", "5000")])],
            ..CreateTopicsRequest::default()
        };
        let created = client.ask(version, request).await.topics.remove(0);
        assert_eq!((created.error_code, &*created.name), (0, &*name));
        assert_eq!(created.topic_id.is_zero(), version < 7);
        if version >= 5 {
            assert_eq!((created.num_partitions, created.replication_factor), (2, 1));
            let configs = created.configs.unwrap();
            let retention = configs.iter().find(|c| &*c.name == "retention.ms").unwrap();
            assert_eq!(retention.value.as_deref(), Some("5000"));
            assert_eq!(retention.config_source, 1, "a dynamic topic config");
        }
    }
    for version in versions(ApiKey::CreatePartitions) {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: format!("made-{}", version + 2).as_str().into(),
                count: 5,
                assignments: None,
                ..CreatePartitionsTopic::default()
            }],
            ..CreatePartitionsRequest::default()
        };
        let grown = client.ask(version, request).await.results.remove(0);
        assert_eq!(grown.error_code, 0, "{:?}", grown.error_message);
    }
    for version in versions(ApiKey::Metadata) {
        check_metadata(&mut client, version).await;
    }
    for version in versions(ApiKey::DeleteTopics) {
        let name = format!("made-{}", version + 1);
        let mut request = DeleteTopicsRequest::default();
        if version >= 6 {
            let name = Some(name.as_str().into());
            request.topics = vec![DeleteTopicState {
                name,
                ..DeleteTopicState::default()
            }];
        } else {
            request.topic_names = vec![name.as_str().into()];
        }
        let deleted = client.ask(version, request).await.responses.remove(0);
        assert_eq!(
            (deleted.error_code, deleted.name.as_deref()),
            (0, Some(&*name))
        );
    }
}

async fn check_metadata(client: &mut Connection, version: i16) {
    // An empty list is everything in version 0 and nothing later; null is everything.
    let topics = if version == 0 { Some(Vec::new()) } else { None };
    let all = client
        .ask(
            version,
            MetadataRequest {
                topics,
                ..MetadataRequest::default()
            },
        )
        .await;
    assert_eq!(all.topics.len(), 6);
    assert_eq!(all.brokers.len(), 1);
    assert_eq!(all.brokers[0].host.as_str(), "127.0.0.1");
    assert_eq!(all.cluster_id.is_some(), version >= 2);
    for topic in &all.topics {
        assert_eq!(topic.error_code, 0);
        assert_eq!(topic.topic_id.is_zero(), version < 10);
        assert!(
            topic
                .partitions
                .iter()
                .all(|p| p.error_code == 0 && p.leader_id >= 0)
        );
    }
    let grown = all
        .topics
        .iter()
        .find(|t| t.name.as_deref() == Some("made-2"))
        .unwrap();
    let indexes: Vec<_> = grown.partitions.iter().map(|p| p.partition_index).collect();
    assert_eq!(indexes, [0, 1, 2, 3, 4]);
    if version >= 1 {
        let none = MetadataRequest {
            topics: Some(Vec::new()),
            ..MetadataRequest::default()
        };
        assert!(client.ask(version, none).await.topics.is_empty());
    }
}

#[tokio::test]
async fn records_go_in_and_come_out_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("records", 1, &[]).await;
    for (at, version) in (0..).zip(versions(ApiKey::Produce)) {
        let mut request = produce("records", 0, values_batch(&["value"]), -1);
        request.topic_data[0].topic_id = id;
        let mut answer = client.ask(version, request).await;
        let mut topic = answer.responses.remove(0);
        let expected = if version >= 13 {
            ("", id)
        } else {
            ("records", Uuid::ZERO)
        };
        assert_eq!((&*topic.name, topic.topic_id), expected);
        let partition = topic.partition_responses.remove(0);
        assert_eq!(
            (partition.index, partition.error_code, partition.base_offset),
            (0, 0, at)
        );
        assert_eq!(
            partition.log_append_time_ms, -1,
            "the topic keeps the producer's time"
        );
        assert_eq!(
            partition.log_start_offset,
            if version >= 5 { 0 } else { -1 }
        );
    }
    let written = versions(ApiKey::Produce).count() as i64;
    for version in versions(ApiKey::Fetch) {
        let mut answer = client.ask(version, fetch_of("records", id, 0, 3)).await;
        assert_eq!((answer.error_code, answer.session_id), (0, 0));
        let mut topic = answer.responses.remove(0);
        let expected = if version >= 13 {
            ("", id)
        } else {
            ("records", Uuid::ZERO)
        };
        assert_eq!((&*topic.topic, topic.topic_id), expected);
        let partition = topic.partitions.remove(0);
        assert_eq!(
            (partition.error_code, partition.high_watermark),
            (0, written)
        );
        assert_eq!(partition.last_stable_offset, written);
        assert_eq!(
            partition.log_start_offset,
            if version >= 5 { 0 } else { -1 }
        );
        let values = values(&partition.records);
        assert_eq!(values[0], (3, "value".to_owned()));
        assert_eq!(values.len() as i64, written - 3);
    }
}

#[tokio::test]
async fn producer_ids_are_given_in_every_version_and_never_twice() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let mut given = Vec::new();
    for version in versions(ApiKey::InitProducerId) {
        let answer = client.ask(version, no_transactions()).await;
        assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
        given.push(answer.producer_id);
    }
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    given.push(client.producer_id().await);
    let mut unique = given.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), given.len(), "{given:?}");
    let half = InitProducerIdRequest {
        producer_id: 5,
        ..no_transactions()
    };
    assert_eq!(
        error(client.ask(5, half).await.error_code),
        ErrorCode::InvalidRequest
    );
}

#[tokio::test]
async fn the_cluster_and_its_properties_are_described_in_every_version() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client
        .create("topic", 1, &[("max.message.bytes", "2000")])
        .await;
    let own = node.kafka().identity.node_id.0;
    for version in versions(ApiKey::DescribeCluster) {
        let answer = client.ask(version, DescribeClusterRequest::default()).await;
        assert_eq!(
            (answer.error_code, &*answer.cluster_id),
            (0, &*node.kafka().identity.cluster_id.0)
        );
        assert_eq!(answer.controller_id, own);
        let brokers: Vec<_> = answer
            .brokers
            .iter()
            .map(|b| (b.broker_id, b.port))
            .collect();
        assert_eq!(
            brokers,
            [(own, i32::from(node.address("PLAINTEXT").port()))]
        );
    }
    let controllers = DescribeClusterRequest {
        endpoint_type: 2,
        ..Default::default()
    };
    let refused = client.ask(1, controllers).await;
    assert_eq!(error(refused.error_code), ErrorCode::MismatchedEndpointType);
    for version in versions(ApiKey::DescribeConfigs) {
        let resource = |resource_type, name: &str| DescribeConfigsResource {
            resource_type,
            resource_name: name.into(),
            configuration_keys: None,
            ..DescribeConfigsResource::default()
        };
        let own = own.to_string();
        let request = DescribeConfigsRequest {
            resources: vec![
                resource(2, "topic"),
                resource(4, &own),
                resource(2, "missing"),
                resource(4, "77"),
                resource(99, "x"),
            ],
            include_synonyms: true,
            include_documentation: version >= 3,
            ..DescribeConfigsRequest::default()
        };
        let answer = client.ask(version, request).await;
        let codes: Vec<_> = answer.results.iter().map(|r| error(r.error_code)).collect();
        let refused = ErrorCode::InvalidRequest;
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(
            codes,
            [ErrorCode::None, ErrorCode::None, unknown, refused, refused]
        );
        let topic = &answer.results[0].configs;
        let size = topic
            .iter()
            .find(|c| &*c.name == "max.message.bytes")
            .unwrap();
        assert_eq!(
            (size.value.as_deref(), size.config_source),
            (Some("2000"), 1)
        );
        assert!(!size.synonyms.is_empty());
        let documentation = size.documentation.as_deref();
        assert_eq!(documentation.is_some_and(|d| !d.is_empty()), version >= 3);
        assert_eq!(size.config_type != 0, version >= 3);
        assert!(
            answer.results[1]
                .configs
                .iter()
                .any(|c| &*c.name == "log.dirs")
        );
    }
}

#[tokio::test]
async fn everybody_may_do_everything_and_hears_it_when_asking() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let quiet = client
        .ask(
            10,
            MetadataRequest {
                topics: None,
                ..Default::default()
            },
        )
        .await;
    assert_eq!(quiet.topics[0].topic_authorized_operations, i32::MIN);
    assert_eq!(quiet.cluster_authorized_operations, i32::MIN);
    let curious = MetadataRequest {
        topics: None,
        include_cluster_authorized_operations: true,
        include_topic_authorized_operations: true,
        ..MetadataRequest::default()
    };
    let told = client.ask(10, curious).await;
    // What Kafka itself answers without an authorizer.
    assert_eq!(told.topics[0].topic_authorized_operations, 3_576);
    assert_eq!(told.cluster_authorized_operations, 8_096);
    let curious = DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        ..DescribeClusterRequest::default()
    };
    assert_eq!(
        client.ask(2, curious).await.cluster_authorized_operations,
        8_096
    );
}
