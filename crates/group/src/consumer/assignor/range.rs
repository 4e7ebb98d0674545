//! The range assignor.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::TopicId;

use super::{Assignment, GroupSpec};

/// What is left of one topic.
struct Remaining {
    /// Where the next range begins.
    next: i32,
    /// The length of a range.
    quota: i32,
    /// How many more members get one partition on top.
    extra: i32,
}

/// Gives every member a range of each of its topics. The members' order is the same for all topics:
/// static members by their names, so that they keep their ranges over restarts, then the others.
pub(super) fn assign(spec: &GroupSpec<'_>) -> BTreeMap<Arc<str>, Assignment> {
    let mut order: Vec<_> = spec.members.iter().collect();
    order.sort_by_key(|(id, m)| {
        (
            m.instance_id.is_none(),
            m.instance_id.clone(),
            (*id).clone(),
        )
    });

    let mut subscribers: BTreeMap<TopicId, i32> = BTreeMap::new();
    for topic in spec.members.values().flat_map(|m| &m.topics) {
        *subscribers.entry(*topic).or_default() += 1;
    }
    let remaining = subscribers.into_iter().map(|(topic, members)| {
        let partitions = spec.partitions_of(topic);
        let remaining = Remaining {
            next: 0,
            quota: partitions / members,
            extra: partitions % members,
        };
        (topic, remaining)
    });
    let mut remaining: BTreeMap<TopicId, Remaining> = remaining.collect();

    let mut assignments = BTreeMap::new();
    for (id, member) in order {
        let mut assignment = Assignment::new();
        for topic in &member.topics {
            let Some(left) = remaining.get_mut(topic) else {
                continue;
            };
            let start = left.next;
            left.next += left.quota + i32::from(left.extra > 0);
            left.extra -= 1;
            if start < left.next {
                assignment.insert(*topic, (start..left.next).collect());
            }
        }
        assignments.insert(id.clone(), assignment);
    }
    assignments
}
