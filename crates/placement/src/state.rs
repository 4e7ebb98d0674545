//! A layout that is being changed, with what each broker carries.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{Layout, Load, Plan};

/// The changing layout. Partitions are known by their index.
pub(crate) struct State {
    before: Layout,
    pub(crate) now: Layout,
    pub(crate) loads: BTreeMap<i32, Load>,
    /// The partitions on each broker.
    held: BTreeMap<i32, BTreeSet<usize>>,
    /// How many partitions of a topic, by its first index, a broker holds.
    of_topic: BTreeMap<(usize, i32), usize>,
    /// The first partition of each one's topic.
    topics: Vec<usize>,
    /// Those whose brokers are others than before.
    moved: BTreeSet<usize>,
    /// So many may be.
    moves_max: usize,
}

impl State {
    pub(crate) fn new(layout: &Layout, moves_max: Option<usize>) -> Self {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        let topics = layout.partitions.iter().enumerate();
        let topics = topics.map(|(index, placed)| *first.entry(&placed.topic).or_insert(index));
        let topics: Vec<usize> = topics.collect();
        let mut held: BTreeMap<i32, BTreeSet<usize>> = BTreeMap::new();
        let mut of_topic = BTreeMap::new();
        for (index, (placed, topic)) in layout.partitions.iter().zip(&topics).enumerate() {
            for id in &placed.replicas {
                held.entry(*id).or_default().insert(index);
                *of_topic.entry((*topic, *id)).or_default() += 1;
            }
        }
        State {
            before: layout.clone(),
            loads: layout.loads(),
            now: layout.clone(),
            held,
            of_topic,
            topics,
            moved: BTreeSet::new(),
            moves_max: moves_max.unwrap_or(usize::MAX),
        }
    }

    pub(crate) fn into_plan(self, stuck: Vec<String>) -> Plan {
        Plan::between(self.before, self.now, stuck)
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    pub(crate) fn replicas(&self, partition: usize) -> &[i32] {
        let placed = self.now.partitions.get(partition);
        placed.map_or(&[], |placed| placed.replicas.as_slice())
    }

    pub(crate) fn isr(&self, partition: usize) -> &[i32] {
        let placed = self.now.partitions.get(partition);
        placed.map_or(&[], |placed| placed.isr.as_slice())
    }

    pub(crate) fn bytes(&self, partition: usize) -> u64 {
        let placed = self.now.partitions.get(partition);
        placed.map_or(0, |placed| placed.bytes)
    }

    pub(crate) fn load(&self, broker: i32) -> Load {
        self.loads.get(&broker).copied().unwrap_or_default()
    }

    /// The partitions on a broker, in order.
    pub(crate) fn held(&self, broker: i32) -> impl Iterator<Item = usize> + '_ {
        self.held.get(&broker).into_iter().flatten().copied()
    }

    /// How many partitions of the same topic a broker holds.
    pub(crate) fn of_topic(&self, partition: usize, broker: i32) -> usize {
        let topic = self.topics.get(partition).copied().unwrap_or_default();
        self.of_topic.get(&(topic, broker)).copied().unwrap_or(0)
    }

    pub(crate) fn is_moved(&self, partition: usize) -> bool {
        self.moved.contains(&partition)
    }

    pub(crate) fn spread(&self, partition: usize) -> usize {
        self.now.spread(self.replicas(partition).iter().copied())
    }

    /// The spread once `from` is replaced by `to`.
    pub(crate) fn spread_with(&self, partition: usize, from: i32, to: i32) -> usize {
        let replaced = |id: &i32| if *id == from { to } else { *id };
        self.now
            .spread(self.replicas(partition).iter().map(replaced))
    }

    /// Whether `from` can be replaced by `to` without being worse for racks or beyond the limit.
    pub(crate) fn may_replace(&self, partition: usize, from: i32, to: i32) -> bool {
        let replicas = self.replicas(partition);
        replicas.contains(&from)
            && !replicas.contains(&to)
            && self.may_move(partition)
            && self.spread_with(partition, from, to) <= self.spread(partition)
    }

    /// Whether the limit of moves lets this partition be moved.
    pub(crate) fn may_move(&self, partition: usize) -> bool {
        self.moved.len() < self.moves_max || self.moved.contains(&partition)
    }

    /// Whether the limit of moves has room for both.
    pub(crate) fn may_move_both(&self, one: usize, other: usize) -> bool {
        let new = [one, other].iter().filter(|p| !self.is_moved(**p)).count();
        self.moved.len() + new <= self.moves_max
    }

    /// Replaces a replica; the new one takes the place of the old one in the order.
    pub(crate) fn replace(&mut self, partition: usize, from: i32, to: i32) {
        let mut replicas = self.replicas(partition).to_vec();
        for id in &mut replicas {
            if *id == from {
                *id = to;
            }
        }
        self.set(partition, replicas);
    }

    /// Gives a partition other replicas.
    pub(crate) fn set(&mut self, partition: usize, replicas: Vec<i32>) {
        let Some(placed) = self.now.partitions.get_mut(partition) else {
            return;
        };
        let old = std::mem::replace(&mut placed.replicas, replicas.clone());
        let bytes = placed.bytes;
        let topic = self.topics.get(partition).copied().unwrap_or_default();
        for (position, id) in old.iter().enumerate() {
            let load = self.loads.entry(*id).or_default();
            load.replicas -= 1;
            load.leaders -= usize::from(position == 0);
            load.bytes = load.bytes.saturating_sub(bytes);
            self.held.entry(*id).or_default().remove(&partition);
            *self.of_topic.entry((topic, *id)).or_insert(1) -= 1;
        }
        for (position, id) in replicas.iter().enumerate() {
            let load = self.loads.entry(*id).or_default();
            load.replicas += 1;
            load.leaders += usize::from(position == 0);
            load.bytes = load.bytes.saturating_add(bytes);
            self.held.entry(*id).or_default().insert(partition);
            *self.of_topic.entry((topic, *id)).or_default() += 1;
        }
        let original = self.before.partitions.get(partition);
        let same = original.is_some_and(|placed| is_same_set(&placed.replicas, &replicas));
        if same {
            self.moved.remove(&partition);
        } else {
            self.moved.insert(partition);
        }
    }

    /// Makes a replica the first; the others keep their order.
    pub(crate) fn make_first(&mut self, partition: usize, broker: i32) {
        let mut replicas = self.replicas(partition).to_vec();
        if let Some(at) = replicas.iter().position(|id| *id == broker) {
            replicas.remove(at);
            replicas.insert(0, broker);
            self.set(partition, replicas);
        }
    }

    /// Puts the replicas on drained brokers behind the others.
    pub(crate) fn put_drained_last(&mut self, partition: usize) {
        let before = self.replicas(partition);
        let mut replicas = before.to_vec();
        replicas.sort_by_key(|id| self.now.is_drained(*id));
        if replicas != before {
            self.set(partition, replicas);
        }
    }

    /// The best broker to take one more replica of a partition, in place of `from` if there is one:
    /// best for the racks, then with the fewest replicas of the topic, then with the fewest at all.
    pub(crate) fn best_receiver(
        &self,
        partition: usize,
        from: Option<i32>,
        allowed: &dyn Fn(i32) -> bool,
    ) -> Option<i32> {
        let replicas = self.replicas(partition);
        let candidates = self.now.receivers();
        let candidates = candidates.filter(|id| !replicas.contains(id) && allowed(*id));
        candidates.min_by_key(|id| {
            let stay = replicas
                .iter()
                .copied()
                .filter(|other| Some(*other) != from);
            let spread = self.now.spread(stay.chain([*id]));
            let load = self.load(*id);
            let topic = self.of_topic(partition, *id);
            (spread, load.replicas, topic, load.bytes, *id)
        })
    }
}

fn is_same_set(a: &[i32], b: &[i32]) -> bool {
    a.len() == b.len() && a.iter().all(|id| b.contains(id))
}
