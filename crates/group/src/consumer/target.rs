//! The target assignment: what each member shall have once the group has settled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{PartitionIndex, TimestampMs, TopicId};

use super::assignor::{Assignor, GroupSpec, MemberSpec};
use super::cluster::{Cluster, TopicInfo};
use super::group::ConsumerGroup;
use super::options::ConsumerOptions;
use super::records::{ConsumerRecord, TargetEpoch};

/// Whether the group is due for a new target: it has changed, and the last one is not too young.
pub(super) fn is_due(group: &ConsumerGroup, interval_ms: i32, now_ms: TimestampMs) -> bool {
    if group.assignment_epoch() >= group.epoch() {
        return false;
    }
    // A target of a later time is one of a clock that was wrong: nobody waits for that time to come.
    let last_ms = group.target_epoch.map_or(0, |t| t.timestamp_ms);
    let is_young = (0..i64::from(interval_ms)).contains(&now_ms.saturating_sub(last_ms));
    last_ms == 0 || !is_young
}

/// The assignor that most members want; between equals, the first by name. Members that want none
/// leave it to the others.
pub(super) fn preferred_assignor(group: &ConsumerGroup, options: &ConsumerOptions) -> Assignor {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for member in group.members.values() {
        if let Some(assignor) = &member.metadata.assignor {
            *votes.entry(assignor).or_default() += 1;
        }
    }
    let most = votes.values().copied().max();
    let elected = votes.into_iter().find(|(_, n)| Some(*n) == most);
    elected
        .and_then(|(name, _)| Assignor::parse(name))
        // The broker may offer fewer than when the member joined.
        .filter(|assignor| options.assignors.contains(assignor))
        .unwrap_or_else(|| options.default_assignor())
}

/// Computes the target of the group as it is now: the records of members whose target changes, and
/// then the epoch.
pub(super) fn compute(
    group: &ConsumerGroup,
    cluster: &dyn Cluster,
    assignor: Assignor,
    now_ms: TimestampMs,
) -> Vec<ConsumerRecord> {
    let mut topics: BTreeMap<Arc<str>, Option<TopicInfo>> = BTreeMap::new();
    let mut spec = GroupSpec::default();
    for (id, member) in &group.members {
        let ids: BTreeSet<TopicId> = group
            .topics_of(member)
            .into_iter()
            .filter_map(|name| {
                let topic = topics
                    .entry(name)
                    .or_insert_with_key(|name| cluster.topic(name));
                topic.as_ref().map(|t| t.id)
            })
            .collect();
        let member = MemberSpec {
            instance_id: member.metadata.instance_id.clone(),
            topics: ids,
            target: group.targets.get(id).map(|t| &**t),
        };
        spec.members.insert(id.clone(), member);
    }
    let counts = topics.values().flatten();
    let counts = counts.map(|t| (t.id, t.partitions));
    spec.partition_counts = counts.collect::<BTreeMap<TopicId, PartitionIndex>>();

    let mut records = Vec::new();
    for (id, target) in assignor.assign(&spec) {
        if group
            .targets
            .get(&id)
            .is_none_or(|before| **before != target)
        {
            records.push(ConsumerRecord::Target(id, Some(Arc::new(target))));
        }
    }
    records.push(ConsumerRecord::TargetEpoch(Some(TargetEpoch {
        epoch: group.epoch(),
        timestamp_ms: now_ms,
    })));
    records
}
