//! The partitions of this broker: replicated state for the handlers to look up.

mod partition;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex, TopicId, TopicName};
use parking_lot::RwLock;

pub(crate) use partition::{Commit, Partition, Turn};

/// A topic with the partitions that this broker holds, by number.
pub(crate) struct LocalTopic {
    pub(crate) name: TopicName,
    pub(crate) id: TopicId,
    pub(crate) partitions: Vec<Option<Arc<Partition>>>,
}

impl LocalTopic {
    /// The partition, if this broker holds it.
    pub(crate) fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)?.as_ref()
    }

    /// Whether the partition can be read and written here.
    pub(crate) fn is_ready(&self, index: usize) -> bool {
        let partition = self.partitions.get(index).and_then(Option::as_ref);
        partition.is_some_and(|p| p.leader_log().is_ok())
    }
}

/// The partition of a topic, if it is here. One that other brokers have is looked for in the wrong
/// place; one that nobody has is unknown.
pub(crate) fn find(
    topic: Option<&LocalTopic>,
    index: PartitionIndex,
) -> Result<&Arc<Partition>, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let known = usize::try_from(index)
        .ok()
        .and_then(|index| topic.partitions.get(index));
    match known {
        None => Err(ErrorCode::UnknownTopicOrPartition),
        Some(None) => Err(ErrorCode::NotLeaderOrFollower),
        Some(Some(partition)) => Ok(partition),
    }
}

/// The table of this broker's partitions. Lookups are short reads under a lock.
#[derive(Default)]
pub(crate) struct PartitionTable {
    topics: RwLock<Topics>,
}

#[derive(Default)]
struct Topics {
    by_id: BTreeMap<TopicId, Arc<LocalTopic>>,
    ids: HashMap<TopicName, TopicId>,
}

impl PartitionTable {
    /// A topic by id.
    pub(crate) fn topic(&self, id: TopicId) -> Option<Arc<LocalTopic>> {
        self.topics.read().by_id.get(&id).cloned()
    }

    /// A topic by name.
    pub(crate) fn topic_by_name(&self, name: &str) -> Option<Arc<LocalTopic>> {
        let topics = self.topics.read();
        topics.by_id.get(topics.ids.get(name)?).cloned()
    }

    /// Every partition.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        let partitions = topics
            .by_id
            .values()
            .flat_map(|t| t.partitions.iter().flatten().cloned());
        partitions.collect()
    }

    /// Adds a topic, or replaces it with one that has more partitions.
    pub(crate) fn insert(&self, topic: LocalTopic) {
        let mut topics = self.topics.write();
        topics.ids.insert(topic.name.clone(), topic.id);
        topics.by_id.insert(topic.id, Arc::new(topic));
    }

    /// Takes a topic out.
    pub(crate) fn remove(&self, id: TopicId) -> Option<Arc<LocalTopic>> {
        let mut topics = self.topics.write();
        let topic = topics.by_id.remove(&id)?;
        // The name may belong to a younger topic already.
        if topics.ids.get(topic.name.as_str()) == Some(&id) {
            topics.ids.remove(topic.name.as_str());
        }
        Some(topic)
    }
}
