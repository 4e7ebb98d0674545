//! Layouts, and the moves from one to another.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// Brokers, and the partitions on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The brokers by id.
    pub brokers: BTreeMap<i32, BrokerPlace>,
    /// In the order of topic and partition.
    pub partitions: Vec<Placed>,
}

/// A broker as a place for replicas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerPlace {
    /// Brokers without a rack are a rack each.
    pub rack: Option<String>,
    /// Whether it may be given replicas: it runs, and is not to be emptied. Of others, only
    /// evacuation takes any.
    pub receives: bool,
    /// Whether somebody has drained it: it leads only where nobody else can.
    pub is_drained: bool,
}

/// A partition and where it lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The preferred leader first.
    pub replicas: Vec<i32>,
    /// Those that could lead now.
    pub isr: Vec<i32>,
    /// The size of one replica; 0 when nobody told it.
    pub bytes: u64,
}

/// What a broker carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Replicas on it.
    pub replicas: usize,
    /// Partitions whose first replica it is.
    pub leaders: usize,
    /// Bytes of its replicas, as far as they are known.
    pub bytes: u64,
}

/// New replicas of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The replicas before.
    pub from: Vec<i32>,
    /// The replicas afterwards.
    pub to: Vec<i32>,
    /// What must be copied, to all new replicas together; 0 when nobody told the size.
    pub bytes: u64,
}

/// What is to be done, and what comes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The partitions that get other replicas, or the same in another order.
    pub moves: Vec<Move>,
    /// Where all lay before.
    pub before: Layout,
    /// Where all lies afterwards.
    pub after: Layout,
    /// Partitions for which nothing could be found, with the reason.
    pub stuck: Vec<String>,
}

impl Layout {
    /// What each broker carries; also those that carry nothing.
    pub fn loads(&self) -> BTreeMap<i32, Load> {
        let mut loads: BTreeMap<i32, Load> = self
            .brokers
            .keys()
            .map(|id| (*id, Load::default()))
            .collect();
        for placed in &self.partitions {
            for (position, id) in placed.replicas.iter().enumerate() {
                let load = loads.entry(*id).or_default();
                load.replicas += 1;
                load.leaders += usize::from(position == 0);
                load.bytes = load.bytes.saturating_add(placed.bytes);
            }
        }
        loads
    }

    /// How badly replicas are spread over racks: the sum of the squares of how many lie in each.
    /// The lower the better, and the lowest is the most racks.
    pub fn spread(&self, replicas: impl Iterator<Item = i32>) -> usize {
        let mut counts: Vec<(Rack<'_>, usize)> = Vec::new();
        for id in replicas {
            let rack = self.rack(id);
            match counts.iter_mut().find(|(known, _)| *known == rack) {
                Some((_, count)) => *count += 1,
                None => counts.push((rack, 1)),
            }
        }
        counts.iter().map(|(_, count)| count * count).sum()
    }

    fn rack(&self, id: i32) -> Rack<'_> {
        let broker = self.brokers.get(&id);
        match broker.and_then(|broker| broker.rack.as_deref()) {
            Some(rack) => Rack::Named(rack),
            None => Rack::Own(id),
        }
    }

    /// The brokers that may be given replicas.
    pub fn receivers(&self) -> impl Iterator<Item = i32> + '_ {
        let receivers = self.brokers.iter().filter(|(_, broker)| broker.receives);
        receivers.map(|(id, _)| *id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rack<'a> {
    Named(&'a str),
    Own(i32),
}

impl Placed {
    /// `orders-3`, as logs name it.
    pub fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

impl Move {
    /// The brokers that get the partition.
    pub fn adding(&self) -> impl Iterator<Item = i32> + '_ {
        self.to.iter().copied().filter(|id| !self.from.contains(id))
    }

    /// The brokers that lose it.
    pub fn removing(&self) -> impl Iterator<Item = i32> + '_ {
        self.from.iter().copied().filter(|id| !self.to.contains(id))
    }

    /// Whether only the order changes: nothing is copied, and it is done at once.
    pub fn is_reorder(&self) -> bool {
        self.adding().next().is_none() && self.removing().next().is_none()
    }

    /// Whether another broker is to lead.
    pub fn changes_leader(&self) -> bool {
        self.from.first() != self.to.first()
    }

    /// `orders-3`, as logs name it.
    pub fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

impl Plan {
    /// What differs between two layouts of the same partitions.
    pub fn between(before: Layout, after: Layout, stuck: Vec<String>) -> Self {
        let pairs = before.partitions.iter().zip(&after.partitions);
        let moves = pairs
            .filter(|(old, new)| old.replicas != new.replicas)
            .map(|(old, new)| {
                let added: BTreeSet<_> = new.replicas.iter().collect();
                let added = added
                    .into_iter()
                    .filter(|id| !old.replicas.contains(id))
                    .count();
                Move {
                    topic: old.topic.clone(),
                    partition: old.partition,
                    from: old.replicas.clone(),
                    to: new.replicas.clone(),
                    bytes: old
                        .bytes
                        .saturating_mul(u64::try_from(added).unwrap_or(u64::MAX)),
                }
            })
            .collect();
        Plan {
            moves,
            before,
            after,
            stuck,
        }
    }

    /// How many bytes are copied.
    pub fn bytes(&self) -> u64 {
        let bytes = self.moves.iter().map(|m| m.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    /// How many partitions get other brokers; the rest of the moves are only of order.
    pub fn copies(&self) -> usize {
        self.moves.iter().filter(|m| !m.is_reorder()).count()
    }
}
