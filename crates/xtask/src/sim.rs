//! `cargo xtask sim`: plays seeded simulations of nodes and clusters.

use anyhow::Result;

use crate::workspace::{cargo, succeeds};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds to play
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// What is played: `alone`, `cluster`, or both in turn
    #[arg(long, default_value = "any", value_parser = ["alone", "cluster", "any"])]
    kind: String,
    /// Seconds of virtual time with faults
    #[arg(long, default_value_t = 12)]
    chaos_seconds: u64,
    /// Play each seed twice and compare
    #[arg(long)]
    twice: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut sim = cargo(&[
        "run",
        "--quiet",
        "--profile",
        "sim",
        "-p",
        "ottla-sim",
        "--",
    ]);
    sim.args(["--seeds", &arguments.seeds.to_string()]);
    sim.args(["--first-seed", &arguments.first_seed.to_string()]);
    sim.args(["--kind", &arguments.kind]);
    sim.args(["--chaos-seconds", &arguments.chaos_seconds.to_string()]);
    if arguments.twice {
        sim.arg("--twice");
    }
    succeeds(&mut sim)
}
