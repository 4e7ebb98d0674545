//! What one may ask of the controller, and what it answers.

use ottla_model::QuotaValue;
use ottla_model::{BrokerId, ClusterId, ErrorCode, PartitionIndex, ProducerId, TopicId, Uuid};
use serde::{Deserialize, Serialize};

use crate::image::Overrides;
use crate::mutations::MutationAllowance;
use crate::record::ConfigResource;

mod brokers;
mod codec;
mod replication;

pub use brokers::{
    BrokerHeartbeat, BrokerHeartbeatReply, FeatureUpdate, FeatureUpgrade, FenceBroker,
    RegisterBroker, RegisteredBroker, UpdateFeatures,
};
pub use codec::{Answer, COMMAND_BYTES_MAX, decode_answer, encode_answer};
pub use replication::{
    AlterPartition, AlterPartitionItem, AlterPartitionReassignments, AlterPartitionResult,
    ElectLeaders, ElectLeadersResult, ElectionKind, IsrMember, PartitionState, ReassignPartition,
    ReassignPartitionResult,
};

/// A change that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Names the cluster; the first command of each cluster. Answer: [`Reply::Done`].
    NameCluster(ClusterId),
    /// A broker comes (back). Answer: [`Reply::RegisterBroker`].
    RegisterBroker(RegisterBroker),
    /// A broker says that it is there. Answer: [`Reply::BrokerHeartbeat`].
    BrokerHeartbeat(BrokerHeartbeat),
    /// A broker is silent: it leads nothing from now on. Only the controller itself says so, until
    /// the broker is fenced: with very many partitions that takes more than one decision. Answer:
    /// [`Reply::Done`].
    FenceBroker(FenceBroker),
    /// Forgets a broker (KIP-746). Answer: [`Reply::Done`].
    UnregisterBroker(BrokerId),
    /// A leader wants another ISR. Answer: [`Reply::AlterPartition`].
    AlterPartition(AlterPartition),
    /// Elects leaders. Answer: [`Reply::ElectLeaders`].
    ElectLeaders(ElectLeaders),
    /// Gives leadership back to preferred leaders, where brokers lead too little of what they
    /// should. Only the controller itself says so. Answer: [`Reply::BalanceLeaders`].
    BalanceLeaders,
    /// Moves partitions to other brokers, or stops doing so. Answer:
    /// [`Reply::AlterPartitionReassignments`].
    AlterPartitionReassignments(AlterPartitionReassignments),
    /// Sets levels of features. Answer: [`Reply::Done`].
    UpdateFeatures(UpdateFeatures),
    /// Creates topics. Answer: [`Reply::CreateTopics`].
    CreateTopics(CreateTopics),
    /// Deletes topics. Answer: [`Reply::DeleteTopics`].
    DeleteTopics(DeleteTopics),
    /// Adds partitions to topics. Answer: [`Reply::CreatePartitions`].
    CreatePartitions(CreatePartitions),
    /// Hands out a block of producer ids. Answer: [`Reply::AllocateProducerIds`].
    AllocateProducerIds(AllocateProducerIds),
    /// Sets and deletes configuration overrides. Answer: [`Reply::AlterConfigs`].
    AlterConfigs(AlterConfigs),
    /// Sets and takes away limits of clients. Answer: [`Reply::AlterClientQuotas`].
    AlterClientQuotas(AlterClientQuotas),
}

/// What the controller answers once the records of a command are durable and applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To a command that has nothing to tell.
    Done,
    /// To [`Command::RegisterBroker`].
    RegisterBroker(RegisteredBroker),
    /// To [`Command::BrokerHeartbeat`].
    BrokerHeartbeat(BrokerHeartbeatReply),
    /// To [`Command::AlterPartition`]: one result for each partition, in the order of the request.
    AlterPartition(Vec<AlterPartitionResult>),
    /// To [`Command::ElectLeaders`].
    ElectLeaders(Vec<ElectLeadersResult>),
    /// To [`Command::BalanceLeaders`].
    BalanceLeaders {
        /// How many partitions got another leader.
        elected: usize,
        /// Whether there are more, for another command soon.
        more: bool,
    },
    /// To [`Command::AlterPartitionReassignments`]: one result for each partition, in the order of
    /// the request.
    AlterPartitionReassignments(Vec<ReassignPartitionResult>),
    /// To [`Command::CreateTopics`]: one result for each name, in the order of the request.
    CreateTopics(Vec<CreateTopicResult>),
    /// To [`Command::DeleteTopics`]: one result for each topic, in the order of the request.
    DeleteTopics(Vec<DeleteTopicResult>),
    /// To [`Command::CreatePartitions`]: one result for each name, in the order of the request.
    CreatePartitions(Vec<CreatePartitionsResult>),
    /// To [`Command::AllocateProducerIds`].
    AllocateProducerIds(ProducerIdBlock),
    /// To [`Command::AlterConfigs`]: one result for each resource, in the order of the request.
    AlterConfigs(Vec<AlterConfigResult>),
    /// To [`Command::AlterClientQuotas`]: one result for each entry, in the order of the request.
    AlterClientQuotas(Vec<Result<(), Refusal>>),
}

/// Why a command, or one item of it, is not carried out: Kafka's error code and a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The error code for the client.
    pub code: ErrorCode,
    /// What happened, to what, and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal with its message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
        }
    }
}

/// See [`Command::CreateTopics`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTopics {
    /// The topics that are asked for.
    pub topics: Vec<NewTopic>,
    /// Only say what would happen.
    pub validate_only: bool,
    /// How many partitions this client may still create or delete.
    pub allowance: MutationAllowance,
}

/// One topic of [`CreateTopics`]. The name is as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    /// The name; it may be invalid, the result says so.
    pub name: String,
    /// The number of partitions; -1 means `num.partitions`, or that `assignments` tells.
    pub num_partitions: i32,
    /// The number of replicas; -1 means `default.replication.factor`, or that `assignments` tells.
    pub replication_factor: i16,
    /// Which brokers hold which partition; empty means that the controller places the replicas.
    pub assignments: Vec<ManualAssignment>,
    /// Configuration overrides; a missing value is refused.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with default partitions, default replication factor, and no overrides.
    pub fn with_defaults(name: impl Into<String>) -> Self {
        NewTopic {
            name: name.into(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// The replicas of one partition, chosen by the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManualAssignment {
    /// The partition's number.
    pub partition: PartitionIndex,
    /// The brokers, the preferred leader first.
    pub broker_ids: Vec<BrokerId>,
}

/// The result for one name of [`CreateTopics`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTopicResult {
    /// The name, as the client wrote it.
    pub name: String,
    /// The new topic, or why there is none.
    pub outcome: Result<CreatedTopic, Refusal>,
}

/// A topic that was, or with `validate_only` would be, created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatedTopic {
    /// The topic's identity.
    pub topic_id: TopicId,
    /// The number of partitions.
    pub num_partitions: i32,
    /// The number of replicas of each partition.
    pub replication_factor: i16,
    /// The configuration overrides.
    pub configs: Overrides,
}

/// See [`Command::DeleteTopics`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteTopics {
    /// The topics, each by name or by id.
    pub topics: Vec<TopicSelector>,
    /// How many partitions this client may still create or delete.
    pub allowance: MutationAllowance,
}

/// A topic as `DeleteTopics` names it: exactly one of the two must be given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSelector {
    /// The name; none when the id is given.
    pub name: Option<String>,
    /// The id; [`Uuid::ZERO`] when the name is given.
    pub topic_id: TopicId,
}

impl TopicSelector {
    /// Selects by name.
    pub fn by_name(name: impl Into<String>) -> Self {
        TopicSelector {
            name: Some(name.into()),
            topic_id: Uuid::ZERO,
        }
    }

    /// Selects by id.
    #[must_use]
    pub fn by_id(topic_id: TopicId) -> Self {
        TopicSelector {
            name: None,
            topic_id,
        }
    }
}

/// The result for one topic of [`DeleteTopics`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteTopicResult {
    /// The name, if it is known.
    pub name: Option<String>,
    /// The id, if it is known; else [`Uuid::ZERO`].
    pub topic_id: TopicId,
    /// Whether it is deleted, or why not.
    pub outcome: Result<(), Refusal>,
}

/// See [`Command::CreatePartitions`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePartitions {
    /// The topics that are to grow.
    pub topics: Vec<NewPartitions>,
    /// Only say what would happen.
    pub validate_only: bool,
    /// How many partitions this client may still create or delete.
    pub allowance: MutationAllowance,
}

/// One topic of [`CreatePartitions`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPartitions {
    /// The topic's name.
    pub name: String,
    /// The number of partitions that the topic shall have in the end.
    pub count: i32,
    /// The brokers of each added partition; none means that the controller places the replicas.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// The result for one name of [`CreatePartitions`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePartitionsResult {
    /// The name, as the client wrote it.
    pub name: String,
    /// Whether the partitions were added, or why not.
    pub outcome: Result<(), Refusal>,
}

/// See [`Command::AllocateProducerIds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllocateProducerIds {
    /// The broker that wants ids.
    pub broker_id: BrokerId,
    /// Its registration; an old one is refused with `STALE_BROKER_EPOCH`.
    pub broker_epoch: i64,
}

/// The producer ids `first .. first + len` belong to the broker that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: ProducerId,
    /// The number of ids.
    pub len: i32,
}

/// See [`Command::AlterConfigs`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterConfigs {
    /// What to change, resource by resource.
    pub resources: Vec<AlterConfig>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// The changes of one resource's overrides: they happen together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterConfig {
    /// The resource.
    pub resource: ConfigResource,
    /// What happens to its overrides.
    pub change: ConfigChange,
}

/// What happens to the overrides of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigChange {
    /// These are all of them from now on (AlterConfigs).
    Replace(Vec<(String, String)>),
    /// Each of these changes; the others stay (IncrementalAlterConfigs, KIP-339).
    Incremental(Vec<(String, ConfigOp)>),
}

/// What happens to one override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigOp {
    /// It gets this value.
    Set(String),
    /// It is taken away.
    Delete,
    /// These entries, separated by commas, are added to the list, unless they are in it.
    Append(String),
    /// These entries, separated by commas, are taken out of the list.
    Subtract(String),
}

/// The result for one resource of [`AlterConfigs`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterConfigResult {
    /// The resource.
    pub resource: ConfigResource,
    /// Whether the changes were made, or why not.
    pub outcome: Result<(), Refusal>,
}

/// See [`Command::AlterClientQuotas`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterClientQuotas {
    /// The changes, each of one entity.
    pub entries: Vec<AlterClientQuota>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// One entity of [`AlterClientQuotas`], as the client wrote it: the result says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterClientQuota {
    /// Types and names; no name is the default.
    pub entity: Vec<(String, Option<String>)>,
    /// Keys and new limits; no limit takes the old one away.
    pub ops: Vec<(String, Option<QuotaValue>)>,
}
