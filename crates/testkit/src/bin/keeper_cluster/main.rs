//! Ensembles of the keeper under faults, judged in the manner of Jepsen.
//!
//! Run it through `cargo xtask keeper-test`, which gets and builds what it needs.

mod done;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use ottla_testkit::cluster::{Ability, Flavour};
use ottla_testkit::faults::{FaultArguments, Kind};

#[derive(Parser)]
struct Arguments {
    /// The path of our binary
    #[arg(long, required_unless_present = "zookeeper")]
    ottla: Option<PathBuf>,
    /// The folder with Apache ZooKeeper's jars: the same against it, which proves the checks
    #[arg(long, conflicts_with = "ottla")]
    zookeeper: Option<PathBuf>,
    #[command(flatten)]
    faults: FaultArguments,
    /// How many clients of the crate zookeeper-client
    #[arg(long, default_value_t = 6)]
    workers: usize,
    /// How many clients that move their session from server to server
    #[arg(long, default_value_t = 4)]
    nomads: usize,
    /// The longest pause of a client between two requests, in milliseconds
    #[arg(long, default_value_t = 30)]
    pause_ms: u64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    run::run(&arguments)?.conclude(&arguments.faults.out)
}

impl Arguments {
    fn flavour(&self) -> Result<Flavour> {
        Ok(match (&self.zookeeper, &self.ottla) {
            (Some(lib), _) => Flavour::lean_zookeeper(lib.clone()),
            (None, binary) => Flavour::Keeper {
                binary: binary.clone().context("no binary")?,
            },
        })
    }

    /// The kinds that were asked for, out of those that an ensemble has: what needs a broker's orders
    /// is not among them.
    fn kinds(&self) -> Result<Vec<Kind>> {
        let mut all = Kind::ALL.to_vec();
        all.retain(|kind| kind.needs() != Some(Ability::Orders));
        self.faults.kinds(&all)
    }
}
