//! `cargo xtask bench`: builds the release node and measures it, beside Apache Kafka or alone.

use anyhow::Result;
use ottla_testkit::{Profile, node_binary};

use crate::setup;
use crate::workspace::{cargo, succeeds, target};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Our node and Apache Kafka in turn, by the same client programs
    Kafka(Passed),
    /// Our node alone
    Node(Passed),
    /// Three nodes of ours and of Apache Kafka: failover, hand-over, throughput, latency, many topics
    Cluster(Passed),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Passed {
    /// Options of the benchmark program, such as `--only latency --rounds 5`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(command: &Command) -> Result<bool> {
    let (name, passed) = match command {
        Command::Kafka(passed) => ("kafka", passed),
        Command::Node(passed) => ("node", passed),
        Command::Cluster(passed) => ("cluster", passed),
    };
    let mut bench = cargo(&["run", "--release", "--quiet", "-p", "ottla-testkit"]);
    bench.args(["--bin", "bench", "--"]);
    bench.arg("--ottla").arg(node_binary(Profile::Release)?);
    bench.arg("--kafka").arg(setup::jars("kafka")?);
    bench.arg("--tools").arg(setup::jars("console")?);
    let json = target()?.join("bench").join(format!("{name}.json"));
    bench.arg("--json").arg(json);
    match command {
        Command::Kafka(_) => {}
        Command::Node(_) => {
            bench.arg("--alone");
        }
        Command::Cluster(_) => {
            bench.arg("--cluster");
        }
    }
    bench.args(&passed.options);
    succeeds(&mut bench)
}
