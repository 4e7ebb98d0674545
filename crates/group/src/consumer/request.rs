//! Requests and answers of the new protocol, free of wire versions.

use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex, TopicId};

use super::assignor::Assignment;

/// ConsumerGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerHeartbeatRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The member, empty at the first heartbeat of v0.
    pub member_id: Arc<str>,
    /// 0 to join, -1 to leave, -2 for a static member that will be back, else the member's epoch.
    pub member_epoch: i32,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// Where the member is.
    pub rack_id: Option<Arc<str>>,
    /// How long the member may take to give partitions up; `None` when unchanged (-1).
    pub rebalance_timeout_ms: Option<i32>,
    /// The topics that it reads; `None` when unchanged.
    pub topics: Option<Vec<Arc<str>>>,
    /// The regular expression of the topics that it reads (v1 and later), empty for none any more;
    /// `None` when unchanged.
    pub regex: Option<Arc<str>>,
    /// The assignor that it wants; `None` when unchanged.
    pub assignor: Option<Arc<str>>,
    /// What it has; `None` when unchanged.
    pub owned: Option<Vec<(TopicId, Vec<PartitionIndex>)>>,
    /// `client.id` of the request's header.
    pub client_id: Arc<str>,
    /// The client's address as Kafka prints it: `/` and the IP address.
    pub client_host: Arc<str>,
    /// Whether members choose their ids themselves: v1 and later (KIP-1082).
    pub requires_member_id: bool,
}

/// The answer to ConsumerGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerHeartbeatResponse {
    /// What went wrong.
    pub error: ErrorCode,
    /// What went wrong, in words.
    pub error_message: Option<String>,
    /// The member's id.
    pub member_id: Option<Arc<str>>,
    /// The member's epoch.
    pub member_epoch: i32,
    /// When the next heartbeat is wanted.
    pub heartbeat_interval_ms: i32,
    /// What the member may have, when it has changed or was asked for.
    pub assignment: Option<Assignment>,
}

impl ConsumerHeartbeatResponse {
    /// An error.
    #[must_use]
    pub fn error(error: ErrorCode, message: Option<String>) -> Self {
        ConsumerHeartbeatResponse {
            error,
            error_message: message,
            member_id: None,
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            assignment: None,
        }
    }
}

/// A group as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// What went wrong.
    pub error: ErrorCode,
    /// What went wrong, in words.
    pub error_message: Option<String>,
    /// The group.
    pub group_id: Arc<str>,
    /// The state by Kafka's name.
    pub state: &'static str,
    /// How often the group has changed.
    pub group_epoch: i32,
    /// The group epoch for which the target assignment is.
    pub assignment_epoch: i32,
    /// The assignor in force.
    pub assignor: &'static str,
    /// The members.
    pub members: Vec<DescribedConsumerMember>,
}

impl DescribedConsumerGroup {
    /// A group that cannot be described.
    #[must_use]
    pub fn error(group_id: Arc<str>, error: ErrorCode, message: Option<String>) -> Self {
        DescribedConsumerGroup {
            error,
            error_message: message,
            group_id,
            state: "",
            group_epoch: 0,
            assignment_epoch: 0,
            assignor: "",
            members: Vec::new(),
        }
    }
}

/// A topic's id, its name, and partitions of it.
pub type DescribedPartitions = (TopicId, Arc<str>, Vec<PartitionIndex>);

/// A member as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumerMember {
    /// The member.
    pub member_id: Arc<str>,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// Where it is.
    pub rack_id: Option<Arc<str>>,
    /// Its epoch.
    pub member_epoch: i32,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// The client's address.
    pub client_host: Arc<str>,
    /// The topics that it has named.
    pub topics: Vec<Arc<str>>,
    /// Its regular expression.
    pub regex: Option<Arc<str>>,
    /// What it has, or is giving up. Topics that are gone are left out.
    pub assignment: Vec<DescribedPartitions>,
    /// What it shall have.
    pub target: Vec<DescribedPartitions>,
    /// Whether it speaks the classic protocol; sent from v1 on.
    pub is_classic: bool,
}
