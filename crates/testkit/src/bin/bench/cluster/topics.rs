//! Many topics are created, and what their replicas need.

use std::time::Instant;

use anyhow::Result;

use super::{Clients, NODES};
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::meter::mib;
use ottla_testkit::report::{Goal, Report};

const TOPICS: i32 = 1000;
const PARTITIONS: i32 = 10;
/// Apache Kafka refuses requests that make more than ten thousand records.
const TOPICS_OF_A_REQUEST: usize = 50;

/// From the first request until every partition has a leader and all its replicas; then the memory of
/// nodes that hold a replica of each.
pub(crate) fn measure(report: &mut Report, programs: &Programs, side: Side) -> Result<()> {
    let mut cluster = programs.cluster(side, Flushing::BeforeAcknowledging, NODES)?;
    let clients = Clients::of(&cluster)?;
    let names: Vec<String> = (0..TOPICS).map(|number| format!("many-{number}")).collect();
    let began = Instant::now();
    for some in names.chunks(TOPICS_OF_A_REQUEST) {
        clients.create(some, PARTITIONS)?;
    }
    let answered_s = began.elapsed().as_secs_f64();
    clients.wait_in_sync(None, TOPICS * PARTITIONS)?;
    let goals = [Goal::AtMost(5.0), Goal::AtMostOfTheirs(1.0 / 3.0)];
    let what = "1,000 topics of 10 partitions, three replicas";
    let name = format!("{what}: until all are in sync");
    report.add(side, &name, "s", &goals, began.elapsed().as_secs_f64());
    report.add(
        side,
        &format!("{what}: until answered"),
        "s",
        &[Goal::None],
        answered_s,
    );
    for node in cluster.nodes() {
        if let Some(process) = node.process() {
            let name = "resident memory of a node with 10,000 replicas";
            report.add(
                side,
                name,
                "MiB",
                &[Goal::AtMost(400.0)],
                mib(process.resident_kib()?),
            );
        }
    }
    cluster.stop_all()
}
