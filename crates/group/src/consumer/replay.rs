//! Records of consumer groups while a partition is read.

use std::sync::Arc;

use super::group::ConsumerGroup;
use super::records::ConsumerRecord;
use crate::coordinator::Coordinator;

impl Coordinator {
    /// Takes a record of a group. A tombstone of a group that is not known says nothing, and so
    /// does a record of one that is classic: its own record, which is the newer one, comes later.
    pub(crate) fn apply_consumer(&mut self, group_id: &Arc<str>, record: ConsumerRecord) {
        if is_tombstone(&record) && !self.consumers.contains_key(group_id) {
            return;
        }
        // A group that was made for committed offsets only has no record; this is what it is.
        self.groups.remove(group_id);
        let is_last = matches!(record, ConsumerRecord::Group(None));
        let group = self
            .consumers
            .entry(group_id.clone())
            .or_insert_with(|| ConsumerGroup::new(group_id.clone()));
        group.apply(record);
        if is_last {
            self.consumers.remove(group_id);
            self.keep_offsets(group_id);
        }
    }
}

fn is_tombstone(record: &ConsumerRecord) -> bool {
    match record {
        ConsumerRecord::Group(value) => value.is_none(),
        ConsumerRecord::PartitionMetadata(value) => value.is_none(),
        ConsumerRecord::Member(_, value) => value.is_none(),
        ConsumerRecord::TargetEpoch(value) => value.is_none(),
        ConsumerRecord::Target(_, value) => value.is_none(),
        ConsumerRecord::Current(_, value) => value.is_none(),
        ConsumerRecord::Regex(_, value) => value.is_none(),
    }
}
