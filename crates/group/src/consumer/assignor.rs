//! Assignors: pure functions from members and their topics to who reads what.

mod heterogeneous;
mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{PartitionIndex, TopicId};

/// Partitions by topic. No set is empty.
pub type Assignment = BTreeMap<TopicId, BTreeSet<PartitionIndex>>;

/// The assignors that a broker may offer (`group.consumer.assignors`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// All partitions of all topics spread evenly; members keep what they have as far as they can.
    Uniform,
    /// Of each topic an unbroken range of partitions; topics with as many partitions are cut at the
    /// same places, so that one member reads what belongs together.
    Range,
}

impl Assignor {
    /// The name that clients and operators use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The assignor of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Assignor::Uniform, Assignor::Range]
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// Assigns every partition of every topic that has subscribers to one of them.
    pub(crate) fn assign(self, spec: &GroupSpec<'_>) -> BTreeMap<Arc<str>, Assignment> {
        match self {
            Assignor::Range => range::assign(spec),
            Assignor::Uniform if spec.is_homogeneous() => uniform::assign(spec),
            Assignor::Uniform => heterogeneous::assign(spec),
        }
    }
}

/// A group to assign to.
#[derive(Debug, Default)]
pub(crate) struct GroupSpec<'a> {
    pub(crate) members: BTreeMap<Arc<str>, MemberSpec<'a>>,
    /// The number of partitions of every topic that a member reads.
    pub(crate) partition_counts: BTreeMap<TopicId, PartitionIndex>,
}

/// A member to assign to.
#[derive(Debug)]
pub(crate) struct MemberSpec<'a> {
    pub(crate) instance_id: Option<Arc<str>>,
    /// The topics that it reads and that exist.
    pub(crate) topics: BTreeSet<TopicId>,
    /// Its target so far.
    pub(crate) target: Option<&'a Assignment>,
}

impl GroupSpec<'_> {
    /// Whether all members read the same topics.
    fn is_homogeneous(&self) -> bool {
        let mut members = self.members.values();
        let Some(first) = members.next() else {
            return true;
        };
        members.all(|m| m.topics == first.topics)
    }

    fn partitions_of(&self, topic: TopicId) -> PartitionIndex {
        self.partition_counts.get(&topic).copied().unwrap_or(0)
    }

    /// What of a member's target it may keep: partitions that exist, of topics that it reads, and
    /// that no member before it has.
    fn keepable(
        &self,
        member: &MemberSpec<'_>,
        taken: &mut BTreeSet<(TopicId, PartitionIndex)>,
    ) -> Vec<(TopicId, PartitionIndex)> {
        let mut kept = Vec::new();
        for (&topic, partitions) in member.target.into_iter().flatten() {
            if !member.topics.contains(&topic) {
                continue;
            }
            let count = self.partitions_of(topic);
            for &partition in partitions.range(0..count) {
                if taken.insert((topic, partition)) {
                    kept.push((topic, partition));
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests;
