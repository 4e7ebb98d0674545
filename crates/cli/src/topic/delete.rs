//! `ottla topic delete`.

use ottla_model::ErrorCode;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla topic delete` takes.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The topics
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// A topic that does not exist is no failure
    #[arg(long)]
    pub if_exists: bool,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

/// What became of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is gone.
    Deleted,
    /// It was not there.
    Absent,
}

/// The reply to the person.
#[derive(Debug, Serialize)]
pub(super) struct Deleted {
    pub(super) topics: Vec<Row>,
}

/// One topic of it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) outcome: Outcome,
}

impl View for Deleted {
    fn table(&self, _wide: bool) -> String {
        let line = |row: &Row| match row.outcome {
            Outcome::Deleted => format!("topic/{} deleted\n", row.name),
            Outcome::Absent => format!("topic/{} does not exist; nothing was changed\n", row.name),
        };
        self.topics.iter().map(line).collect()
    }

    fn names(&self) -> Vec<String> {
        let deleted = self
            .topics
            .iter()
            .filter(|row| row.outcome == Outcome::Deleted);
        deleted.map(|row| row.name.clone()).collect()
    }
}

pub(super) async fn run(
    args: &DeleteArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let mut topics = Vec::new();
    let mut errors = Vec::new();
    for name in &args.names {
        let outcome = match cluster.delete_topic(name).await {
            Ok(()) => Outcome::Deleted,
            Err(Error::Refused {
                code: ErrorCode::UnknownTopicOrPartition,
                ..
            }) if args.if_exists => Outcome::Absent,
            Err(error @ Error::Refused { .. }) => {
                errors.push(error);
                continue;
            }
            Err(error) => {
                // What was deleted before the cluster went away is told, too.
                output::print(&Deleted { topics }, output, streams)?;
                return Err(error);
            }
        };
        topics.push(Row {
            name: name.clone(),
            outcome,
        });
    }
    if !topics.is_empty() {
        output::print(&Deleted { topics }, output, streams)?;
    }
    Error::of_several(errors, args.names.len(), "topics", streams)
}

/// Asks a person at a terminal; anything but `y` or `yes` is no.
pub(super) fn confirm(args: &DeleteArgs, streams: &mut Streams) -> Result<(), Error> {
    let names = args.names.as_slice();
    let what = match names {
        [name] => format!("topic {name} and all its records"),
        _ => format!("the topics {} and all their records", names.join(", ")),
    };
    crate::confirm::confirm(&format!("Delete {what}?"), args.yes, streams)
}
