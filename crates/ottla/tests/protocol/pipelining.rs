//! Many requests in flight on one connection.

use std::time::Duration;

use bytes::BytesMut;
use ottla_wire::messages::*;
use tokio::io::AsyncWriteExt;

use crate::fetching::{fetch_of, only};
use crate::groups::join_request;
use crate::harness::*;

#[tokio::test]
async fn fifty_produces_in_one_write_are_answered_in_order() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    let mut write = BytesMut::new();
    let mut ids = Vec::new();
    for at in 0..50 {
        let value = at.to_string();
        let request = produce("topic", 0, values_batch(&[&value]), -1);
        let (id, frame) = client.frame(12, request);
        ids.push(id);
        write.extend_from_slice(&frame);
    }
    client.stream.write_all(&write).await.unwrap();
    for (offset, id) in (0..).zip(ids) {
        let mut answer = client.receive::<ProduceRequest>(12, id).await;
        let partition = answer.responses.remove(0).partition_responses.remove(0);
        assert_eq!((partition.error_code, partition.base_offset), (0, offset));
    }
    let all = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    let expected: Vec<_> = (0..50).map(|at| (at, at.to_string())).collect();
    assert_eq!(values(&all.records), expected);
}

#[tokio::test]
async fn what_waits_does_not_stop_the_connection_from_reading() {
    let node = TestNode::start(&[("group.initial.rebalance.delay.ms", "300")]).await;
    let (mut client, mut other) = (node.connect().await, node.connect().await);
    let id = client.create("topic", 1, &[]).await;
    crate::groups::ready(&mut client, "slow").await;
    let join = client.send(3, join_request("slow", "")).await;
    let written = client
        .send(12, produce("topic", 0, values_batch(&["behind"]), -1))
        .await;
    // The join is not over, and the answers come in order, but the work is done.
    let begin = std::time::Instant::now();
    loop {
        let seen = only(other.ask(12, fetch_of("topic", id, 0, 0)).await);
        if seen.high_watermark == 1 {
            break;
        }
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        client.receive::<JoinGroupRequest>(3, join).await.error_code,
        0
    );
    let answer = client.receive::<ProduceRequest>(12, written).await;
    assert_eq!(answer.responses[0].partition_responses[0].base_offset, 0);
}

#[tokio::test]
async fn requests_of_all_kinds_keep_their_order() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let id = client.create("topic", 1, &[]).await;
    for round in 0..10 {
        let waits = FetchRequest {
            max_wait_ms: 20,
            min_bytes: 1,
            ..fetch_of("topic", id, 0, round)
        };
        let fetch = client.send(12, waits).await;
        let metadata = client
            .send(
                12,
                MetadataRequest {
                    topics: None,
                    ..Default::default()
                },
            )
            .await;
        let produce = client
            .send(12, produce("topic", 0, values_batch(&["v"]), 1))
            .await;
        client.receive::<FetchRequest>(12, fetch).await;
        assert_eq!(
            client
                .receive::<MetadataRequest>(12, metadata)
                .await
                .topics
                .len(),
            1
        );
        let answer = client.receive::<ProduceRequest>(12, produce).await;
        assert_eq!(
            answer.responses[0].partition_responses[0].base_offset,
            round
        );
    }
}
