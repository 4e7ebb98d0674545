//! Ensembles of the keeper under faults, judged in the manner of Jepsen.
//!
//! Run it through `cargo xtask keeper-test`, which gets and builds what it needs.

mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use ottla_testkit::cluster::{Ability, Flavour};
use ottla_testkit::faults::Kind;

#[derive(Parser)]
struct Arguments {
    /// The path of our binary
    #[arg(long, required_unless_present = "zookeeper")]
    ottla: Option<PathBuf>,
    /// The folder with Apache ZooKeeper's jars: the same against it, which proves the checks
    #[arg(long, conflicts_with = "ottla")]
    zookeeper: Option<PathBuf>,
    /// How many servers
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How long faults go on
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Faults and what clients choose follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these faults, separated by commas; "none" is none
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// All but these faults
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// How many clients of the crate zookeeper-client
    #[arg(long, default_value_t = 6)]
    workers: usize,
    /// How many clients that move their session from server to server
    #[arg(long, default_value_t = 4)]
    nomads: usize,
    /// The longest pause of a client between two requests, in milliseconds
    #[arg(long, default_value_t = 30)]
    pause_ms: u64,
    /// Loopback addresses even for root
    #[arg(long)]
    loopback: bool,
    /// Lines of `zoo.cfg`, as NAME=VALUE
    #[arg(long = "set", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Where reports go; what servers and clients wrote stays there when something was found
    #[arg(long)]
    out: PathBuf,
    /// Keep what servers and clients wrote even when nothing was found
    #[arg(long)]
    keep: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = run::run(&arguments)?;
    println!("{}", report.text());
    let path = report.write(&arguments.out)?;
    println!("wrote {}", path.display());
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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

    /// The kinds that were asked for, as far as an ensemble has them: what needs a broker's orders is
    /// not among them.
    fn kinds(&self) -> Result<Vec<Kind>> {
        let parse = |names: &[String]| -> Result<Vec<Kind>> {
            let names = names.iter().filter(|name| *name != "none");
            names.map(|name| name.parse()).collect()
        };
        let without = parse(&self.without)?;
        let mut kinds = if self.faults.is_empty() {
            let mut kinds = Kind::ALL.to_vec();
            kinds.retain(|kind| kind.needs() != Some(Ability::Orders));
            kinds
        } else {
            parse(&self.faults)?
        };
        kinds.retain(|kind| !without.contains(kind));
        Ok(kinds)
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}
