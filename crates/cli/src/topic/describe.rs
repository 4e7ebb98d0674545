//! `ottla topic describe`.

use ottla_client::OngoingReassignment;
use serde::Serialize;

use crate::cluster::{Cluster, ConfigInfo, OffsetRange, TopicInfo};
use crate::inspect::told;
use crate::output::{self, OutputFormat, View};
use crate::planned::ids;
use crate::table::{properties, table};
use crate::{Error, Streams};

use super::troubles::{self, TroubleArgs};

/// What `ottla topic describe` takes.
#[derive(Debug, clap::Args)]
pub struct DescribeArgs {
    /// The topics; with one of the filters below all of them, if nothing is said
    #[arg(required_unless_present = "trouble", value_name = "NAME")]
    pub names: Vec<String>,
    /// Every setting, also those at their default
    #[arg(long)]
    pub all_configs: bool,
    #[command(flatten)]
    pub troubles: TroubleArgs,
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
    /// Replicas that are not in sync and may lead all the same (KIP-966); null before Kafka 3.8.
    elr: Option<Vec<i32>>,
    /// The last replicas that could have led, when none is left.
    last_known_elr: Option<Vec<i32>>,
    /// Replicas that are on their way here, and that go once these are in sync.
    adding: Vec<i32>,
    removing: Vec<i32>,
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
        ongoing: &[OngoingReassignment],
    ) -> Self {
        let moving = |index: i32| {
            let mut moving = ongoing.iter();
            moving.find(|one| one.topic == topic.name && one.partition == index)
        };
        let replication_factor = topic.replication_factor();
        let mut partitions: Vec<Row> = topic
            .partitions
            .iter()
            .cloned()
            .enumerate()
            .map(|(index, partition)| {
                let range = offsets.get(index).copied().flatten();
                let moving = moving(partition.index);
                Row {
                    partition: partition.index,
                    leader: partition.leader,
                    leader_epoch: partition.leader_epoch,
                    replicas: partition.replicas,
                    isr: partition.isr,
                    offline: partition.offline,
                    elr: partition.elr,
                    last_known_elr: partition.last_known_elr,
                    adding: moving.map_or_else(Vec::new, |one| one.adding.clone()),
                    removing: moving.map_or_else(Vec::new, |one| one.removing.clone()),
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
        // Most of the time nobody is eligible but not in sync, and nothing moves.
        let is_there = |list: &Option<Vec<i32>>| list.as_ref().is_some_and(|ids| !ids.is_empty());
        let elr = self.partitions.iter().any(|row| is_there(&row.elr));
        let last = self
            .partitions
            .iter()
            .any(|row| is_there(&row.last_known_elr));
        let moving = |row: &Row| !(row.adding.is_empty() && row.removing.is_empty());
        let moving = self.partitions.iter().any(moving);
        for (shown, heading) in [
            (elr, "ELIGIBLE"),
            (last, "LAST ELIGIBLE"),
            (moving, "ADDING"),
            (moving, "REMOVING"),
        ] {
            if shown {
                headings.push(heading);
            }
        }
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
            if elr {
                cells.push(ids(row.elr.as_deref().unwrap_or_default()));
            }
            if last {
                cells.push(ids(row.last_known_elr.as_deref().unwrap_or_default()));
            }
            if moving {
                cells.extend([ids(&row.adding), ids(&row.removing)]);
            }
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
    if args.troubles.is_any() {
        return troubles::run(&args.troubles, &args.names, cluster, output, streams).await;
    }
    let ongoing = match cluster.client.list_reassignments().await {
        // Before Kafka 2.4 nobody can tell.
        Err(ottla_client::Error::Unsupported { .. }) => Vec::new(),
        ongoing => {
            let ongoing = cluster.checked("asking for reassignments", ongoing);
            told(ongoing, streams)?.unwrap_or_default()
        }
    };
    let mut topics = Vec::new();
    let mut missing = Vec::new();
    for name in &args.names {
        match cluster.topic(name).await {
            Ok(topic) => {
                let all = args.all_configs;
                topics.push(describe(topic, all, &ongoing, cluster, streams).await?);
            }
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
    mut topic: TopicInfo,
    all_configs: bool,
    ongoing: &[OngoingReassignment],
    cluster: &Cluster,
    streams: &mut Streams,
) -> Result<Description, Error> {
    let asked = cluster.add_eligible_leaders(std::slice::from_mut(&mut topic));
    told(asked.await, streams)?;
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
    Ok(Description::new(topic, &offsets, configs, ongoing))
}
