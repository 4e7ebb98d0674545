//! Which brokers hold the replicas of new partitions.
//!
//! Partitions go round the zones (`broker.rack`), and within each zone round its brokers, so that
//! the replicas of one partition lie in different zones as far as there are enough, and every
//! broker leads and holds about as much as the others of its zone:
//!
//! ```text
//! zone a: 0 1    zone b: 2 3    zone c: 4 5            (factor 3)
//! partition 0:  0 2 4     1:  3 5 1     2:  4 0 2   …
//! ```
//!
//! Once each live broker has led one of them, zones and brokers are shuffled: a failed broker's
//! load spreads over all others instead of its neighbour. Fenced brokers lead nothing, and hold only
//! what would lie twice in a zone else; those on their way out get nothing.

use std::collections::BTreeMap;

use ottla_model::BrokerId;

use crate::image::Image;

/// Why replicas cannot be placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlacementError {
    /// Every broker is fenced, or there is none.
    #[error("all brokers are fenced or not registered yet.")]
    NoLiveBroker,
    /// More replicas are wanted than there are brokers.
    #[error(
        "only {usable} broker(s) are registered; ask for a smaller replication factor or add \
         brokers."
    )]
    TooFewBrokers { usable: usize },
}

/// Chooses the brokers of `partitions` new partitions; each list begins with the leader.
///
/// `replication_factor` is at least 1. The same seed gives the same choice.
pub(crate) fn place(
    image: &Image,
    partitions: usize,
    replication_factor: usize,
    seed: u64,
) -> Result<Vec<Vec<BrokerId>>, PlacementError> {
    let mut zones = Zones::of(image, Draw(seed));
    if zones.live == 0 {
        return Err(PlacementError::NoLiveBroker);
    }
    if replication_factor > zones.usable {
        let usable = zones.usable;
        return Err(PlacementError::TooFewBrokers { usable });
    }
    let place = |_| zones.place(replication_factor);
    Ok((0..partitions).map(place).collect())
}

/// Brokers of which each is given out once in a round; each round begins one further on.
#[derive(Default)]
struct Ring {
    brokers: Vec<BrokerId>,
    start: usize,
    given: usize,
}

impl Ring {
    fn next_round(&mut self) {
        self.given = 0;
        self.start = (self.start + 1) % self.brokers.len().max(1);
    }

    fn next(&mut self) -> Option<BrokerId> {
        let count = self.brokers.len();
        if self.given >= count {
            return None;
        }
        let broker = self.brokers[(self.start + self.given) % count];
        self.given += 1;
        Some(broker)
    }
}

#[derive(Default)]
struct Zone {
    live: Ring,
    fenced: Ring,
}

impl Zone {
    fn rings(&mut self) -> [&mut Ring; 2] {
        [&mut self.live, &mut self.fenced]
    }
}

struct Zones {
    zones: Vec<Zone>,
    usable: usize,
    live: usize,
    /// The zone in which the next partition's leader is looked for.
    start: usize,
    /// The partitions that were placed since the last shuffle.
    placed: usize,
    draw: Draw,
}

impl Zones {
    fn of(image: &Image, mut draw: Draw) -> Self {
        let mut zones: BTreeMap<Option<&str>, Zone> = BTreeMap::new();
        let (mut usable, mut live) = (0, 0);
        for broker in image.brokers().filter(|b| !b.in_controlled_shutdown) {
            let zone = zones.entry(broker.rack.as_deref()).or_default();
            usable += 1;
            if broker.fenced {
                zone.fenced.brokers.push(broker.id);
            } else {
                live += 1;
                zone.live.brokers.push(broker.id);
            }
        }
        let mut zones: Vec<_> = zones.into_values().collect();
        for ring in zones.iter_mut().flat_map(Zone::rings) {
            ring.start = draw.below(ring.brokers.len());
        }
        Zones {
            start: draw.below(zones.len()),
            zones,
            usable,
            live,
            placed: 0,
            draw,
        }
    }

    fn place(&mut self, replication_factor: usize) -> Vec<BrokerId> {
        if self.placed == self.live && self.live > 1 {
            self.shuffle();
            self.placed = 0;
        }
        let count = self.zones.len();
        let mut replicas = Vec::with_capacity(replication_factor);
        let order = |i: usize| (self.start + i) % count;
        // Whether a zone has had its share of this turn.
        let mut served = vec![false; count];
        // The leader comes from the first zone that has a live broker.
        for zone in (0..count).map(order) {
            if replicas.is_empty() {
                replicas.extend(self.zones[zone].live.next());
                served[zone] = !replicas.is_empty();
            }
        }
        // One from each zone, a live one if possible; then once more, until there are enough.
        while replicas.len() < replication_factor {
            for only_live in [true, false] {
                for zone in (0..count).map(order) {
                    if served[zone] || replicas.len() == replication_factor {
                        continue;
                    }
                    let ring = &mut self.zones[zone];
                    let next = if only_live {
                        ring.live.next()
                    } else {
                        ring.fenced.next()
                    };
                    served[zone] = next.is_some();
                    replicas.extend(next);
                }
            }
            served.fill(false);
        }
        self.placed += 1;
        self.start = (self.start + 1) % count;
        for ring in self.zones.iter_mut().flat_map(Zone::rings) {
            ring.next_round();
        }
        replicas
    }

    fn shuffle(&mut self) {
        self.draw.shuffle(&mut self.zones);
        for ring in self.zones.iter_mut().flat_map(Zone::rings) {
            self.draw.shuffle(&mut ring.brokers);
        }
    }
}

/// Numbers from a seed (SplitMix64): good enough to spread load, and the same everywhere.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests;
