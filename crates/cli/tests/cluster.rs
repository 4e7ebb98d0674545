//! Whole commands against a running node.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use ottla_cli::{Action, Cli, Exit, Streams};
use ottla_runtime::Runtime;
use ottla_testkit::TestNode;

/// A stream that can be looked at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a command left behind.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

impl Ran {
    /// Standard output of a command that worked.
    fn out(self) -> String {
        assert_eq!(self.exit, Exit::Ok, "{}", self.err);
        self.out
    }

    fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.out()).unwrap()
    }
}

/// A node and the topic of one test.
struct Session {
    node: TestNode,
    topic: String,
}

impl Session {
    /// The topic's name holds the time, so that a node that other tests used serves as well.
    fn start(test: &str) -> Session {
        let now_ms = Runtime::real().clock.now_ms();
        Session {
            node: TestNode::start().unwrap(),
            topic: format!("cli-{test}-{now_ms}"),
        }
    }

    /// Runs a command line; `TOPIC` in it is this test's topic.
    async fn run(&self, line: &str, input: &'static [u8]) -> Ran {
        let line = line.replace("TOPIC", &self.topic);
        let bootstrap = self.node.bootstrap();
        let words = ["ottla", "-b", bootstrap.as_str()];
        let words = words.into_iter().chain(line.split_whitespace());
        let action = Cli::try_parse_from(words).unwrap().action().unwrap();
        let Action::Command(command, global) = action else {
            panic!("{line} is the server");
        };
        let (out, err) = (Shared::default(), Shared::default());
        let mut streams = Streams {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            input: Some(Box::new(input)),
            out_is_terminal: false,
            err_is_terminal: false,
            input_is_terminal: false,
            colour: false,
        };
        let runtime = Runtime::real();
        let exit = ottla_cli::run(command, &global, &BTreeMap::new(), &runtime, &mut streams).await;
        Ran {
            exit,
            out: out.text(),
            err: err.text(),
        }
    }
}

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
