//! `cargo xtask bench`: builds the release node and measures it with a librdkafka client.

use anyhow::Result;
use ottla_testkit::{Launch, Profile, node_binary};

use crate::clients::kafka;
use crate::workspace::{cargo, succeeds, target};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Start until the first acknowledged produce, idle memory, CPU for each GiB
    Node(Node),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Node {
    /// Measure Apache Kafka instead, for a comparison
    #[arg(long)]
    kafka: bool,
    /// How many starts the median is taken of
    #[arg(long, default_value_t = 7)]
    starts: usize,
    /// MiB of 1 KiB records to produce and to consume
    #[arg(long, default_value_t = 2048)]
    mib: u64,
}

pub(crate) fn run(command: &Command) -> Result<bool> {
    let Command::Node(node) = command;
    let mut bench = cargo(&["run", "--release", "--quiet", "-p", "ottla-testkit"]);
    bench.args(["--bin", "node-bench", "--"]);
    match node.kafka.then(kafka).transpose()? {
        Some(Launch::Kafka { lib, .. }) => bench.arg("--kafka").arg(lib),
        _ => bench.arg("--ottla").arg(node_binary(Profile::Release)?),
    };
    bench.args([
        "--starts",
        &node.starts.to_string(),
        "--mib",
        &node.mib.to_string(),
    ]);
    bench.arg("--json-folder").arg(target()?.join("bench"));
    succeeds(&mut bench)
}
