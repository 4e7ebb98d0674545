//! Runs of faults, whoever is hit: what they can be told, and how they are played and counted.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::cases::Tally;
use crate::setup;
use crate::suites::each_line;
use crate::workspace::cargo;

/// Beyond the time for faults: building, starts, catching up, reading everything.
const AROUND: Duration = Duration::from_secs(900);
const SEED_OF_EVERY_TEST: u64 = 1;
const NODES_IN_EVERY_TEST: usize = 3;

/// The command line's part that all such commands share.
#[derive(Debug, clap::Args)]
pub(crate) struct FaultRuns {
    /// How long faults go on
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// How many runs, each with the next seed
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many nodes
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
    /// Keep what nodes and clients wrote even when nothing was found
    #[arg(long)]
    keep: bool,
    /// Settings of every node, as NAME=VALUE
    #[arg(long = "set")]
    settings: Vec<String>,
}

impl FaultRuns {
    /// Plays seed after seed with the program that is made for each.
    pub(crate) fn play(&self, program: impl Fn() -> Result<Command>) -> Result<bool> {
        let limit = limit(self.minutes);
        let mut bad = Vec::new();
        for seed in self.seed..self.seed + self.runs {
            let mut command = program()?;
            command.args(["--seed", &seed.to_string()]);
            self.pass_on(&mut command);
            if !each_line(&mut command, limit, |_| {})? {
                bad.push(seed);
            }
        }
        println!("{} runs, seeds with findings: {bad:?}", self.runs);
        Ok(bad.is_empty())
    }

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

/// One short run with few faults, as one of all tests.
pub(crate) fn in_every_test(
    name: &'static str,
    mut program: Command,
    minutes: f64,
    faults: &[&str],
) -> Result<Tally> {
    let mut tally = Tally {
        version: format!("{NODES_IN_EVERY_TEST} nodes, {minutes} minutes"),
        ..Tally::of(name)
    };
    program
        .args(["--minutes", &minutes.to_string()])
        .args(["--nodes", &NODES_IN_EVERY_TEST.to_string()])
        .args(["--seed", &SEED_OF_EVERY_TEST.to_string()])
        .args(["--faults", &faults.join(",")]);
    let success = each_line(&mut program, limit(minutes), |line| {
        tally.not_run += usize::from(line.starts_with("not run: "));
    })?;
    tally.passed = usize::from(success);
    tally.failed = usize::from(!success);
    Ok(tally)
}

fn limit(minutes: f64) -> Duration {
    AROUND + Duration::from_secs_f64(minutes * 120.0)
}

/// A program of the testkit that plays faults, without its options.
pub(crate) fn program(bin: &str) -> Command {
    for missing in setup::for_faults() {
        println!("not all faults can be made: {missing}");
    }
    cargo(&["run", "--quiet", "-p", "ottla-testkit", "--bin", bin, "--"])
}
