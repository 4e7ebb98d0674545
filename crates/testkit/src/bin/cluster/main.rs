//! Real clusters under faults, judged in the manner of Jepsen.
//!
//! Run it through `cargo xtask cluster-test`, which gets and builds what it needs.

mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use ottla_testkit::cluster::Flavour;
use ottla_testkit::faults::Kind;
use ottla_testkit::workload::Programs;

#[derive(Parser)]
struct Arguments {
    /// The path of our node's binary
    #[arg(long, required_unless_present = "kafka")]
    ottla: Option<PathBuf>,
    /// The folder with Apache Kafka's jars: the same against it, which proves the checks
    #[arg(long, conflicts_with = "ottla")]
    kafka: Option<PathBuf>,
    /// How many nodes
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
    /// What producers in this process wait for; anything but "all" shows how a loss is found
    #[arg(long, default_value = "all")]
    acks: String,
    /// Milliseconds between two records of a producer
    #[arg(long, default_value_t = 10)]
    pause_ms: u64,
    /// Loopback addresses even for root
    #[arg(long)]
    loopback: bool,
    /// A Python interpreter with confluent_kafka; without it only clients of this process
    #[arg(long, requires = "worker", requires = "class_path")]
    python: Option<PathBuf>,
    /// The transactional client for it
    #[arg(long)]
    worker: Option<PathBuf>,
    /// The class path of the Java clients
    #[arg(long)]
    class_path: Option<String>,
    /// Properties of every node, as NAME=VALUE
    #[arg(long = "set", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Where reports go; what nodes and clients wrote stays there when something was found
    #[arg(long)]
    out: PathBuf,
    /// Keep what nodes and clients wrote even when nothing was found
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
        Ok(match (&self.kafka, &self.ottla) {
            (Some(lib), _) => Flavour::lean_kafka(lib.clone()),
            (None, binary) => Flavour::Ottla {
                binary: binary.clone().context("no binary")?,
            },
        })
    }

    /// The kinds that were asked for.
    fn kinds(&self) -> Result<Vec<Kind>> {
        let parse = |names: &[String]| -> Result<Vec<Kind>> {
            let names = names.iter().filter(|name| *name != "none");
            names.map(|name| name.parse()).collect()
        };
        let without = parse(&self.without)?;
        let mut kinds = if self.faults.is_empty() {
            Kind::ALL.to_vec()
        } else {
            parse(&self.faults)?
        };
        kinds.retain(|kind| !without.contains(kind));
        Ok(kinds)
    }

    fn programs(&self) -> Option<Programs> {
        Some(Programs {
            python: self.python.clone()?,
            worker: self.worker.clone()?,
            class_path: self.class_path.clone()?,
        })
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}
