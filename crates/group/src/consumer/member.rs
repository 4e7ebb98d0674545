//! One member of a consumer group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{PartitionIndex, TopicId};

use super::assignor::Assignment;
use crate::request::Protocol;

/// The epoch with which a member joins.
pub(crate) const JOIN_EPOCH: i32 = 0;
/// The epoch of a member that leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// The epoch of a static member that leaves for a while and keeps its place.
pub(crate) const LEAVE_STATIC_EPOCH: i32 = -2;

/// Partitions of a member, each with the epoch in which the member got it (KIP-1251).
pub(crate) type Partitions = BTreeMap<TopicId, BTreeMap<PartitionIndex, i32>>;

/// How far a member is on its way to its target assignment. The numbers are those of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has all that it can have.
    Stable,
    /// It has been told to give partitions up, and has not yet.
    UnrevokedPartitions,
    /// It waits for partitions that others still have.
    UnreleasedPartitions,
    /// A state of a newer release.
    Unknown,
}

impl MemberState {
    pub(crate) const fn number(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    pub(crate) const fn of_number(number: i8) -> Self {
        match number {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// What a member of the classic protocol has said in its JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassicMember {
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
}

/// What a member says about itself: the `ConsumerGroupMemberMetadata` record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MemberMetadata {
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// The regular expression, never empty.
    pub(crate) regex: Option<Arc<str>>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) assignor: Option<Arc<str>>,
    /// Set for a member of the classic protocol.
    pub(crate) classic: Option<ClassicMember>,
}

/// What a member has: the `ConsumerGroupCurrentMemberAssignment` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Partitions,
    /// What the member has been told to give up and still has.
    pub(crate) revoking: Partitions,
}

/// A member that has just joined. A member without a record of its own is the same.
impl Default for Current {
    fn default() -> Self {
        Current {
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
        }
    }
}

impl Current {
    /// Whether the member has nothing left to do for this target.
    pub(crate) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// The epoch in which the member got a partition that it has, or is giving up.
    pub(crate) fn epoch_of(&self, topic: TopicId, partition: PartitionIndex) -> Option<i32> {
        let find = |of: &Partitions| of.get(&topic)?.get(&partition).copied();
        find(&self.assigned).or_else(|| find(&self.revoking))
    }

    /// All partitions that nobody else may have meanwhile.
    pub(crate) fn held(&self) -> impl Iterator<Item = (TopicId, PartitionIndex)> {
        let all = self.assigned.iter().chain(&self.revoking);
        all.flat_map(|(&topic, partitions)| partitions.keys().map(move |&p| (topic, p)))
    }
}

/// Partitions without their epochs.
pub(crate) fn without_epochs(partitions: &Partitions) -> Assignment {
    let topics = partitions.iter();
    topics
        .map(|(&topic, partitions)| (topic, partitions.keys().copied().collect()))
        .collect()
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ConsumerMember {
    pub(crate) metadata: MemberMetadata,
    pub(crate) current: Current,
}

impl ConsumerMember {
    pub(crate) fn is_classic(&self) -> bool {
        self.metadata.classic.is_some()
    }
}
