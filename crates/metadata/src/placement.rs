//! Which brokers hold the replicas of new partitions.
//!
//! Leaders go round the live brokers from a start that the caller draws. Followers come after the
//! leader, at a distance that grows with each round, so that a failed broker's load spreads over
//! all others instead of its neighbour:
//!
//! ```text
//! brokers 0 1 2, start 0, factor 2     partition 0: 0 1    3: 0 2
//!                                                1: 1 2    4: 1 0
//!                                                2: 2 0    5: 2 1
//! ```
//!
//! Racks are not looked at yet: with several zones the replicas of one partition may share a zone.

use ottla_model::BrokerId;

use crate::image::Image;

/// Why replicas cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlacementError {
    /// Every broker is fenced, or there is none.
    #[error("all brokers are fenced or not registered yet.")]
    NoLiveBroker,
    /// More replicas are wanted than there are live brokers.
    #[error("only {live} broker(s) are live; ask for a smaller replication factor or add brokers.")]
    TooFewBrokers { live: usize },
}

/// Chooses the brokers of `partitions` new partitions; each list begins with the leader.
///
/// `replication_factor` is at least 1.
pub(crate) fn place(
    image: &Image,
    partitions: usize,
    replication_factor: usize,
    start: usize,
) -> Result<Vec<Vec<BrokerId>>, PlacementError> {
    let live: Vec<_> = image
        .brokers()
        .filter(|b| !b.fenced)
        .map(|b| b.id)
        .collect();
    if live.is_empty() {
        return Err(PlacementError::NoLiveBroker);
    }
    if replication_factor > live.len() {
        return Err(PlacementError::TooFewBrokers { live: live.len() });
    }
    let count = live.len();
    let start = start % count;
    let replicas_of = |partition: usize| {
        let leader = start + partition;
        let round = partition / count;
        (0..replication_factor)
            .map(|replica| {
                let distance = match replica {
                    0 => 0,
                    _ => 1 + (round + replica - 1) % (count - 1),
                };
                live[(leader + distance) % count]
            })
            .collect()
    };
    Ok((0..partitions).map(replicas_of).collect())
}

#[cfg(test)]
mod tests;
