//! Carries out a plan: a few partitions at a time, until the cluster says that they are moved.
//!
//! The cluster moves them by itself; this only asks for the next when there is room. So it can be
//! interrupted at any time, and be called again: whoever plans anew counts what still moves as
//! moved.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use indicatif::ProgressBar;
use ottla_client::{Election, Reassignment};
use ottla_model::ErrorCode;
use ottla_runtime::Shutdown;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::progress::{self, Counted};
use crate::size::{self, bytes_text};
use crate::{Error, Streams, throttle, until_interrupted};
use ottla_placement::{Move, Plan};

/// How often the cluster is asked how far it is.
const POLL: Duration = Duration::from_millis(500);
/// So many changes that copy nothing are asked for at once, and so many elections.
const AT_ONCE: usize = 200;

/// How replicas are moved.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct MoveArgs {
    /// How many partitions are copied at the same time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub max_moves_in_flight: usize,
    /// How much each broker may copy for it in a second, such as 50MiB [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = size::bytes)]
    pub throttle: Option<u64>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("it is a number from 1 on".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// What came of a plan.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    /// Partitions that other brokers have now.
    pub(crate) moved: usize,
    /// Partitions of which only the order changed.
    pub(crate) reordered: usize,
    /// Partitions that another broker leads now.
    pub(crate) elected: usize,
    /// What did not work, partition by partition.
    pub(crate) failures: Vec<String>,
}

/// Somebody who carries out plans.
pub(crate) struct Mover<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) args: MoveArgs,
    pub(crate) interrupt: &'a Shutdown,
    /// What to type to go on after an interruption.
    pub(crate) again: &'a str,
}

/// A partition's name.
type Name = (String, i32);

/// Where the copying is.
struct Copying<'a> {
    waiting: VecDeque<&'a Move>,
    under_way: BTreeMap<Name, &'a Move>,
    left_bytes: u64,
    bar: ProgressBar,
}

impl Copying<'_> {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// Forgets those that are not in `moving` any more; how many they were.
    fn take_ended(&mut self, moving: &BTreeSet<Name>) -> usize {
        let (under_way, ended) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition(|(name, _)| moving.contains(name));
        self.under_way = under_way;
        let ended: BTreeMap<Name, &Move> = ended;
        for one in ended.values() {
            self.left_bytes = self.left_bytes.saturating_sub(one.bytes);
            self.bar.inc(1);
        }
        ended.len()
    }
}

impl Mover<'_> {
    /// Moves everything, waits for it, and lets the preferred replicas lead. `also` are partitions
    /// that need an election besides those of the plan.
    pub(crate) async fn carry_out(
        &self,
        plan: &Plan,
        also: &[Name],
        streams: &mut Streams,
    ) -> Result<Moved, Error> {
        let mut moved = Moved::default();
        let copies = plan.moves.iter().filter(|one| !one.is_reorder());
        let copies: Vec<&Move> = copies.collect();
        if let (Some(rate), false) = (self.args.throttle, copies.is_empty()) {
            let set = throttle::set(self.cluster, &plan.moves, rate);
            until_interrupted(self.interrupt, set).await?;
        }
        let reorders: Vec<&Move> = plan.moves.iter().filter(|one| one.is_reorder()).collect();
        for some in reorders.chunks(AT_ONCE) {
            let asked = until_interrupted(self.interrupt, self.ask_for(some)).await?;
            moved.reordered += some.len() - asked.len();
            moved.failures.extend(asked.into_values());
        }
        self.copy(&copies, &mut moved, streams).await?;
        let changed = plan.moves.iter().filter(|one| one.changes_leader());
        let mut led: BTreeSet<Name> = changed
            .map(|one| (one.topic.clone(), one.partition))
            .collect();
        led.extend(also.iter().cloned());
        let led: Vec<Name> = led.into_iter().collect();
        let electing = self.elect(&led, &mut moved);
        until_interrupted(self.interrupt, electing).await?;
        if self.args.throttle.is_some() {
            let clearing = self.clear_throttles(streams);
            until_interrupted(self.interrupt, clearing).await?;
        }
        Ok(moved)
    }

    async fn copy(
        &self,
        copies: &[&Move],
        moved: &mut Moved,
        streams: &mut Streams,
    ) -> Result<(), Error> {
        let total = u64::try_from(copies.len()).unwrap_or(u64::MAX);
        let mut copying = Copying {
            waiting: copies.iter().copied().collect(),
            under_way: BTreeMap::new(),
            left_bytes: copies.iter().map(|one| one.bytes).sum(),
            bar: progress::bar(Counted::Partitions, Some(total), streams),
        };
        let done = loop {
            match until_interrupted(self.interrupt, self.step(&mut copying, moved)).await {
                Ok(false) => {}
                Ok(true) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        copying.bar.finish_and_clear();
        if let Err(error) = done {
            self.explain(&error, &copying, streams);
            return Err(error);
        }
        self.compare(copies, moved).await
    }

    /// Looks how far the cluster is, and asks for the next when there is room; whether all is done.
    async fn step(&self, copying: &mut Copying<'_>, moved: &mut Moved) -> Result<bool, Error> {
        let ongoing = self.cluster.client.list_reassignments().await;
        let ongoing = self.cluster.checked("asking for reassignments", ongoing)?;
        let moving: BTreeSet<Name> = ongoing
            .into_iter()
            .map(|one| (one.topic, one.partition))
            .collect();
        moved.moved += copying.take_ended(&moving);
        // Those that somebody else has asked for, or an earlier call, take room as well.
        let room = self.args.max_moves_in_flight.saturating_sub(moving.len());
        let next = room.min(copying.waiting.len());
        if next == 0 && copying.is_empty() && moving.is_empty() {
            return Ok(true);
        }
        if next > 0 {
            // They count as under way before they are asked for: whether they were, nobody knows
            // when this ends in between.
            let next: Vec<&Move> = copying.waiting.drain(..next).collect();
            for one in &next {
                let name = (one.topic.clone(), one.partition);
                copying.under_way.insert(name, one);
            }
            for (name, failure) in self.ask_for(&next).await? {
                copying.under_way.remove(&name);
                copying.bar.inc(1);
                moved.failures.push(failure);
            }
        }
        let count = moving.len().max(copying.under_way.len());
        let left = bytes_text(copying.left_bytes);
        copying
            .bar
            .set_message(format!("{count} moving, {left} to copy"));
        self.cluster.runtime().clock.sleep(POLL).await;
        Ok(false)
    }

    /// What of it was refused, and why.
    async fn ask_for(&self, moves: &[&Move]) -> Result<BTreeMap<Name, String>, Error> {
        let wanted: Vec<Reassignment> = moves
            .iter()
            .map(|one| Reassignment {
                topic: one.topic.clone(),
                partition: one.partition,
                replicas: Some(one.to.clone()),
            })
            .collect();
        let outcomes = self.cluster.client.alter_reassignments(&wanted).await;
        let outcomes = self.cluster.checked("moving partitions", outcomes)?;
        let failed = outcomes.into_iter().filter_map(|(topic, partition, done)| {
            let error = done.err()?;
            let action = format!("moving {topic}-{partition}");
            let text = self.cluster.failure(&action, &error).to_string();
            Some(((topic, partition), text))
        });
        Ok(failed.collect())
    }

    /// Whether what has ended has come to what was wanted: it may have been cancelled.
    async fn compare(&self, copies: &[&Move], moved: &mut Moved) -> Result<(), Error> {
        if copies.is_empty() {
            return Ok(());
        }
        let topics = until_interrupted(self.interrupt, self.cluster.topics()).await?;
        let mut now: BTreeMap<(&str, i32), &[i32]> = BTreeMap::new();
        for topic in &topics {
            for partition in &topic.partitions {
                now.insert((&topic.name, partition.index), &partition.replicas);
            }
        }
        for one in copies {
            let is_other = match now.get(&(one.topic.as_str(), one.partition)) {
                // It was deleted meanwhile: nothing is left to move.
                None => false,
                Some(replicas) => !one.to.iter().all(|id| replicas.contains(id)),
            };
            let known = format!("moving {}:", one.name());
            if is_other && !moved.failures.iter().any(|text| text.starts_with(&known)) {
                moved.moved = moved.moved.saturating_sub(1);
                let text = "somebody cancelled it, or moved it elsewhere";
                moved.failures.push(format!("{known} {text}"));
            }
        }
        Ok(())
    }

    async fn elect(&self, led: &[Name], moved: &mut Moved) -> Result<(), Error> {
        for some in led.chunks(AT_ONCE) {
            let client = &self.cluster.client;
            let outcomes = client.elect_leaders(Election::Preferred, Some(some)).await;
            let outcomes = self.cluster.checked("electing leaders", outcomes)?;
            for (topic, partition, outcome) in outcomes {
                match outcome {
                    Ok(()) => moved.elected += 1,
                    Err(error) if error.code() == Some(ErrorCode::ElectionNotNeeded) => {}
                    Err(error) => {
                        let action = format!("electing the leader of {topic}-{partition}");
                        let text = self.cluster.failure(&action, &error).to_string();
                        moved.failures.push(text);
                    }
                }
            }
        }
        Ok(())
    }

    async fn clear_throttles(&self, streams: &mut Streams) -> Result<(), Error> {
        let topics = self.cluster.topics().await?;
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let brokers = self.cluster.client.broker_ids().into_iter();
        let found = throttle::find(self.cluster, brokers, &names).await?;
        throttle::clear(self.cluster, &found, streams).await
    }

    /// What is left behind when this ends early.
    fn explain(&self, error: &Error, copying: &Copying<'_>, streams: &mut Streams) {
        let (waiting, under_way) = (copying.waiting.len(), copying.under_way.len());
        let why = match error {
            Error::Interrupted => "interrupted",
            _ => "stopped",
        };
        let throttled = match self.args.throttle {
            Some(rate) => format!(", at most {}/s by each broker", bytes_text(rate)),
            None => String::new(),
        };
        streams.say(&format!(
            "{why}: {under_way} partitions are being copied, and the cluster goes on with them\
             {throttled}; {waiting} were not begun\n\
             to go on: {}\n\
             to take back what is under way: ottla topic reassignments --cancel",
            self.again
        ));
        if self.args.throttle.is_some() {
            streams.say(
                "the limit stays until then; without going on: \
                 ottla topic reassignments --clear-throttle",
            );
        }
    }
}
