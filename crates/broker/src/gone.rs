//! Leaders whose process has ended, as far as this broker can see: its connection to them has broken
//! off, and their port refuses another one.
//!
//! The controller finds out as well, and somebody else leads a few hundred milliseconds later. Clients
//! are faster: they ask who leads as soon as their own connection breaks off. The old answer would
//! send them back to a port that nobody serves, and librdkafka asks again only a second later. That
//! there is no leader is the better answer, which they all ask again after at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_model::BrokerId;
use parking_lot::Mutex;

/// How long a connection that broke off counts, until it is known whether there can be another one.
const BROKEN_MS: i64 = 150;
/// How long a refusal counts: by then the controller has found out, or the broker is back.
const REFUSED_MS: i64 = 2_000;

/// The leaders that are gone. Few ever are, and never for long.
#[derive(Default)]
pub(crate) struct Gone {
    sightings: Mutex<BTreeMap<BrokerId, Sighting>>,
    /// Whether there are any: asked for each partition of each answer, and nearly never so.
    any: AtomicBool,
}

/// In which of its lives a broker was missed, and until when that counts.
struct Sighting {
    broker_epoch: i64,
    until_ms: i64,
}

impl Gone {
    /// The connection to a broker has broken off.
    pub(crate) fn broken(&self, broker: BrokerId, broker_epoch: i64, now_ms: i64) {
        self.missed(broker, broker_epoch, now_ms + BROKEN_MS);
    }

    /// A broker's port has refused a connection.
    pub(crate) fn refused(&self, broker: BrokerId, broker_epoch: i64, now_ms: i64) {
        self.missed(broker, broker_epoch, now_ms + REFUSED_MS);
    }

    fn missed(&self, broker: BrokerId, broker_epoch: i64, until_ms: i64) {
        let sighting = Sighting {
            broker_epoch,
            until_ms,
        };
        let mut sightings = self.sightings.lock();
        sightings.insert(broker, sighting);
        self.any.store(true, Ordering::Release);
    }

    /// A connection to the broker was made.
    pub(crate) fn found(&self, broker: BrokerId) {
        let mut sightings = self.sightings.lock();
        sightings.remove(&broker);
        self.any.store(!sightings.is_empty(), Ordering::Release);
    }

    /// Whether the broker is gone in this of its lives.
    pub(crate) fn contains(&self, broker: BrokerId, broker_epoch: i64, now_ms: i64) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let sightings = self.sightings.lock();
        let sighting = sightings.get(&broker);
        sighting.is_some_and(|s| s.broker_epoch == broker_epoch && now_ms < s.until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: BrokerId = BrokerId(1);

    #[test]
    fn a_broker_is_gone_until_it_is_found_or_begins_another_life() {
        let gone = Gone::default();
        assert!(!gone.contains(ONE, 10, 0));
        gone.broken(ONE, 10, 1_000);
        assert!(gone.contains(ONE, 10, 1_000 + BROKEN_MS - 1));
        assert!(!gone.contains(ONE, 10, 1_000 + BROKEN_MS));
        assert!(!gone.contains(BrokerId(2), 10, 1_000));
        gone.refused(ONE, 10, 1_010);
        assert!(gone.contains(ONE, 10, 1_010 + REFUSED_MS - 1));
        assert!(!gone.contains(ONE, 20, 1_011));
        gone.found(ONE);
        assert!(!gone.contains(ONE, 10, 1_011));
    }
}
