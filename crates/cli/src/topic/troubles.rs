//! Partitions that are not well, as filters of `ottla topic describe`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cluster::{Cluster, PartitionInfo};
use crate::output::{self, OutputFormat, View};
use crate::planned::{ids, partitions};
use crate::survey::Survey;
use crate::table::table;
use crate::{Error, Streams};

/// Which partitions are looked for; those of several filters together.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Filters: only partitions that …")]
#[group(id = "trouble", multiple = true)]
pub struct TroubleArgs {
    /// Have a replica that is not in sync
    #[arg(long)]
    pub under_replicated: bool,
    /// Have no leader
    #[arg(long, visible_alias = "offline")]
    pub unavailable: bool,
    /// Have fewer replicas in sync than min.insync.replicas: acks=all is refused
    #[arg(long)]
    pub under_min_isr: bool,
    /// Have just as many in sync as min.insync.replicas: acks=all is refused when one more fails
    #[arg(long)]
    pub at_min_isr: bool,
}

impl TroubleArgs {
    pub(super) fn is_any(self) -> bool {
        self.under_replicated || self.unavailable || self.under_min_isr || self.at_min_isr
    }
}

/// What is wrong with a partition, in the order of how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Trouble {
    Unavailable,
    UnderMinIsr,
    AtMinIsr,
    UnderReplicated,
}

impl Trouble {
    fn words(self) -> &'static str {
        match self {
            Trouble::Unavailable => "unavailable",
            Trouble::UnderMinIsr => "under min ISR",
            Trouble::AtMinIsr => "at min ISR",
            Trouble::UnderReplicated => "under-replicated",
        }
    }
}

/// Which of the troubles that are looked for a partition has. Replicas that are on their way are
/// not missed.
pub(super) fn troubles(
    args: TroubleArgs,
    partition: &PartitionInfo,
    adding: usize,
    min_isr: Option<usize>,
) -> Vec<Trouble> {
    let isr = partition.isr.len();
    let replicas = partition.replicas.len().saturating_sub(adding);
    let found = [
        (
            args.unavailable && partition.leader.is_none(),
            Trouble::Unavailable,
        ),
        (
            args.under_min_isr && min_isr.is_some_and(|min| isr < min),
            Trouble::UnderMinIsr,
        ),
        (
            args.at_min_isr && min_isr.is_some_and(|min| isr == min),
            Trouble::AtMinIsr,
        ),
        (
            args.under_replicated && isr < replicas,
            Trouble::UnderReplicated,
        ),
    ];
    let found = found.into_iter().filter(|(is_so, _)| *is_so);
    found.map(|(_, trouble)| trouble).collect()
}

#[derive(Debug, Serialize)]
struct Found {
    partitions: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    troubles: Vec<Trouble>,
    leader: Option<i32>,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    elr: Option<Vec<i32>>,
    last_known_elr: Option<Vec<i32>>,
    min_insync_replicas: Option<usize>,
}

impl View for Found {
    fn table(&self, _wide: bool) -> String {
        if self.partitions.is_empty() {
            return "there are no such partitions\n".to_owned();
        }
        let rows = self.partitions.iter().map(|row| {
            let troubles: Vec<&str> = row.troubles.iter().map(|t| t.words()).collect();
            let min = row.min_insync_replicas;
            [
                row.topic.clone(),
                row.partition.to_string(),
                row.leader
                    .map_or_else(|| "none".to_owned(), |id| id.to_string()),
                ids(&row.replicas),
                ids(&row.isr),
                ids(row.elr.as_deref().unwrap_or_default()),
                min.map_or_else(|| "-".to_owned(), |min| min.to_string()),
                troubles.join(", "),
            ]
        });
        let headings = [
            "TOPIC",
            "PARTITION",
            "LEADER",
            "REPLICAS",
            "ISR",
            "ELIGIBLE",
            "MIN ISR",
            "TROUBLE",
        ];
        let count = partitions(self.partitions.len());
        format!("{}{count}\n", table(&headings, rows))
    }

    fn names(&self) -> Vec<String> {
        let rows = self.partitions.iter();
        rows.map(|row| format!("{}-{}", row.topic, row.partition))
            .collect()
    }
}

const MIN_ISR: &str = "min.insync.replicas";
/// So many topics are asked for in one request.
const TOPICS_AT_ONCE: usize = 500;

pub(super) async fn run(
    args: &TroubleArgs,
    names: &[String],
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    for name in names {
        cluster.topic(name).await?;
    }
    let survey = Survey::of(cluster, false, streams).await?;
    let adding: BTreeMap<(&str, i32), usize> = survey
        .ongoing
        .iter()
        .map(|one| ((one.topic.as_str(), one.partition), one.adding.len()))
        .collect();
    let mut topics = cluster.topics().await?;
    topics.retain(|topic| names.is_empty() || names.contains(&topic.name));
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let min_isr = min_isr(&topics, cluster).await?;
    let looked_for = |topic: &str, partition: &PartitionInfo| {
        let adding = adding.get(&(topic, partition.index)).copied().unwrap_or(0);
        troubles(*args, partition, adding, min_isr.get(topic).copied())
    };
    topics.retain_mut(|topic| {
        let name = topic.name.clone();
        topic
            .partitions
            .retain(|p| !looked_for(&name, p).is_empty());
        !topic.partitions.is_empty()
    });
    if !topics.is_empty() {
        cluster.add_eligible_leaders(&mut topics).await?;
    }
    let mut rows = Vec::new();
    for topic in topics {
        for partition in topic.partitions {
            rows.push(Row {
                troubles: looked_for(&topic.name, &partition),
                topic: topic.name.clone(),
                partition: partition.index,
                leader: partition.leader,
                replicas: partition.replicas,
                isr: partition.isr,
                elr: partition.elr,
                last_known_elr: partition.last_known_elr,
                min_insync_replicas: min_isr.get(&topic.name).copied(),
            });
        }
    }
    output::print(&Found { partitions: rows }, output, streams)
}

/// What `min.insync.replicas` each topic has.
async fn min_isr(
    topics: &[crate::cluster::TopicInfo],
    cluster: &Cluster,
) -> Result<BTreeMap<String, usize>, Error> {
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let mut found = BTreeMap::new();
    for names in names.chunks(TOPICS_AT_ONCE) {
        let described = cluster.client.describe_topic_configs(names, &[MIN_ISR]);
        let action = "asking topics for min.insync.replicas";
        for (topic, configs) in cluster.checked(action, described.await)? {
            let value = configs.first().and_then(|config| config.value.as_deref());
            if let Some(min) = value.and_then(|value| value.parse().ok()) {
                found.insert(topic, min);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(leader: Option<i32>, replicas: &[i32], isr: &[i32]) -> PartitionInfo {
        PartitionInfo {
            leader,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            ..PartitionInfo::default()
        }
    }

    #[test]
    fn troubles_are_those_of_kafkas_own_tool() {
        let all = TroubleArgs {
            under_replicated: true,
            unavailable: true,
            under_min_isr: true,
            at_min_isr: true,
        };
        let of = |partition: &PartitionInfo, adding| troubles(all, partition, adding, Some(2));
        assert_eq!(of(&partition(Some(1), &[1, 2, 3], &[1, 2, 3]), 0), []);
        let at = [Trouble::AtMinIsr, Trouble::UnderReplicated];
        assert_eq!(of(&partition(Some(1), &[1, 2, 3], &[1, 2]), 0), at);
        // The third is still on its way.
        let at = [Trouble::AtMinIsr];
        assert_eq!(of(&partition(Some(1), &[1, 2, 3], &[1, 2]), 1), at);
        let gone = [
            Trouble::Unavailable,
            Trouble::UnderMinIsr,
            Trouble::UnderReplicated,
        ];
        assert_eq!(of(&partition(None, &[1, 2, 3], &[]), 0), gone);
        let nothing = TroubleArgs::default();
        let gone = partition(None, &[1, 2, 3], &[]);
        assert_eq!(troubles(nothing, &gone, 0, Some(2)), []);
    }
}
