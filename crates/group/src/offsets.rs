//! The offsets of all groups of a partition: committed ones, and those of open transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{LeaderEpoch, Offset, PartitionIndex, ProducerId, TimestampMs, TopicId};

use crate::pending_offsets::PendingOffsets;

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
    /// Where its record stands among the records of offsets in the log, counted from 1; 0 until it
    /// is stored. No record says it: a replay counts in the same order.
    pub(crate) log_order: u64,
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
    /// Those of open transactions.
    pending: PendingOffsets,
    /// The [`CommittedOffset::log_order`] of the newest.
    newest: u64,
}

impl Offsets {
    pub(crate) fn group(&self, group_id: &str) -> Option<&GroupOffsets> {
        self.by_group.get(group_id)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (&Arc<str>, &GroupOffsets)> {
        self.by_group.iter()
    }

    pub(crate) fn pending(&self) -> &PendingOffsets {
        &self.pending
    }

    /// Stores an offset as the log has it: at once, or until its transaction ends.
    pub(crate) fn put(
        &mut self,
        producer_id: Option<ProducerId>,
        group_id: &Arc<str>,
        topic: &Arc<str>,
        partition: PartitionIndex,
        mut offset: CommittedOffset,
    ) {
        self.newest += 1;
        offset.log_order = self.newest;
        match producer_id {
            Some(id) => self.pending.put(id, group_id, topic, partition, offset),
            None => self.commit(group_id, topic, partition, offset),
        }
    }

    /// Ends a producer's transaction: its offsets become visible, or are dropped. Where someone
    /// has committed meanwhile, the record that is later in the log wins, whenever its
    /// transaction has ended.
    pub(crate) fn end_transaction(&mut self, producer_id: ProducerId, commit: bool) {
        for ((group_id, topic, partition), offset) in self.pending.take(producer_id) {
            let present = self.get(&group_id, &topic, partition);
            let is_newest = present.is_none_or(|present| present.log_order < offset.log_order);
            if commit && is_newest {
                self.commit(&group_id, &topic, partition, offset);
            }
        }
    }

    fn get(
        &self,
        group_id: &str,
        topic: &str,
        partition: PartitionIndex,
    ) -> Option<&CommittedOffset> {
        self.by_group.get(group_id)?.get(topic)?.get(&partition)
    }

    fn commit(
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

    /// Removes what is committed for a partition, and what open transactions have for it: a
    /// tombstone ends all that stands before it. Returns whether there was something.
    pub(crate) fn remove(
        &mut self,
        group_id: &Arc<str>,
        topic: &Arc<str>,
        partition: PartitionIndex,
    ) -> bool {
        let was_pending = self.pending.clear(group_id, topic, partition);
        self.remove_committed(group_id, topic, partition) || was_pending
    }

    fn remove_committed(&mut self, group_id: &str, topic: &str, partition: PartitionIndex) -> bool {
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
            log_order: 0,
        };
        let (g, t): (Arc<str>, Arc<str>) = ("g".into(), "t".into());
        offsets.put(None, &g, &t, 0, offset.clone());
        offsets.put(None, &g, &t, 1, offset);
        assert_eq!(offsets.len(), 2);
        assert!(offsets.remove(&g, &t, 0));
        assert!(!offsets.remove(&g, &t, 0));
        assert!(offsets.group("g").is_some());
        assert!(offsets.remove(&g, &t, 1));
        assert!(offsets.group("g").is_none());
        assert_eq!(offsets.len(), 0);
    }
}
