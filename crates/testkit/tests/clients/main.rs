//! librdkafka against a node: what a client may rely on.
//!
//! Each test has a node of its own. With `OTTLA_TEST_BOOTSTRAP` and `OTTLA_TEST_CONTROL` they all
//! talk to one given broker, such as Apache Kafka; run them with `--test-threads=1` then, because
//! some restart it.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees no tests in the functions that tests share"
)]

mod groups;
mod kill;
mod records;
mod transactions;

use std::thread;
use std::time::{Duration, Instant};

use ottla_testkit::TestNode;
use ottla_testkit::scenario::{Record, Scenario};

const WAIT_LIMIT: Duration = Duration::from_secs(60);

fn start() -> (TestNode, Scenario) {
    let node = TestNode::start().unwrap();
    let scenario = Scenario::new(node.bootstrap());
    (node, scenario)
}

/// Records with the values `value-START` and so on, spread over the partitions in turn.
fn numbered(start: usize, count: usize, partitions: usize) -> Vec<Record> {
    (start..start + count)
        .map(|n| Record {
            partition: i32::try_from(n % partitions).unwrap(),
            ..Record::of(format!("value-{n}"))
        })
        .collect()
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_LIMIT;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "not within {WAIT_LIMIT:?}: {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
