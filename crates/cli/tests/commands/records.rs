//! Topics and records.

use ottla_cli::Exit;

use crate::session::Session;

#[tokio::test]
async fn a_topic_lives_from_create_to_delete() {
    let session = Session::start("life");
    let topic = session.topic.clone();
    let create = "topic create TOPIC -p 3 -c retention.ms=86400000";
    let validate = format!("{create} --validate-only -o json");
    assert_eq!(session.run(&validate, b"").await.json()["outcome"], "valid");
    assert_eq!(
        session.run(create, b"").await.out(),
        format!("topic/{topic} created (3 partitions, replication factor 1)\n")
    );

    let again = session.run(create, b"").await;
    assert_eq!(again.exit, Exit::AlreadyExists);
    assert!(
        again
            .err
            .contains("(TOPIC_ALREADY_EXISTS); with --if-not-exists"),
        "{}",
        again.err
    );
    let again = session
        .run(&format!("{create} --if-not-exists -o json"), b"")
        .await;
    assert_eq!(again.json()["outcome"], "unchanged");

    let names = session.run("topic list -o name", b"").await.out();
    assert!(names.lines().any(|name| name == topic), "{names}");
    let described = session
        .run("topic describe TOPIC -o json", b"")
        .await
        .json();
    let described = &described["topics"][0];
    assert_eq!(described["partitions"].as_array().unwrap().len(), 3);
    assert_eq!(described["partitions"][2]["latest_offset"], 0);
    let configs = described["configs"].as_array().unwrap();
    let retention = configs
        .iter()
        .find(|c| c["name"] == "retention.ms")
        .unwrap();
    assert_eq!(retention["value"], "86400000");
    assert_eq!(retention["source"], "DYNAMIC_TOPIC_CONFIG");

    let deleted = session.run("topic delete TOPIC", b"").await.out();
    assert_eq!(deleted, format!("topic/{topic} deleted\n"));
    assert_eq!(
        session.run("topic delete TOPIC", b"").await.exit,
        Exit::NotFound
    );
    assert_eq!(
        session
            .run("topic delete TOPIC --if-exists", b"")
            .await
            .exit,
        Exit::Ok
    );
    let gone = session.run("topic describe TOPIC", b"").await;
    assert_eq!(gone.exit, Exit::NotFound);
    assert!(
        gone.err
            .starts_with(&format!("error: there is no topic {topic}; ")),
        "{}",
        gone.err
    );
}

#[tokio::test]
async fn produced_lines_are_consumed_with_all_their_parts() {
    let session = Session::start("parts");
    session.run("topic create TOPIC -p 2", b"").await.out();
    let produce = "produce TOPIC -p 1 -K : --null-marker NULL -H a=1 -H a=2 -z zstd -o json";
    let produced = session
        .run(produce, b"k1:one\nk2:NULL\nk3:\xff\xfe\n")
        .await
        .json();
    assert_eq!(produced["records"], 3);
    assert_eq!(produced["partitions"][0]["partition"], 1);
    assert_eq!(produced["partitions"][0]["last_offset"], 2);

    let records = session
        .run("consume TOPIC --exit-at-end -o json", b"")
        .await
        .out();
    let records: Vec<serde_json::Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0]["key"], "k1");
    assert_eq!(records[0]["value"], "one");
    let headers = serde_json::json!([{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]);
    assert_eq!(records[0]["headers"], headers);
    assert!(records[1]["value"].is_null());
    assert_eq!(records[2]["value_base64"], "//4=");
    assert_eq!(records[2]["offset"], 2);

    let first = session
        .run("consume TOPIC --offset 0 -n 1 -f %p/%o:%k=%v", b"")
        .await
        .out();
    assert_eq!(first, "1/0:k1=one\n");
    let last = session
        .run("consume TOPIC --offset -2 -e -p 1 -f %k", b"")
        .await
        .out();
    assert_eq!(last, "k2\nk3\n");
    let since = session
        .run("consume TOPIC --since 1h -e -f %k", b"")
        .await
        .out();
    assert_eq!(since, "k1\nk2\nk3\n");
    let none = session
        .run("consume TOPIC --since 1h -e -p 0", b"")
        .await
        .out();
    assert_eq!(none, "");
    let missing = session.run("consume TOPIC -p 2", b"").await;
    assert_eq!(missing.exit, Exit::NotFound);
}

#[tokio::test]
async fn every_compression_and_every_acks_arrives() {
    let session = Session::start("compression");
    session.run("topic create TOPIC -p 1", b"").await.out();
    let variants = [
        "-z none",
        "-z gzip",
        "-z snappy",
        "-z lz4",
        "-z zstd",
        "--acks 1",
        "--idempotent=false",
    ];
    for variant in variants {
        let produced = session
            .run(&format!("produce TOPIC {variant}"), b"hello\nworld\n")
            .await;
        assert_eq!(produced.exit, Exit::Ok, "{variant}: {}", produced.err);
    }
    let consumed = session.run("consume TOPIC -e", b"").await.out();
    assert_eq!(consumed, "hello\nworld\n".repeat(variants.len()));
}

#[tokio::test]
async fn a_line_that_is_no_record_is_named_and_those_before_it_arrive() {
    let session = Session::start("line");
    session.run("topic create TOPIC -p 1", b"").await.out();
    let produced = session
        .run("produce TOPIC -K :", b"a:1\nb:2\nc\nd:4\n")
        .await;
    assert_eq!(produced.exit, Exit::Failed);
    assert!(
        produced.err.contains("produced 2 records"),
        "{}",
        produced.err
    );
    assert!(
        produced
            .err
            .ends_with("standard input, line 3: there is no key separator \":\"\n"),
        "{}",
        produced.err
    );
    let consumed = session.run("consume TOPIC -e -f %k%v", b"").await.out();
    assert_eq!(consumed, "a1\nb2\n");
}
