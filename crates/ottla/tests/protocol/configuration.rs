//! Who a node says that it is, and where.

use std::sync::Arc;

use ottla_wire::messages::*;

use crate::harness::*;

#[tokio::test]
async fn every_listener_tells_its_own_addresses() {
    let settings = [
        ("listeners", "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0"),
        (
            "advertised.listeners",
            "INSIDE://inside.example:1234,OUTSIDE://outside.example:5678",
        ),
        (
            "listener.security.protocol.map",
            "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
        ),
        ("inter.broker.listener.name", "INSIDE"),
    ];
    let node = TestNode::start(&settings).await;
    for (listener, host, port) in [
        ("INSIDE", "inside.example", 1234),
        ("OUTSIDE", "outside.example", 5678),
    ] {
        let mut client = Connection::open(node.address(listener)).await;
        let metadata = client
            .ask(
                12,
                MetadataRequest {
                    topics: None,
                    ..Default::default()
                },
            )
            .await;
        assert_eq!(
            (&*metadata.brokers[0].host, metadata.brokers[0].port),
            (host, port)
        );
        let cluster = client.ask(2, DescribeClusterRequest::default()).await;
        assert_eq!(
            (&*cluster.brokers[0].host, cluster.brokers[0].port),
            (host, port)
        );
        let request = FindCoordinatorRequest {
            key: "group".into(),
            ..Default::default()
        };
        let found = client.ask(3, request).await;
        assert_eq!(
            (found.error_code, &*found.host, found.port),
            (0, host, port)
        );
    }
}

#[tokio::test]
async fn a_port_that_the_system_chose_is_the_one_that_clients_are_told() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let metadata = client
        .ask(
            12,
            MetadataRequest {
                topics: None,
                ..Default::default()
            },
        )
        .await;
    let bound = node.address("PLAINTEXT").port();
    assert_eq!(metadata.brokers[0].port, i32::from(bound));
    assert_ne!(bound, 0);
}

#[tokio::test]
async fn who_the_node_is_stays_with_its_data() {
    let node = TestNode::start(&[("node.id", "41")]).await;
    let cluster = node.kafka().identity.cluster_id.clone();
    let dir = node.stop().await;
    // Neither the id nor the cluster is configured any more.
    let node = TestNode::start_in(Arc::clone(&dir), &[]).await.unwrap();
    assert_eq!(
        (
            node.kafka().identity.node_id.0,
            &node.kafka().identity.cluster_id
        ),
        (41, &cluster)
    );
    let mut client = node.connect().await;
    let described = client.ask(2, DescribeClusterRequest::default()).await;
    assert_eq!(
        (described.controller_id, &*described.cluster_id),
        (41, &*cluster.0)
    );
    let dir = node.stop().await;
    let refused = TestNode::start_in(Arc::clone(&dir), &[("node.id", "7")]).await;
    let text = format!("{:#}", refused.err().unwrap());
    assert!(text.contains("41") && text.contains('7'), "{text}");
    let other = "AAAAAAAAAAAAAAAAAAAAAA";
    let refused = TestNode::start_in(dir, &[("cluster.id", other)]).await;
    let text = format!("{:#}", refused.err().unwrap());
    assert!(text.contains(&cluster.0) && text.contains(other), "{text}");
}

#[tokio::test]
async fn a_data_folder_serves_one_node() {
    let node = TestNode::start(&[]).await;
    let dir = node.dir().to_owned();
    let settings = [("log.dirs", dir.to_str().unwrap())];
    let second = TestNode::start_in(Arc::new(tempfile::TempDir::new().unwrap()), &settings).await;
    let text = format!("{:#}", second.err().unwrap());
    assert!(text.contains(dir.to_str().unwrap()), "{text}");
}

#[tokio::test]
async fn a_folder_that_no_topic_has_is_left_as_it_is() {
    let node = TestNode::start(&[]).await;
    node.connect().await.create("topic", 1, &[]).await;
    let dir = node.stop().await;
    let stray = dir.path().join("stray-0");
    std::fs::create_dir(&stray).unwrap();
    std::fs::write(stray.join("00000000000000000000.log"), b"somebody's data").unwrap();
    let node = TestNode::start_in(dir, &[]).await.unwrap();
    let mut client = node.connect().await;
    assert_eq!(client.append("topic", &["value"]).await, 0);
    let kept = std::fs::read(stray.join("00000000000000000000.log")).unwrap();
    assert_eq!(kept, b"somebody's data");
}
