//! `ottla topic list`.

use serde::Serialize;

use crate::cluster::{Cluster, TopicInfo};
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla topic list` takes.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Also the internal topics, such as __consumer_offsets
    #[arg(short, long)]
    pub all: bool,
}

/// The topics of a cluster.
#[derive(Debug, Serialize)]
pub(super) struct TopicList {
    topics: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    id: Option<String>,
    internal: bool,
    partitions: usize,
    replication_factor: usize,
    /// Partitions with fewer replicas in sync than they have.
    under_replicated: usize,
    /// Partitions that nobody leads: they take and serve no records.
    leaderless: usize,
}

impl TopicList {
    /// The topics in the order of their names; the internal ones only when `all` are wanted.
    pub(super) fn new(mut topics: Vec<TopicInfo>, all: bool) -> Self {
        topics.retain(|topic| all || !topic.internal);
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        TopicList {
            topics: topics.into_iter().map(row).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

fn row(topic: TopicInfo) -> Row {
    Row {
        partitions: topic.partitions.len(),
        replication_factor: topic.replication_factor(),
        under_replicated: topic
            .partitions
            .iter()
            .filter(|partition| partition.isr.len() < partition.replicas.len())
            .count(),
        leaderless: topic
            .partitions
            .iter()
            .filter(|partition| partition.leader.is_none())
            .count(),
        name: topic.name,
        id: topic.id,
        internal: topic.internal,
    }
}

impl View for TopicList {
    fn table(&self, wide: bool) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut headings = vec!["NAME", "PARTITIONS", "REPLICATION"];
        if wide {
            headings.extend(["UNDER-REPLICATED", "LEADERLESS", "INTERNAL", "ID"]);
        }
        let rows = self.topics.iter().map(|topic| {
            let mut cells = vec![
                topic.name.clone(),
                topic.partitions.to_string(),
                topic.replication_factor.to_string(),
            ];
            if wide {
                cells.push(topic.under_replicated.to_string());
                cells.push(topic.leaderless.to_string());
                cells.push(topic.internal.to_string());
                cells.push(topic.id.clone().unwrap_or_else(|| "-".to_owned()));
            }
            cells
        });
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.clone()).collect()
    }
}

pub(super) async fn run(
    args: &ListArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let list = TopicList::new(cluster.topics().await?, args.all);
    if list.is_empty() && matches!(output, OutputFormat::Table | OutputFormat::Wide) {
        streams.say("no topics yet; `ottla topic create NAME` makes one");
    }
    output::print(&list, output, streams)
}
