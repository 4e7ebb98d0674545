//! Commands about who holds and who leads partitions, and their answers.

use ottla_model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId};
use serde::{Deserialize, Serialize};

use super::Refusal;

/// See [`Command::AlterPartition`](crate::Command::AlterPartition) (KIP-497).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterPartition {
    /// The broker that leads the partitions and asks.
    pub broker_id: BrokerId,
    /// Its registration; an old one is refused with `STALE_BROKER_EPOCH`.
    pub broker_epoch: i64,
    /// The partitions whose ISR shall change.
    pub partitions: Vec<AlterPartitionItem>,
}

/// One partition of [`AlterPartition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterPartitionItem {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The term in which the broker leads it.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the change is based on.
    pub partition_epoch: i32,
    /// The ISR that the leader wants.
    pub new_isr: Vec<IsrMember>,
    /// Whether the leader is still recovering from an unclean election (KIP-704).
    pub recovering: bool,
}

/// A replica that is in sync, in the registration in which it was seen so (KIP-903).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsrMember {
    /// The replica.
    pub broker_id: BrokerId,
    /// Its registration; -1 when the leader does not know it.
    pub broker_epoch: i64,
}

/// The result for one partition of [`AlterPartition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterPartitionResult {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// What the partition is now, or why it did not change.
    pub outcome: Result<PartitionState, ErrorCode>,
}

/// A partition after [`AlterPartition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionState {
    /// The leader, if there is one.
    pub leader: Option<BrokerId>,
    /// The leader's term.
    pub leader_epoch: LeaderEpoch,
    /// The replicas that are in sync.
    pub isr: Vec<BrokerId>,
    /// Whether the leader is still recovering from an unclean election.
    pub recovering: bool,
    /// Counts the changes of the partition.
    pub partition_epoch: i32,
}

/// See [`Command::ElectLeaders`](crate::Command::ElectLeaders) (KIP-460).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElectLeaders {
    /// Who may be elected.
    pub kind: ElectionKind,
    /// The partitions, topic by topic name as the client wrote it; none means all of them.
    pub partitions: Option<Vec<(String, PartitionIndex)>>,
}

/// Who may be elected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElectionKind {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// For partitions without a leader: any replica that is live, whatever is lost by it.
    Unclean,
}

/// The result for one partition of [`ElectLeaders`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElectLeadersResult {
    /// The topic's name, as the client wrote it.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
    /// Whether a leader was elected, or why not. When all partitions were asked for, those that
    /// need no election have no result.
    pub outcome: Result<(), Refusal>,
}

/// See [`Command::AlterPartitionReassignments`](crate::Command::AlterPartitionReassignments)
/// (KIP-455).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterPartitionReassignments {
    /// Whether a partition may get another number of replicas (KIP-860).
    pub allow_replication_factor_change: bool,
    /// The partitions.
    pub partitions: Vec<ReassignPartition>,
}

/// One partition of [`AlterPartitionReassignments`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReassignPartition {
    /// The topic's name, as the client wrote it.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
    /// The brokers that shall hold it, the preferred leader first; none cancels the reassignment
    /// that is under way.
    pub replicas: Option<Vec<BrokerId>>,
}

/// The result for one partition of [`AlterPartitionReassignments`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReassignPartitionResult {
    /// The topic's name, as the client wrote it.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
    /// Whether the reassignment has begun or was cancelled, or why not.
    pub outcome: Result<(), Refusal>,
}
