//! `ottla group delete`.

use ottla_model::ErrorCode;
use serde::Serialize;

use super::{TopicPartitions, topic_partitions};
use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla group delete` takes.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The groups
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Keep the groups, and delete only their offsets of this topic, or of some of its partitions;
    /// may be repeated
    #[arg(long, value_name = "TOPIC[:0,1]", value_parser = topic_partitions)]
    pub(super) offsets_of: Vec<TopicPartitions>,
    /// A group that does not exist is no failure
    #[arg(long)]
    pub if_exists: bool,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

/// What became of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is gone.
    Deleted,
    /// Some of its offsets are gone.
    OffsetsDeleted,
    /// It was not there.
    Absent,
}

/// The reply to the person.
#[derive(Debug, Serialize)]
pub(super) struct Deleted {
    pub(super) groups: Vec<Row>,
}

/// One group of it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    /// How many offsets were deleted, where the group was kept.
    pub(super) offsets: Option<usize>,
}

impl View for Deleted {
    fn table(&self, _wide: bool) -> String {
        let line = |row: &Row| match (row.outcome, row.offsets.unwrap_or(0)) {
            (Outcome::Deleted, _) => format!("group/{} deleted\n", row.name),
            (Outcome::OffsetsDeleted, 1) => format!("group/{}: 1 offset deleted\n", row.name),
            (Outcome::OffsetsDeleted, n) => format!("group/{}: {n} offsets deleted\n", row.name),
            (Outcome::Absent, _) => {
                format!("group/{} does not exist; nothing was changed\n", row.name)
            }
        };
        self.groups.iter().map(line).collect()
    }

    fn names(&self) -> Vec<String> {
        let deleted = self
            .groups
            .iter()
            .filter(|row| row.outcome != Outcome::Absent);
        deleted.map(|row| row.name.clone()).collect()
    }
}

pub(super) async fn run(
    args: &DeleteArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let (mut groups, mut errors) = (Vec::new(), Vec::new());
    for name in &args.names {
        let done = if args.offsets_of.is_empty() {
            delete(name, cluster).await
        } else {
            delete_offsets(name, args, cluster).await
        };
        match done {
            Ok(row) => groups.push(row),
            Err(Error::NotThere { .. }) if args.if_exists => groups.push(Row {
                name: name.clone(),
                outcome: Outcome::Absent,
                offsets: None,
            }),
            Err(error @ (Error::Unreachable { .. } | Error::TimedOut { .. })) => {
                // What was deleted before the cluster went away is told, too.
                output::print(&Deleted { groups }, output, streams)?;
                return Err(error);
            }
            Err(error) => errors.push(error),
        }
    }
    if !groups.is_empty() {
        output::print(&Deleted { groups }, output, streams)?;
    }
    Error::of_several(errors, args.names.len(), "groups", streams)
}

async fn delete(name: &str, cluster: &Cluster) -> Result<Row, Error> {
    match cluster.client.delete_group(name).await {
        Ok(()) => Ok(Row {
            name: name.to_owned(),
            outcome: Outcome::Deleted,
            offsets: None,
        }),
        Err(error) => Err(explained(name, &error, "deleting", cluster).await),
    }
}

async fn delete_offsets(name: &str, args: &DeleteArgs, cluster: &Cluster) -> Result<Row, Error> {
    let committed = cluster.client.committed_offsets(name).await;
    let action = format!("looking up the offsets of group {name}");
    let committed = cluster.checked(action, committed)?;
    let mut deleted = 0;
    for wanted in &args.offsets_of {
        let of_topic = committed.iter().filter(|c| c.topic == wanted.topic);
        let chosen = of_topic.filter(|c| match &wanted.partitions {
            Some(partitions) => partitions.contains(&c.partition),
            None => true,
        });
        let chosen: Vec<i32> = chosen.map(|c| c.partition).collect();
        if chosen.is_empty() {
            if super::find(name, cluster).await?.is_none() {
                return Err(super::not_there(name, cluster).await);
            }
            continue;
        }
        let done = cluster.client.delete_offsets(name, &wanted.topic, &chosen);
        if let Err(error) = done.await {
            return Err(explained(name, &error, "deleting offsets of", cluster).await);
        }
        deleted += chosen.len();
    }
    Ok(Row {
        name: name.to_owned(),
        outcome: Outcome::OffsetsDeleted,
        offsets: Some(deleted),
    })
}

async fn explained(
    name: &str,
    error: &ottla_client::Error,
    what: &str,
    cluster: &Cluster,
) -> Error {
    match error.code() {
        Some(ErrorCode::GroupIdNotFound) => super::not_there(name, cluster).await,
        _ => cluster.failure(&format!("{what} group {name}"), error),
    }
}

pub(super) fn confirm(args: &DeleteArgs, streams: &mut Streams) -> Result<(), Error> {
    let names = match args.names.as_slice() {
        [name] => format!("group {name}"),
        names => format!("the groups {}", names.join(", ")),
    };
    let what = if args.offsets_of.is_empty() {
        format!("{names} with all offsets")
    } else {
        let topics: Vec<&str> = args.offsets_of.iter().map(|o| o.topic.as_str()).collect();
        format!("the offsets of {names} in {}", topics.join(", "))
    };
    crate::confirm::confirm(&format!("Delete {what}?"), args.yes, streams)
}
