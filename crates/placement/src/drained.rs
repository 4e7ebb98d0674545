//! Knows again from whom the lead was taken: the order of replicas keeps it.

use std::collections::BTreeSet;

use super::layout::Layout;

/// Brokers that were drained: wherever others have a replica, too, nobody comes behind them but such as
/// they, and those that were `restarted`, which come last for the moment and lead again later. Neither
/// these nor those that were `added`, which have little yet, are taken for drained.
///
/// Where all partitions have the same order, it says nothing about who was drained: all but the first
/// are named then. So this is a reason to prefer others, and none to leave a partition without a leader.
pub fn drained(layout: &Layout, restarted: &BTreeSet<i32>, added: &BTreeSet<i32>) -> BTreeSet<i32> {
    let mut drained = BTreeSet::new();
    loop {
        let is_last = |id: i32, replicas: &[i32]| {
            let behind = replicas.iter().skip_while(|other| **other != id).skip(1);
            let mut behind = behind.filter(|other| !drained.contains(*other));
            replicas.first() != Some(&id) && behind.all(|other| restarted.contains(other))
        };
        let ids = layout.brokers.keys().copied();
        let mut others = ids
            .filter(|id| !restarted.contains(id) && !added.contains(id) && !drained.contains(id));
        let next = others.find(|id| {
            let shared = layout.partitions.iter().map(|p| p.replicas.as_slice());
            let shared = shared.filter(|replicas| replicas.len() > 1 && replicas.contains(id));
            let mut shared = shared.peekable();
            shared.peek().is_some() && shared.all(|replicas| is_last(*id, replicas))
        });
        match next {
            Some(id) => drained.insert(id),
            None => return drained,
        };
    }
}

impl Layout {
    /// Marks the brokers that were drained: plans give them no lead that others can have.
    pub fn spare_drained(&mut self) {
        let nobody = BTreeSet::new();
        for id in drained(self, &nobody, &nobody) {
            if let Some(broker) = self.brokers.get_mut(&id) {
                broker.is_drained = true;
            }
        }
    }

    pub(crate) fn is_drained(&self, broker: i32) -> bool {
        let broker = self.brokers.get(&broker);
        broker.is_some_and(|broker| broker.is_drained)
    }
}
