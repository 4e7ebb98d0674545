//! Flags that all commands share, and the small parsers behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::output::OutputFormat;
use crate::{Error, moment};

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

pub(crate) const DEFAULT_BOOTSTRAP_SERVER: &str = "127.0.0.1:9092";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

impl GlobalArgs {
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
pub(crate) fn bootstrap_servers(text: &str) -> Result<String, Error> {
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

/// Reads `key=value`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as key=value".to_owned()),
    }
}
