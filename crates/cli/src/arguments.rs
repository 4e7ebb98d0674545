//! The command line as a tree of arguments. Parsing reads no environment: what may also come from
//! there is resolved afterwards, with the flag winning, so that a test can give both.

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use crate::globals::GlobalArgs;
use crate::{OperatorCommand, ServerArgs, StartZookeeperArgs};
use crate::{
    bench, broker, completions, config, consume, dev, doctor, dump, group, inspect, keeper, mirror,
    produce, quorum, topic, txn,
};

/// The whole command line of `ottla`.
#[derive(Debug, Parser)]
#[command(
    name = "ottla",
    bin_name = "ottla",
    version,
    about = "Kafka in one small binary: runs a node, and works with any Kafka cluster.",
    after_help = "Without a command, `ottla` is `ottla server`: a node on 127.0.0.1:9092 with its \
                  data in ./ottla-data.",
    subcommand_required = false,
    arg_required_else_help = false,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<TopLevel>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Debug, Subcommand)]
enum TopLevel {
    /// Run a node (what `ottla` alone does)
    Server(ServerArgs),
    /// Run a keeper, with the flags of the image kubernetes-zookeeper
    StartZookeeper(Box<StartZookeeperArgs>),
    /// Run clusters on Kubernetes: show what resources become, and what they are
    #[command(subcommand)]
    Operator(OperatorCommand),
    #[command(flatten)]
    Client(Command),
}

/// Everything that works with a cluster, or needs none; the binary adds the server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run several nodes on this machine, and show what happens to them
    Dev(dev::DevArgs),
    /// List, describe, create, alter and delete topics
    #[command(subcommand, visible_alias = "topics")]
    Topic(topic::TopicCommand),
    /// Write records: one a line, from standard input or a file
    Produce(produce::ProduceArgs),
    /// Read records
    Consume(consume::ConsumeArgs),
    /// Look into the files of a log, without a node
    #[command(subcommand, visible_alias = "logs")]
    Log(dump::LogCommand),
    /// Print what a shell needs to complete commands and flags
    Completions(completions::CompletionsArgs),
    /// List, describe and delete groups, and move them to other offsets
    #[command(subcommand, visible_alias = "groups")]
    Group(group::GroupCommand),
    /// Show the cluster, even out what its brokers carry, and elect leaders
    #[command(subcommand)]
    Cluster(inspect::ClusterCommand),
    /// List and describe brokers, take leaders or all replicas from them, and forget them
    #[command(subcommand, visible_alias = "brokers")]
    Broker(broker::BrokerCommand),
    /// Show the metadata quorum, and add and remove voters
    #[command(subcommand)]
    Quorum(quorum::QuorumCommand),
    /// Work with a keeper, or with Apache ZooKeeper: znodes, ACLs, quotas, members, a shell
    Keeper(keeper::KeeperArgs),
    /// Find out why clients cannot work with a cluster: names, addresses, brokers, partitions
    Doctor(doctor::DoctorArgs),
    /// Measure how much a cluster takes in and gives out, and how long it takes
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Copy topics and groups from another cluster, of Apache Kafka or of Ottla
    Mirror(mirror::MirrorArgs),
    /// List and describe transactions, find those that hang, and end them
    #[command(subcommand, visible_alias = "transaction", alias = "transactions")]
    Txn(txn::TxnCommand),
    /// Show and change settings of topics, brokers and groups, and quotas
    #[command(subcommand, visible_alias = "configs")]
    Config(config::ConfigCommand),
}

impl Command {
    /// Whether it ends by itself at an interruption, to say what is left and how to go on.
    pub(crate) fn hears_interrupts(&self) -> bool {
        use crate::{BrokerCommand as Broker, ClusterCommand as Cluster, TopicCommand as Topic};
        match self {
            Command::Broker(command) => matches!(
                command,
                Broker::Drain(_) | Broker::Undrain(_) | Broker::Decommission(_)
            ),
            Command::Cluster(command) => matches!(command, Cluster::Rebalance(_)),
            Command::Topic(command) => matches!(command, Topic::Reassign(_)),
            _ => false,
        }
    }
}

/// What `ottla` was asked to do.
#[derive(Debug)]
pub enum Action {
    /// Run a node.
    Server(ServerArgs),
    /// Run a command, see [`run`](crate::run).
    Command(Command, GlobalArgs),
    /// Do something for Kubernetes.
    Operator(OperatorCommand, GlobalArgs),
}

impl Cli {
    /// Reads the arguments of the process, or ends it with what is wrong with them. A program that
    /// is called `start-zookeeper` is that command.
    #[must_use]
    pub fn of_process(arguments: impl Iterator<Item = OsString>) -> Self {
        <Cli as Parser>::parse_from(with_name(arguments))
    }

    /// Sorts out what was asked for.
    ///
    /// # Errors
    /// Flags of one command that were given to another.
    pub fn action(self) -> Result<Action, clap::Error> {
        match self.command {
            None => refuse_with_server(&self.global).map(|()| self.server),
            Some(TopLevel::Server(server)) => {
                refuse_with_server(&self.global).map(|()| self.server.merged(server))
            }
            Some(TopLevel::StartZookeeper(args)) => {
                refuse_with_server(&self.global).map(|()| self.server.merged(args.into_server()))
            }
            Some(TopLevel::Operator(command)) => {
                refuse_server(&self.server)?;
                return Ok(Action::Operator(command, self.global));
            }
            Some(TopLevel::Client(command)) => {
                refuse_server(&self.server)?;
                return Ok(Action::Command(command, self.global));
            }
        }
        .map(Action::Server)
    }
}

/// The name by which the image `kubernetes-zookeeper` starts its server.
const START_ZOOKEEPER: &str = "start-zookeeper";

/// A link to the program that is called like a command is that command.
fn with_name(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let program = arguments.first().map(std::path::Path::new);
    if program.and_then(|path| path.file_name()) == Some(START_ZOOKEEPER.as_ref()) {
        arguments.insert(1, START_ZOOKEEPER.into());
    }
    arguments
}

/// Flags of a server mean nothing to other commands.
fn refuse_server(server: &ServerArgs) -> Result<(), clap::Error> {
    if server.is_empty() {
        return Ok(());
    }
    Err(conflict(
        "--config, --set, --data-dir, --log-format and --log-level belong to `ottla server`",
    ))
}

/// Flags about a cluster mean nothing to a server.
fn refuse_with_server(global: &GlobalArgs) -> Result<(), clap::Error> {
    if global.bootstrap_server.is_none() && global.output.is_none() && global.timeout.is_none() {
        return Ok(());
    }
    Err(conflict(
        "--bootstrap-server, --output and --timeout belong to commands that ask a cluster, \
         not to `ottla server`",
    ))
}

fn conflict(message: &str) -> clap::Error {
    Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message)
}

#[cfg(test)]
mod tests;
