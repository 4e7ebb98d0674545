//! Requests to other brokers that carry what many transactions want: while some are under way, more
//! gathers for the next one.

use std::collections::BTreeMap;

use ottla_model::BrokerId;
use parking_lot::Mutex;

/// Requests of one kind that may be under way to one broker.
const UNDER_WAY_MAX: usize = 4;

/// What waits for each broker.
pub(super) struct Lanes<T> {
    lanes: Mutex<BTreeMap<BrokerId, Lane<T>>>,
}

struct Lane<T> {
    waiting: Vec<T>,
    under_way: usize,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Lanes {
            lanes: Mutex::default(),
        }
    }
}

impl<T> Lanes<T> {
    /// Adds something. When this is `true`, the caller has to carry: to [`Self::take`] and send until
    /// nothing is left.
    pub(super) fn add(&self, broker: BrokerId, item: T) -> bool {
        let mut lanes = self.lanes.lock();
        let lane = lanes.entry(broker).or_insert(Lane {
            waiting: Vec::new(),
            under_way: 0,
        });
        lane.waiting.push(item);
        let may_carry = lane.under_way < UNDER_WAY_MAX;
        lane.under_way += usize::from(may_carry);
        may_carry
    }

    /// What one request can carry: of each key only one. None when nothing waits any more, and the
    /// carrier is done.
    pub(super) fn take<K: Ord>(
        &self,
        broker: BrokerId,
        key: impl Fn(&T) -> K,
    ) -> Option<BTreeMap<K, T>> {
        let mut lanes = self.lanes.lock();
        let lane = lanes.get_mut(&broker)?;
        let mut taken = BTreeMap::new();
        for item in std::mem::take(&mut lane.waiting) {
            match taken.entry(key(&item)) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(item);
                }
                std::collections::btree_map::Entry::Occupied(_) => lane.waiting.push(item),
            }
        }
        if taken.is_empty() {
            lane.under_way -= 1;
            if lane.under_way == 0 {
                lanes.remove(&broker);
            }
            return None;
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gathers_while_requests_are_under_way_goes_together() {
        let lanes = Lanes::default();
        let at = BrokerId(1);
        let take = || lanes.take(at, |(key, _)| *key);
        for n in 0..UNDER_WAY_MAX {
            assert!(lanes.add(at, (n, 'a')));
            assert_eq!(take().unwrap().len(), 1);
        }
        for n in 0..3 {
            assert!(!lanes.add(at, (n, 'b')));
        }
        assert!(!lanes.add(at, (0, 'c')));
        // One of a key at a time.
        assert_eq!(take().unwrap().len(), 3);
        assert_eq!(take().unwrap()[&0], (0, 'c'));
        for _ in 0..UNDER_WAY_MAX {
            assert!(take().is_none());
        }
        assert!(lanes.add(at, (9, 'd')));
        assert!(lanes.add(BrokerId(2), (9, 'd')));
    }
}
