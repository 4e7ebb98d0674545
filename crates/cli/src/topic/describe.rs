//! `ottla topic describe`.

use serde::Serialize;

use crate::cluster::{Cluster, ConfigInfo, OffsetRange, TopicInfo};
use crate::output::{self, OutputFormat, View};
use crate::table::{properties, table};
use crate::{Error, Streams};

/// What `ottla topic describe` takes.
#[derive(Debug, clap::Args)]
pub struct DescribeArgs {
    /// The topics
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Every setting, also those at their default
    #[arg(long)]
    pub all_configs: bool,
}

/// Described topics.
#[derive(Debug, Serialize)]
pub(super) struct Descriptions {
    pub(super) topics: Vec<Description>,
}

/// One topic.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    name: String,
    id: Option<String>,
    internal: bool,
    replication_factor: usize,
    partitions: Vec<Row>,
    configs: Vec<ConfigInfo>,
}

#[derive(Debug, Serialize)]
struct Row {
    partition: i32,
    /// The broker that leads; null when nobody does.
    leader: Option<i32>,
    leader_epoch: Option<i32>,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
    /// The first offset that is there; null when nobody could tell.
    earliest_offset: Option<i64>,
    /// The offset of the next record; null when nobody could tell.
    latest_offset: Option<i64>,
}

impl Description {
    /// Joins what is known about a topic; `offsets` are by partition, in the order of `topic`'s.
    pub(super) fn new(
        topic: TopicInfo,
        offsets: &[Option<OffsetRange>],
        configs: Vec<ConfigInfo>,
    ) -> Self {
        let replication_factor = topic.replication_factor();
        let mut partitions: Vec<Row> = topic
            .partitions
            .into_iter()
            .enumerate()
            .map(|(index, partition)| {
                let range = offsets.get(index).copied().flatten();
                Row {
                    partition: partition.index,
                    leader: partition.leader,
                    leader_epoch: partition.leader_epoch,
                    replicas: partition.replicas,
                    isr: partition.isr,
                    offline: partition.offline,
                    earliest_offset: range.map(|range| range.earliest),
                    latest_offset: range.map(|range| range.latest),
                }
            })
            .collect();
        partitions.sort_by_key(|row| row.partition);
        Description {
            name: topic.name,
            id: topic.id,
            internal: topic.internal,
            replication_factor,
            partitions,
            configs,
        }
    }

    fn text(&self, wide: bool) -> String {
        let configs: Vec<String> = self.configs.iter().map(config_text).collect();
        let mut pairs = vec![("Name", self.name.clone())];
        if let Some(id) = &self.id {
            pairs.push(("Topic id", id.clone()));
        }
        if self.internal {
            pairs.push(("Internal", "true".to_owned()));
        }
        pairs.push(("Partitions", self.partitions.len().to_string()));
        pairs.push(("Replication factor", self.replication_factor.to_string()));
        let configs = if configs.is_empty() {
            "all defaults".to_owned()
        } else {
            configs.join("\n")
        };
        pairs.push(("Configuration", configs));
        format!("{}\n{}", properties(&pairs), self.partition_table(wide))
    }

    fn partition_table(&self, wide: bool) -> String {
        let mut headings = vec![
            "PARTITION",
            "LEADER",
            "REPLICAS",
            "ISR",
            "EARLIEST",
            "LATEST",
        ];
        if wide {
            headings.extend(["EPOCH", "OFFLINE"]);
        }
        let rows = self.partitions.iter().map(|row| {
            let mut cells = vec![
                row.partition.to_string(),
                row.leader
                    .map_or_else(|| "none".to_owned(), |id| id.to_string()),
                ids(&row.replicas),
                ids(&row.isr),
                or_dash(row.earliest_offset),
                or_dash(row.latest_offset),
            ];
            if wide {
                cells.push(or_dash(row.leader_epoch.map(i64::from)));
                cells.push(ids(&row.offline));
            }
            cells
        });
        table(&headings, rows)
    }
}

fn config_text(config: &ConfigInfo) -> String {
    let value = match (&config.value, config.sensitive) {
        (_, true) => "(hidden)",
        (Some(value), false) => value.as_str(),
        (None, false) => "(unset)",
    };
    format!("{}={value} ({})", config.name, config.source.words())
}

fn ids(ids: &[i32]) -> String {
    if ids.is_empty() {
        return "-".to_owned();
    }
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    texts.join(",")
}

fn or_dash(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

impl View for Descriptions {
    fn table(&self, wide: bool) -> String {
        let texts: Vec<String> = self.topics.iter().map(|topic| topic.text(wide)).collect();
        texts.join("\n")
    }

    fn names(&self) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.clone()).collect()
    }
}

pub(super) async fn run(
    args: &DescribeArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let mut topics = Vec::new();
    let mut missing = Vec::new();
    for name in &args.names {
        match cluster.topic(name).await {
            Ok(topic) => topics.push(describe(topic, args.all_configs, cluster, streams).await?),
            Err(error @ Error::NoTopic { .. }) => missing.push(error),
            Err(error) => return Err(error),
        }
    }
    if !topics.is_empty() {
        output::print(&Descriptions { topics }, output, streams)?;
    }
    Error::of_several(missing, args.names.len(), "topics", streams)
}

/// Gathers offsets and settings. Neither being told is no reason to hide the partitions: a
/// partition without a leader is when one looks here.
async fn describe(
    topic: TopicInfo,
    all_configs: bool,
    cluster: &Cluster,
    streams: &mut Streams,
) -> Result<Description, Error> {
    let offsets = match cluster.offset_ranges(&topic).await {
        Ok(offsets) => offsets,
        Err(error @ Error::Refused { .. }) => {
            streams.say(&format!("no offsets: {error}"));
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let mut configs = match cluster.topic_configs(&topic.name).await {
        Ok(configs) => configs,
        Err(error @ Error::Refused { .. }) => {
            streams.say(&format!("no settings: {error}"));
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    configs.retain(|config| all_configs || !config.source.is_default());
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Description::new(topic, &offsets, configs))
}
