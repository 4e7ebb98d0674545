//! Cluster metadata as a pure state machine.
//!
//! ```text
//! decide(&Image, &Command, &mut Context) -> Result<(Vec<Record>, Reply), Refusal>
//!     append the records (elsewhere), wait until they are durable
//! Image::apply(&Record, offset)          the image is the sum of the records
//!     publish the image, hand out the reply
//! ```
//!
//! [`Image`] is an immutable snapshot for its readers; [`Image::diff`] tells them what changed since
//! the one they had. [`Image::to_records`] is what a snapshot file holds.
//!
//! Architecture invariant: no IO, no clock, no randomness, no locks, no async. Random bytes and the
//! rules for configuration come in through [`Context`].

mod apply;
mod client_quotas;
mod codec;
mod command;
mod cow_map;
mod decide;
mod diff;
mod election;
mod error;
mod features;
#[cfg(test)]
mod fixture;
mod image;
mod liveness;
mod mutations;
mod placement;
#[cfg(test)]
mod properties;
mod quorum;
mod record;
mod snapshot;

pub use client_quotas::{ClientQuotas, QuotaFilter, QuotaLimits, QuotaMatch};
pub use command::{
    AllocateProducerIds, AlterClientQuota, AlterClientQuotas, AlterConfig, AlterConfigResult,
    AlterConfigs, AlterPartition, AlterPartitionItem, AlterPartitionReassignments,
    AlterPartitionResult, Answer, BrokerHeartbeat, BrokerHeartbeatReply, COMMAND_BYTES_MAX,
    Command, ConfigChange, ConfigOp, CreatePartitions, CreatePartitionsResult, CreateTopicResult,
    CreateTopics, CreatedTopic, DeleteTopicResult, DeleteTopics, ElectLeaders, ElectLeadersResult,
    ElectionKind, FeatureUpdate, FeatureUpgrade, FenceBroker, IsrMember, ManualAssignment,
    NewPartitions, NewTopic, PartitionState, ProducerIdBlock, ReassignPartition,
    ReassignPartitionResult, Refusal, RegisterBroker, RegisteredBroker, Reply, TopicSelector,
    UpdateFeatures, decode_answer, encode_answer,
};
pub use decide::{
    CLUSTER_METADATA_TOPIC, ConfigRules, Context, Defaults, MAX_PARTITIONS_PER_COMMAND,
    PRODUCER_ID_BLOCK_LEN, decide,
};
pub use diff::{Delta, TopicChange};
pub use error::Error;
pub use features::{
    ELIGIBLE_LEADER_REPLICAS_VERSION, FEATURES, Feature, KRAFT_VERSION, METADATA_VERSION,
    supported_features,
};
pub use image::{BrokerImage, Image, Overrides, PartitionImage, TopicImage};
pub use liveness::{Liveness, REFUSALS_APART_MS};
pub use mutations::MutationAllowance;
pub use quorum::{Quorum, Voter};
pub use record::{
    BrokerChangeRecord, ClientQuotaRecord, ClusterRecord, ConfigRecord, ConfigResource, Endpoint,
    FeatureLevelRecord, PartitionRecord, ProducerIdsRecord, Record, RegisterBrokerRecord,
    RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
};
