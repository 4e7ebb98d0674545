//! `ottla mirror`: moves topics and groups from any Kafka cluster into another one.
//!
//! ```text
//!   topics ─▶ compare, create ─▶ Partition ─▶ fetch ▶ pack ▶ plan (State) ▶ produce ─▶ groups
//!                                   └ begins where the target's own end says
//! ```
//!
//! Killed at any moment, it goes on where it was: see `copy` and `state`.

mod copy;
mod groups;
mod pack;
mod pattern;
mod runs;
mod state;
mod summary;
mod topics;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use indicatif::ProgressBar;
use ottla_client::OffsetAt;
use ottla_runtime::{Runtime, Shutdown};

use crate::cluster::Cluster;
use crate::globals::{Globals, bootstrap_servers};
use crate::output::{self, OutputFormat};
use crate::progress::{self, Counted};
use crate::{Error, Streams, until_interrupted};

use copy::{Copying, Partition};
use state::State;
use summary::{Summary, TopicCopied};
use topics::Chosen;

/// How many partitions are copied at the same time.
const AT_ONCE: usize = 16;
/// How long `--follow` rests between two rounds.
const REST: Duration = Duration::from_secs(1);

/// What `ottla mirror` takes.
#[derive(Debug, clap::Args)]
pub struct MirrorArgs {
    /// Nodes of the cluster to copy from, separated by commas
    #[arg(long, value_name = "HOST:PORT")]
    pub from: String,
    /// Nodes of the cluster to copy into [default: --bootstrap-server]
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "bootstrap_server")]
    pub to: Option<String>,
    /// Only topics that fit, such as 'orders-*'; may be repeated [default: all]
    #[arg(short, long, value_name = "PATTERN")]
    pub topic: Vec<String>,
    /// Not topics that fit; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Only groups that fit; may be repeated [default: all]
    #[arg(short, long, value_name = "PATTERN")]
    pub group: Vec<String>,
    /// Copy what is there now, and end (the default)
    #[arg(long, conflicts_with = "follow")]
    pub once: bool,
    /// Go on copying what comes, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// Only show what would be copied
    #[arg(long, conflicts_with = "follow")]
    pub dry_run: bool,
}

/// How both clusters are reached.
pub(crate) struct Sides {
    from: Globals,
    to: Globals,
}

impl MirrorArgs {
    /// Checks the addresses.
    pub(crate) fn sides(&self, globals: &Globals) -> Result<Sides, Error> {
        let at = |servers: &str| {
            Ok::<_, Error>(Globals {
                bootstrap_servers: bootstrap_servers(servers)?,
                ..globals.clone()
            })
        };
        Ok(Sides {
            from: at(&self.from)?,
            to: self.to.as_deref().map_or(Ok(globals.clone()), at)?,
        })
    }
}

/// Copies, and prints what was copied, also when it was interrupted.
pub(crate) async fn run(
    args: &MirrorArgs,
    sides: &Sides,
    runtime: &Runtime,
    interrupt: &Shutdown,
    format: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let connecting = connect(sides, runtime);
    let (source, target) = until_interrupted(interrupt, connecting).await?;
    let began = runtime.clock.instant();
    let bytes = AtomicU64::new(0);
    let mut mirror = Mirror {
        args,
        source: &source,
        target: &target,
        bytes: &bytes,
        state: None,
        partitions: BTreeMap::new(),
        summary: Summary::new(sides, args.dry_run),
        errors: Vec::new(),
    };
    let done = until_interrupted(interrupt, mirror.work(streams)).await;
    mirror.summary.interrupted = matches!(done, Err(Error::Interrupted));
    mirror.summarise();
    let (mut summary, errors) = (mirror.summary, mirror.errors);
    summary.took(runtime.clock.instant() - began);
    output::print(&summary, format, streams)?;
    done?;
    let (failed, total) = (errors.len(), summary.things().max(errors.len()));
    if failed == 1 {
        return errors.into_iter().next().map_or(Ok(()), Err);
    }
    Error::of_several(errors, total, "topics and groups", streams)
}

/// Reaches both, and makes sure that they are two.
async fn connect(sides: &Sides, runtime: &Runtime) -> Result<(Cluster, Cluster), Error> {
    let source = Cluster::connect(runtime, &sides.from, false).await;
    let source = source.map_err(|error| match error {
        Error::Unreachable { tried } => Error::Unreachable {
            tried: format!("the source that --from names, {tried}"),
        },
        other => other,
    })?;
    let target = Cluster::connect(runtime, &sides.to, false).await?;
    let (from, to) = (cluster_id(&source).await?, cluster_id(&target).await?);
    if from == to {
        return Err(Error::Usage(format!(
            "{} and {} are the same cluster ({from}); --from and --to must be two",
            sides.from.bootstrap_servers, sides.to.bootstrap_servers
        )));
    }
    Ok((source, target))
}

async fn cluster_id(cluster: &Cluster) -> Result<String, Error> {
    let metadata = cluster.client.metadata(Some(&[])).await;
    let metadata = cluster.checked("asking for the cluster's id", metadata)?;
    let id = metadata.cluster_id.map(String::from);
    id.ok_or_else(|| Error::TooOld {
        action: "asking for the cluster's id".to_owned(),
        reason: "the cluster has none; Kafka has them since 0.10.1".to_owned(),
    })
}

/// A mirror at work.
struct Mirror<'a> {
    args: &'a MirrorArgs,
    source: &'a Cluster,
    target: &'a Cluster,
    bytes: &'a AtomicU64,
    state: Option<State<'a>>,
    /// All partitions that were looked at, by topic and number.
    partitions: BTreeMap<(String, i32), Partition>,
    summary: Summary,
    /// What failed in the last round, while the rest went on.
    errors: Vec<Error>,
}

impl Mirror<'_> {
    async fn work(&mut self, streams: &mut Streams) -> Result<(), Error> {
        if !self.args.dry_run {
            let source = cluster_id(self.source).await?;
            self.state = Some(State::open(self.target, &source).await?);
        }
        loop {
            self.round(streams).await?;
            if !self.args.follow {
                return Ok(());
            }
            for error in &self.errors {
                streams.report(error);
            }
            self.source.runtime().clock.sleep(REST).await;
        }
    }

    /// Copies what is there.
    async fn round(&mut self, streams: &mut Streams) -> Result<(), Error> {
        self.errors.clear();
        let known = topics::known(self.target).await?;
        for info in topics::choose(self.args, self.source).await? {
            let name = info.name.clone();
            let compared = topics::compare(info, self.source, self.target, known.as_ref()).await;
            let begun = match compared {
                Ok(chosen) => self.begin(chosen, streams).await,
                Err(error) => Err(error),
            };
            if let Err(error) = begun {
                self.summary.topic(&name).failure = Some(error.to_string());
                self.errors.push(error);
            }
        }
        let groups = groups::choose(self.args, self.source).await?;
        if self.args.dry_run {
            self.summary.groups_to_copy(&groups);
            return Ok(());
        }
        self.copy(streams).await?;
        let partitions: BTreeMap<_, &Partition> = self
            .partitions
            .iter()
            .map(|(k, p)| (k.clone(), p))
            .collect();
        for group in groups {
            match groups::copy(&group, &partitions, self.source, self.target).await {
                Ok(Some(copied)) => self.summary.group(copied),
                Ok(None) => {}
                Err(error) => self.errors.push(error),
            }
        }
        Ok(())
    }

    /// Makes a topic, unless it is there, and finds out where its partitions stand.
    async fn begin(&mut self, mut chosen: Chosen, streams: &mut Streams) -> Result<(), Error> {
        let name = chosen.info.name.clone();
        if let (Some(_), true) = (&self.state, chosen.is_new) {
            topics::create(&mut chosen, self.target).await?;
        }
        let indexes: Vec<i32> = chosen.info.partitions.iter().map(|p| p.index).collect();
        let told = self.summary.topic(&name);
        told.partitions = indexes.len();
        if chosen.is_new {
            told.created = true;
            told.configs = chosen.configs.iter().cloned().collect();
            for left in &chosen.left_out {
                streams.say(&format!(
                    "topic {name}: {}={} is left out: {}",
                    left.name, left.value, left.reason
                ));
            }
            told.left_out = chosen.left_out;
        }
        let Some(state) = &self.state else {
            return self.foresee(&chosen.info).await;
        };
        let bar = ProgressBar::hidden();
        let copying = Copying {
            source: self.source,
            target: self.target,
            state,
            bar: &bar,
            bytes: self.bytes,
        };
        let missing = indexes
            .into_iter()
            .filter(|index| !self.partitions.contains_key(&(name.clone(), *index)));
        let missing: Vec<i32> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        let batch_bytes = topics::batch_bytes(&name, self.target).await?;
        let id = chosen.info.id.as_deref();
        let mut begun = Vec::new();
        for index in missing {
            begun.push(copying.begin(&name, id, index, batch_bytes).await?);
        }
        // All or none: a topic with a partition that cannot be copied is left as it is.
        for partition in begun {
            let key = (name.clone(), partition.index);
            self.partitions.insert(key, partition);
        }
        Ok(())
    }

    /// How much a topic holds.
    async fn foresee(&mut self, info: &crate::cluster::TopicInfo) -> Result<(), Error> {
        let ranges = self.source.offset_ranges(info).await?;
        let ranges = ranges.into_iter().flatten();
        let counts = ranges.map(|range| u64::try_from(range.latest - range.earliest).unwrap_or(0));
        self.summary.topic(&info.name).records = counts.sum();
        Ok(())
    }

    async fn copy(&mut self, streams: &mut Streams) -> Result<(), Error> {
        let Some(state) = &self.state else {
            return Ok(());
        };
        let bar = match self.args.follow {
            true => ProgressBar::hidden(),
            false => {
                let left = left(&self.partitions, self.source).await?;
                progress::bar(Counted::Copied, Some(left), streams)
            }
        };
        let copying = &Copying {
            source: self.source,
            target: self.target,
            state,
            bar: &bar,
            bytes: self.bytes,
        };
        let partitions = self.partitions.values_mut();
        let copies = partitions.map(|partition| async move {
            let done = copying.copy(partition).await;
            done.map_err(|error| (partition.topic.clone(), error))
        });
        let done: Vec<_> = stream::iter(copies)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        bar.finish_and_clear();
        for (topic, error) in done.into_iter().filter_map(Result::err) {
            self.summary.topic(&topic).failure = Some(error.to_string());
            self.errors.push(error);
        }
        Ok(())
    }

    /// Adds the partitions up.
    fn summarise(&mut self) {
        let mut by_topic: BTreeMap<&str, Vec<&Partition>> = BTreeMap::new();
        for partition in self.partitions.values() {
            by_topic
                .entry(&partition.topic)
                .or_default()
                .push(partition);
        }
        for (topic, partitions) in by_topic {
            let told: &mut TopicCopied = self.summary.topic(topic);
            told.records = partitions.iter().map(|p| p.records).sum();
            told.bytes = partitions.iter().map(|p| p.bytes).sum();
            told.same_offsets = Some(partitions.iter().all(|p| p.runs.is_identity()));
            let lost: i64 = partitions.iter().map(|p| p.lost).sum();
            told.deleted_before_copied = u64::try_from(lost).unwrap_or(0);
        }
    }
}

/// How many offsets are to be copied.
async fn left(
    partitions: &BTreeMap<(String, i32), Partition>,
    source: &Cluster,
) -> Result<u64, Error> {
    let wanted: Vec<_> = partitions
        .values()
        .map(|p| (p.topic.as_str(), p.index, OffsetAt::Latest))
        .collect();
    let ends = source.client.list_offsets(&wanted).await;
    let ends = source.checked("looking up the ends of the source", ends)?;
    let left = ends.into_iter().map(|end| {
        let next = partitions
            .get(&(end.topic, end.partition))
            .map_or(0, |p| p.next);
        u64::try_from(end.offset.unwrap_or(next) - next).unwrap_or(0)
    });
    Ok(left.sum())
}

#[cfg(test)]
mod tests;
