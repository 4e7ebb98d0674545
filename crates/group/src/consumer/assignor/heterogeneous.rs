//! The uniform assignor for members that read different topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{PartitionIndex, TopicId};

use super::{Assignment, GroupSpec};

/// Rounds over all topics that the balance may take. It mostly takes one, and one more to see that
/// nothing is left to do; subscriptions that overlap crosswise take more, each round about halving
/// what is uneven.
const ROUNDS_MAX: usize = 16;

/// Assigns evenly among the subscribers of each topic, in three steps: members keep what they have
/// and still read; partitions of nobody go to the subscriber with the fewest, the most contended
/// topics last; then partitions move from those with more to those with fewer.
pub(super) fn assign(spec: &GroupSpec<'_>) -> BTreeMap<Arc<str>, Assignment> {
    let mut table = Table::new(spec);
    table.keep();
    let topics = table.topics_in_order();
    for &topic in &topics {
        table.assign_free(topic);
    }
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for &topic in &topics {
            moved |= table.balance(topic);
        }
        if !moved {
            break;
        }
    }
    table.into_assignments()
}

/// Members are numbered in the order of their ids.
struct Table<'a> {
    spec: &'a GroupSpec<'a>,
    ids: Vec<&'a Arc<str>>,
    subscribers: BTreeMap<TopicId, Vec<usize>>,
    /// By topic and partition, the member.
    owners: BTreeMap<TopicId, Vec<Option<usize>>>,
    /// The number of partitions of each member.
    sizes: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(spec: &'a GroupSpec<'a>) -> Self {
        let mut subscribers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for (number, member) in spec.members.values().enumerate() {
            for topic in &member.topics {
                subscribers.entry(*topic).or_default().push(number);
            }
        }
        let owners = subscribers.keys().map(|&topic| {
            let partitions = usize::try_from(spec.partitions_of(topic)).unwrap_or(0);
            (topic, vec![None; partitions])
        });
        Table {
            spec,
            ids: spec.members.keys().collect(),
            owners: owners.collect(),
            subscribers,
            sizes: vec![0; spec.members.len()],
        }
    }

    fn keep(&mut self) {
        let mut taken = BTreeSet::new();
        let spec = self.spec;
        for (number, member) in spec.members.values().enumerate() {
            for (topic, partition) in spec.keepable(member, &mut taken) {
                if let Some(owner) = self.owner(topic, partition) {
                    *owner = Some(number);
                    self.sizes[number] += 1;
                }
            }
        }
    }

    fn owner(&mut self, topic: TopicId, partition: PartitionIndex) -> Option<&mut Option<usize>> {
        let partition = usize::try_from(partition).ok()?;
        self.owners.get_mut(&topic)?.get_mut(partition)
    }

    /// Topics with many partitions for each subscriber first: topics that can go to many members
    /// are left to even things out.
    fn topics_in_order(&self) -> Vec<TopicId> {
        let mut topics: Vec<_> = self
            .subscribers
            .iter()
            .map(|(&topic, subscribers)| (topic, self.owners[&topic].len(), subscribers.len()))
            .collect();
        // a/b against c/d without fractions: a·d against c·b.
        topics.sort_by(|x, y| {
            let by_share = (y.1 * x.2).cmp(&(x.1 * y.2));
            by_share.then(x.2.cmp(&y.2)).then(x.0.cmp(&y.0))
        });
        topics.into_iter().map(|(topic, _, _)| topic).collect()
    }

    /// The subscribers of a topic with their sizes, the smallest first.
    fn loads(&self, topic: TopicId) -> BTreeSet<(usize, usize)> {
        let subscribers = self.subscribers[&topic].iter();
        subscribers.map(|&m| (self.sizes[m], m)).collect()
    }

    fn assign_free(&mut self, topic: TopicId) {
        let mut loads = self.loads(topic);
        for owner in self.owners.get_mut(&topic).into_iter().flatten() {
            if owner.is_some() {
                continue;
            }
            if let Some((size, member)) = loads.pop_first() {
                *owner = Some(member);
                self.sizes[member] += 1;
                loads.insert((size + 1, member));
            }
        }
    }

    /// Moves partitions of one topic until none of its owners has two more than any of its
    /// subscribers. Returns whether anything has moved.
    fn balance(&mut self, topic: TopicId) -> bool {
        let mut loads = self.loads(topic);
        let mut of_member: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (partition, owner) in self.owners[&topic].iter().enumerate() {
            if let Some(owner) = owner {
                of_member.entry(*owner).or_default().push(partition);
            }
        }
        let mut moved = false;
        // The owners with the most, of those that have something of this topic to give.
        let mut givers: BTreeSet<(usize, usize)> =
            of_member.keys().map(|&m| (self.sizes[m], m)).collect();
        while let (Some(&(most, giver)), Some(&(least, taker))) = (givers.last(), loads.first()) {
            if most <= least + 1 {
                break;
            }
            givers.remove(&(most, giver));
            let Some(partition) = of_member.get_mut(&giver).and_then(Vec::pop) else {
                continue;
            };
            loads.remove(&(most, giver));
            loads.remove(&(least, taker));
            givers.remove(&(least, taker));
            self.sizes[giver] -= 1;
            self.sizes[taker] += 1;
            loads.insert((most - 1, giver));
            loads.insert((least + 1, taker));
            givers.insert((most - 1, giver));
            givers.insert((least + 1, taker));
            of_member.entry(taker).or_default().push(partition);
            if let Some(owner) = self
                .owners
                .get_mut(&topic)
                .and_then(|o| o.get_mut(partition))
            {
                *owner = Some(taker);
            }
            moved = true;
        }
        moved
    }

    fn into_assignments(self) -> BTreeMap<Arc<str>, Assignment> {
        let empty = self.ids.iter().map(|id| ((*id).clone(), Assignment::new()));
        let mut assignments: BTreeMap<Arc<str>, Assignment> = empty.collect();
        for (topic, owners) in &self.owners {
            for (partition, owner) in (0..).zip(owners) {
                if let Some(assignment) = owner.and_then(|o| assignments.get_mut(self.ids[o])) {
                    assignment.entry(*topic).or_default().insert(partition);
                }
            }
        }
        assignments
    }
}
