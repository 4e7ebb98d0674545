//! `ottla group`: list, describe, reset offsets, delete.

mod delete;
mod describe;
mod list;
mod offsets_file;
mod reset;
mod target;

use ottla_client::GroupDescription;

use crate::cluster::Cluster;
use crate::output::OutputFormat;
use crate::{Error, Streams, suggest};

/// The verbs of `ottla group`.
#[derive(Debug, clap::Subcommand)]
pub enum GroupCommand {
    /// List the groups with their type, state and number of members
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show members, what they read, and how far each partition is behind
    Describe(describe::DescribeArgs),
    /// Move a group to other offsets: shows what it would do, and does it with --execute
    ResetOffsets(reset::ResetArgs),
    /// Delete groups, or only their offsets of some topics
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
}

/// Asks before what cannot be undone.
pub(crate) fn confirm(command: &GroupCommand, streams: &mut Streams) -> Result<(), Error> {
    match command {
        GroupCommand::Delete(args) => delete::confirm(args, streams),
        _ => Ok(()),
    }
}

/// Runs one of the verbs.
pub(crate) async fn run(
    command: &GroupCommand,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    match command {
        GroupCommand::List(args) => list::run(args, cluster, output, streams).await,
        GroupCommand::Describe(args) => describe::run(args, cluster, output, streams).await,
        GroupCommand::ResetOffsets(args) => reset::run(args, cluster, output, streams).await,
        GroupCommand::Delete(args) => delete::run(args, cluster, output, streams).await,
    }
}

/// A group of this name, if there is one.
async fn find(name: &str, cluster: &Cluster) -> Result<Option<GroupDescription>, Error> {
    let found = cluster.client.describe_group(name).await;
    cluster.checked(format!("looking up group {name}"), found)
}

/// That there is no group of this name, with those that could have been meant.
async fn not_there(name: &str, cluster: &Cluster) -> Error {
    let groups = cluster.client.list_groups().await.unwrap_or_default();
    if let Some(other) = groups.iter().find(|group| group.group_id == name) {
        return Error::Usage(format!(
            "group {name} is a {} group; only classic and consumer groups can be looked into here",
            other.group_type
        ));
    }
    let names = groups.iter().map(|group| group.group_id.as_str());
    Error::NotThere {
        what: "group",
        name: name.to_owned(),
        similar: suggest::closest(name, names),
        to_do: "`ottla group list` shows those that exist".to_owned(),
    }
}

/// Whether members read: then nobody else may move the group.
pub(crate) fn is_active(group: &GroupDescription) -> bool {
    !group.members.is_empty() || !matches!(group.state.as_str(), "Empty" | "Dead")
}

/// `TOPIC`, or `TOPIC:0,2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicPartitions {
    pub(crate) topic: String,
    /// `None` for all.
    pub(crate) partitions: Option<Vec<i32>>,
}

fn topic_partitions(text: &str) -> Result<TopicPartitions, String> {
    let wrong = || "write it as TOPIC or TOPIC:0,1,2".to_owned();
    let (topic, partitions) = match text.split_once(':') {
        None => (text, None),
        Some((topic, list)) => {
            let numbers = list.split(',').map(|n| n.trim().parse::<u16>());
            let numbers = numbers.map(|n| n.map(i32::from).map_err(|_| wrong()));
            (topic, Some(numbers.collect::<Result<Vec<_>, _>>()?))
        }
    };
    if topic.is_empty() {
        return Err(wrong());
    }
    Ok(TopicPartitions {
        topic: topic.to_owned(),
        partitions,
    })
}

#[cfg(test)]
mod tests;
