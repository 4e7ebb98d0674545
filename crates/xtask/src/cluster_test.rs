//! `cargo xtask cluster-test`: real clusters under faults, with real clients, judged.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use ottla_testkit::{Profile, node_binary};

use crate::setup;
use crate::suites::each_line;
use crate::workspace::{cargo, root, target};

/// Beyond the time for faults: building, starts, catching up, reading everything.
const AROUND: Duration = Duration::from_secs(900);
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Against Apache Kafka from Maven Central: this proves the checks themselves
    #[arg(long)]
    kafka: bool,
    /// Only clients on librdkafka in the test's own process
    #[arg(long)]
    few_clients: bool,
    /// How long faults go on
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// How many runs, each with the next seed
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Options of the program, such as `--nodes 5 --faults kill,pause`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut good = true;
    for seed in arguments.seed..arguments.seed + arguments.runs {
        let mut command = program(arguments.kafka, !arguments.few_clients)?;
        command
            .args(["--seed", &seed.to_string()])
            .args(["--minutes", &arguments.minutes.to_string()])
            .args(&arguments.options);
        let limit = AROUND + Duration::from_secs_f64(arguments.minutes * 120.0);
        good &= each_line(&mut command, limit, |_| {})?;
    }
    Ok(good)
}

/// The program with what it needs, built and fetched.
fn program(kafka: bool, all_clients: bool) -> Result<Command> {
    for missing in setup::for_faults() {
        println!("not all faults can be made: {missing}");
    }
    let mut command = cargo(&[
        "run",
        "--quiet",
        "-p",
        "ottla-testkit",
        "--bin",
        "cluster",
        "--",
    ]);
    if kafka {
        command.arg("--kafka").arg(setup::jars("kafka")?);
    } else {
        command.arg("--ottla").arg(node_binary(Profile::Release)?);
    }
    if all_clients {
        let worker: PathBuf = root().join("clients/checker/worker.py");
        command.arg("--python").arg(setup::python()?);
        command.arg("--worker").arg(worker);
        command.args(["--class-path", &setup::java_program("java")?]);
    }
    command.arg("--out").arg(target()?.join("cluster-test"));
    Ok(command)
}
