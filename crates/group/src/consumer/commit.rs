//! Who may commit offsets of a consumer group, and fetch them.

use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex, TimestampMs, TopicId};

use super::group::ConsumerGroup;
use super::member::Current;
use crate::commit::Committer;
use crate::coordinator::Coordinator;

/// Which partitions an accepted commit may contain.
#[derive(Debug, Clone)]
pub(crate) enum CommitScope {
    All,
    /// The member has an older epoch: those that it has had since then or before (KIP-1251).
    Since(Box<Since>),
}

#[derive(Debug, Clone)]
pub(crate) struct Since {
    epoch: i32,
    current: Current,
    refusal: ErrorCode,
}

impl CommitScope {
    pub(crate) fn check(&self, topic: TopicId, partition: PartitionIndex) -> Result<(), ErrorCode> {
        let CommitScope::Since(since) = self else {
            return Ok(());
        };
        match since.current.epoch_of(topic, partition) {
            Some(assigned) if since.epoch >= assigned => Ok(()),
            _ => Err(since.refusal),
        }
    }
}

impl ConsumerGroup {
    /// Who may commit what. `knows_epochs` says whether the version of the request has
    /// `STALE_MEMBER_EPOCH`: OffsetCommit v9 and TxnOffsetCommit v6 (KIP-1319).
    pub(crate) fn check_commit(
        &self,
        by: &Committer<'_>,
        knows_epochs: bool,
    ) -> Result<CommitScope, ErrorCode> {
        if by.generation_id < 0 && self.members.is_empty() {
            return Ok(CommitScope::All);
        }
        let says_nothing = by.member_id.is_empty() && by.group_instance_id.is_none();
        if by.is_transactional && by.generation_id == -1 && says_nothing {
            return Ok(CommitScope::All);
        }
        let member = self.members.get(by.member_id);
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if !by.is_transactional && !member.is_classic() && !knows_epochs {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let refusal = self.epoch_error(member.is_classic() || !knows_epochs);
        let known = member.current.epoch;
        if by.generation_id == known {
            Ok(CommitScope::All)
        } else if by.generation_id > known {
            Err(refusal)
        } else {
            Ok(CommitScope::Since(Box::new(Since {
                epoch: by.generation_id,
                current: member.current.clone(),
                refusal,
            })))
        }
    }

    /// Whether this member may fetch offsets. Tools give neither an id nor an epoch.
    pub(crate) fn check_fetch(
        &self,
        member_id: Option<&Arc<str>>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|id| self.members.get(id));
        let member = member.ok_or(ErrorCode::UnknownMemberId)?;
        if epoch == member.current.epoch {
            Ok(())
        } else {
            Err(self.epoch_error(member.is_classic()))
        }
    }

    fn epoch_error(&self, of_classic: bool) -> ErrorCode {
        if of_classic {
            ErrorCode::IllegalGeneration
        } else {
            ErrorCode::StaleMemberEpoch
        }
    }
}

impl Coordinator {
    /// Deletes the offsets of topics that no member reads any more and whose retention is over.
    /// Returns whether the group has, or had just now, any offsets.
    pub(crate) fn expire_consumer_offsets(&mut self, group_id: &Arc<str>) -> bool {
        let Some(group) = self.consumers.get(group_id) else {
            return false;
        };
        let pending = self.offsets.pending();
        let Some(offsets) = self.offsets.group(group_id) else {
            return pending.has_group(group_id);
        };
        let subscribed = group.subscribed_topics();
        let (now_ms, retention_ms) = (self.out.now_ms, self.out.options.offsets_retention_ms);
        let is_over = |since_ms: TimestampMs, expire_ms: Option<TimestampMs>| match expire_ms {
            Some(expire_ms) => now_ms >= expire_ms,
            None => now_ms.saturating_sub(since_ms) >= retention_ms,
        };
        let unread = offsets.iter().filter(|(t, _)| !subscribed.contains(*t));
        let expired: Vec<_> = unread
            .flat_map(|(topic, partitions)| {
                partitions
                    .iter()
                    .filter(|(p, _)| !pending.contains(group_id, topic, **p))
                    .filter(|(_, o)| is_over(o.commit_timestamp_ms, o.expire_timestamp_ms))
                    .map(|(partition, _)| (topic.clone(), *partition))
            })
            .collect();
        self.remove_offsets(group_id, expired, false);
        true
    }
}
