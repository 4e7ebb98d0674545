//! `cargo xtask sim`: plays seeded simulations of a node.

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
    /// Play each seed twice and compare
    #[arg(long)]
    twice: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut sim = cargo(&["run", "--quiet", "-p", "ottla-sim", "--"]);
    sim.args(["--seeds", &arguments.seeds.to_string()]);
    sim.args(["--first-seed", &arguments.first_seed.to_string()]);
    if arguments.twice {
        sim.arg("--twice");
    }
    succeeds(&mut sim)
}
