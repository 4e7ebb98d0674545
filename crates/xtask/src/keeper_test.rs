//! `cargo xtask keeper-test`: ensembles of the keeper under faults, with clients of others, judged.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use ottla_testkit::{Profile, node_binary};

use crate::cases::Tally;
use crate::setup;
use crate::suites::each_line;
use crate::workspace::{cargo, target};

/// Beyond the time for faults: building, starts, the end of all sessions.
const AROUND: Duration = Duration::from_secs(900);
/// What `cargo xtask test` does to an ensemble: each kind once in less than a minute.
const IN_EVERY_TEST: [&str; 6] = ["kill", "pause", "cut-peers", "kill-all", "mute", "stop"];
const NODES_IN_EVERY_TEST: usize = 3;
const SEED_OF_EVERY_TEST: u64 = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Against Apache ZooKeeper from Maven Central: this proves the checks themselves
    #[arg(long)]
    zookeeper: bool,
    /// How long faults go on
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// How many runs, each with the next seed
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many servers
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Only these faults, separated by commas; "none" is none
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// All but these faults
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Loopback addresses even for root: links cannot be cut then
    #[arg(long)]
    loopback: bool,
    /// Keep what servers and clients wrote even when nothing was found
    #[arg(long)]
    keep: bool,
    /// Lines of `zoo.cfg`, as NAME=VALUE
    #[arg(long = "set")]
    settings: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let limit = limit(arguments.minutes);
    let mut bad = Vec::new();
    for seed in arguments.seed..arguments.seed + arguments.runs {
        let mut command = program(arguments.zookeeper)?;
        command.args(["--seed", &seed.to_string()]);
        arguments.pass_on(&mut command);
        if !each_line(&mut command, limit, |_| {})? {
            bad.push(seed);
        }
    }
    println!("{} runs, seeds with findings: {bad:?}", arguments.runs);
    Ok(bad.is_empty())
}

/// A short run with few faults, as one of all tests.
pub(crate) fn in_every_test(minutes: f64) -> Result<Tally> {
    println!("\n== an ensemble under faults");
    let mut tally = Tally {
        version: format!("{NODES_IN_EVERY_TEST} servers, {minutes} minutes"),
        ..Tally::of("keeper-test")
    };
    let mut command = program(false)?;
    command
        .args(["--minutes", &minutes.to_string()])
        .args(["--nodes", &NODES_IN_EVERY_TEST.to_string()])
        .args(["--seed", &SEED_OF_EVERY_TEST.to_string()])
        .args(["--faults", &IN_EVERY_TEST.join(",")]);
    let success = each_line(&mut command, limit(minutes), |line| {
        tally.not_run += usize::from(line.starts_with("not run: "));
    })?;
    tally.passed = usize::from(success);
    tally.failed = usize::from(!success);
    Ok(tally)
}

fn limit(minutes: f64) -> Duration {
    AROUND + Duration::from_secs_f64(minutes * 120.0)
}

impl Arguments {
    fn pass_on(&self, command: &mut Command) {
        command
            .args(["--minutes", &self.minutes.to_string()])
            .args(["--nodes", &self.nodes.to_string()]);
        for (name, values) in [("--faults", &self.faults), ("--without", &self.without)] {
            if !values.is_empty() {
                command.args([name, &values.join(",")]);
            }
        }
        for (name, wanted) in [("--loopback", self.loopback), ("--keep", self.keep)] {
            if wanted {
                command.arg(name);
            }
        }
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
    }
}

/// The program with what it needs, built and fetched.
fn program(zookeeper: bool) -> Result<Command> {
    for missing in setup::for_faults() {
        println!("not all faults can be made: {missing}");
    }
    let mut command = cargo(&["run", "--quiet", "-p", "ottla-testkit"]);
    command.args(["--bin", "keeper-cluster", "--"]);
    if zookeeper {
        command.arg("--zookeeper").arg(setup::jars("zookeeper")?);
    } else {
        command.arg("--ottla").arg(node_binary(Profile::Release)?);
    }
    command.arg("--out").arg(target()?.join("keeper-test"));
    Ok(command)
}
