//! Real clusters under faults, judged in the manner of Jepsen.
//!
//! Run it through `cargo xtask cluster-test`, which gets and builds what it needs.

mod done;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use ottla_testkit::cluster::Flavour;
use ottla_testkit::faults::FaultArguments;
use ottla_testkit::workload::Programs;

#[derive(Parser)]
struct Arguments {
    /// The path of our node's binary
    #[arg(long, required_unless_present = "kafka")]
    ottla: Option<PathBuf>,
    /// The folder with Apache Kafka's jars: the same against it, which proves the checks
    #[arg(long, conflicts_with = "ottla")]
    kafka: Option<PathBuf>,
    #[command(flatten)]
    faults: FaultArguments,
    /// What producers in this process wait for; anything but "all" shows how a loss is found
    #[arg(long, default_value = "all")]
    acks: String,
    /// Milliseconds between two records of a producer
    #[arg(long, default_value_t = 10)]
    pause_ms: u64,
    /// A Python interpreter with confluent_kafka; without it only clients of this process
    #[arg(long, requires = "worker", requires = "class_path")]
    python: Option<PathBuf>,
    /// The transactional client for it
    #[arg(long)]
    worker: Option<PathBuf>,
    /// The class path of the Java clients
    #[arg(long)]
    class_path: Option<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    run::run(&arguments)?.conclude(&arguments.faults.out)
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

    fn programs(&self) -> Option<Programs> {
        Some(Programs {
            python: self.python.clone()?,
            worker: self.worker.clone()?,
            class_path: self.class_path.clone()?,
        })
    }
}
