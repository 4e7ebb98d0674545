//! `cargo xtask keeper-differential`: the same random operations on our keeper and on Apache ZooKeeper.

use anyhow::Result;
use ottla_testkit::{Profile, node_binary};

use crate::setup;
use crate::workspace::{cargo, succeeds};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Two real ZooKeepers instead: a difference is then one of the comparison
    #[arg(long)]
    zookeeper_twice: bool,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many operations of each seed
    #[arg(long, default_value_t = 5000)]
    operations: usize,
    /// More options of the program, such as `-- --runs 10 --go-on`; `-- --help` lists them
    #[arg(last = true)]
    options: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut command = cargo(&["run", "--quiet", "-p", "ottla-testkit"]);
    command.args(["--no-default-features", "--features", "keeper"]);
    command.args(["--bin", "keeper-differential", "--"]);
    if !arguments.zookeeper_twice {
        command.arg("--ottla").arg(node_binary(Profile::Release)?);
    }
    command.arg("--zookeeper").arg(setup::jars("zookeeper")?);
    command.args(["--seed", &arguments.seed.to_string()]);
    command.args(["--operations", &arguments.operations.to_string()]);
    command.args(&arguments.options);
    succeeds(&mut command)
}
