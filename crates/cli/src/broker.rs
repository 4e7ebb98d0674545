//! `ottla broker`: list, describe, drain, undrain, decommission and unregister.

mod decommission;
mod describe;
mod drain;
mod list;
mod unregister;

use ottla_runtime::Shutdown;

pub(crate) use drain::{failed, stuck};

use crate::cluster::Cluster;
use crate::output::OutputFormat;
use crate::{Error, Streams};

/// The verbs of `ottla broker`.
#[derive(Debug, clap::Subcommand)]
pub enum BrokerCommand {
    /// List the brokers with their racks, and what they carry
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show all about a broker: address, state, log folders, replicas that are behind
    Describe(describe::DescribeArgs),
    /// Let others lead what a broker leads, before it is looked after; its replicas stay
    Drain(drain::DrainArgs),
    /// Let a drained broker lead its share again
    Undrain(drain::DrainArgs),
    /// Give all replicas of a broker to others, and forget it once its process has gone
    Decommission(decommission::DecommissionArgs),
    /// Make the cluster forget a broker that has gone for good and holds nothing
    Unregister(unregister::UnregisterArgs),
}

/// Asks before what cannot be undone.
pub(crate) fn confirm(command: &BrokerCommand, streams: &mut Streams) -> Result<(), Error> {
    match command {
        BrokerCommand::Decommission(args) => decommission::confirm(args, streams),
        BrokerCommand::Unregister(args) => unregister::confirm(args, streams),
        _ => Ok(()),
    }
}

/// Runs one of the verbs. Those that move replicas tell at an interruption how to go on.
pub(crate) async fn run(
    command: &BrokerCommand,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    match command {
        BrokerCommand::List(_) => list::run(cluster, output, streams).await,
        BrokerCommand::Describe(args) => describe::run(args, cluster, output, streams).await,
        BrokerCommand::Drain(args) => {
            drain::run(
                args,
                drain::Verb::Drain,
                cluster,
                interrupt,
                output,
                streams,
            )
            .await
        }
        BrokerCommand::Undrain(args) => {
            let verb = drain::Verb::Undrain;
            drain::run(args, verb, cluster, interrupt, output, streams).await
        }
        BrokerCommand::Decommission(args) => {
            decommission::run(args, cluster, interrupt, output, streams).await
        }
        BrokerCommand::Unregister(args) => unregister::run(args, cluster, output, streams).await,
    }
}
