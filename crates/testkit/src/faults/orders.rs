//! What an administrator orders in the middle of everything, with our own command line.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cluster::Cluster;
use crate::dice::Dice;
use crate::workload::TOPICS;

/// How long an order is repeated: a leader or the controller may just be changing.
const LIMIT: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(500);
/// With fewer replicas than the topics' `min.insync.replicas` nothing could be written.
const REPLICAS_MIN: usize = 2;
const REPLICAS_MAX: usize = 3;

/// Orders new places for all replicas of a topic; they move while this returns.
pub(super) fn move_replicas(cluster: &Cluster, mut dice: Dice) -> Result<()> {
    let (topic, partitions) = TOPICS[dice.below(TOPICS.len())];
    let mut order = vec!["topic".to_owned(), "reassign".to_owned(), topic.to_owned()];
    for partition in 0..partitions {
        let places = places(&mut dice, cluster.len());
        order.push("--replicas".to_owned());
        order.push(format!("{partition}:{}", places.join(",")));
    }
    give(cluster, &order)
}

/// Two or three nodes in any order, by their ids.
fn places(dice: &mut Dice, nodes: usize) -> Vec<String> {
    let mut left: Vec<usize> = (1..=nodes).collect();
    let most = nodes.min(REPLICAS_MAX);
    let count = (REPLICAS_MIN + dice.below(REPLICAS_MAX - REPLICAS_MIN + 1)).min(most);
    let take = |_| left.swap_remove(dice.below(left.len())).to_string();
    (0..count).map(take).collect()
}

/// Takes a node out of the quorum's voters.
pub(super) fn remove_voter(cluster: &Cluster, node: usize) -> Result<()> {
    let id = cluster.nodes()[node].id().to_string();
    give(
        cluster,
        &["quorum", "remove", &id, "--yes"].map(String::from),
    )
}

/// Makes a node a voter again.
pub(super) fn add_voter(cluster: &Cluster, node: usize) -> Result<()> {
    let id = cluster.nodes()[node].id().to_string();
    give(cluster, &["quorum", "add", &id].map(String::from))
}

/// Gives an order until it is taken. One whose answer got lost may have been carried out: then it is
/// refused as nothing new, which is as good.
fn give(cluster: &Cluster, order: &[String]) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let output = cluster.order(order)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || said.contains("already") {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("`ottla {}` failed: {said}", order.join(" "));
        }
        std::thread::sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_two_or_three_different_nodes() {
        let mut dice = Dice::of(3);
        for nodes in [2, 3, 5] {
            for _ in 0..50 {
                let mut chosen = places(&mut dice, nodes);
                let count = chosen.len();
                chosen.sort();
                chosen.dedup();
                assert!(chosen.len() == count && (2..=3).contains(&count));
            }
        }
    }
}
