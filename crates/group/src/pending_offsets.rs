//! Offsets of transactions that are still open (KIP-98): nobody sees them before the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{PartitionIndex, ProducerId};

use crate::offsets::CommittedOffset;

/// The offsets that open transactions have for one partition.
type ByProducer = BTreeMap<ProducerId, CommittedOffset>;
/// Those of one group.
type ByPartition = BTreeMap<(Arc<str>, PartitionIndex), ByProducer>;
/// Names a partition of a group.
type Place = (Arc<str>, Arc<str>, PartitionIndex);

/// The durable offsets of open transactions, by where they belong and by whom they are from.
///
/// Both maps say the same; neither has an empty collection as a value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PendingOffsets {
    by_group: BTreeMap<Arc<str>, ByPartition>,
    by_producer: BTreeMap<ProducerId, BTreeSet<Place>>,
}

impl PendingOffsets {
    pub(crate) fn put(
        &mut self,
        producer_id: ProducerId,
        group_id: &Arc<str>,
        topic: &Arc<str>,
        partition: PartitionIndex,
        offset: CommittedOffset,
    ) {
        let partitions = self.by_group.entry(group_id.clone()).or_default();
        let producers = partitions.entry((topic.clone(), partition)).or_default();
        producers.insert(producer_id, offset);
        let places = self.by_producer.entry(producer_id).or_default();
        places.insert((group_id.clone(), topic.clone(), partition));
    }

    /// Drops what open transactions have for a partition, and returns whether there was something.
    pub(crate) fn clear(
        &mut self,
        group_id: &Arc<str>,
        topic: &Arc<str>,
        partition: PartitionIndex,
    ) -> bool {
        let Some(partitions) = self.by_group.get_mut(group_id) else {
            return false;
        };
        let Some(producers) = partitions.remove(&(topic.clone(), partition)) else {
            return false;
        };
        if partitions.is_empty() {
            self.by_group.remove(group_id);
        }
        let place = (group_id.clone(), topic.clone(), partition);
        for producer_id in producers.keys() {
            if let Some(places) = self.by_producer.get_mut(producer_id) {
                places.remove(&place);
                if places.is_empty() {
                    self.by_producer.remove(producer_id);
                }
            }
        }
        true
    }

    /// Takes out what a producer's transaction holds.
    pub(crate) fn take(&mut self, producer_id: ProducerId) -> Vec<(Place, CommittedOffset)> {
        let places = self.by_producer.remove(&producer_id).unwrap_or_default();
        let mut taken = Vec::with_capacity(places.len());
        for place in places {
            let (group_id, topic, partition) = &place;
            let Some(partitions) = self.by_group.get_mut(group_id) else {
                continue;
            };
            let key = (topic.clone(), *partition);
            let Some(producers) = partitions.get_mut(&key) else {
                continue;
            };
            let offset = producers.remove(&producer_id);
            if producers.is_empty() {
                partitions.remove(&key);
            }
            if partitions.is_empty() {
                self.by_group.remove(group_id);
            }
            taken.extend(offset.map(|offset| (place, offset)));
        }
        taken
    }

    /// Whether an open transaction has an offset for the partition.
    pub(crate) fn contains(
        &self,
        group_id: &str,
        topic: &Arc<str>,
        partition: PartitionIndex,
    ) -> bool {
        let partitions = self.by_group.get(group_id);
        partitions.is_some_and(|p| p.contains_key(&(topic.clone(), partition)))
    }

    /// Whether an open transaction has an offset of the group.
    pub(crate) fn has_group(&self, group_id: &str) -> bool {
        self.by_group.contains_key(group_id)
    }

    /// The partitions of a group for which open transactions have offsets.
    pub(crate) fn partitions(
        &self,
        group_id: &str,
    ) -> impl Iterator<Item = &(Arc<str>, PartitionIndex)> {
        let partitions = self.by_group.get(group_id);
        partitions.into_iter().flat_map(BTreeMap::keys)
    }

    /// Every pending offset with its group, topic and partition.
    pub(crate) fn all(
        &self,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, PartitionIndex, &CommittedOffset)> {
        self.by_group.iter().flat_map(|(group_id, partitions)| {
            partitions
                .iter()
                .flat_map(move |((topic, partition), producers)| {
                    let offsets = producers.values();
                    offsets.map(move |offset| (group_id, topic, *partition, offset))
                })
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.all().count()
    }
}

#[cfg(test)]
mod tests {
    use ottla_model::TopicId;

    use super::*;

    fn offset(offset: i64) -> CommittedOffset {
        CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata: "".into(),
            commit_timestamp_ms: 0,
            expire_timestamp_ms: None,
            topic_id: TopicId::ZERO,
            log_order: 0,
        }
    }

    #[test]
    fn what_is_taken_or_cleared_leaves_nothing_behind() {
        let (g, t): (Arc<str>, Arc<str>) = ("g".into(), "t".into());
        let mut pending = PendingOffsets::default();
        pending.put(1, &g, &t, 0, offset(10));
        pending.put(1, &g, &t, 1, offset(11));
        pending.put(2, &g, &t, 1, offset(12));
        assert_eq!(pending.len(), 3);
        assert!(pending.clear(&g, &t, 1));
        assert!(!pending.clear(&g, &t, 1));
        assert!(pending.contains("g", &t, 0) && !pending.contains("g", &t, 1));
        assert!(pending.take(2).is_empty());
        assert_eq!(pending.take(1), vec![((g, t, 0), offset(10))]);
        assert_eq!(pending, PendingOffsets::default());
    }
}
