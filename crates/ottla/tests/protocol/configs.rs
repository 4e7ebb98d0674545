//! Configurations of topics, brokers, groups and client-metrics subscriptions, while the node runs.

use ottla_model::ErrorCode;
use ottla_wire::messages::alter_configs_request;
use ottla_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_wire::messages::describe_configs_response::DescribeConfigsResult;
use ottla_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use ottla_wire::messages::*;
use ottla_wire::{ApiKey, Text};

use crate::harness::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
pub(crate) const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Op<'a> = (&'a str, i8, Option<&'a str>);

fn resource(resource_type: i8, name: &str, ops: &[Op<'_>]) -> AlterConfigsResource {
    let configs = ops.iter().map(|(name, op, value)| AlterableConfig {
        name: Text::from(*name),
        config_operation: *op,
        value: value.map(Text::from),
        ..AlterableConfig::default()
    });
    AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: configs.collect(),
        ..AlterConfigsResource::default()
    }
}

fn incremental(resources: Vec<AlterConfigsResource>) -> IncrementalAlterConfigsRequest {
    IncrementalAlterConfigsRequest {
        resources,
        ..IncrementalAlterConfigsRequest::default()
    }
}

/// Alters one resource and returns code and message.
async fn alter(
    client: &mut Connection,
    resource_type: i8,
    name: &str,
    ops: &[Op<'_>],
) -> (ErrorCode, String) {
    let request = incremental(vec![resource(resource_type, name, ops)]);
    let answer = client.ask(1, request).await.responses.remove(0);
    let message = answer.error_message.map(|m| m.to_string());
    (error(answer.error_code), message.unwrap_or_default())
}

pub(crate) async fn set(
    client: &mut Connection,
    resource_type: i8,
    name: &str,
    key: &str,
    value: &str,
) {
    let done = alter(client, resource_type, name, &[(key, SET, Some(value))]).await;
    assert_eq!(done, (ErrorCode::None, String::new()), "{key}");
}

async fn describe(
    client: &mut Connection,
    resource_type: i8,
    name: &str,
    keys: &[&str],
) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name: name.into(),
            configuration_keys: (!keys.is_empty())
                .then(|| keys.iter().map(|k| Text::from(*k)).collect()),
            ..DescribeConfigsResource::default()
        }],
        include_synonyms: true,
        ..DescribeConfigsRequest::default()
    };
    client.ask(4, request).await.results.remove(0)
}

/// The value of a property with its source and its synonyms' sources.
async fn value(
    client: &mut Connection,
    resource_type: i8,
    name: &str,
    key: &str,
) -> (String, i8, Vec<i8>) {
    let config = describe(client, resource_type, name, &[key])
        .await
        .configs
        .remove(0);
    let sources = config.synonyms.iter().map(|s| s.source).collect();
    let value = config.value.map(|v| v.to_string());
    (value.unwrap_or_default(), config.config_source, sources)
}

#[tokio::test]
async fn a_topics_properties_change_while_it_is_written() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    client.append("topic", &["value"]).await;
    set(&mut client, TOPIC, "topic", "max.message.bytes", "10").await;
    let refused = client.produce("topic", 0, values_batch(&["value"])).await;
    assert_eq!(error(refused.error_code), ErrorCode::MessageTooLarge);
    assert_eq!(
        value(&mut client, TOPIC, "topic", "max.message.bytes").await,
        ("10".to_owned(), 1, vec![1, 5])
    );
    // Whoever stops the node finds the same afterwards.
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    let refused = client.produce("topic", 0, values_batch(&["value"])).await;
    assert_eq!(error(refused.error_code), ErrorCode::MessageTooLarge);
    let done = alter(
        &mut client,
        TOPIC,
        "topic",
        &[("max.message.bytes", DELETE, None)],
    )
    .await;
    assert_eq!(done.0, ErrorCode::None);
    client.append("topic", &["value"]).await;
}

#[tokio::test]
async fn a_brokers_properties_reach_the_topics_without_one_of_their_own() {
    let node = TestNode::start(&[("node.id", "3")]).await;
    let mut client = node.connect().await;
    client.create("plain", 1, &[]).await;
    client
        .create("own", 1, &[("max.message.bytes", "2000")])
        .await;
    set(&mut client, BROKER, "", "message.max.bytes", "10").await;
    let refused = client.produce("plain", 0, values_batch(&["value"])).await;
    assert_eq!(error(refused.error_code), ErrorCode::MessageTooLarge);
    client.append("own", &["value"]).await;
    set(&mut client, BROKER, "3", "message.max.bytes", "3000").await;
    client.append("plain", &["value"]).await;
    assert_eq!(
        value(&mut client, TOPIC, "plain", "max.message.bytes").await,
        ("3000".to_owned(), 2, vec![2, 3, 5])
    );
    assert_eq!(
        value(&mut client, TOPIC, "own", "max.message.bytes").await,
        ("2000".to_owned(), 1, vec![1, 2, 3, 5])
    );
    assert_eq!(
        value(&mut client, BROKER, "3", "message.max.bytes").await,
        ("3000".to_owned(), 2, vec![2, 3, 5])
    );
    let all = describe(&mut client, BROKER, "", &[]).await.configs;
    assert_eq!(all.len(), 1);
    assert_eq!(
        (&*all[0].name, all[0].config_source),
        ("message.max.bytes", 3)
    );
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    client.append("plain", &["value"]).await;
    for name in ["3", ""] {
        let done = alter(
            &mut client,
            BROKER,
            name,
            &[("message.max.bytes", DELETE, None)],
        )
        .await;
        assert_eq!(done.0, ErrorCode::None);
    }
    assert_eq!(
        value(&mut client, TOPIC, "plain", "max.message.bytes").await,
        ("1048588".to_owned(), 5, vec![5])
    );
}

#[tokio::test]
async fn logs_that_are_open_follow_the_properties_of_their_topic_and_their_broker() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("plain", 1, &[]).await;
    client.create("own", 1, &[]).await;
    let segments = |topic: &str| {
        let logs = node.broker().logs();
        let found = logs.into_iter().find(|(name, ..)| name == topic);
        found.unwrap().2.segments().unwrap().len()
    };
    let half = "v".repeat(600_000);
    for topic in ["plain", "own"] {
        client.append(topic, &[&half]).await;
        client.append(topic, &[&half]).await;
        assert_eq!(segments(topic), 1);
    }
    set(&mut client, TOPIC, "own", "segment.bytes", "104857600").await;
    set(&mut client, BROKER, "", "log.segment.bytes", "1048576").await;
    for topic in ["plain", "own"] {
        client.append(topic, &[&half]).await;
    }
    assert_eq!((segments("plain"), segments("own")), (2, 1));
    set(&mut client, TOPIC, "own", "segment.bytes", "1048576").await;
    client.append("own", &[&half]).await;
    assert_eq!(segments("own"), 2);
}

#[tokio::test]
async fn the_number_of_connections_can_be_limited_while_the_node_runs() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let mut second = node.connect().await;
    assert_eq!(
        second
            .ask(4, ApiVersionsRequest::default())
            .await
            .error_code,
        42
    );
    set(&mut client, BROKER, "", "max.connections.per.ip", "1").await;
    // Those that are open stay, new ones are closed.
    assert_eq!(
        second
            .ask(2, DescribeClusterRequest::default())
            .await
            .error_code,
        0
    );
    assert!(node.connect().await.is_closed().await);
    set(
        &mut client,
        BROKER,
        "0",
        "max.connections.per.ip.overrides",
        "127.0.0.1:9",
    )
    .await;
    let mut third = node.connect().await;
    assert_eq!(
        third
            .ask(2, DescribeClusterRequest::default())
            .await
            .error_code,
        0
    );
}

#[tokio::test]
async fn entries_of_lists_are_appended_and_subtracted() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    let mut values = Vec::new();
    for (op, entries) in [
        (APPEND, "compact"),
        (SUBTRACT, "delete"),
        (APPEND, "compact,delete"),
    ] {
        let ops = [("cleanup.policy", op, Some(entries))];
        let done = alter(&mut client, TOPIC, "topic", &ops).await;
        assert_eq!(done.0, ErrorCode::None, "{}", done.1);
        values.push(value(&mut client, TOPIC, "topic", "cleanup.policy").await.0);
    }
    assert_eq!(values, ["delete,compact", "compact", "compact,delete"]);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_kafkas_codes_and_changes_nothing() {
    let node = TestNode::start(&[("node.id", "3")]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    use ErrorCode::{
        InvalidConfig, InvalidRequest, InvalidTopicException, UnknownTopicOrPartition,
    };
    let twice: &[Op<'_>] = &[
        ("retention.ms", SET, Some("1")),
        ("retention.ms", DELETE, None),
    ];
    let cases: &[(i8, &str, &[Op<'_>], ErrorCode, &str)] = &[
        (
            TOPIC,
            "topic",
            &[("nope", SET, Some("1"))],
            InvalidConfig,
            "nope",
        ),
        (
            TOPIC,
            "topic",
            &[("retention.ms", SET, Some("-5"))],
            InvalidConfig,
            "at least -1",
        ),
        (
            TOPIC,
            "topic",
            &[("retention.ms", APPEND, Some("5"))],
            InvalidConfig,
            "not LIST",
        ),
        (
            TOPIC,
            "topic",
            &[("retention.ms", SET, None)],
            InvalidRequest,
            "Null value",
        ),
        (
            TOPIC,
            "topic",
            &[("retention.ms", 9, Some("5"))],
            InvalidRequest,
            "operations type 9",
        ),
        (TOPIC, "topic", twice, InvalidRequest, "retention.ms"),
        (
            TOPIC,
            "none",
            &[("retention.ms", SET, Some("5"))],
            UnknownTopicOrPartition,
            "none",
        ),
        (
            TOPIC,
            "none",
            &[("retention.ms", SET, Some("-5"))],
            InvalidConfig,
            "at least -1",
        ),
        (TOPIC, "a b", &[], InvalidTopicException, ""),
        (TOPIC, "", &[], InvalidRequest, "Default topic"),
        (BROKER, "4", &[], InvalidRequest, "expected 3"),
        (BROKER, "x", &[], InvalidRequest, "integer"),
        (
            BROKER,
            "3",
            &[("num.partitions", SET, Some("2"))],
            InvalidRequest,
            "restart",
        ),
        (
            BROKER,
            "",
            &[("log.segment.bytes", SET, Some("2"))],
            InvalidRequest,
            "at least 1048576",
        ),
        (
            BROKER,
            "",
            &[("log.segment.byte", SET, Some("2"))],
            InvalidConfig,
            "log.segment.bytes?",
        ),
        (GROUP, "", &[], InvalidRequest, "Default group"),
        (
            GROUP,
            "g",
            &[("consumer.session.timeout.ms", SET, Some("1"))],
            InvalidConfig,
            "45000",
        ),
        (CLIENT_METRICS, "", &[], InvalidRequest, "empty"),
        (
            CLIENT_METRICS,
            "m",
            &[("interval.ms", SET, Some("1"))],
            InvalidRequest,
            "100",
        ),
        (1, "x", &[], InvalidRequest, "resource type 1"),
    ];
    for (resource_type, name, ops, code, word) in cases {
        let (got, message) = alter(&mut client, *resource_type, name, ops).await;
        assert_eq!(got, *code, "{ops:?} {message}");
        assert!(message.contains(word), "{ops:?} {message}");
    }
    for (resource_type, name) in [(TOPIC, "topic"), (GROUP, "g"), (CLIENT_METRICS, "m")] {
        let configs = describe(&mut client, resource_type, name, &[])
            .await
            .configs;
        assert!(configs.iter().all(|c| c.config_source == 5), "{configs:?}");
    }
    assert!(
        describe(&mut client, BROKER, "", &[])
            .await
            .configs
            .is_empty()
    );
}

#[tokio::test]
async fn one_wrong_resource_does_not_keep_the_others_from_changing() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client.create("a", 1, &[]).await;
    client.create("b", 1, &[]).await;
    let good = ("retention.ms", SET, Some("5"));
    let request = incremental(vec![
        resource(TOPIC, "a", &[good]),
        resource(TOPIC, "b", &[good, ("retention.bytes", SET, Some("x"))]),
        resource(TOPIC, "none", &[good]),
        resource(GROUP, "g", &[]),
        resource(GROUP, "g", &[]),
    ]);
    for version in ApiKey::IncrementalAlterConfigs.stable_versions() {
        let answer = client.ask(version, request.clone()).await.responses;
        let told: Vec<_> = answer
            .iter()
            .map(|r| (r.resource_type, r.resource_name.to_string(), r.error_code))
            .collect();
        let expected = [
            (TOPIC, "a", ErrorCode::None),
            (TOPIC, "b", ErrorCode::InvalidConfig),
            (TOPIC, "none", ErrorCode::UnknownTopicOrPartition),
            (GROUP, "g", ErrorCode::InvalidRequest),
        ];
        let expected = expected.map(|(t, name, code)| (t, name.to_owned(), code.code()));
        assert_eq!(told, expected);
    }
    assert_eq!(value(&mut client, TOPIC, "a", "retention.ms").await.0, "5");
    assert_eq!(value(&mut client, TOPIC, "b", "retention.ms").await.1, 5);
}

#[tokio::test]
async fn the_older_request_replaces_all_properties() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    client
        .create(
            "topic",
            1,
            &[("retention.ms", "5"), ("retention.bytes", "6")],
        )
        .await;
    let request = |value: &str, validate_only| AlterConfigsRequest {
        resources: vec![alter_configs_request::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "topic".into(),
            configs: vec![alter_configs_request::AlterableConfig {
                name: "retention.ms".into(),
                value: Some(value.into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        validate_only,
        ..AlterConfigsRequest::default()
    };
    let answer = client.ask(2, request("7", true)).await.responses.remove(0);
    assert_eq!(answer.error_code, 0);
    let answer = client.ask(2, request("-7", true)).await.responses.remove(0);
    assert_eq!(error(answer.error_code), ErrorCode::InvalidConfig);
    assert_eq!(
        value(&mut client, TOPIC, "topic", "retention.ms").await.0,
        "5"
    );
    for version in ApiKey::AlterConfigs.stable_versions() {
        let answer = client.ask(version, request("7", false)).await;
        assert_eq!(answer.responses[0].error_code, 0);
        assert_eq!(
            value(&mut client, TOPIC, "topic", "retention.ms").await.0,
            "7"
        );
        assert_eq!(
            value(&mut client, TOPIC, "topic", "retention.bytes")
                .await
                .1,
            5
        );
    }
}

#[tokio::test]
async fn resources_with_configurations_are_listed_by_type() {
    let node = TestNode::start(&[("node.id", "3")]).await;
    let mut client = node.connect().await;
    client.create("topic", 1, &[]).await;
    set(
        &mut client,
        GROUP,
        "group",
        "consumer.session.timeout.ms",
        "50000",
    )
    .await;
    set(
        &mut client,
        CLIENT_METRICS,
        "metrics",
        "interval.ms",
        "1000",
    )
    .await;
    let answer = client.ask(0, ListConfigResourcesRequest::default()).await;
    let names: Vec<_> = answer
        .config_resources
        .iter()
        .map(|r| &*r.resource_name)
        .collect();
    assert_eq!(names, ["metrics"]);
    let ask = |resource_types: Vec<i8>| ListConfigResourcesRequest {
        resource_types,
        ..ListConfigResourcesRequest::default()
    };
    let told = |answer: ListConfigResourcesResponse| {
        let all = answer.config_resources.into_iter();
        all.map(|r| (r.resource_type, r.resource_name.to_string()))
            .collect::<Vec<_>>()
    };
    let expect = |all: &[(i8, &str)]| {
        all.iter()
            .map(|(t, name)| (*t, (*name).to_owned()))
            .collect::<Vec<_>>()
    };
    let all = told(client.ask(1, ask(vec![])).await);
    let expected = [
        (32, "group"),
        (16, "metrics"),
        (8, "3"),
        (4, "3"),
        (2, "topic"),
    ];
    assert_eq!(all, expect(&expected));
    let some = told(client.ask(1, ask(vec![2, 32])).await);
    assert_eq!(some, expect(&[(32, "group"), (2, "topic")]));
    let refused = client.ask(1, ask(vec![2, 7])).await;
    assert_eq!(error(refused.error_code), ErrorCode::UnsupportedVersion);
    // A subscription is there as long as it has settings.
    let done = alter(
        &mut client,
        CLIENT_METRICS,
        "metrics",
        &[("interval.ms", DELETE, None)],
    )
    .await;
    assert_eq!(done.0, ErrorCode::None);
    assert!(told(client.ask(1, ask(vec![16])).await).is_empty());
}

#[tokio::test]
async fn the_levels_of_the_log_change_while_the_node_runs() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    set(&mut client, BROKER_LOGGER, "0", "ottla_log", "DEBUG").await;
    set(&mut client, BROKER_LOGGER, "0", "root", "WARN").await;
    let levels = describe(&mut client, BROKER_LOGGER, "0", &[]).await.configs;
    let told: Vec<_> = levels
        .iter()
        .map(|c| (&*c.name, c.value.as_deref(), c.config_source))
        .collect();
    assert_eq!(
        told,
        [("ottla_log", Some("DEBUG"), 6), ("root", Some("WARN"), 6)]
    );
    use ErrorCode::{InvalidConfig, InvalidRequest};
    let cases: &[(&str, Op<'_>, ErrorCode, &str)] = &[
        (
            "0",
            ("kafka", SET, Some("INFO")),
            InvalidConfig,
            "does not exist",
        ),
        (
            "0",
            ("ottla_log", SET, Some("LOUD")),
            InvalidConfig,
            "DEBUG, ERROR, FATAL",
        ),
        (
            "0",
            ("ottla_log", APPEND, Some("INFO")),
            InvalidRequest,
            "APPEND",
        ),
        ("0", ("root", DELETE, None), InvalidRequest, "root"),
        (
            "7",
            ("ottla_log", SET, Some("INFO")),
            InvalidRequest,
            "expected 0",
        ),
    ];
    for (name, op, code, word) in cases {
        let (got, message) = alter(&mut client, BROKER_LOGGER, name, &[*op]).await;
        assert_eq!(got, *code, "{message}");
        assert!(message.contains(word), "{message}");
    }
    let ops = [("ottla_log", DELETE, None)];
    assert_eq!(
        alter(&mut client, BROKER_LOGGER, "0", &ops).await.0,
        ErrorCode::None
    );
    assert_eq!(
        describe(&mut client, BROKER_LOGGER, "0", &[])
            .await
            .configs
            .len(),
        1
    );
}

#[tokio::test]
async fn a_request_describes_a_bounded_number_of_groups_that_nobody_has_set_anything_of() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let resources = (0..1_500).map(|n| DescribeConfigsResource {
        resource_type: GROUP,
        resource_name: format!("g{n}").as_str().into(),
        ..DescribeConfigsResource::default()
    });
    let request = DescribeConfigsRequest {
        resources: resources.collect(),
        ..DescribeConfigsRequest::default()
    };
    let results = client.ask(4, request).await.results;
    let refused = results.iter().filter(|r| r.error_code != 0).count();
    assert_eq!((results.len(), refused), (1_500, 500));
    let message = results[1_499].error_message.as_deref().unwrap();
    assert!(message.contains("1000"), "{message}");
}
