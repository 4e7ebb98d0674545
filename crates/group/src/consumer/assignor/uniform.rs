//! The uniform assignor for members that all read the same topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Assignment, GroupSpec};

/// Every member gets the same number of partitions, give or take one. Members keep what they have
/// up to that number; the members that have most already are those that get the one on top.
pub(super) fn assign(spec: &GroupSpec<'_>) -> BTreeMap<Arc<str>, Assignment> {
    let Some(first) = spec.members.values().next() else {
        return BTreeMap::new();
    };
    let counts = || first.topics.iter().map(|&t| (t, spec.partitions_of(t)));
    let total: usize = counts().map(|(_, n)| usize::try_from(n).unwrap_or(0)).sum();
    let quota = total / spec.members.len();
    let mut extra = total % spec.members.len();

    let mut taken = BTreeSet::new();
    let mut kept = BTreeMap::new();
    for (id, member) in &spec.members {
        kept.insert(id, spec.keepable(member, &mut taken));
    }
    let mut by_size: Vec<_> = kept.iter().map(|(id, k)| (k.len(), *id)).collect();
    by_size.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let mut quotas = BTreeMap::new();
    for (_, id) in by_size {
        quotas.insert(id, quota + usize::from(extra > 0));
        extra = extra.saturating_sub(1);
    }

    for (id, kept) in &mut kept {
        for released in kept.split_off(kept.len().min(quotas[id])) {
            taken.remove(&released);
        }
    }
    let all = counts().flat_map(|(topic, n)| (0..n).map(move |p| (topic, p)));
    let mut free = all.filter(|p| !taken.contains(p));
    let mut assignments = BTreeMap::new();
    for (id, mut partitions) in kept {
        let missing = quotas[id] - partitions.len();
        partitions.extend(free.by_ref().take(missing));
        let mut assignment = Assignment::new();
        for (topic, partition) in partitions {
            assignment.entry(topic).or_default().insert(partition);
        }
        assignments.insert(id.clone(), assignment);
    }
    assert_eq!(free.next(), None, "the quotas add up to all partitions");
    assignments
}
