//! The command line as a tree of arguments. Parsing reads no environment: what may also come from
//! there is resolved afterwards, with the flag winning, so that a test can give both.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use crate::output::OutputFormat;
use crate::{Error, ServerArgs, moment};
use crate::{config, consume, produce, topic};

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
    #[command(flatten)]
    Client(Command),
}

/// Everything that works with a cluster, or needs none; the binary adds the server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List, describe, create and delete topics
    #[command(subcommand, visible_alias = "topics")]
    Topic(topic::TopicCommand),
    /// Write records: one a line, from standard input or a file
    Produce(produce::ProduceArgs),
    /// Read records
    Consume(consume::ConsumeArgs),
    /// Explain the configuration of a node
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// What `ottla` was asked to do.
#[derive(Debug)]
pub enum Action {
    /// Run a node.
    Server(ServerArgs),
    /// Run a command, see [`run`](crate::run).
    Command(Command, GlobalArgs),
}

/// Flags of every command that reaches a cluster.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Cluster and output")]
pub struct GlobalArgs {
    /// Nodes to ask first, separated by commas [default: 127.0.0.1:9092] [env:
    /// OTTLA_BOOTSTRAP_SERVER]
    #[arg(short, long, global = true, value_name = "HOST:PORT")]
    pub bootstrap_server: Option<String>,
    /// How results are printed [default: table] [env: OTTLA_OUTPUT]
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        hide_possible_values = true,
        help = "How results are printed: table, wide, json, yaml or name [default: table] \
                [env: OTTLA_OUTPUT]"
    )]
    pub output: Option<OutputFormat>,
    /// The longest wait for an answer, such as 500ms, 10s or 1m [default: 30s]
    #[arg(long, global = true, value_parser = moment::duration, value_name = "TIME")]
    pub timeout: Option<Duration>,
}

/// [`GlobalArgs`] with the environment and the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Globals {
    pub(crate) bootstrap_servers: String,
    /// `None` when nothing was said: a table, or for records their values.
    pub(crate) output: Option<OutputFormat>,
    pub(crate) timeout: Duration,
}

const DEFAULT_BOOTSTRAP_SERVER: &str = "127.0.0.1:9092";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

impl Cli {
    /// Sorts out what was asked for.
    ///
    /// # Errors
    /// Flags of one command that were given to another.
    pub fn action(self) -> Result<Action, clap::Error> {
        match self.command {
            None => self.global.refuse_with_server().map(|()| self.server),
            Some(TopLevel::Server(server)) => self
                .global
                .refuse_with_server()
                .map(|()| self.server.merged(server)),
            Some(TopLevel::Client(command)) => {
                if !self.server.is_empty() {
                    return Err(conflict(
                        "--config, --set, --data-dir, --log-format and --log-level belong to \
                         `ottla server`",
                    ));
                }
                return Ok(Action::Command(command, self.global));
            }
        }
        .map(Action::Server)
    }
}

impl GlobalArgs {
    fn refuse_with_server(&self) -> Result<(), clap::Error> {
        if self.bootstrap_server.is_none() && self.output.is_none() && self.timeout.is_none() {
            return Ok(());
        }
        Err(conflict(
            "--bootstrap-server, --output and --timeout belong to commands that ask a cluster, \
             not to `ottla server`",
        ))
    }

    /// Fills in what the environment and the defaults say.
    pub(crate) fn resolve(&self, env: &BTreeMap<String, String>) -> Result<Globals, Error> {
        let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let servers = self
            .bootstrap_server
            .clone()
            .or_else(|| variable("OTTLA_BOOTSTRAP_SERVER").cloned())
            .or_else(|| variable("OTTLA_BOOTSTRAP_SERVERS").cloned())
            .unwrap_or_else(|| DEFAULT_BOOTSTRAP_SERVER.to_owned());
        let output = match (self.output, variable("OTTLA_OUTPUT")) {
            (Some(format), _) => Some(format),
            (None, Some(text)) => Some(output_of(text)?),
            (None, None) => None,
        };
        Ok(Globals {
            bootstrap_servers: bootstrap_servers(&servers)?,
            output,
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
        })
    }
}

fn output_of(text: &str) -> Result<OutputFormat, Error> {
    <OutputFormat as clap::ValueEnum>::from_str(text, true).map_err(|_| {
        Error::Usage(format!(
            "OTTLA_OUTPUT is {text}; it can be table, wide, json, yaml or name"
        ))
    })
}

/// Checks a list of `host:port`; a missing port is Kafka's 9092.
fn bootstrap_servers(text: &str) -> Result<String, Error> {
    let wrong = |server: &str| {
        Error::Usage(format!(
            "{server:?} is no address of a node: write HOST:PORT, several separated by commas"
        ))
    };
    let mut servers = Vec::new();
    for server in text.split(',').map(str::trim).filter(|s| !s.is_empty()) {
        // An IPv6 address stands in brackets: [::1]:9092.
        let port = server.rsplit_once(':').filter(|(_, p)| !p.ends_with(']'));
        match port {
            None => servers.push(format!("{server}:9092")),
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0) => {
                servers.push(server.to_owned());
            }
            Some(_) => return Err(wrong(server)),
        }
    }
    if servers.is_empty() {
        return Err(wrong(text));
    }
    Ok(servers.join(","))
}

fn conflict(message: &str) -> clap::Error {
    Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message)
}

/// Reads `key=value`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as key=value".to_owned()),
    }
}

#[cfg(test)]
mod tests;
