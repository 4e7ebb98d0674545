//! `ottla config`: settings of topics, brokers, groups and metrics subscriptions, and quotas.

mod alter;
mod changes;
mod get;
mod list;
mod quota;
mod reference;
mod resource;

use crate::cluster::Cluster;
use crate::output::OutputFormat;
use crate::{Error, Streams};

pub(crate) use changes::{Changed, Changes};

/// The verbs of `ottla config`.
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Show settings with where they come from, such as `config get topic/orders`
    Get(get::GetArgs),
    /// Change settings, such as `config set topic/orders retention.ms=86400000`
    Set(alter::SetArgs),
    /// Put settings back to their defaults
    Unset(alter::UnsetArgs),
    /// List the groups and metrics subscriptions that have settings, and the quotas
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Print the reference of all properties: Markdown, or -o table|json|yaml|name
    Reference,
}

impl ConfigCommand {
    /// Whether it can be answered without a cluster.
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self, ConfigCommand::Reference)
    }
}

/// Prints what needs no cluster.
pub(crate) fn run_offline(
    output: Option<OutputFormat>,
    streams: &mut Streams,
) -> Result<(), Error> {
    reference::run(output, streams)
}

/// Runs one of the verbs.
pub(crate) async fn run(
    command: &ConfigCommand,
    cluster: &Cluster,
    output: Option<OutputFormat>,
    streams: &mut Streams,
) -> Result<(), Error> {
    let format = output.unwrap_or_default();
    match command {
        ConfigCommand::Get(args) => get::run(args, cluster, format, streams).await,
        ConfigCommand::Set(args) => alter::set(args, cluster, format, streams).await,
        ConfigCommand::Unset(args) => alter::unset(args, cluster, format, streams).await,
        ConfigCommand::List(args) => list::run(args, cluster, format, streams).await,
        ConfigCommand::Reference => reference::run(output, streams),
    }
}
