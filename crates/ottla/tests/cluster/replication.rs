//! Followers, high watermarks, replicas in sync, new leaders.

use std::time::Duration;

use ottla_client::{
    Acks, Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord, Start,
};
use ottla_model::ErrorCode;

use crate::harness::{Cluster, PATIENCE};

/// Writes values and waits until each is acknowledged.
async fn write(cluster: &Cluster, topic: &str, acks: Acks, values: impl Iterator<Item = String>) {
    let options = ProducerOptions {
        acks,
        idempotence: acks == Acks::All,
        linger: Duration::ZERO,
        ..ProducerOptions::default()
    };
    let producer = Producer::new(cluster.client().await, options);
    for value in values {
        let record = ProducerRecord {
            topic: topic.to_owned(),
            value: Some(value.into()),
            ..ProducerRecord::default()
        };
        producer.send(record).await.unwrap().await.unwrap();
    }
}

/// Every value, from the beginning to the end.
async fn read(cluster: &Cluster, topic: &str) -> Vec<String> {
    let mut consumer = Consumer::new(cluster.client().await, ConsumerOptions::default());
    consumer
        .assign(topic, Some(&[0]), Start::Earliest)
        .await
        .unwrap();
    let mut values = Vec::new();
    while !consumer.is_at_end() {
        if let Some(record) = consumer.next(Duration::from_millis(500)).await.unwrap() {
            values.push(String::from_utf8(record.record.value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

fn numbered(range: std::ops::Range<i32>) -> impl Iterator<Item = String> {
    range.map(|n| format!("value {n}"))
}

#[tokio::test]
async fn acknowledged_records_are_on_all_replicas_byte_by_byte() {
    let cluster = Cluster::start(3, &[]).await;
    cluster.create("topic", 3, &[]).await;
    write(&cluster, "topic", Acks::All, numbered(0..50)).await;
    let bytes = cluster.agreed("topic", 0).await;
    assert!(bytes.len() > 50 * 61);
    assert_eq!(
        read(&cluster, "topic").await,
        numbered(0..50).collect::<Vec<_>>()
    );
    cluster.stop().await;
}

#[tokio::test]
async fn acknowledged_records_survive_their_leaders() {
    let mut cluster = Cluster::start(3, &[]).await;
    cluster
        .create("topic", 3, &[("min.insync.replicas", "1")])
        .await;
    for round in 0..3 {
        write(
            &cluster,
            "topic",
            Acks::All,
            numbered(round * 20..round * 20 + 20),
        )
        .await;
        let leader = cluster.leader("topic", 0);
        cluster.lose_broker(leader).await;
        assert_ne!(cluster.leader("topic", 0), leader);
        write(
            &cluster,
            "topic",
            Acks::All,
            std::iter::once(format!("round {round}")),
        )
        .await;
        cluster.start_broker(leader).await;
        cluster
            .until("the lost broker is in sync again", |c| {
                c.partition("topic", 0).isr.len() == 3
            })
            .await;
    }
    cluster.agreed("topic", 0).await;
    let values = read(&cluster, "topic").await;
    let expected: Vec<_> = (0..3)
        .flat_map(|round| {
            let own = numbered(round * 20..round * 20 + 20);
            own.chain(std::iter::once(format!("round {round}")))
        })
        .collect();
    assert_eq!(values, expected);
    cluster.stop().await;
}

#[tokio::test]
async fn clients_are_told_of_a_leader_that_is_gone_before_the_controller_knows() {
    let mut cluster = Cluster::start(3, &[]).await;
    cluster.create("topic", 3, &[]).await;
    write(&cluster, "topic", Acks::All, numbered(0..5)).await;
    let leader = cluster.leader("topic", 0);
    let other = *cluster.brokers.keys().find(|id| **id != leader).unwrap();
    assert_eq!(cluster.leader_said_by(other, "topic").await, (0, leader));
    cluster.stop_silently(leader).await;
    let began = std::time::Instant::now();
    let not_available = ErrorCode::LeaderNotAvailable.code();
    while cluster.leader_said_by(other, "topic").await != (not_available, -1) {
        assert!(began.elapsed() < PATIENCE, "clients are still sent to it");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(cluster.leader("topic", 0), leader);
    cluster.fence(leader).await;
    let (code, successor) = cluster.leader_said_by(other, "topic").await;
    assert!(code == 0 && successor != leader);
    cluster.start_broker(leader).await;
    write(&cluster, "topic", Acks::All, numbered(5..10)).await;
    cluster.stop().await;
}

#[tokio::test]
async fn what_only_a_lost_leader_had_is_cut_off_when_it_returns() {
    let mut cluster = Cluster::start(2, &[("replica.lag.time.max.ms", "600000")]).await;
    cluster.create("topic", 2, &[]).await;
    write(&cluster, "topic", Acks::All, numbered(0..5)).await;
    let leader = cluster.leader("topic", 0);
    let follower = 3 - leader;
    // The follower's process is gone, and the controller does not know it yet.
    let lost = cluster.stop_silently(follower).await;
    write(&cluster, "topic", Acks::Leader, numbered(5..9)).await;
    cluster.lose_broker(leader).await;
    drop(lost);
    cluster.start_broker(follower).await;
    cluster
        .until("the follower leads", |c| {
            c.partition("topic", 0).leader.is_some()
        })
        .await;
    write(
        &cluster,
        "topic",
        Acks::All,
        std::iter::once("newer".to_owned()),
    )
    .await;
    cluster.start_broker(leader).await;
    cluster
        .until("both are in sync", |c| {
            c.partition("topic", 0).isr.len() == 2
        })
        .await;
    cluster.agreed("topic", 0).await;
    let expected: Vec<_> = numbered(0..5).chain(["newer".to_owned()]).collect();
    assert_eq!(read(&cluster, "topic").await, expected);
    cluster.stop().await;
}

#[tokio::test]
async fn a_silent_follower_leaves_and_too_few_in_sync_take_no_records() {
    let mut cluster = Cluster::start(2, &[]).await;
    cluster
        .create("topic", 2, &[("min.insync.replicas", "2")])
        .await;
    write(&cluster, "topic", Acks::All, numbered(0..3)).await;
    let leader = cluster.leader("topic", 0);
    let lost = cluster.stop_silently(3 - leader).await;
    let options = ProducerOptions::default();
    let producer = Producer::new(cluster.client().await, options);
    let record = |value: &str| ProducerRecord {
        topic: "topic".to_owned(),
        value: Some(value.to_owned().into()),
        ..ProducerRecord::default()
    };
    let delivery = producer.send(record("waits")).await.unwrap();
    cluster
        .until("the follower is out", |c| {
            c.partition("topic", 0).isr.len() == 1
        })
        .await;
    let early = tokio::time::timeout(Duration::from_millis(300), delivery).await;
    assert!(early.is_err(), "one replica in sync is not enough");
    drop(lost);
    cluster.start_broker(3 - leader).await;
    let done = producer.send(record("after")).await.unwrap();
    tokio::time::timeout(PATIENCE, done).await.unwrap().unwrap();
    drop(producer);
    let values = read(&cluster, "topic").await;
    assert_eq!(values[3..], ["waits", "after"]);
    cluster.stop().await;
}
