//! `cargo xtask keeper-test`: ensembles of the keeper under faults, with clients of others, judged.

use std::process::Command;

use anyhow::Result;
use ottla_testkit::{Profile, node_binary};

use crate::cases::Tally;
use crate::fault_runs::{self, FaultRuns};
use crate::setup;
use crate::workspace::target;

/// What `cargo xtask test` does to an ensemble: each kind once in less than a minute.
const IN_EVERY_TEST: [&str; 6] = ["kill", "pause", "cut-peers", "kill-all", "mute", "stop"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Against Apache ZooKeeper from Maven Central: this proves the checks themselves
    #[arg(long)]
    zookeeper: bool,
    #[command(flatten)]
    runs: FaultRuns,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    arguments.runs.play(|| program(arguments.zookeeper))
}

/// A short run with few faults, as one of all tests.
pub(crate) fn in_every_test(minutes: f64) -> Result<Tally> {
    println!("\n== an ensemble under faults");
    fault_runs::in_every_test("keeper-test", program(false)?, minutes, &IN_EVERY_TEST)
}

/// The program with what it needs, built and fetched.
fn program(zookeeper: bool) -> Result<Command> {
    let mut command = fault_runs::program("keeper-cluster");
    if zookeeper {
        command.arg("--zookeeper").arg(setup::jars("zookeeper")?);
    } else {
        command.arg("--ottla").arg(node_binary(Profile::Release)?);
    }
    command.arg("--out").arg(target()?.join("keeper-test"));
    Ok(command)
}
