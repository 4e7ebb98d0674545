//! The partitions of this broker: replicated state for the handlers to look up.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{self, AtomicI32};
use std::sync::{Arc, OnceLock};

use ottla_config::TopicConfig;
use ottla_log::Log;
use ottla_model::{ErrorCode, LeaderEpoch, NO_LEADER_EPOCH, PartitionIndex, TopicId, TopicName};
use parking_lot::RwLock;

/// One partition that this broker holds.
pub(crate) struct Partition {
    pub(crate) topic: TopicName,
    pub(crate) topic_id: TopicId,
    pub(crate) index: PartitionIndex,
    leader_epoch: AtomicI32,
    /// Set once the log is recovered; until then clients are told to come back.
    log: OnceLock<Log>,
    config: RwLock<Arc<TopicConfig>>,
}

impl Partition {
    pub(crate) fn new(
        topic: TopicName,
        topic_id: TopicId,
        index: PartitionIndex,
        leader_epoch: LeaderEpoch,
        config: Arc<TopicConfig>,
    ) -> Self {
        Partition {
            topic,
            topic_id,
            index,
            leader_epoch: AtomicI32::new(leader_epoch),
            log: OnceLock::new(),
            config: RwLock::new(config),
        }
    }

    /// The partition's log, once it is recovered.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.log.get()
    }

    /// The same, or what a client is told that must come back.
    pub(crate) fn ready_log(&self) -> Result<&Log, ErrorCode> {
        self.log().ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Makes the recovered log known. A partition gets its log once.
    pub(crate) fn ready(&self, log: Log) {
        if self.log.set(log).is_err() {
            ottla_runtime::fail_stop(format!(
                "the log of {}-{} was opened twice; two owners would write into each other's data",
                self.topic, self.index
            ));
        }
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch.load(atomic::Ordering::Acquire)
    }

    /// Compares the leader's term with the one that a client knows, if it says so (KIP-320).
    pub(crate) fn check_leader_epoch(&self, known: LeaderEpoch) -> Result<(), ErrorCode> {
        match known.cmp(&self.leader_epoch()) {
            _ if known == NO_LEADER_EPOCH => Ok(()),
            Ordering::Less => Err(ErrorCode::FencedLeaderEpoch),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
        }
    }

    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.read())
    }

    pub(crate) fn set_config(&self, config: Arc<TopicConfig>) {
        *self.config.write() = config;
    }
}

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
        partition.is_some_and(|p| p.log().is_some())
    }
}

/// The partition of a topic, if it is here.
pub(crate) fn find(
    topic: Option<&LocalTopic>,
    index: PartitionIndex,
) -> Result<&Arc<Partition>, ErrorCode> {
    topic
        .and_then(|t| t.partition(index))
        .ok_or(ErrorCode::UnknownTopicOrPartition)
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
