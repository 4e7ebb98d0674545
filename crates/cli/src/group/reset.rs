//! `ottla group reset-offsets`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ottla_client::{CommittedOffset, GroupDescription, OffsetAt};
use serde::Serialize;

use super::target::{Known, Place, Target, offsets_at};
use super::{TopicPartitions, is_active, offsets_file, topic_partitions};
use crate::cluster::Cluster;
use crate::moment::{self, Moment};
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla group reset-offsets` takes.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).multiple(false))]
pub struct ResetArgs {
    /// The group
    pub name: String,
    /// Only this topic, or some of its partitions; may be repeated
    #[arg(short = 't', long = "topic", value_name = "TOPIC[:0,1]", value_parser = topic_partitions)]
    pub(super) topics: Vec<TopicPartitions>,
    /// All topics that the group has offsets of
    #[arg(long, conflicts_with = "topics")]
    pub all_topics: bool,
    /// To the first record that is kept
    #[arg(long, group = "target")]
    pub to_earliest: bool,
    /// Behind the last record
    #[arg(long, group = "target")]
    pub to_latest: bool,
    /// To where it is now; an offset that is gone becomes the nearest that is there
    #[arg(long, group = "target")]
    pub to_current: bool,
    /// To this offset
    #[arg(long, group = "target", value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub to_offset: Option<i64>,
    /// So many records on, or back when negative
    #[arg(
        long,
        group = "target",
        value_name = "N",
        allow_negative_numbers = true
    )]
    pub shift_by: Option<i64>,
    /// To the first record of this time or later: 2026-11-21T06:00:00Z, @1700000000
    #[arg(long, group = "target", value_name = "TIME", value_parser = moment::moment)]
    pub to_datetime: Option<Moment>,
    /// To the first record since so long ago: 90m, 7d
    #[arg(long, group = "target", value_name = "TIME", value_parser = moment::duration)]
    pub by_duration: Option<Duration>,
    /// To the offsets in a file: JSON as `-o json` of this command prints it, or CSV lines of
    /// topic,partition,offset
    #[arg(long, group = "target", value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// Do it; without this, only what would be done is shown
    #[arg(long)]
    pub execute: bool,
    /// Only show what would be done, which is the default
    #[arg(long, conflicts_with = "execute")]
    pub dry_run: bool,
    /// The group need not exist yet: give a new one its first offsets
    #[arg(long)]
    pub create: bool,
}

/// The reply to the person; a file for `--from-file`, too.
#[derive(Debug, Serialize)]
pub(super) struct Resets {
    pub(super) group: String,
    pub(super) executed: bool,
    pub(super) offsets: Vec<Row>,
}

/// One partition.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Null when the group had none.
    pub(super) before: Option<i64>,
    /// Null when it stays as it is, for the reason in `note`.
    pub(super) offset: Option<i64>,
    pub(super) note: Option<String>,
}

impl View for Resets {
    fn table(&self, _wide: bool) -> String {
        let rows = self.offsets.iter().map(|row| {
            let dash = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
            let moved = row
                .before
                .zip(row.offset)
                .map(|(before, after)| after - before);
            [
                row.topic.clone(),
                row.partition.to_string(),
                dash(row.before),
                dash(row.offset),
                match moved {
                    None => "-".to_owned(),
                    Some(0) => "0".to_owned(),
                    Some(by) => format!("{by:+}"),
                },
                row.note.clone().unwrap_or_default(),
            ]
        });
        let headings = ["TOPIC", "PARTITION", "FROM", "TO", "MOVED", "NOTE"];
        let last = usize::from(self.offsets.iter().all(|row| row.note.is_none()));
        let shown = headings.len() - last;
        table(
            &headings[..shown],
            rows.map(|row| row.into_iter().take(shown)),
        )
    }

    fn names(&self) -> Vec<String> {
        let changed = self.offsets.iter().filter(|row| row.offset.is_some());
        changed
            .map(|row| format!("{}:{}", row.topic, row.partition))
            .collect()
    }
}

impl ResetArgs {
    fn target(&self, cluster: &Cluster) -> Result<Target, Error> {
        let now_ms = cluster.now_ms();
        Ok(if self.to_earliest {
            Target::Earliest
        } else if self.to_latest {
            Target::Latest
        } else if self.to_current {
            Target::Current
        } else if let Some(offset) = self.to_offset {
            Target::Offset(offset)
        } else if let Some(by) = self.shift_by {
            Target::ShiftBy(by)
        } else if let Some(moment) = self.to_datetime {
            Target::Time(moment.resolve(now_ms))
        } else if let Some(ago) = self.by_duration {
            let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            Target::Time(Moment::AgoMs(ago_ms).resolve(now_ms))
        } else if let Some(path) = &self.from_file {
            Target::Each(offsets_file::read(path, &self.name, cluster.runtime())?)
        } else {
            return Err(Error::Usage(
                "say where to: --to-earliest, --to-latest, …".to_owned(),
            ));
        })
    }
}

pub(super) async fn run(
    args: &ResetArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let target = args.target(cluster)?;
    if args.topics.is_empty() && !args.all_topics && args.from_file.is_none() {
        return Err(Error::Usage(
            "say of which topics: --topic TOPIC, --topic TOPIC:0,1 or --all-topics".to_owned(),
        ));
    }
    let name = args.name.as_str();
    let active = match super::find(name, cluster).await? {
        Some(group) => Some(group).filter(is_active),
        None if args.create => None,
        None => match super::not_there(name, cluster).await {
            Error::NotThere {
                what,
                name,
                similar,
                to_do,
            } => {
                let to_do = format!("{to_do}, --create makes it");
                return Err(Error::NotThere {
                    what,
                    name,
                    similar,
                    to_do,
                });
            }
            other => return Err(other),
        },
    };
    if let Some(active) = active.as_ref().filter(|_| args.execute) {
        return Err(busy(active));
    }
    let committed = cluster.client.committed_offsets(name).await;
    let committed =
        cluster.checked(format!("looking up the offsets of group {name}"), committed)?;
    let committed: BTreeMap<Place, i64> = committed
        .into_iter()
        .map(|c| ((c.topic, c.partition), c.offset))
        .collect();
    let places = places(args, &target, &committed, cluster).await?;
    let mut resets = Resets {
        group: name.to_owned(),
        executed: false,
        offsets: plan(&target, &places, &committed, cluster).await?,
    };
    if args.execute {
        commit(&resets, cluster).await?;
        resets.executed = true;
    }
    output::print(&resets, output, streams)?;
    let changes = resets
        .offsets
        .iter()
        .filter(|row| row.offset.is_some())
        .count();
    streams.say(&match (changes, args.execute, active) {
        (0, ..) => format!("group/{name}: there is nothing to reset"),
        (_, true, _) => format!("group/{name}: offsets reset"),
        (_, false, None) => {
            format!("group/{name}: nothing was changed yet; --execute does what is shown")
        }
        (_, false, Some(active)) => {
            format!(
                "group/{name}: nothing was changed; --execute would be refused: {}",
                busy(&active)
            )
        }
    });
    Ok(())
}

/// That members read, and who they are.
fn busy(group: &GroupDescription) -> Error {
    let clients: BTreeSet<String> = group
        .members
        .iter()
        .map(|m| {
            format!(
                "{} at {}",
                m.client_id,
                super::describe::plain_host(&m.host)
            )
        })
        .collect();
    let shown: Vec<String> = clients.iter().take(3).cloned().collect();
    let more = match clients.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let members = group.members.len();
    let who = match members {
        0 => format!("it is {}", group.state),
        1 => format!("it has 1 member: {}", shown.join(", ")),
        _ => format!("it has {members} members: {}{more}", shown.join(", ")),
    };
    Error::Failed {
        action: format!("group {} is active", group.group_id),
        reason: format!(
            "{who}; its offsets can only be reset while nobody reads. Stop the members, and try again"
        ),
    }
}

/// Which partitions are reset.
async fn places(
    args: &ResetArgs,
    target: &Target,
    committed: &BTreeMap<Place, i64>,
    cluster: &Cluster,
) -> Result<BTreeSet<Place>, Error> {
    if args.topics.is_empty() {
        return Ok(match target {
            Target::Each(offsets) => offsets.keys().cloned().collect(),
            _ => committed.keys().cloned().collect(),
        });
    }
    let mut places = BTreeSet::new();
    for wanted in &args.topics {
        let topic = cluster.topic(&wanted.topic).await?;
        let there: Vec<i32> = topic.partitions.iter().map(|p| p.index).collect();
        let chosen = wanted.partitions.as_ref().unwrap_or(&there);
        if let Some(missing) = chosen.iter().find(|p| !there.contains(p)) {
            return Err(Error::NoPartition {
                topic: wanted.topic.clone(),
                partition: *missing,
                partitions: there.len(),
            });
        }
        places.extend(chosen.iter().map(|p| (wanted.topic.clone(), *p)));
    }
    Ok(places)
}

async fn plan(
    target: &Target,
    places: &BTreeSet<Place>,
    committed: &BTreeMap<Place, i64>,
    cluster: &Cluster,
) -> Result<Vec<Row>, Error> {
    let (earliest, gone) = offsets_at(places, OffsetAt::Earliest, cluster).await?;
    let (latest, _) = offsets_at(places, OffsetAt::Latest, cluster).await?;
    let at_time = match target {
        Target::Time(ms) => {
            offsets_at(places, OffsetAt::Timestamp(*ms), cluster)
                .await?
                .0
        }
        _ => BTreeMap::new(),
    };
    let row = |place: &Place| {
        let range = earliest.get(place).copied().zip(latest.get(place).copied());
        let before = committed.get(place).copied();
        let chosen = range.map(|(earliest, latest)| {
            let at_time = at_time.get(place).copied();
            let known = Known {
                committed: before,
                earliest,
                latest,
                at_time,
            };
            target.choose(place, known)
        });
        let note = match (chosen, target) {
            (None, _) if gone.contains(place) => Some("deleted, or without a leader".to_owned()),
            (None, _) => Some("its offsets are not known".to_owned()),
            (Some(None), Target::Each(_)) => Some("not in the file".to_owned()),
            (Some(None), _) => Some("nothing committed".to_owned()),
            (Some(Some(offset)), Target::Offset(wanted)) if offset != *wanted => {
                Some(format!("{wanted} is not in the log: nearest"))
            }
            (Some(Some(_)), Target::Time(_)) if !at_time.contains_key(place) => {
                Some("no record since then: end".to_owned())
            }
            _ => None,
        };
        Row {
            topic: place.0.clone(),
            partition: place.1,
            before,
            offset: chosen.flatten(),
            note,
        }
    };
    Ok(places.iter().map(row).collect())
}

async fn commit(resets: &Resets, cluster: &Cluster) -> Result<(), Error> {
    let offsets = resets.offsets.iter().filter_map(|row| {
        Some(CommittedOffset {
            topic: row.topic.clone(),
            partition: row.partition,
            offset: row.offset?,
            leader_epoch: -1,
            metadata: String::new(),
        })
    });
    let offsets: Vec<CommittedOffset> = offsets.collect();
    if offsets.is_empty() {
        return Ok(());
    }
    let done = cluster.client.commit_offsets(&resets.group, &offsets).await;
    cluster.checked(
        format!("resetting the offsets of group {}", resets.group),
        done,
    )
}
