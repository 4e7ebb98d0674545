//! Plays a scenario and judges it.

use ottla_model::Sabotage;

use crate::checkers::{self, Violation};
use crate::history::{Entry, Event, History, digest};
use crate::world::World;
use crate::{Scenario, panics};

/// What a run has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What should not have been.
    pub violations: Vec<Violation>,
    /// The same for two runs that were the same to their clients.
    pub digest: u64,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Records that were read, each time they were.
    pub read: u64,
    /// Power failures, and kills of the process alone.
    pub crashes: u64,
    /// Times that a node was started.
    pub starts: u64,
    /// Terms of leaders of partitions that were seen.
    pub terms: u64,
    /// Bits that lying disks have flipped.
    pub flipped_bits: u64,
    /// The history, one line a moment, for somebody who looks for a cause.
    pub history: Vec<String>,
}

impl Outcome {
    /// Where this run of the same scenario went another way than `first`.
    #[must_use]
    pub fn differs_from(&self, first: &Outcome) -> Option<Violation> {
        if self.digest == first.digest {
            return None;
        }
        let mut pairs = first.history.iter().zip(&self.history);
        let message = match pairs.find(|(one, other)| one != other) {
            Some((one, other)) => format!("first '{}', then '{}'", one.trim(), other.trim()),
            None => "one history goes on where the other ends".to_owned(),
        };
        let checker = "repeatable";
        Some(Violation { checker, message })
    }
}

/// Plays a scenario to its end.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    panics::watch();
    drop(panics::take());
    Sabotage::set(scenario.sabotage);
    let history = History::default();
    let mut violations = Vec::new();
    let (mut starts, mut crashes, mut flipped_bits) = (0, 0, 0);
    match World::new(scenario, history.clone()) {
        Ok(mut world) => {
            violations.extend(world.play(scenario).err());
            (starts, crashes) = (world.starts, world.crashes);
            flipped_bits = world.flipped_bits();
        }
        Err(error) => violations.push(Violation {
            checker: "node",
            message: format!("{error:#}"),
        }),
    }
    Sabotage::set(None);
    let entries = history.entries();
    violations.extend(checkers::check(&entries));
    let count = |of: fn(&Event) -> bool| entries.iter().filter(|e| of(&e.event)).count() as u64;
    Outcome {
        seed: scenario.seed,
        violations,
        digest: digest(&entries),
        acknowledged: count(|e| matches!(e, Event::Acknowledged { .. })),
        read: count(|e| matches!(e, Event::Read { .. })),
        crashes,
        starts,
        terms: terms(&entries),
        flipped_bits,
        history: entries.iter().map(line).collect(),
    }
}

fn terms(entries: &[Entry]) -> u64 {
    let seen = entries.iter().filter_map(|entry| match &entry.event {
        Event::LeaderSeen {
            topic_id,
            partition,
            leader_epoch,
            leader: Some(_),
            ..
        } => Some((topic_id, partition, leader_epoch)),
        _ => None,
    });
    seen.collect::<std::collections::BTreeSet<_>>().len() as u64
}

/// A moment without its records' bytes.
fn line(entry: &Entry) -> String {
    let at_ms = entry.at_ms;
    match &entry.event {
        Event::Sent { id, place, value } => {
            let (writer, number) = (id.writer, id.number);
            let len = value.len();
            format!("{at_ms:6} sent {writer}:{number} to {place}, {len} bytes")
        }
        Event::Read {
            reader,
            place,
            offset,
            value,
        } => format!(
            "{at_ms:6} {reader:?} read {place} offset {offset}: {}",
            String::from_utf8_lossy(&value[..value.len().min(12)])
        ),
        other => format!("{at_ms:6} {other:?}"),
    }
}
