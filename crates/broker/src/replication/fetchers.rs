//! Which partitions are fetched from whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use ottla_runtime::TaskKind;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::fetcher::Fetcher;
use crate::Broker;
use crate::partitions::{Partition, Turn};

/// Names a partition in the order in which requests name it.
pub(crate) type Key = (TopicId, PartitionIndex);

/// What one fetcher has to fetch.
pub(super) type Assignment = BTreeMap<Key, (LeaderEpoch, Arc<Partition>)>;

/// One task: a leader, and which of the connections to it.
type Lane = (BrokerId, u64);

/// The followers' side: a fetcher for each leader that this broker follows in something.
#[derive(Default)]
pub(crate) struct Fetchers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    lanes: BTreeMap<Lane, watch::Sender<Assignment>>,
    /// Where each partition is fetched.
    places: BTreeMap<Key, Lane>,
}

impl Fetchers {
    /// Takes over what partitions have to do from now on. Those that lead, wait or are gone are not
    /// fetched.
    pub(crate) fn assign(&self, broker: &Arc<Broker>, turns: &[(Arc<Partition>, Turn)]) {
        let count = u64::try_from(broker.config().broker.num_replica_fetchers).unwrap_or(1);
        let mut inner = self.0.lock();
        let mut changes: BTreeMap<Lane, Vec<Change>> = BTreeMap::new();
        for (partition, turn) in turns {
            let key = (partition.topic_id, partition.index);
            let next = match turn {
                Turn::Same => continue,
                Turn::Follows(leader, _) => Some((*leader, lane_of(key, count))),
                Turn::Leads(_) | Turn::Waits => None,
            };
            let before = inner.places.get(&key).copied();
            if let Some(before) = before.filter(|b| Some(*b) != next) {
                inner.places.remove(&key);
                changes.entry(before).or_default().push((key, None));
            }
            if let (Some(next), Turn::Follows(_, epoch)) = (next, turn) {
                inner.places.insert(key, next);
                let follow = (*epoch, Arc::clone(partition));
                changes.entry(next).or_default().push((key, Some(follow)));
            }
        }
        for (lane, changes) in changes {
            inner.change(broker, lane, changes);
        }
    }

    /// Stops fetching a partition that is gone.
    pub(crate) fn forget(&self, broker: &Arc<Broker>, partition: &Arc<Partition>) {
        self.assign(broker, &[(Arc::clone(partition), Turn::Waits)]);
    }

    /// How many leaders are fetched from, each connection counted.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().lanes.len()
    }
}

type Change = (Key, Option<(LeaderEpoch, Arc<Partition>)>);

impl Inner {
    fn change(&mut self, broker: &Arc<Broker>, lane: Lane, changes: Vec<Change>) {
        let sender = self.lanes.entry(lane).or_insert_with(|| {
            let (sender, receiver) = watch::channel(Assignment::new());
            let fetcher = Fetcher::new(broker, lane.0, receiver);
            let tasks = &broker.runtime.tasks;
            tasks.spawn(TaskKind::Service, "fetching from a leader", fetcher.run());
            sender
        });
        sender.send_modify(|assignment| {
            for (key, follow) in changes {
                match follow {
                    Some(follow) => assignment.insert(key, follow),
                    None => assignment.remove(&key),
                };
            }
        });
        let is_idle = sender.borrow().is_empty();
        if is_idle {
            // Its task ends with it.
            self.lanes.remove(&lane);
        }
    }
}

/// Spreads partitions over connections; a topic's partitions go to different ones.
fn lane_of((topic, partition): Key, count: u64) -> u64 {
    let bytes = topic.0;
    let topic = u64::from(bytes[0]) << 8 | u64::from(bytes[15]);
    (topic + u64::from(partition.unsigned_abs())) % count.max(1)
}
