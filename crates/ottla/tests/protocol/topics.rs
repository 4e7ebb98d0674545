//! Topics: creation with all its refusals, metadata, and pages of partitions.

use std::time::Duration;

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::Text;
use ottla_wire::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use ottla_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use ottla_wire::messages::delete_topics_request::DeleteTopicState;
use ottla_wire::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ottla_wire::messages::metadata_request::MetadataRequestTopic;
use ottla_wire::messages::metadata_response::MetadataResponseTopic;
use ottla_wire::messages::*;

use crate::fetching::{fetch_of, only};
use crate::harness::*;

async fn create(client: &mut Connection, topics: Vec<CreatableTopic>) -> Vec<ErrorCode> {
    let request = CreateTopicsRequest {
        topics,
        ..CreateTopicsRequest::default()
    };
    let answer = client.ask(7, request).await;
    answer
        .topics
        .iter()
        .for_each(|t| assert_eq!(t.error_message.is_some(), t.error_code != 0));
    answer.topics.iter().map(|t| error(t.error_code)).collect()
}

#[tokio::test]
async fn creation_is_refused_with_kafkas_errors() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("there", 1, &[]).await;
    let replicated = |factor| CreatableTopic {
        replication_factor: factor,
        ..new_topic("r", 1, &[])
    };
    let long = "x".repeat(250);
    let cases = [
        (new_topic("there", 1, &[]), ErrorCode::TopicAlreadyExists),
        (
            new_topic("not a name", 1, &[]),
            ErrorCode::InvalidTopicException,
        ),
        (new_topic("", 1, &[]), ErrorCode::InvalidTopicException),
        (new_topic("..", 1, &[]), ErrorCode::InvalidTopicException),
        (new_topic(&long, 1, &[]), ErrorCode::InvalidTopicException),
        (new_topic("zero", 0, &[]), ErrorCode::InvalidPartitions),
        (new_topic("negative", -5, &[]), ErrorCode::InvalidPartitions),
        (replicated(2), ErrorCode::InvalidReplicationFactor),
        (replicated(0), ErrorCode::InvalidReplicationFactor),
        (
            new_topic("c", 1, &[("no.such.config", "1")]),
            ErrorCode::InvalidConfig,
        ),
        (
            new_topic("c", 1, &[("retention.ms", "soon")]),
            ErrorCode::InvalidConfig,
        ),
        (
            new_topic("c", 1, &[("segment.bytes", "1")]),
            ErrorCode::InvalidConfig,
        ),
    ];
    for (topic, expected) in cases {
        let name = topic.name.clone();
        assert_eq!(create(&mut client, vec![topic]).await, [expected], "{name}");
    }
    let twice = vec![new_topic("twice", 1, &[]), new_topic("twice", 1, &[])];
    assert_eq!(
        create(&mut client, twice).await,
        [ErrorCode::InvalidRequest]
    );
}

#[tokio::test]
async fn creation_can_only_be_tried_out_and_can_name_its_brokers() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let request = CreateTopicsRequest {
        topics: vec![new_topic("dry", 3, &[])],
        validate_only: true,
        ..CreateTopicsRequest::default()
    };
    let tried = client.ask(7, request).await.topics.remove(0);
    assert_eq!((tried.error_code, tried.num_partitions), (0, 3));
    let manual = |broker| CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: vec![broker],
            ..CreatableReplicaAssignment::default()
        }],
        ..new_topic("manual", 1, &[])
    };
    let refused = create(&mut client, vec![manual(99)]).await;
    assert_eq!(refused, [ErrorCode::InvalidReplicaAssignment]);
    let own = node.kafka().identity.node_id.0;
    assert_eq!(
        create(&mut client, vec![manual(own)]).await,
        [ErrorCode::None]
    );
    let all = client
        .ask(
            12,
            MetadataRequest {
                topics: None,
                ..Default::default()
            },
        )
        .await;
    let names: Vec<_> = all
        .topics
        .iter()
        .map(|t| t.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["manual"], "what was only tried out is not there");
}

#[tokio::test]
async fn whoever_hears_that_a_topic_exists_can_write_to_it() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    for round in 0..20 {
        let topic = format!("topic-{round}");
        client.create(&topic, 5, &[]).await;
        let told = client.produce(&topic, 4, values_batch(&["at once"])).await;
        assert_eq!(told.error_code, 0, "{topic}");
    }
}

async fn grow(client: &mut Connection, topic: CreatePartitionsTopic) -> ErrorCode {
    let request = CreatePartitionsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    error(client.ask(3, request).await.results[0].error_code)
}

#[tokio::test]
async fn partitions_are_added_and_never_taken_away() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 2, &[]).await;
    let to = |name: &str, count| CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: None,
        ..CreatePartitionsTopic::default()
    };
    let partitions = ErrorCode::InvalidPartitions;
    assert_eq!(
        grow(&mut client, to("missing", 5)).await,
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(grow(&mut client, to("topic", 1)).await, partitions);
    assert_eq!(grow(&mut client, to("topic", 2)).await, partitions);
    assert_eq!(grow(&mut client, to("topic", -3)).await, partitions);
    let on = |broker| CreatePartitionsTopic {
        assignments: Some(vec![CreatePartitionsAssignment {
            broker_ids: vec![broker],
            ..CreatePartitionsAssignment::default()
        }]),
        ..to("topic", 3)
    };
    assert_eq!(
        grow(&mut client, on(77)).await,
        ErrorCode::InvalidReplicaAssignment
    );
    let own = node.kafka().identity.node_id.0;
    assert_eq!(grow(&mut client, on(own)).await, ErrorCode::None);
    assert_eq!(grow(&mut client, to("topic", 6)).await, ErrorCode::None);
    assert_eq!(
        client
            .produce("topic", 5, values_batch(&["new"]))
            .await
            .error_code,
        0
    );
}

#[tokio::test]
async fn deletion_takes_names_and_ids_and_a_name_begins_anew() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    client.append("topic", &["old"]).await;
    let delete = |name: Option<&str>, topic_id| DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: name.map(Text::from),
            topic_id,
            ..DeleteTopicState::default()
        }],
        ..DeleteTopicsRequest::default()
    };
    let mut code = async |request: DeleteTopicsRequest| {
        error(client.ask(6, request).await.responses[0].error_code)
    };
    let unknown = Uuid([8; 16]);
    assert_eq!(
        code(delete(Some("missing"), Uuid::ZERO)).await,
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(code(delete(None, unknown)).await, ErrorCode::UnknownTopicId);
    assert_eq!(
        code(delete(Some("topic"), id)).await,
        ErrorCode::InvalidRequest
    );
    assert_eq!(code(delete(None, id)).await, ErrorCode::None);
    assert_eq!(code(delete(None, id)).await, ErrorCode::UnknownTopicId);
    let fetched = only(client.ask(13, fetch_of("", id, 0, 0)).await);
    assert_eq!(error(fetched.error_code), ErrorCode::UnknownTopicId);
    let again = client.create("topic", 1, &[]).await;
    assert_ne!(again, id);
    assert_eq!(
        client.append("topic", &["new"]).await,
        0,
        "nothing is inherited"
    );
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    assert_eq!(client.append("topic", &["next"]).await, 1);
}

#[tokio::test]
async fn a_fetch_that_waits_hears_of_its_topics_deletion() {
    let node = TestNode::start(&[]).await;
    let (mut waiting, mut client) = (node.connect().await, node.connect().await);
    let id = client.create("topic", 1, &[]).await;
    let long = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        ..fetch_of("topic", id, 0, 0)
    };
    let sent = waiting.send(13, long).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let delete = DeleteTopicsRequest {
        topic_names: vec!["topic".into()],
        ..Default::default()
    };
    assert_eq!(client.ask(5, delete).await.responses[0].error_code, 0);
    let told = only(waiting.receive::<FetchRequest>(13, sent).await);
    assert_eq!(error(told.error_code), ErrorCode::UnknownTopicId);
}

fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: Some(name.into()),
        ..MetadataRequestTopic::default()
    }
}

async fn metadata(
    client: &mut Connection,
    version: i16,
    topics: Vec<MetadataRequestTopic>,
    creates: bool,
) -> Vec<MetadataResponseTopic> {
    let request = MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: creates,
        ..MetadataRequest::default()
    };
    client.ask(version, request).await.topics
}

#[tokio::test]
async fn metadata_is_found_by_name_and_id_and_creates_what_is_missing() {
    let node = TestNode::start(&[("num.partitions", "4")]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let by_id = |topic_id| MetadataRequestTopic {
        name: None,
        topic_id,
        ..Default::default()
    };
    let asked = vec![by_id(id), by_id(Uuid([5; 16]))];
    let told = metadata(&mut client, 12, asked, true).await;
    assert_eq!(
        (told[0].name.as_deref(), told[0].error_code),
        (Some("topic"), 0)
    );
    assert_eq!(error(told[1].error_code), ErrorCode::UnknownTopicId);
    assert_eq!(
        (told[1].name.as_deref(), told[1].topic_id),
        (None, Uuid([5; 16]))
    );
    let unknown = metadata(&mut client, 12, vec![by_name("new"), by_name("a b")], false).await;
    assert_eq!(
        error(unknown[0].error_code),
        ErrorCode::UnknownTopicOrPartition
    );
    assert_eq!(
        error(unknown[1].error_code),
        ErrorCode::InvalidTopicException
    );
    // Before version 4 nobody could say no.
    for (version, name) in [(0, "zero"), (3, "three"), (4, "four"), (13, "thirteen")] {
        let asked = vec![by_name(name), by_name(name), by_name("a b")];
        let made = metadata(&mut client, version, asked, true).await;
        assert_eq!(
            (made[0].error_code, made[0].partitions.len()),
            (0, 4),
            "{name}"
        );
        assert!(made[0].partitions.iter().all(|p| p.leader_id >= 0));
        assert_eq!(error(made[1].error_code), ErrorCode::InvalidTopicException);
        assert_eq!(client.append(name, &["at once"]).await, 0);
    }
}

#[tokio::test]
async fn a_node_can_forbid_that_topics_come_into_being() {
    let node = TestNode::start(&[("auto.create.topics.enable", "false")]).await;
    let mut client = node.connect().await;
    for version in [0, 4, 13] {
        let told = metadata(&mut client, version, vec![by_name("new")], true).await;
        assert_eq!(
            error(told[0].error_code),
            ErrorCode::UnknownTopicOrPartition
        );
    }
}

#[tokio::test]
async fn partitions_are_described_page_by_page() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    for name in ["a", "b", "c"] {
        client.create(name, 3, &[]).await;
    }
    for everything in [true, false] {
        let names = if everything {
            vec![]
        } else {
            vec!["c", "a", "b", "a"]
        };
        let names = names.into_iter().map(|name| TopicRequest {
            name: name.into(),
            ..Default::default()
        });
        let mut request = DescribeTopicPartitionsRequest {
            topics: names.collect(),
            response_partition_limit: 2,
            ..DescribeTopicPartitionsRequest::default()
        };
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let page = client.ask(0, request.clone()).await;
            pages += 1;
            for topic in page.topics {
                assert_eq!(topic.error_code, 0);
                let name = topic.name.unwrap().to_string();
                seen.extend(
                    topic
                        .partitions
                        .iter()
                        .map(|p| (name.clone(), p.partition_index)),
                );
            }
            let Some(next) = page.next_cursor else { break };
            request.cursor = Some(Cursor {
                topic_name: next.topic_name,
                partition_index: next.partition_index,
                ..Cursor::default()
            });
        }
        let expected = ["a", "b", "c"].into_iter();
        let expected = expected.flat_map(|name| (0..3).map(move |p| (name.to_owned(), p)));
        assert_eq!((seen, pages), (expected.collect(), 5));
    }
    let missing = DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest {
            name: "missing".into(),
            ..TopicRequest::default()
        }],
        ..DescribeTopicPartitionsRequest::default()
    };
    let told = client.ask(0, missing).await;
    assert_eq!(
        error(told.topics[0].error_code),
        ErrorCode::UnknownTopicOrPartition
    );
}
