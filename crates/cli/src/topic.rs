//! `ottla topic`: list, describe, create, alter and delete.

mod alter;
mod create;
mod delete;
mod describe;
mod list;
mod reassign;
mod reassignments;
mod troubles;

use ottla_runtime::Shutdown;

use crate::cluster::Cluster;
use crate::output::OutputFormat;
use crate::{Error, Streams};

/// The verbs of `ottla topic`.
#[derive(Debug, clap::Subcommand)]
pub enum TopicCommand {
    /// List the topics
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show partitions, offsets, and the settings that differ from the default
    Describe(describe::DescribeArgs),
    /// Create a topic
    Create(create::CreateArgs),
    /// Add partitions, change settings
    Alter(alter::AlterArgs),
    /// Move replicas to other brokers, or change how many there are
    Reassign(reassign::ReassignArgs),
    /// Show what is being moved and how far it is, wait for it, or take it back
    Reassignments(reassignments::ReassignmentsArgs),
    /// Delete topics with all their records
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
}

/// Asks before what cannot be undone.
pub(crate) fn confirm(command: &TopicCommand, streams: &mut Streams) -> Result<(), Error> {
    match command {
        TopicCommand::Delete(args) => delete::confirm(args, streams),
        _ => Ok(()),
    }
}

/// Runs one of the verbs.
pub(crate) async fn run(
    command: &TopicCommand,
    cluster: &Cluster,
    interrupt: &Shutdown,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    match command {
        TopicCommand::List(args) => list::run(args, cluster, output, streams).await,
        TopicCommand::Describe(args) => describe::run(args, cluster, output, streams).await,
        TopicCommand::Create(args) => create::run(args, cluster, output, streams).await,
        TopicCommand::Alter(args) => alter::run(args, cluster, output, streams).await,
        TopicCommand::Reassign(args) => {
            reassign::run(args, cluster, interrupt, output, streams).await
        }
        TopicCommand::Reassignments(args) => {
            reassignments::run(args, cluster, output, streams).await
        }
        TopicCommand::Delete(args) => delete::run(args, cluster, output, streams).await,
    }
}

#[cfg(test)]
mod tests;
