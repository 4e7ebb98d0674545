//! `cargo xtask keeper-differential`: the same random operations on our keeper and on Apache ZooKeeper.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use ottla_testkit::{Profile, node_binary};

use crate::cases::{Missing, Tally};
use crate::setup;
use crate::suites::each_line;
use crate::workspace::{cargo, succeeds};

const NAME: &str = "keeper-differential";
const SEEDS_IN_EVERY_TEST: u32 = 4;
const OPERATIONS_IN_EVERY_TEST: u32 = 2500;
const SECONDS_IN_EVERY_TEST: u32 = 60;
/// Building included, on two slow cores.
const LIMIT: Duration = Duration::from_secs(1200);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Two real ZooKeepers instead: a difference is then one of the comparison
    #[arg(long)]
    zookeeper_twice: bool,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many operations of each seed
    #[arg(long, default_value_t = 5000)]
    operations: usize,
    /// More options of the program, such as `-- --runs 10 --go-on`; `-- --help` lists them
    #[arg(last = true)]
    options: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut command = program(arguments.zookeeper_twice)?;
    command.args(["--seed", &arguments.seed.to_string()]);
    command.args(["--operations", &arguments.operations.to_string()]);
    command.args(&arguments.options);
    succeeds(&mut command)
}

/// As many operations of a few seeds as there is time for, as one of all tests. Without ZooKeeper's jars there is
/// nothing to compare with.
pub(crate) fn in_every_test() -> Result<Tally, Missing> {
    println!("\n== the same operations on the keeper and on Apache ZooKeeper");
    let mut tally = Tally {
        version: format!("{SEEDS_IN_EVERY_TEST} seeds, {SECONDS_IN_EVERY_TEST} s"),
        ..Tally::of(NAME)
    };
    let mut run = || -> Result<bool> {
        let mut command = program(false)?;
        command.args(["--runs", &SEEDS_IN_EVERY_TEST.to_string()]);
        command.args(["--operations", &OPERATIONS_IN_EVERY_TEST.to_string()]);
        command.args(["--seconds", &SECONDS_IN_EVERY_TEST.to_string()]);
        command.args(["--go-on", "--shrink", "0"]);
        each_line(&mut command, LIMIT, |line| {
            tally.passed += usize::from(line.contains(": no difference in "));
            tally.failed += usize::from(line.contains(": a difference after "));
        })
    };
    let success = run().map_err(|error| Missing::because(NAME, &error))?;
    tally.take_end(success);
    Ok(tally)
}

fn program(zookeeper_twice: bool) -> Result<Command> {
    let mut command = cargo(&["run", "--quiet", "-p", "ottla-testkit"]);
    command.args(["--no-default-features", "--features", "keeper"]);
    command.args(["--bin", "keeper-differential", "--"]);
    if !zookeeper_twice {
        command.arg("--ottla").arg(node_binary(Profile::Release)?);
    }
    command.arg("--zookeeper").arg(setup::jars("zookeeper")?);
    Ok(command)
}
