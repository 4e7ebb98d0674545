//! `ottla topic reassignments`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_client::{OngoingReassignment, Reassignment};
use ottla_model::ErrorCode;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::planned::{ids, partitions};
use crate::size::bytes_text;
use crate::table::table;
use crate::throttle::{self, Throttles};
use crate::{Error, Streams};

/// What `ottla topic reassignments` takes.
#[derive(Debug, clap::Args)]
pub struct ReassignmentsArgs {
    /// Only of these topics [default: of all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Take back what is under way: the replicas stay where they were
    #[arg(long)]
    pub cancel: bool,
    /// Wait until nothing is under way any more
    #[arg(long, conflicts_with = "cancel")]
    pub wait: bool,
    /// Remove the limits that moving has set, once nothing is under way
    #[arg(long)]
    pub clear_throttle: bool,
}

const POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Default, Serialize)]
struct Reassignments {
    reassignments: Vec<Row>,
    /// How many were taken back.
    cancelled: Option<usize>,
    /// What each broker may copy in a second, where there is a limit.
    throttles_bytes_per_second: BTreeMap<i32, u64>,
    throttles_cleared: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    topic: String,
    partition: i32,
    replicas: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
    /// What the new replicas have, and what they will have; null when brokers do not tell.
    copied_bytes: Option<u64>,
    total_bytes: Option<u64>,
}

impl Row {
    fn progress(&self) -> String {
        match (self.copied_bytes, self.total_bytes) {
            (Some(copied), Some(total)) if total > 0 => {
                let percent = copied.min(total).saturating_mul(100) / total;
                format!("{percent} % of {}", bytes_text(total))
            }
            _ => "-".to_owned(),
        }
    }
}

impl View for Reassignments {
    fn table(&self, _wide: bool) -> String {
        let mut text = String::new();
        if !self.reassignments.is_empty() {
            let rows = self.reassignments.iter().map(|row| {
                [
                    row.topic.clone(),
                    row.partition.to_string(),
                    ids(&row.replicas),
                    ids(&row.adding),
                    ids(&row.removing),
                    row.progress(),
                ]
            });
            let headings = [
                "TOPIC",
                "PARTITION",
                "REPLICAS",
                "ADDING",
                "REMOVING",
                "COPIED",
            ];
            text = table(&headings, rows);
        }
        text.push_str(&match self.cancelled {
            Some(count) => format!("{} taken back\n", partitions(count)),
            None if self.reassignments.is_empty() => "nothing is being moved\n".to_owned(),
            None => format!("{} being moved\n", partitions(self.reassignments.len())),
        });
        let rates: BTreeSet<u64> = self.throttles_bytes_per_second.values().copied().collect();
        if let Some(rate) = rates.first() {
            let brokers: Vec<i32> = self.throttles_bytes_per_second.keys().copied().collect();
            text.push_str(&format!(
                "brokers {} copy at most {}/s for it\n",
                ids(&brokers),
                bytes_text(*rate)
            ));
        }
        if self.throttles_cleared {
            text.push_str("the limits were removed\n");
        }
        text
    }

    fn names(&self) -> Vec<String> {
        let rows = self.reassignments.iter();
        rows.map(|row| format!("{}-{}", row.topic, row.partition))
            .collect()
    }
}

pub(super) async fn run(
    args: &ReassignmentsArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    for name in &args.names {
        cluster.topic(name).await?;
    }
    let mut ongoing = ongoing(cluster).await?;
    while args.wait && ongoing.iter().any(|one| is_chosen(args, one)) {
        cluster.runtime().clock.sleep(POLL).await;
        ongoing = self::ongoing(cluster).await?;
    }
    let mut view = Reassignments::default();
    let chosen: Vec<_> = ongoing.iter().filter(|one| is_chosen(args, one)).collect();
    if args.cancel {
        view.cancelled = Some(cancel(&chosen, cluster).await?);
    } else {
        view.reassignments = rows(&chosen, cluster, streams).await?;
    }
    let topics = cluster.topics().await?;
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let throttles = throttle::find(cluster, cluster.client.broker_ids().into_iter(), &names);
    let throttles = throttles.await?;
    if args.clear_throttle && !throttles.is_empty() {
        clear(&throttles, cluster, streams).await?;
        view.throttles_cleared = true;
    } else {
        view.throttles_bytes_per_second
            .clone_from(&throttles.brokers);
        if ongoing.len() == chosen.len() && view.reassignments.is_empty() && !throttles.is_empty() {
            streams.say(
                "note: nothing moves, but limits are still set; \
                 ottla topic reassignments --clear-throttle removes them",
            );
        }
    }
    output::print(&view, output, streams)
}

fn is_chosen(args: &ReassignmentsArgs, one: &OngoingReassignment) -> bool {
    args.names.is_empty() || args.names.contains(&one.topic)
}

async fn ongoing(cluster: &Cluster) -> Result<Vec<OngoingReassignment>, Error> {
    let ongoing = cluster.client.list_reassignments().await;
    cluster.checked("asking for reassignments", ongoing)
}

/// What moves is not left without its limit.
async fn clear(
    throttles: &Throttles,
    cluster: &Cluster,
    streams: &mut Streams,
) -> Result<(), Error> {
    let left = ongoing(cluster).await?.len();
    if left > 0 {
        return Err(Error::Failed {
            action: "removing the limits".to_owned(),
            reason: format!(
                "{} being moved; wait for it with --wait, or take it back with --cancel",
                partitions(left)
            ),
        });
    }
    throttle::clear(cluster, throttles, streams).await
}

async fn cancel(chosen: &[&OngoingReassignment], cluster: &Cluster) -> Result<usize, Error> {
    if chosen.is_empty() {
        return Ok(0);
    }
    let wanted: Vec<Reassignment> = chosen
        .iter()
        .map(|one| Reassignment {
            topic: one.topic.clone(),
            partition: one.partition,
            replicas: None,
        })
        .collect();
    let outcomes = cluster.client.alter_reassignments(&wanted).await;
    let outcomes = cluster.checked("taking back reassignments", outcomes)?;
    let mut cancelled = 0;
    for (topic, partition, outcome) in outcomes {
        match outcome {
            Ok(()) => cancelled += 1,
            // It has come to its end meanwhile.
            Err(error) if error.code() == Some(ErrorCode::NoReassignmentInProgress) => {}
            Err(error) => {
                let action = format!("taking back the reassignment of {topic}-{partition}");
                return Err(cluster.failure(&action, &error));
            }
        }
    }
    Ok(cancelled)
}

/// Each with how far the copies are, by the sizes of folders.
async fn rows(
    chosen: &[&OngoingReassignment],
    cluster: &Cluster,
    streams: &mut Streams,
) -> Result<Vec<Row>, Error> {
    let mut sizes: BTreeMap<(i32, String, i32), u64> = BTreeMap::new();
    let brokers: BTreeSet<i32> = chosen.iter().flat_map(|one| one.replicas.clone()).collect();
    for id in brokers {
        let told = cluster.client.describe_log_dirs(id).await;
        match cluster.checked(format!("asking broker {id} for its log folders"), told) {
            Ok(dirs) => {
                for topic in dirs.into_iter().flat_map(|dir| dir.topics) {
                    for partition in topic.partitions {
                        let name = (id, topic.name.to_string(), partition.partition_index);
                        let bytes = u64::try_from(partition.partition_size).unwrap_or(0);
                        sizes.insert(name, bytes);
                    }
                }
            }
            Err(error) => streams.say(&format!("sizes are not known: {error}")),
        }
    }
    let row = |one: &&OngoingReassignment| {
        let size = |id: &i32| sizes.get(&(*id, one.topic.clone(), one.partition)).copied();
        let old = one.replicas.iter().filter(|id| !one.adding.contains(id));
        let full = old.filter_map(size).max();
        let count = u64::try_from(one.adding.len()).unwrap_or(0);
        Row {
            topic: one.topic.clone(),
            partition: one.partition,
            replicas: one.replicas.clone(),
            adding: one.adding.clone(),
            removing: one.removing.clone(),
            copied_bytes: full.map(|_| one.adding.iter().filter_map(size).sum()),
            total_bytes: full.map(|full| full.saturating_mul(count)),
        }
    };
    Ok(chosen.iter().map(row).collect())
}
