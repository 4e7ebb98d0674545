//! `cargo xtask cluster-test`: real clusters under faults, with real clients, judged.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use ottla_testkit::{Profile, node_binary};

use crate::cases::Tally;
use crate::fault_runs::{self, FaultRuns};
use crate::setup;
use crate::workspace::{root, target};

/// What `cargo xtask test` does to a cluster: each kind once in less than a minute.
const IN_EVERY_TEST: [&str; 5] = ["kill", "pause", "cut-peers", "stop", "mute"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Against Apache Kafka from Maven Central: this proves the checks themselves
    #[arg(long)]
    kafka: bool,
    /// Only clients on librdkafka in the test's own process
    #[arg(long)]
    few_clients: bool,
    #[command(flatten)]
    runs: FaultRuns,
    /// What producers wait for; anything but "all" shows how a loss is found
    #[arg(long)]
    acks: Option<String>,
    /// Milliseconds between two records of a producer
    #[arg(long)]
    pause_ms: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    arguments.runs.play(|| {
        let mut command = program(arguments.kafka, !arguments.few_clients)?;
        if let Some(acks) = &arguments.acks {
            command.args(["--acks", acks]);
        }
        if let Some(pause_ms) = arguments.pause_ms {
            command.args(["--pause-ms", &pause_ms.to_string()]);
        }
        Ok(command)
    })
}

/// A short run with few faults, as one of all tests. With fewer clients where not all can be had:
/// their own suites say so.
pub(crate) fn in_every_test(minutes: f64) -> Result<Tally> {
    println!("\n== a cluster under faults");
    let has_all_clients = setup::python().is_ok() && setup::java_program("java").is_ok();
    let program = program(false, has_all_clients)?;
    fault_runs::in_every_test("cluster-test", program, minutes, &IN_EVERY_TEST)
}

/// The program with what it needs, built and fetched.
fn program(kafka: bool, all_clients: bool) -> Result<Command> {
    let mut command = fault_runs::program("cluster");
    if kafka {
        command.arg("--kafka").arg(setup::jars("kafka")?);
    } else {
        command.arg("--ottla").arg(node_binary(Profile::Release)?);
    }
    if all_clients {
        let worker: PathBuf = root().join("clients/checker/worker.py");
        command.arg("--python").arg(setup::python()?);
        command.arg("--worker").arg(worker);
        command.args(["--class-path", &setup::java_program("java")?]);
    }
    command.arg("--out").arg(target()?.join("cluster-test"));
    Ok(command)
}
