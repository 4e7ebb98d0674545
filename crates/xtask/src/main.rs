//! The project's own commands: `cargo xtask test` is what CI runs, `cargo xtask fix` is the only
//! thing that writes into the tree.

mod bench;
mod cases;
mod clients;
mod cluster_test;
mod deploy;
mod fault_runs;
mod fix;
mod image;
mod keeper_clients;
mod keeper_differential;
mod keeper_suites;
mod keeper_test;
mod kube;
mod setup;
mod sim;
mod suites;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The project's own commands", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs all tests: the workspace's own, then real clients against a node
    Test(test::Arguments),
    /// Runs the real clients' suites only, against our node, Apache Kafka or a given address
    Clients(clients::Arguments),
    /// Runs the suites of ZooKeeper's clients, against Apache ZooKeeper or given addresses
    KeeperClients(keeper_clients::Arguments),
    /// Starts Apache ZooKeeper, one server or an ensemble, until standard input ends
    #[command(name = "zookeeper")]
    ZooKeeper(keeper_clients::ZooKeeperArguments),
    /// Checks the layers, file sizes, leftovers and calls that go around the runtime crate
    Tidy,
    /// Formats, applies clippy's suggestions and writes the generated documents again
    Fix,
    /// Writes what installs the operator, and the reference of its resources
    Deploy(deploy::Arguments),
    /// Plays seeded simulations of a node: crashes, lost flushes, bad networks
    Sim(sim::Arguments),
    /// Runs real clusters under faults, and judges what clients saw
    ClusterTest(cluster_test::Arguments),
    /// Runs ensembles of the keeper under faults, and judges what clients saw
    KeeperTest(keeper_test::Arguments),
    /// Compares our keeper with Apache ZooKeeper, operation by operation
    KeeperDifferential(keeper_differential::Arguments),
    /// Builds the container image
    Image(image::Arguments),
    /// Applies the examples to a real Kubernetes, and looks at them with real clients
    Kube(kube::Arguments),
    /// Measures the node
    #[command(subcommand)]
    Bench(bench::Command),
}

fn main() -> Result<ExitCode> {
    let good = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments)?,
        Command::Clients(arguments) => clients::run(&arguments)?,
        Command::KeeperClients(arguments) => keeper_clients::run(&arguments)?,
        Command::ZooKeeper(arguments) => keeper_clients::zookeeper(&arguments)?,
        Command::Tidy => tidy::run()?,
        Command::Fix => fix::run()?,
        Command::Deploy(arguments) => deploy::run(&arguments)?,
        Command::Sim(arguments) => sim::run(&arguments)?,
        Command::ClusterTest(arguments) => cluster_test::run(&arguments)?,
        Command::KeeperTest(arguments) => keeper_test::run(&arguments)?,
        Command::KeeperDifferential(arguments) => keeper_differential::run(&arguments)?,
        Command::Image(arguments) => image::run(&arguments)?,
        Command::Kube(arguments) => kube::run(&arguments)?,
        Command::Bench(command) => bench::run(&command)?,
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
