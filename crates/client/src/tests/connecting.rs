//! Finding brokers, agreeing on versions, and saying what is wrong.

use std::time::Duration;

use futures_util::future::join_all;
use ottla_model::ErrorCode;
use ottla_runtime::Runtime;
use ottla_wire::messages::{ApiVersionsRequest, DescribeGroupsRequest};
use ottla_wire::{ApiKey, Response};

use super::node::{Fault, NODE, Node, options};
use crate::{Broker, Client, ClientOptions, Error};

/// An address at which nobody listens.
async fn closed_address() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn the_first_address_that_answers_is_used() {
    let node = Node::start("t", 3, false).await;
    let addresses = vec![closed_address().await, node.address()];
    let client = Client::connect(Runtime::real(), addresses, options())
        .await
        .unwrap();
    assert_eq!(client.brokers().len(), 1);
    let partitions = client.partitions("t").await.unwrap();
    assert_eq!(partitions.len(), 3);
    assert!(partitions.iter().all(|p| p.leader == NODE));
    let cluster = client.describe_cluster().await.unwrap();
    assert_eq!(cluster.cluster_id, "test-cluster");
}

#[tokio::test]
async fn without_a_broker_the_error_names_every_address() {
    let (first, second) = (closed_address().await, closed_address().await);
    let short = ClientOptions {
        deadline: Duration::from_millis(20),
        ..options()
    };
    let addresses = vec![first.clone(), second.clone()];
    let error = Client::connect(Runtime::real(), addresses, short).await;
    let text = error.err().unwrap().to_string();
    assert!(text.contains(&first) && text.contains(&second), "{text}");
    assert!(
        text.contains("refused") && text.contains("check that"),
        "{text}"
    );
}

#[tokio::test]
async fn addresses_without_a_port_are_refused_at_once() {
    for bad in ["localhost", ":9092", "host:port", "host:99999", ""] {
        let connected = Client::connect(Runtime::real(), vec![bad.into()], options()).await;
        assert!(
            matches!(connected.err(), Some(Error::Address { .. })),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_broker_that_knows_only_old_versions_is_understood() {
    let node = Node::start("t", 1, true).await;
    let client = node.client().await;
    assert_eq!(client.partitions("t").await.unwrap().len(), 1);
    // The newest ApiVersions was answered in version 0, then version 0 was asked.
    assert_eq!(client.brokers().len(), 1);
}

#[tokio::test]
async fn responses_go_to_those_who_asked() {
    let node = Node::start("t", 1, false).await;
    for n in 0..40 {
        let logs = (0..=n).map(|_| super::node::Log::default()).collect();
        node.state.lock().topics.insert(format!("t{n}"), logs);
    }
    let client = node.client().await;
    let asked = (0..40).map(|n| {
        let client = client.clone();
        async move { client.partitions(&format!("t{n}")).await.unwrap().len() }
    });
    let counts = join_all(asked).await;
    assert_eq!(counts, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_silent_broker_is_given_up_and_connected_anew() {
    let node = Node::start("t", 1, false).await;
    let short = ClientOptions {
        request_timeout: Duration::from_millis(100),
        ..options()
    };
    let client = Client::connect(Runtime::real(), vec![node.address()], short)
        .await
        .unwrap();
    node.fail(ApiKey::Metadata, [Fault::Silence]);
    assert_eq!(client.partitions("t").await.unwrap().len(), 1);
    node.fail(ApiKey::DescribeCluster, [Fault::Silence]);
    let request = ottla_wire::messages::DescribeClusterRequest::default();
    let once = client.call(Broker::Any, request.into()).await;
    let text = once.err().unwrap().to_string();
    assert!(
        text.contains("did not answer DescribeCluster within 100ms"),
        "{text}"
    );
    assert!(text.contains("127.0.0.1:"), "{text}");
}

#[tokio::test]
async fn a_stopping_node_does_not_wait_for_retries() {
    let node = Node::start("t", 1, false).await;
    let runtime = Runtime::real();
    let client = Client::connect(runtime.clone(), vec![node.address()], options())
        .await
        .unwrap();
    runtime.shutdown().announce();
    let error = client.partitions("nowhere").await.err().unwrap();
    assert!(matches!(error, Error::Stopping), "{error}");
    drop(client);
    runtime.tasks.stop().await;
}

#[tokio::test]
async fn anything_can_be_asked_in_any_version_that_is_served() {
    let node = Node::start("t", 1, false).await;
    let client = node.client().await;
    for version in 0..=3 {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = "x".into();
            request.client_software_version = "1".into();
        }
        let answer = client
            .call_version(Broker::Id(NODE), version, request.into())
            .await;
        match answer.unwrap() {
            Response::ApiVersions(body) => assert!(!body.api_keys.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    let request = DescribeGroupsRequest::default();
    let error = client
        .call(Broker::Any, request.into())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            Error::Unsupported {
                api: ApiKey::DescribeGroups,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_deadline_ends_retries_with_the_last_reason() {
    let node = Node::start("t", 1, false).await;
    let short = ClientOptions {
        deadline: Duration::from_millis(30),
        ..options()
    };
    let client = Client::connect(Runtime::real(), vec![node.address()], short)
        .await
        .unwrap();
    let error = client.partitions("nowhere").await.err().unwrap();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
    let text = error.to_string();
    assert!(
        text.contains("topic nowhere") && text.contains("gave up after"),
        "{text}"
    );
    assert!(text.contains("create the topic"), "{text}");
    assert!(node.seen(ApiKey::Metadata) > 2);
}
