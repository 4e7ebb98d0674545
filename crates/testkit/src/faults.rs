//! What goes wrong in a cluster, in an order that a seed decides.

mod arguments;
mod kind;
mod orders;
mod report;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::cluster::{Cluster, End, Flavour, Links};
use crate::dice::Dice;

pub use arguments::FaultArguments;
pub use kind::Kind;
pub use report::{Counts, Happened, Report, Subject};

/// Of a hundred packets, so many get lost on a bad link.
const LOST_PERCENT: u8 = 15;

/// The kinds of faults that can be made here, and the others with the reason.
pub fn possible(cluster: &Cluster, wanted: &[Kind]) -> (Vec<Kind>, Vec<(Kind, String)>) {
    let (mut kinds, mut impossible) = (Vec::new(), Vec::new());
    for &kind in wanted {
        match kind.needs().and_then(|ability| cluster.lacks(ability)) {
            Some(why) => impossible.push((kind, why.to_owned())),
            None => kinds.push(kind),
        }
    }
    (kinds, impossible)
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub kind: Kind,
    /// It hits the leader of a partition, if one is known; else `victim`.
    pub at_leader: bool,
    /// The node, by its place in the cluster.
    pub victim: usize,
    /// How long it lasts.
    pub lasts: Duration,
    /// How long all is well afterwards.
    pub rest: Duration,
    /// What the kind wants: how slow, how far off.
    pub strength: u64,
}

/// An endless row of steps.
#[derive(Clone, Debug)]
pub struct Schedule {
    dice: Dice,
    kinds: Vec<Kind>,
    nodes: usize,
    /// Kinds that are still to come before any comes again.
    bag: Vec<Kind>,
}

impl Schedule {
    /// What this seed does to so many nodes, with these kinds only.
    pub fn draw(seed: u64, kinds: &[Kind], nodes: usize) -> Schedule {
        Schedule {
            dice: Dice::named(seed, "faults"),
            kinds: kinds.to_vec(),
            nodes,
            bag: Vec::new(),
        }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.bag.is_empty() {
            self.bag.clone_from(&self.kinds);
        }
        if self.bag.is_empty() {
            return None;
        }
        let kind = self.bag.swap_remove(self.dice.below(self.bag.len()));
        let (shortest, longest) = kind.lasts_ms();
        Some(Step {
            kind,
            at_leader: self.dice.percent(60),
            victim: self.dice.below(self.nodes),
            lasts: self.dice.between_ms(shortest, longest),
            rest: self.dice.between_ms(1500, 4000),
            strength: self.dice.any(),
        })
    }
}

/// Begins a step at this node. [`end`] mends it.
pub fn begin(cluster: &mut Cluster, step: &Step, node: usize) -> Result<()> {
    let nodes = cluster.len();
    let others = || (0..nodes).filter(move |&other| other != node);
    let mut links = Links::default();
    match step.kind {
        Kind::Kill => return cluster.kill(node),
        Kind::KillAll => return cluster.kill_all(),
        Kind::Stop => return cluster.stop(node),
        Kind::Rolling => return rolling(cluster),
        Kind::Pause => return cluster.pause(node),
        Kind::SlowNetwork => return cluster.slow_link(node, true),
        Kind::SlowDisk => {
            let delay_ms = 50 + u32::try_from(step.strength % 400).unwrap_or(0);
            return cluster.slow_flushes(node, delay_ms);
        }
        Kind::FullDisk => return cluster.fill_disk(node),
        Kind::Clock => return cluster.set_clock(node, seconds_off(step.strength)),
        Kind::Move => {
            orders::move_replicas(cluster, Dice::of(step.strength))?;
            return cluster.kill(node);
        }
        Kind::Voter => return orders::remove_voter(cluster, node),
        Kind::CutPeers => others().for_each(|other| links.cut(End::Node(node), End::Node(other))),
        Kind::CutAll => {
            others().for_each(|other| links.cut(End::Node(node), End::Node(other)));
            links.cut(End::Node(node), End::Clients);
        }
        Kind::CutLink => {
            let other = (node + 1 + small(step.strength) % (nodes - 1).max(1)) % nodes;
            links.cut(End::Node(node), End::Node(other));
        }
        Kind::Halves => {
            // The victim is in the smaller half, with its next neighbours.
            let smaller: Vec<usize> = (0..nodes / 2).map(|step| (node + step) % nodes).collect();
            for &inside in &smaller {
                let outside = (0..nodes).filter(|other| !smaller.contains(other));
                outside.for_each(|other| links.cut(End::Node(inside), End::Node(other)));
            }
        }
        Kind::Shatter => {
            for node in 0..nodes {
                for other in 0..node {
                    links.cut(End::Node(node), End::Node(other));
                }
            }
        }
        Kind::Deaf => others().for_each(|other| links.block(End::Node(other), End::Node(node))),
        Kind::Mute => others().for_each(|other| links.block(End::Node(node), End::Node(other))),
        Kind::Lossy => links.lose(node, LOST_PERCENT),
    }
    cluster.set_links(links)
}

/// Mends what [`begin`] did, and waits until all nodes are ready.
pub fn end(cluster: &mut Cluster, step: &Step, node: usize) -> Result<()> {
    match step.kind {
        Kind::Pause => cluster.resume(node)?,
        Kind::SlowNetwork => cluster.slow_link(node, false)?,
        Kind::SlowDisk => cluster.slow_flushes(node, 0)?,
        Kind::FullDisk => {
            cluster.make_room(node)?;
            // Apache Kafka gives up a process whose only disk is full.
            if matches!(cluster.flavour(), Flavour::Kafka { .. }) {
                return cluster.start_missing();
            }
        }
        Kind::Clock => cluster.set_clock(node, 0)?,
        Kind::Voter => orders::add_voter(cluster, node)?,
        Kind::Kill | Kind::KillAll | Kind::Stop | Kind::Rolling | Kind::Move => {}
        _ => cluster.heal_links()?,
    }
    if let Some((fallen, how)) = cluster.fallen()?.first() {
        let log = cluster.nodes()[*fallen].log_tail();
        bail!(
            "node {} ended by itself during {}, {how}:\n{log}",
            fallen + 1,
            step.kind
        );
    }
    cluster.start_missing()
}

/// Each node is stopped cleanly and started again, one after the other.
fn rolling(cluster: &mut Cluster) -> Result<()> {
    for node in 0..cluster.len() {
        cluster.stop(node)?;
        cluster.spawn(node)?;
        cluster.wait_ready(node)?;
    }
    Ok(())
}

/// Between a second and half an hour, before or after the true time.
fn seconds_off(strength: u64) -> i64 {
    let size = i64::try_from(strength / 2 % 1800).unwrap_or(0) + 1;
    if strength.is_multiple_of(2) {
        size
    } else {
        -size
    }
}

fn small(strength: u64) -> usize {
    usize::try_from(strength % 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_does_the_same() {
        let steps = |seed| {
            Schedule::draw(seed, &Kind::ALL, 3)
                .take(30)
                .collect::<Vec<_>>()
        };
        assert_eq!(steps(5), steps(5));
        assert_ne!(steps(5), steps(6));
    }

    #[test]
    fn every_kind_comes_before_any_comes_again() {
        let mut kinds: Vec<Kind> = Schedule::draw(1, &Kind::ALL, 3)
            .take(Kind::ALL.len())
            .map(|s| s.kind)
            .collect();
        kinds.sort();
        let mut all = Kind::ALL.to_vec();
        all.sort();
        assert_eq!(kinds, all);
    }

    #[test]
    fn without_kinds_nothing_happens() {
        assert_eq!(Schedule::draw(1, &[], 3).next(), None);
    }
}
