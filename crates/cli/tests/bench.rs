//! `ottla bench` against a node: that it counts right and leaves nothing behind, not how fast.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

mod command;

use ottla_cli::Exit;
use ottla_testkit::TestNode;
use serde_json::Value;

use command::run;

async fn json(bootstrap: &str, line: &str) -> Value {
    let ran = run(bootstrap, line).await;
    assert_eq!(ran.exit, Exit::Ok, "{line}: {}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

#[tokio::test]
async fn records_are_counted_and_a_topic_that_was_made_is_gone_afterwards() {
    let node = TestNode::start().unwrap();
    let bootstrap = node.bootstrap();
    let kinds = [("produce", 500), ("latency", 20)];
    for (kind, records) in kinds {
        let line = format!("bench {kind} -n {records} --size 100 -p 2 -z lz4 -o json");
        let summary = json(&bootstrap, &line).await;
        assert_eq!(summary["records"], records, "{summary}");
        assert_eq!(summary["failed"], 0);
        let told = &summary["acknowledged_ms"];
        assert!(told["p50"].as_f64().unwrap() <= told["max"].as_f64().unwrap());
        assert_eq!(summary["read_back_ms"].is_null(), kind == "produce");
        let topic = summary["topic"].as_str().unwrap();
        let described = run(&bootstrap, &format!("topic describe {topic}")).await;
        assert_eq!(described.exit, Exit::NotFound, "{}", described.out);
    }
}

#[tokio::test]
async fn a_topic_that_was_there_is_kept_and_read_to_its_end() {
    let node = TestNode::start().unwrap();
    let bootstrap = node.bootstrap();
    let topic = format!("bench-{}", ottla_runtime::Runtime::real().clock.now_ms());
    json(&bootstrap, &format!("topic create {topic} -p 3 -o json")).await;
    // Another one of this name is not made, and this one is not deleted.
    let twice = run(&bootstrap, &format!("bench produce {topic} -p 2 -n 1")).await;
    assert_eq!(twice.exit, Exit::AlreadyExists, "{}", twice.err);
    json(
        &bootstrap,
        &format!("bench produce {topic} -n 300 --size 50 --acks 1 -o json"),
    )
    .await;
    let read = json(&bootstrap, &format!("bench consume {topic} -o json")).await;
    assert_eq!(
        (&read["records"], &read["bytes"]),
        (&300.into(), &15_000.into())
    );
    let some = json(&bootstrap, &format!("bench consume {topic} -n 7 -o json")).await;
    assert_eq!(some["records"], 7);
}
