//! Offsets that nobody needs any more, and groups that are left without any (KIP-211).

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_model::{PartitionIndex, TimestampMs, TopicId};

use crate::consumer::lane::Work;
use crate::coordinator::Coordinator;
use crate::effect::Effect;
use crate::group::Group;
use crate::offsets::CommittedOffset;
use crate::outbox::{Held, Pending};
use crate::records::Record;
use crate::state::GroupState;
use crate::timers::TimerKey;

/// Tombstones of one append: small enough for any `max.message.bytes` that people use.
pub(crate) const TOMBSTONES_MAX: usize = 1_000;

/// From when the retention of a group's offsets counts.
#[derive(Debug, Clone, Copy)]
enum ExpiresFrom {
    Time(TimestampMs),
    Commit,
    Never,
}

impl Group {
    fn offsets_expire_from(&self) -> ExpiresFrom {
        match self.state {
            // A standalone consumer has no other sign of life than its commits.
            _ if self.protocol_type.is_none() => ExpiresFrom::Commit,
            GroupState::Empty => self
                .state_timestamp_ms
                .map_or(ExpiresFrom::Commit, ExpiresFrom::Time),
            GroupState::Stable if self.subscribed_topics.is_some() => ExpiresFrom::Commit,
            _ => ExpiresFrom::Never,
        }
    }
}

impl Group {
    /// Begins the end of a group without members. The time of its last real change stays, in case
    /// the tombstone cannot be written.
    pub(crate) fn die(&mut self, now_ms: TimestampMs) {
        let timestamp_ms = self.state_timestamp_ms;
        self.transition_to(GroupState::Dead, now_ms);
        self.state_timestamp_ms = timestamp_ms;
    }

    /// Takes [`Group::die`] back.
    pub(crate) fn live_on(&mut self, now_ms: TimestampMs) {
        let timestamp_ms = self.state_timestamp_ms;
        self.transition_to(GroupState::Empty, now_ms);
        self.state_timestamp_ms = timestamp_ms;
    }
}

/// The records that delete these offsets.
pub(crate) fn tombstones(
    group_id: &Arc<str>,
    offsets: &[(Arc<str>, PartitionIndex)],
) -> Vec<Record> {
    let tombstone = |(topic, partition): &(Arc<str>, PartitionIndex)| Record::Offset {
        group_id: group_id.clone(),
        topic: topic.clone(),
        partition: *partition,
        value: None,
    };
    offsets.iter().map(tombstone).collect()
}

impl Coordinator {
    pub(crate) fn schedule_expiry(&mut self) {
        let interval_ms = self.out.options.offsets_retention_check_interval_ms.max(1);
        self.out.set_timer(TimerKey::Expiry, interval_ms);
    }

    /// Looks for expired offsets in all groups. A group with records on their way to the log is
    /// left for the next time: its offsets may just be changing.
    pub(crate) fn on_expiry_timer(&mut self) {
        let group_ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for group_id in group_ids {
            if !self.out.has_in_flight(&group_id) {
                self.expire_group(&group_id);
            }
        }
        let consumer_ids: Vec<Arc<str>> = self.consumers.keys().cloned().collect();
        for group_id in consumer_ids {
            self.enqueue(&group_id, Work::Expire);
        }
        self.schedule_expiry();
    }

    fn expire_group(&mut self, group_id: &Arc<str>) {
        let Some(group) = self.groups.get(group_id) else {
            return;
        };
        let (now_ms, retention_ms) = (self.out.now_ms, self.out.options.offsets_retention_ms);
        let from = group.offsets_expire_from();
        let mut expired = Vec::new();
        // What open transactions hold is no one's to delete: it may become the newest commit.
        let mut kept = self.offsets.pending().has_group(group_id);
        for (topic, partitions) in self.offsets.group(group_id).into_iter().flatten() {
            let subscribed = group.is_subscribed_to(topic);
            for (partition, offset) in partitions {
                let pending = self.offsets.pending().contains(group_id, topic, *partition);
                if !subscribed && !pending && is_expired(offset, from, now_ms, retention_ms) {
                    expired.push((topic.clone(), *partition));
                } else {
                    kept = true;
                }
            }
        }
        let removes_group = !kept
            && expired.len() < TOMBSTONES_MAX
            && group.is_in(GroupState::Empty)
            && group.pending_join.is_empty();
        self.remove_offsets(group_id, expired, removes_group);
    }

    /// Appends tombstones. A group that goes is dead until that is durable: whoever asks for it
    /// meanwhile is told to try again.
    pub(crate) fn remove_offsets(
        &mut self,
        group_id: &Arc<str>,
        offsets: Vec<(Arc<str>, PartitionIndex)>,
        removes_group: bool,
    ) {
        if removes_group && let Some(group) = self.groups.get_mut(group_id) {
            group.die(self.out.now_ms);
        }
        let chunks = offsets
            .len()
            .div_ceil(TOMBSTONES_MAX)
            .max(usize::from(removes_group));
        for i in 0..chunks {
            let start = i * TOMBSTONES_MAX;
            let end = offsets.len().min(start + TOMBSTONES_MAX);
            let chunk: Vec<_> = offsets.get(start..end).unwrap_or_default().to_vec();
            let mut records = tombstones(group_id, &chunk);
            if removes_group {
                records.push(Record::Group {
                    group_id: group_id.clone(),
                    value: None,
                });
            }
            let held = Held::Deletion {
                offsets: chunk,
                removes_group,
                deletion: None,
            };
            self.out.append(group_id, &records, held);
        }
    }

    /// Deletes what is committed for topics that have been deleted: a new topic of the same name
    /// begins anew. Offsets that were committed for another topic of that name stay.
    pub fn topics_deleted(
        &mut self,
        now_ms: TimestampMs,
        topics: &[(Arc<str>, TopicId)],
    ) -> Vec<Effect> {
        self.out.begin(now_ms);
        let is_deleted = |topic: &str, offset: &CommittedOffset| {
            topics.iter().any(|(name, id)| {
                &**name == topic && (offset.topic_id.is_zero() || offset.topic_id == *id)
            })
        };
        let mut deleted: BTreeSet<(Arc<str>, Arc<str>, PartitionIndex)> = BTreeSet::new();
        for (group_id, offsets) in self.offsets.groups() {
            for (topic, partitions) in offsets {
                for (partition, offset) in partitions {
                    if is_deleted(topic, offset) {
                        deleted.insert((group_id.clone(), topic.clone(), *partition));
                    }
                }
            }
        }
        for (group_id, topic, partition, offset) in self.offsets.pending().all() {
            if is_deleted(topic, offset) {
                deleted.insert((group_id.clone(), topic.clone(), partition));
            }
        }
        // Commits that are still on their way to the log arrive there before the tombstones.
        for pending in self.out.pending.values() {
            if let Pending::Change {
                group_id,
                held: Held::Commit { offsets, .. },
            } = pending
            {
                for (topic, partition, offset) in offsets {
                    if is_deleted(topic, offset) {
                        deleted.insert((group_id.clone(), topic.clone(), *partition));
                    }
                }
            }
        }
        let mut deleted = deleted.into_iter().peekable();
        while let Some((group_id, topic, partition)) = deleted.next() {
            let mut offsets = vec![(topic, partition)];
            while let Some((_, topic, partition)) = deleted.next_if(|next| next.0 == group_id) {
                offsets.push((topic, partition));
            }
            self.remove_offsets(&group_id, offsets, false);
        }
        self.out.take_effects()
    }
}

fn is_expired(
    offset: &CommittedOffset,
    from: ExpiresFrom,
    now_ms: TimestampMs,
    retention_ms: i64,
) -> bool {
    let start_ms = match from {
        ExpiresFrom::Never => return false,
        ExpiresFrom::Time(time_ms) => time_ms,
        ExpiresFrom::Commit => offset.commit_timestamp_ms,
    };
    match offset.expire_timestamp_ms {
        Some(expire_ms) => now_ms >= expire_ms,
        None => now_ms.saturating_sub(start_ms) >= retention_ms,
    }
}
