//! `ottla topic create`.

use ottla_model::{ErrorCode, TopicName};
use serde::Serialize;

use crate::cluster::{Cluster, CreateTopic};
use crate::globals::key_value;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla topic create` takes.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The topic's name: letters, digits, '.', '_' and '-'
    pub name: String,
    /// How many partitions [default: the cluster's num.partitions]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// How many brokers hold each partition [default: the cluster's default.replication.factor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub replication_factor: Option<i16>,
    /// A setting of the topic, such as retention.ms=86400000; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub config: Vec<(String, String)>,
    /// A topic that exists already is no failure; it stays as it is
    #[arg(long)]
    pub if_not_exists: bool,
    /// Only ask the cluster whether it would create it
    #[arg(long, visible_alias = "dry-run")]
    pub validate_only: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is there now.
    Created,
    /// It could be created.
    Valid,
    /// It was there before.
    Unchanged,
}

/// The reply to the person.
#[derive(Debug, Serialize)]
pub(super) struct Created {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    /// Null when the cluster did not say.
    pub(super) id: Option<String>,
    pub(super) partitions: Option<i32>,
    pub(super) replication_factor: Option<i16>,
}

impl View for Created {
    fn table(&self, _wide: bool) -> String {
        let name = &self.name;
        let shape = match (self.partitions, self.replication_factor) {
            (Some(1), Some(factor)) => format!(" (1 partition, replication factor {factor})"),
            (Some(count), Some(factor)) => {
                format!(" ({count} partitions, replication factor {factor})")
            }
            _ => String::new(),
        };
        match self.outcome {
            Outcome::Created => format!("topic/{name} created{shape}\n"),
            Outcome::Valid => format!("topic/{name} can be created{shape}; nothing was changed\n"),
            Outcome::Unchanged => format!("topic/{name} exists already; nothing was changed\n"),
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

pub(super) async fn run(
    args: &CreateArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    TopicName::new(&args.name).map_err(|reason| Error::Usage(reason.to_string()))?;
    let request = CreateTopic {
        name: args.name.clone(),
        partitions: args.partitions,
        replication_factor: args.replication_factor,
        configs: args.config.clone(),
        validate_only: args.validate_only,
    };
    let created = match cluster.create_topic(&request).await {
        Ok(reply) => Created {
            name: args.name.clone(),
            outcome: if args.validate_only {
                Outcome::Valid
            } else {
                Outcome::Created
            },
            id: reply.id,
            partitions: reply.partitions.or(args.partitions),
            replication_factor: reply.replication_factor.or(args.replication_factor),
        },
        Err(Error::Refused {
            code: ErrorCode::TopicAlreadyExists,
            ..
        }) if args.if_not_exists => Created {
            name: args.name.clone(),
            outcome: Outcome::Unchanged,
            id: None,
            partitions: None,
            replication_factor: None,
        },
        Err(error) => return Err(error),
    };
    output::print(&created, output, streams)
}
