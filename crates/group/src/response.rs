//! The coordinator's answers, free of wire versions.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::consumer::request::{ConsumerHeartbeatResponse, DescribedConsumerGroup};

/// The answer to a [`Request`](crate::Request) of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// API key 11.
    Join(JoinResponse),
    /// API key 14.
    Sync(SyncResponse),
    /// API key 12: nothing but an error code.
    Heartbeat(ErrorCode),
    /// API key 13.
    Leave(LeaveResponse),
    /// API keys 8 and 28.
    OffsetCommit(OffsetCommitResponse),
    /// API key 9, one group.
    OffsetFetch(OffsetFetchResponse),
    /// API key 15, one group.
    Describe(DescribedGroup),
    /// API key 16.
    List(Vec<ListedGroup>),
    /// API key 42, one group.
    DeleteGroup(ErrorCode),
    /// API key 47.
    OffsetDelete(OffsetDeleteResponse),
    /// The end of a transaction.
    EndTransaction(ErrorCode),
    /// API key 68.
    ConsumerHeartbeat(ConsumerHeartbeatResponse),
    /// API key 69, one group.
    ConsumerDescribe(DescribedConsumerGroup),
}

/// The answer to JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinResponse {
    /// What went wrong.
    pub error: ErrorCode,
    /// The new generation, -1 with an error.
    pub generation_id: i32,
    /// The group's protocol type; sent from v7 on.
    pub protocol_type: Option<Arc<str>>,
    /// The elected protocol. Versions before 7 cannot say null: send an empty name.
    pub protocol_name: Option<Arc<str>>,
    /// The leader's member id, empty with an error.
    pub leader: Arc<str>,
    /// Whether the leader must not compute an assignment (KIP-814); sent from v9 on.
    pub skip_assignment: bool,
    /// The member's own id.
    pub member_id: Arc<str>,
    /// All members, for the leader only.
    pub members: Vec<JoinedMember>,
}

impl JoinResponse {
    /// An error, with the member id that Kafka puts beside it.
    #[must_use]
    pub fn error(error: ErrorCode, member_id: Arc<str>) -> Self {
        JoinResponse {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: "".into(),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member.
    pub member_id: Arc<str>,
    /// The static member's name; sent from v5 on.
    pub group_instance_id: Option<Arc<str>>,
    /// The member's metadata for the elected protocol.
    pub metadata: Bytes,
}

/// The answer to SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncResponse {
    /// What went wrong.
    pub error: ErrorCode,
    /// The group's protocol type; sent from v5 on.
    pub protocol_type: Option<Arc<str>>,
    /// The elected protocol; sent from v5 on.
    pub protocol_name: Option<Arc<str>>,
    /// What the member is to do.
    pub assignment: Bytes,
}

impl SyncResponse {
    /// An error without an assignment.
    #[must_use]
    pub fn error(error: ErrorCode) -> Self {
        SyncResponse {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// The answer to LeaveGroup. Versions 0 to 2 have only one error: [`LeaveResponse::error`], or
/// the only member's when that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveResponse {
    /// What went wrong with the whole request.
    pub error: ErrorCode,
    /// What became of each member; sent from v3 on.
    pub members: Vec<LeftMember>,
}

/// What became of one leaving member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftMember {
    /// The member's id as it was asked for.
    pub member_id: Arc<str>,
    /// The static member's name as it was asked for.
    pub group_instance_id: Option<Arc<str>>,
    /// What went wrong.
    pub error: ErrorCode,
}

/// The answer to OffsetCommit and TxnOffsetCommit, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitResponse {
    /// The topics.
    pub topics: Vec<CommittedTopic>,
}

/// What became of the commits of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedTopic {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id as it was asked for.
    pub topic_id: TopicId,
    /// Each partition and its error.
    pub partitions: Vec<(PartitionIndex, ErrorCode)>,
}

/// Partitions, each with what went wrong.
pub type PartitionErrors = Vec<(PartitionIndex, ErrorCode)>;

/// The answer to OffsetDelete, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteResponse {
    /// What went wrong with the whole request; there are no topics then.
    pub error: ErrorCode,
    /// The topics, and each partition with its error.
    pub topics: Vec<(Arc<str>, PartitionErrors)>,
}

/// The answer to OffsetFetch for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchResponse {
    /// The group.
    pub group_id: Arc<str>,
    /// What went wrong with the whole group. Versions 0 and 1 repeat it in each partition.
    pub error: ErrorCode,
    /// The offsets.
    pub topics: Vec<FetchedTopic>,
}

/// The committed offsets of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id as it was asked for, or as it was committed when all offsets were asked for.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// The committed offset of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset of the next record to read, -1 when nothing is committed (which is no error).
    pub offset: Offset,
    /// The leader epoch of the last record read, -1 when unknown; sent from v5 on.
    pub leader_epoch: LeaderEpoch,
    /// The client's own note.
    pub metadata: Arc<str>,
    /// What went wrong.
    pub error: ErrorCode,
}

/// A group as DescribeGroups shows it. Authorized operations (v3 and later) are the handler's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// What went wrong.
    pub error: ErrorCode,
    /// What went wrong, in words; sent from v6 on.
    pub error_message: Option<String>,
    /// The group.
    pub group_id: Arc<str>,
    /// The state by Kafka's name, for example `PreparingRebalance`.
    pub state: &'static str,
    /// The protocol type, empty when none was ever set.
    pub protocol_type: Arc<str>,
    /// The elected protocol while the group is stable, else empty.
    pub protocol_data: Arc<str>,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member_id: Arc<str>,
    /// The static member's name; sent from v4 on.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// The client's address.
    pub client_host: Arc<str>,
    /// The member's metadata for the elected protocol while the group is stable, else empty.
    pub metadata: Bytes,
    /// The member's assignment.
    pub assignment: Bytes,
}

/// A group as ListGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// The protocol type, empty when none was ever set.
    pub protocol_type: Arc<str>,
    /// The state by Kafka's name; sent from v4 on.
    pub state: &'static str,
    /// The type by Kafka's name, `Classic` or `Consumer`; sent from v5 on.
    pub group_type: &'static str,
}
