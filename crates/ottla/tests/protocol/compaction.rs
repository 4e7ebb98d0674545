//! Compacted topics: of users, and the node's own.

use std::time::Duration;

use ottla_log::{Cleaner, CleanerOptions, Log};
use ottla_model::{TopicName, TopicPartition};
use ottla_record::BatchOptions;

use crate::fetching::{fetch_of, only};
use crate::groups::{commit, committed, ready};
use crate::harness::*;

fn log_of(node: &TestNode, topic: &str, partition: i32) -> Log {
    let name = TopicPartition::new(TopicName::new(topic).unwrap(), partition);
    node.kafka().log_dir.log(&name).unwrap()
}

/// Waits until the node has compacted the partition up to `offset`.
async fn compacted_up_to(node: &TestNode, log: &Log, offset: i64) {
    for _ in 0..2000 {
        if node.kafka().log_dir.cleaned_up_to(log.partition()) == Some(offset) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?}", node.kafka().log_dir.cleaned_up_to(log.partition()));
}

#[tokio::test]
async fn a_node_compacts_its_topics_by_itself_and_consumers_find_every_newest_value() {
    let settings = [("log.cleaner.backoff.ms", "10")];
    let node = TestNode::start(&settings).await;
    let mut client = node.connect().await;
    let compact = [("cleanup.policy", "compact")];
    let id = client.create("topic", 1, &compact).await;
    for n in 0..60 {
        let (key, value) = (format!("key {}", n % 7), format!("value {n}"));
        let records = [(now_ms(), Some(&*key), &*value)];
        let told = client
            .produce("topic", 0, batch(BatchOptions::default(), &records))
            .await;
        assert_eq!((told.error_code, told.base_offset), (0, n));
    }
    let log = log_of(&node, "topic", 0);
    log.roll().await.unwrap();
    compacted_up_to(&node, &log, 60).await;
    let expected: Vec<_> = (53..60).map(|n| (n, format!("value {n}"))).collect();
    let read = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    assert_eq!(values(&read.records), expected);
    let node = node.restart(&settings).await;
    let mut client = node.connect().await;
    let read = only(client.ask(12, fetch_of("topic", id, 0, 0)).await);
    assert_eq!(values(&read.records), expected);
    let records = [(now_ms(), Some("key"), "next")];
    let told = client
        .produce("topic", 0, batch(BatchOptions::default(), &records))
        .await;
    assert_eq!(told.base_offset, 60, "offsets go on");
}

#[tokio::test]
async fn groups_are_the_same_after_their_topic_was_compacted() {
    let node = TestNode::start(&[]).await;
    let mut client = node.connect().await;
    let one = client.create("one", 1, &[]).await;
    let two = client.create("two", 1, &[]).await;
    let groups: Vec<String> = (0..5).map(|n| format!("group {n}")).collect();
    for group in &groups {
        ready(&mut client, group).await;
    }
    for offset in 1..=40 {
        for group in &groups {
            let request = commit(9, group, &[("one", one, offset), ("two", two, 7)]);
            client.ask(9, request).await;
        }
    }
    let (mut records, mut kept) = (0, 0);
    let (_service, cleaner) = Cleaner::new(&node.kafka().log_dir, CleanerOptions::default());
    for log in node.kafka().log_dir.logs() {
        if log.partition().topic.as_str() == "__consumer_offsets" && log.log_end_offset() > 0 {
            log.roll().await.unwrap();
            let cleaned = cleaner.clean(&log).await.unwrap().unwrap();
            assert_eq!(cleaned.to, log.log_end_offset());
            records += cleaned.records;
            kept += cleaned.records_kept;
        }
    }
    assert!(records >= 400 && kept < 20, "{records} {kept}");
    let node = node.restart(&[]).await;
    let mut client = node.connect().await;
    for group in &groups {
        ready(&mut client, group).await;
        assert_eq!(committed(&mut client, 9, group, ("one", one)).await.1, 40);
        assert_eq!(committed(&mut client, 9, group, ("two", two)).await.1, 7);
    }
}
