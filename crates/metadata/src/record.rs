//! The records of the metadata log: facts, in the order in which they became true.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, ClusterId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};
use ottla_model::{ClientQuotaEntity, QuotaKey, QuotaValue, TopicName, Uuid};
use serde::{Deserialize, Serialize};

/// One fact about the cluster. The log of these is the metadata; [`crate::Image`] is their sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Whose metadata this is; the first record of each log.
    Cluster(ClusterRecord),
    /// A broker came (back) with these properties.
    RegisterBroker(RegisterBrokerRecord),
    /// A registered broker was fenced or unfenced, or has begun its controlled shutdown.
    BrokerChange(BrokerChangeRecord),
    /// A broker is forgotten.
    UnregisterBroker(UnregisterBrokerRecord),
    /// A feature has this level from now on.
    FeatureLevel(FeatureLevelRecord),
    /// A topic exists from now on; its partitions follow as records of their own.
    Topic(TopicRecord),
    /// A partition exists, or has these replicas and this leader from now on.
    Partition(PartitionRecord),
    /// A topic, its partitions and its configuration are gone.
    RemoveTopic(RemoveTopicRecord),
    /// One configuration override was set or taken away.
    Config(ConfigRecord),
    /// Producer ids below this one have been handed out.
    ProducerIds(ProducerIdsRecord),
    /// A limit of clients was set or taken away.
    ClientQuota(ClientQuotaRecord),
}

impl Record {
    /// The kind's name, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Record::Cluster(_) => "Cluster",
            Record::RegisterBroker(_) => "RegisterBroker",
            Record::BrokerChange(_) => "BrokerChange",
            Record::UnregisterBroker(_) => "UnregisterBroker",
            Record::FeatureLevel(_) => "FeatureLevel",
            Record::Topic(_) => "Topic",
            Record::Partition(_) => "Partition",
            Record::RemoveTopic(_) => "RemoveTopic",
            Record::Config(_) => "Config",
            Record::ProducerIds(_) => "ProducerIds",
            Record::ClientQuota(_) => "ClientQuota",
        }
    }
}

/// See [`Record::Cluster`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRecord {
    /// The cluster's identity.
    pub cluster_id: ClusterId,
}

/// See [`Record::RegisterBroker`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    /// The broker's number.
    pub broker_id: BrokerId,
    /// The number of this registration; each later one of the cluster is higher.
    pub broker_epoch: i64,
    /// Names this run of the process.
    pub incarnation_id: Uuid,
    /// The failure zone, `broker.rack`.
    pub rack: Option<String>,
    /// Where clients reach the broker, one for each listener name.
    pub endpoints: Vec<Endpoint>,
    /// A fenced broker leads nothing and gets no new replicas.
    pub fenced: bool,
    /// Names the volume that the broker keeps its logs on (KIP-853).
    pub directory_id: Uuid,
    /// Whether the broker is on its way out: it keeps its replicas and leads nothing any more.
    pub in_controlled_shutdown: bool,
    /// The levels of each feature that the broker's build knows: lowest and highest.
    pub features: BTreeMap<String, (i16, i16)>,
    /// In snapshots, [`crate::BrokerImage::changed_at`]; none in the log, where the record has an
    /// offset of its own.
    pub changed_at: Option<Offset>,
}

/// See [`Record::BrokerChange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerChangeRecord {
    /// The broker's number.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: i64,
    /// Whether it is fenced from now on.
    pub fenced: bool,
    /// Whether it is in controlled shutdown from now on.
    pub in_controlled_shutdown: bool,
}

/// See [`Record::UnregisterBroker`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnregisterBrokerRecord {
    /// The broker's number.
    pub broker_id: BrokerId,
    /// Its registration.
    pub broker_epoch: i64,
}

/// See [`Record::FeatureLevel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureLevelRecord {
    /// The feature's name, for example `metadata.version`.
    pub name: String,
    /// Its level; 0 switches the feature off.
    pub level: i16,
}

/// Where one listener of a broker is reached (`advertised.listeners`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The listener's name, for example `PLAINTEXT`.
    pub listener: String,
    /// The advertised host name or address.
    pub host: String,
    /// The advertised port.
    pub port: u16,
    /// Kafka's number of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// See [`Record::Topic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// The topic's name.
    pub name: TopicName,
    /// The topic's identity; a topic that is deleted and created again has another.
    pub topic_id: TopicId,
}

/// See [`Record::Partition`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionRecord {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's number; a new one follows the highest that exists.
    pub partition: PartitionIndex,
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
    /// The replicas that a reassignment adds (KIP-455).
    pub adding_replicas: Vec<BrokerId>,
    /// The replicas that a reassignment takes away once the added ones are in sync.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas outside the ISR that have all that was committed (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Who led last, while nobody leads.
    pub last_known_elr: Vec<BrokerId>,
}

/// See [`Record::RemoveTopic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveTopicRecord {
    /// The topic.
    pub topic_id: TopicId,
}

/// What a configuration override belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConfigResource {
    /// One topic.
    Topic(TopicName),
    /// One broker.
    Broker(BrokerId),
    /// All brokers that have no override of their own.
    DefaultBroker,
    /// One group; it need not exist.
    Group(String),
    /// One client-metrics subscription (KIP-714): it exists while it has overrides.
    ClientMetrics(String),
}

/// See [`Record::Config`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRecord {
    /// What the override belongs to.
    pub resource: ConfigResource,
    /// The property's name.
    pub key: String,
    /// The value; none takes the override away.
    pub value: Option<String>,
}

/// See [`Record::ProducerIds`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    /// The broker that got the block before `next_producer_id`.
    pub broker_id: BrokerId,
    /// That broker's registration.
    pub broker_epoch: i64,
    /// The first id that nobody has been given.
    pub next_producer_id: ProducerId,
}

/// See [`Record::ClientQuota`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientQuotaRecord {
    /// Whom the limit is for.
    pub entity: ClientQuotaEntity,
    /// What is limited.
    pub key: QuotaKey,
    /// The limit; none takes it away.
    pub value: Option<QuotaValue>,
}
