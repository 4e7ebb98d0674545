//! The committed offsets of all groups of a partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

/// A committed offset, as its record says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    /// The offset of the next record to read.
    pub(crate) offset: Offset,
    /// The leader epoch of the last record read, -1 when unknown.
    pub(crate) leader_epoch: LeaderEpoch,
    /// The client's own note, empty when it gave none.
    pub(crate) metadata: Arc<str>,
    /// When the coordinator took the commit.
    pub(crate) commit_timestamp_ms: TimestampMs,
    /// When it expires, for commits that said so themselves (OffsetCommit v2 to v4).
    pub(crate) expire_timestamp_ms: Option<TimestampMs>,
    /// The topic's id, [`TopicId::ZERO`] when unknown.
    pub(crate) topic_id: TopicId,
}

impl CommittedOffset {
    /// What a restart will find: the only record version that has an expire timestamp has neither
    /// a leader epoch nor a topic id. (Nor has any request that brings its own retention.)
    pub(crate) fn into_stored(mut self) -> Self {
        if self.expire_timestamp_ms.is_some() {
            self.leader_epoch = -1;
            self.topic_id = TopicId::ZERO;
        }
        self
    }
}

/// The offsets of one group, by topic and partition.
pub(crate) type GroupOffsets = BTreeMap<Arc<str>, BTreeMap<PartitionIndex, CommittedOffset>>;

/// Durable offsets only: a commit that is still on its way to the log is not in here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Offsets {
    by_group: BTreeMap<Arc<str>, GroupOffsets>,
}

impl Offsets {
    pub(crate) fn group(&self, group_id: &str) -> Option<&GroupOffsets> {
        self.by_group.get(group_id)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &GroupOffsets)> {
        self.by_group.iter()
    }

    pub(crate) fn put(
        &mut self,
        group_id: &Arc<str>,
        topic: &Arc<str>,
        partition: PartitionIndex,
        offset: CommittedOffset,
    ) {
        let topics = self.by_group.entry(group_id.clone()).or_default();
        let partitions = topics.entry(topic.clone()).or_default();
        partitions.insert(partition, offset);
    }

    /// Returns whether there was one.
    pub(crate) fn remove(
        &mut self,
        group_id: &str,
        topic: &str,
        partition: PartitionIndex,
    ) -> bool {
        let Some(topics) = self.by_group.get_mut(group_id) else {
            return false;
        };
        let Some(partitions) = topics.get_mut(topic) else {
            return false;
        };
        let removed = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.by_group.remove(group_id);
        }
        removed
    }

    pub(crate) fn len(&self) -> usize {
        self.by_group
            .values()
            .flat_map(BTreeMap::values)
            .map(BTreeMap::len)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_takes_its_topic_and_group_along() {
        let mut offsets = Offsets::default();
        let offset = CommittedOffset {
            offset: 1,
            leader_epoch: -1,
            metadata: "".into(),
            commit_timestamp_ms: 0,
            expire_timestamp_ms: None,
            topic_id: TopicId::ZERO,
        };
        offsets.put(&"g".into(), &"t".into(), 0, offset.clone());
        offsets.put(&"g".into(), &"t".into(), 1, offset);
        assert_eq!(offsets.len(), 2);
        assert!(offsets.remove("g", "t", 0));
        assert!(!offsets.remove("g", "t", 0));
        assert!(offsets.group("g").is_some());
        assert!(offsets.remove("g", "t", 1));
        assert_eq!(offsets, Offsets::default());
    }
}
