//! The sum of all metadata records up to an offset.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{BrokerId, ClusterId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};
use ottla_model::{TopicName, Uuid};

use crate::client_quotas::ClientQuotas;
use crate::cow_map::CowMap;
use crate::record::{ConfigResource, Endpoint, PartitionRecord};

/// Configuration overrides: property name to value.
pub type Overrides = BTreeMap<String, String>;

/// The whole cluster metadata as of one offset of the metadata log.
///
/// A clone is cheap (tens of pointers for hundreds of topics) and independent: the controller
/// clones, applies records, and publishes the result as an `Arc<Image>`; readers keep theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) brokers: Arc<BTreeMap<BrokerId, Arc<BrokerImage>>>,
    /// The features that are on, with their levels.
    pub(crate) features: Arc<BTreeMap<String, i16>>,
    pub(crate) topics: CowMap<TopicName, Arc<TopicImage>>,
    pub(crate) names_by_id: CowMap<TopicId, TopicName>,
    /// Names with `.` or `_`, by their form in which both are `_`: two of these may not collide.
    pub(crate) names_by_folded: CowMap<String, TopicName>,
    pub(crate) partition_count: usize,
    pub(crate) leaderless_count: usize,
    /// Overrides of everything but topics, which have their own with them. No entry is empty.
    pub(crate) configs: CowMap<ConfigResource, Arc<Overrides>>,
    pub(crate) client_quotas: Arc<ClientQuotas>,
    pub(crate) next_producer_id: ProducerId,
    /// Who got the last block of producer ids, and in which registration.
    pub(crate) last_producer_ids: Option<(BrokerId, i64)>,
    pub(crate) metadata_offset: Offset,
}

/// A registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerImage {
    /// The broker's number.
    pub id: BrokerId,
    /// The number of its registration.
    pub epoch: i64,
    /// Names the run of the process that registered.
    pub incarnation_id: Uuid,
    /// The failure zone, `broker.rack`.
    pub rack: Option<String>,
    /// Where it is reached, by listener name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// A fenced broker leads nothing and gets no new replicas.
    pub fenced: bool,
    /// Names the volume that the broker keeps its logs on (KIP-853).
    pub directory_id: Uuid,
    /// Whether the broker is on its way out: it keeps its replicas and leads nothing any more.
    pub in_controlled_shutdown: bool,
    /// The levels of each feature that the broker's build knows: lowest and highest.
    pub features: BTreeMap<String, (i16, i16)>,
    /// The offset of the last record about the broker: its registration, or that it was fenced,
    /// unfenced, or has begun its controlled shutdown.
    pub changed_at: Offset,
}

/// A topic with its partitions and its configuration overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// The topic's name.
    pub name: TopicName,
    /// The topic's identity.
    pub id: TopicId,
    /// The partitions; the index is the partition's number.
    pub partitions: Vec<Arc<PartitionImage>>,
    /// What is configured differently from the brokers' defaults.
    pub configs: Overrides,
}

/// One partition: who holds it and who leads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// The brokers that hold the partition, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas that are in sync.
    pub isr: Vec<BrokerId>,
    /// The leader, if there is one.
    pub leader: Option<BrokerId>,
    /// The leader's term.
    pub leader_epoch: LeaderEpoch,
    /// Counts the changes of the partition.
    pub partition_epoch: i32,
    /// Whether the leader was elected uncleanly and has not recovered yet (KIP-704).
    pub recovering: bool,
    /// The replicas that a reassignment adds (KIP-455). They are among `replicas`.
    pub adding_replicas: Vec<BrokerId>,
    /// The replicas that a reassignment takes away once the added ones are in sync. Until then
    /// they are among `replicas`.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas outside the ISR that have all that was committed (KIP-966): one of them may lead
    /// when the ISR is empty.
    pub elr: Vec<BrokerId>,
    /// Who led last, while nobody leads.
    pub last_known_elr: Vec<BrokerId>,
}

impl PartitionImage {
    /// Whether a reassignment is under way.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }

    /// The record that says what the image says.
    #[must_use]
    pub fn to_record(&self, topic_id: TopicId, partition: PartitionIndex) -> PartitionRecord {
        PartitionRecord {
            topic_id,
            partition,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            recovering: self.recovering,
            adding_replicas: self.adding_replicas.clone(),
            removing_replicas: self.removing_replicas.clone(),
            elr: self.elr.clone(),
            last_known_elr: self.last_known_elr.clone(),
        }
    }
}

impl From<&PartitionRecord> for PartitionImage {
    fn from(record: &PartitionRecord) -> Self {
        PartitionImage {
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            recovering: record.recovering,
            adding_replicas: record.adding_replicas.clone(),
            removing_replicas: record.removing_replicas.clone(),
            elr: record.elr.clone(),
            last_known_elr: record.last_known_elr.clone(),
        }
    }
}

impl TopicImage {
    /// The partition of that number, if it exists.
    #[must_use]
    pub fn partition(&self, partition: PartitionIndex) -> Option<&Arc<PartitionImage>> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }

    /// The number of partitions.
    #[must_use]
    pub fn partition_count(&self) -> PartitionIndex {
        PartitionIndex::try_from(self.partitions.len()).unwrap_or(PartitionIndex::MAX)
    }

    /// Whether Kafka treats the topic as internal.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        ottla_model::is_internal_topic(self.name.as_str())
    }
}

impl Default for Image {
    fn default() -> Self {
        Image::empty()
    }
}

impl Image {
    /// The image before the first record.
    #[must_use]
    pub fn empty() -> Self {
        Image {
            cluster_id: None,
            brokers: Arc::default(),
            features: Arc::default(),
            topics: CowMap::default(),
            names_by_id: CowMap::default(),
            names_by_folded: CowMap::default(),
            partition_count: 0,
            leaderless_count: 0,
            configs: CowMap::default(),
            client_quotas: Arc::default(),
            next_producer_id: 0,
            last_producer_ids: None,
            metadata_offset: -1,
        }
    }

    /// The cluster's identity; none before the first record.
    #[must_use]
    pub fn cluster_id(&self) -> Option<&ClusterId> {
        self.cluster_id.as_ref()
    }

    /// The offset of the last applied record; -1 before the first.
    #[must_use]
    pub fn metadata_offset(&self) -> Offset {
        self.metadata_offset
    }

    /// The registered brokers, fenced ones too, in the order of their numbers.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerImage>> {
        self.brokers.values()
    }

    /// A registered broker.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerImage>> {
        self.brokers.get(&id)
    }

    /// Whether the broker is registered and not fenced.
    #[must_use]
    pub fn is_live(&self, id: BrokerId) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced)
    }

    /// Whether the broker may lead partitions and join an ISR: registered, not fenced, and not on
    /// its way out.
    #[must_use]
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.broker(id)
            .is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
    }

    /// The features that are on, with their levels (KIP-584).
    #[must_use]
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// The level of a feature; 0 when it is off.
    #[must_use]
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    /// A topic by name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    /// A topic by id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names_by_id.get(&id)?.as_str())
    }

    /// A partition by topic name and number.
    #[must_use]
    pub fn partition(
        &self,
        topic: &str,
        partition: PartitionIndex,
    ) -> Option<&Arc<PartitionImage>> {
        self.topic(topic)?.partition(partition)
    }

    /// The number of topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The number of partitions of all topics.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The number of partitions that nobody leads.
    #[must_use]
    pub fn leaderless_count(&self) -> usize {
        self.leaderless_count
    }

    /// A broker's own dynamic overrides, without the cluster-wide ones.
    #[must_use]
    pub fn broker_configs(&self, id: BrokerId) -> Option<&Overrides> {
        self.configs(&ConfigResource::Broker(id))
    }

    /// The dynamic overrides that hold for every broker without one of its own.
    #[must_use]
    pub fn default_broker_configs(&self) -> Option<&Overrides> {
        self.configs(&ConfigResource::DefaultBroker)
    }

    /// A group's overrides.
    #[must_use]
    pub fn group_configs(&self, group: &str) -> Option<&Overrides> {
        self.configs(&ConfigResource::Group(group.to_owned()))
    }

    /// The groups that have overrides, in the order of their names.
    pub fn configured_groups(&self) -> impl Iterator<Item = (&str, &Overrides)> {
        self.configs.iter().filter_map(|(resource, overrides)| {
            let ConfigResource::Group(group) = resource else {
                return None;
            };
            Some((group.as_str(), &**overrides))
        })
    }

    /// The client-metrics subscriptions, in the order of their names.
    pub fn client_metrics(&self) -> impl Iterator<Item = (&str, &Overrides)> {
        self.configs.iter().filter_map(|(resource, overrides)| {
            let ConfigResource::ClientMetrics(name) = resource else {
                return None;
            };
            Some((name.as_str(), &**overrides))
        })
    }

    /// The overrides of any resource; none when there are none, or no such topic.
    #[must_use]
    pub fn configs(&self, resource: &ConfigResource) -> Option<&Overrides> {
        match resource {
            ConfigResource::Topic(name) => Some(&self.topic(name.as_str())?.configs),
            other => self.configs.get(other).map(|overrides| &**overrides),
        }
    }

    /// The limits of clients. The same pointer as before means that nothing changed.
    #[must_use]
    pub fn client_quotas(&self) -> &Arc<ClientQuotas> {
        &self.client_quotas
    }

    /// The first producer id that nobody has been given.
    #[must_use]
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// An existing topic whose name differs from this one only in `.` and `_`, if there is one.
    pub(crate) fn colliding_topic(&self, name: &str) -> Option<&TopicName> {
        self.names_by_folded
            .get(&*fold(name)?)
            .filter(|other| other.as_str() != name)
    }
}

/// The name with every `.` as `_`; none when it has neither and so collides with no other.
pub(crate) fn fold(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests;
