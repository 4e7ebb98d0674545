//! `ottla topic alter`.

use ottla_client::ConfigResource;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::config::{Changed, Changes};
use crate::globals::key_value;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla topic alter` takes.
#[derive(Debug, clap::Args)]
pub struct AlterArgs {
    /// The topic
    pub name: String,
    /// How many partitions it is to have: more than now, since none can be taken away
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// A setting to change, such as retention.ms=86400000; may be repeated
    #[arg(short, long, visible_alias = "config", short_alias = 'c', value_name = "KEY=VALUE",
          value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// A setting to put back to its default; may be repeated
    #[arg(short, long, value_name = "KEY")]
    pub unset: Vec<String>,
    /// Only ask the cluster whether it would do it
    #[arg(long, visible_alias = "validate-only")]
    pub dry_run: bool,
}

/// The number of partitions, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Partitions {
    pub(super) before: i32,
    pub(super) after: i32,
}

/// The reply to the person.
#[derive(Debug, Serialize)]
pub(super) struct Altered {
    pub(super) name: String,
    pub(super) dry_run: bool,
    /// Null when they were not to change.
    pub(super) partitions: Option<Partitions>,
    pub(super) configs: Vec<Changed>,
}

impl Altered {
    fn changes_nothing(&self) -> bool {
        let same = |p: Partitions| p.before == p.after;
        self.partitions.is_none_or(same) && self.configs.iter().all(Changed::is_same)
    }
}

impl View for Altered {
    fn table(&self, _wide: bool) -> String {
        let name = &self.name;
        let mut text = match (self.changes_nothing(), self.dry_run) {
            (true, _) => format!("topic/{name} is so already; nothing was changed\n"),
            (false, false) => format!("topic/{name} altered\n"),
            (false, true) => format!("topic/{name} can be altered; nothing was changed\n"),
        };
        let partitions = self.partitions.filter(|p| p.before != p.after);
        if let Some(Partitions { before, after }) = partitions {
            text.push_str(&format!("  partitions: {before} -> {after}\n"));
        }
        for config in self.configs.iter().filter(|config| !config.is_same()) {
            text.push_str(&format!("  {config}\n"));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

pub(super) async fn run(
    args: &AlterArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let name = args.name.as_str();
    let changes = Changes::new(&args.set, &args.unset)?;
    if args.partitions.is_none() && changes.is_empty() {
        return Err(Error::Usage(format!(
            "say what is to change of topic {name}: --partitions N, --set KEY=VALUE or --unset KEY"
        )));
    }
    let topic = cluster.topic(name).await?;
    let before = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if let Some(wanted) = args.partitions.filter(|wanted| *wanted < before) {
        return Err(Error::Usage(format!(
            "topic {name} has {before} partitions and cannot have {wanted}: partitions can be \
             added, but not taken away, for their records would be lost"
        )));
    }
    let partitions = args.partitions.map(|after| Partitions { before, after });
    let more = partitions.filter(|p| p.after > p.before).map(|p| p.after);
    // Both are checked before either is done: a topic is not left half changed by a typo.
    let resource = ConfigResource::Topic(name);
    let planned = changes.plan(resource, cluster).await?;
    if let Some(count) = more {
        add_partitions(name, count, true, cluster).await?;
    }
    let mut altered = Altered {
        name: name.to_owned(),
        dry_run: args.dry_run,
        partitions,
        configs: planned,
    };
    if !args.dry_run {
        altered.configs = changes
            .carry_out(resource, altered.configs, cluster)
            .await?;
        if let Some(count) = more {
            add_partitions(name, count, false, cluster).await?;
        }
    }
    if more.is_some() {
        streams.say(
            "note: keys go to other partitions than before: readers that rely on the order of a \
             key's records must expect that",
        );
    }
    output::print(&altered, output, streams)
}

async fn add_partitions(
    name: &str,
    count: i32,
    validate_only: bool,
    cluster: &Cluster,
) -> Result<(), Error> {
    let done = cluster.client.create_partitions(name, count, validate_only);
    cluster.checked(format!("adding partitions to topic {name}"), done.await)
}
