//! `cargo xtask bench`: builds the release node and measures it, beside Apache Kafka and ZooKeeper or alone.

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
    /// Our keeper and Apache ZooKeeper in turn: throughput, latency, memory, start, failover
    Keeper(Passed),
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
        Command::Keeper(passed) => return run_keeper(passed),
    };
    let mut bench = cargo(&["run", "--release", "--quiet", "-p", "ottla-testkit"]);
    bench.args(["--bin", "bench", "--"]);
    bench.arg("--ottla").arg(node_binary(Profile::Release)?);
    bench.arg("--kafka").arg(setup::jars("kafka")?);
    bench.arg("--tools").arg(setup::jars("console")?);
    let json = target()?.join("bench").join(format!("{name}.json"));
    bench.arg("--json").arg(json);
    match command {
        Command::Kafka(_) | Command::Keeper(_) => {}
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

/// Without librdkafka, which takes minutes to build and is not needed.
fn run_keeper(passed: &Passed) -> Result<bool> {
    let mut bench = cargo(&["run", "--release", "--quiet", "-p", "ottla-testkit"]);
    bench.args(["--no-default-features", "--features", "keeper"]);
    bench.args(["--bin", "keeper-bench", "--"]);
    if !passed
        .options
        .iter()
        .any(|option| option == "--zookeeper-alone")
    {
        bench.arg("--ottla").arg(node_binary(Profile::Release)?);
    }
    bench.arg("--zookeeper").arg(setup::jars("zookeeper")?);
    let json = target()?.join("bench").join("keeper.json");
    bench.arg("--json").arg(json);
    bench.args(&passed.options);
    succeeds(&mut bench)
}
