//! What members and tools ask of the coordinator, free of wire versions.
//!
//! The broker's handlers map every wire version to these types; each field says which versions
//! differ.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::consumer::request::ConsumerHeartbeatRequest;
use crate::effect::Producer;

/// A request for one `__consumer_offsets` partition.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// API key 11.
    Join(JoinRequest),
    /// API key 14.
    Sync(SyncRequest),
    /// API key 12.
    Heartbeat(HeartbeatRequest),
    /// API key 13.
    Leave(LeaveRequest),
    /// API key 8.
    OffsetCommit(OffsetCommitRequest),
    /// API key 28.
    TxnOffsetCommit(TxnOffsetCommitRequest),
    /// API key 9, one group of it: a handler sends one request per group.
    OffsetFetch(OffsetFetchRequest),
    /// API key 15, one group of it.
    Describe(DescribeRequest),
    /// API key 16; the handler asks the coordinators of all partitions and joins the answers.
    List(ListRequest),
    /// API key 42, one group of it.
    DeleteGroup(DeleteGroupRequest),
    /// API key 47.
    OffsetDelete(OffsetDeleteRequest),
    /// The end of a transaction that has offsets in this partition: one marker of API key 27.
    EndTransaction(EndTransactionRequest),
    /// API key 68.
    ConsumerHeartbeat(ConsumerHeartbeatRequest),
    /// API key 69, one group of it.
    ConsumerDescribe(Arc<str>),
}

impl Request {
    /// The group whose operations this request has to take its turn with, when that is a consumer
    /// group.
    pub(crate) fn group_of_lane(&self) -> Option<Arc<str>> {
        match self {
            Request::Join(r) => Some(r.group_id.clone()),
            Request::Sync(r) => Some(r.group_id.clone()),
            Request::Heartbeat(r) => Some(r.group_id.clone()),
            Request::Leave(r) => Some(r.group_id.clone()),
            Request::OffsetCommit(r) => Some(r.group_id.clone()),
            Request::OffsetFetch(r) => Some(r.group_id.clone()),
            Request::Describe(r) => Some(r.group_id.clone()),
            Request::ConsumerHeartbeat(r) => Some(r.group_id.clone()),
            Request::ConsumerDescribe(group_id) => Some(group_id.clone()),
            Request::TxnOffsetCommit(r) => Some(r.group_id.clone()),
            Request::DeleteGroup(r) => Some(r.group_id.clone()),
            Request::OffsetDelete(r) => Some(r.group_id.clone()),
            Request::List(_) | Request::EndTransaction(_) => None,
        }
    }

    /// Whether the request has to take its turn even if the group is not a consumer group yet.
    pub(crate) fn needs_lane(&self) -> bool {
        matches!(self, Request::ConsumerHeartbeat(_))
    }
}

/// One assignment strategy that a member offers, with the metadata it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// The strategy's name, for example `range`.
    pub name: Arc<str>,
    /// What the leader needs to know about the member, for example its subscription.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The member's id, empty at the first join.
    pub member_id: Arc<str>,
    /// The static member's name (KIP-345); `None` before v5.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id` of the request's header, empty when it has none.
    pub client_id: Arc<str>,
    /// The client's address as Kafka prints it: `/` and the IP address.
    pub client_host: Arc<str>,
    /// How long the member may stay silent.
    pub session_timeout_ms: i32,
    /// How long the member may take to join again. v0 has none: pass the session timeout.
    pub rebalance_timeout_ms: i32,
    /// The class of the protocols, `consumer` for consumers.
    pub protocol_type: Arc<str>,
    /// The strategies that the member knows, most wanted first.
    pub protocols: Vec<Protocol>,
    /// Why the member joins (KIP-800); `None` before v8.
    pub reason: Option<String>,
    /// Whether the client understands `MEMBER_ID_REQUIRED` (KIP-394): v4 and later.
    pub requires_known_member_id: bool,
    /// Whether the client understands `skip_assignment` (KIP-814): v9 and later.
    pub supports_skip_assignment: bool,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The generation that the member has joined.
    pub generation_id: i32,
    /// The member.
    pub member_id: Arc<str>,
    /// The static member's name; `None` before v3.
    pub group_instance_id: Option<Arc<str>>,
    /// The protocol type that the member expects; `None` before v5.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the member expects; `None` before v5.
    pub protocol_name: Option<Arc<str>>,
    /// What each member is to do, by member id; only the leader's list is used.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

/// Heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The generation that the member belongs to.
    pub generation_id: i32,
    /// The member.
    pub member_id: Arc<str>,
    /// The static member's name; `None` before v3.
    pub group_instance_id: Option<Arc<str>>,
}

/// LeaveGroup. Versions 0 to 2 name one member: pass it as a list of one, and answer with that
/// member's error unless the answer itself has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// One member that leaves, by its id, or by the name of a static member and an empty id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    /// The member's id, or empty.
    pub member_id: Arc<str>,
    /// The static member's name.
    pub group_instance_id: Option<Arc<str>>,
    /// Why it leaves (KIP-800); `None` before v5.
    pub reason: Option<String>,
}

/// OffsetCommit. The handler has already refused partitions that do not exist or that the
/// principal may not read, and has turned topic ids (v10) into names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitRequest {
    /// The group; the empty name is allowed here.
    pub group_id: Arc<str>,
    /// The member's generation, or -1 for a consumer that only stores offsets (v0: always -1).
    pub generation_id: i32,
    /// The member, or empty.
    pub member_id: Arc<str>,
    /// The static member's name; `None` before v7.
    pub group_instance_id: Option<Arc<str>>,
    /// How long to keep the offsets, in milliseconds, or `None` for the broker's retention: v2 to
    /// v4 carry it, where -1 means none.
    pub retention_time_ms: Option<i64>,
    /// Whether an unknown group is `GROUP_ID_NOT_FOUND` (v9 and later) or `ILLEGAL_GENERATION`.
    pub reports_unknown_group: bool,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// TxnOffsetCommit. The handler has done what it does for OffsetCommit, and knows from the
/// transaction coordinator that the transaction covers this partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnOffsetCommitRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Whose transaction it is.
    pub producer: Producer,
    /// The member's generation, or -1 when the producer does not say (before v3: always -1).
    pub generation_id: i32,
    /// The member, or empty (before v3: always).
    pub member_id: Arc<str>,
    /// The static member's name; `None` before v3.
    pub group_instance_id: Option<Arc<str>>,
    /// Whether an unknown group is `GROUP_ID_NOT_FOUND` (v6 and later, KIP-1319) or
    /// `ILLEGAL_GENERATION`.
    pub reports_unknown_group: bool,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// The offsets of one topic to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTopic {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id, [`TopicId::ZERO`] when unknown. It is stored with the offset.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of one partition to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset of the next record to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, -1 when unknown (before v6).
    pub leader_epoch: LeaderEpoch,
    /// The client's own note.
    pub metadata: Option<Arc<str>>,
}

/// OffsetFetch, for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetchRequest {
    /// The group; the empty name is allowed here.
    pub group_id: Arc<str>,
    /// The member; `None` before v9, and from tools.
    pub member_id: Option<Arc<str>>,
    /// The member's epoch, -1 before v9 and from tools.
    pub member_epoch: i32,
    /// The partitions asked for, or `None` for all that have an offset (v2 and later).
    pub topics: Option<Vec<FetchTopic>>,
    /// Whether the answer waits for commits that are still on their way to the log, and partitions
    /// with an offset in an open transaction are `UNSTABLE_OFFSET_COMMIT` (v7 and later, KIP-447).
    pub require_stable: bool,
}

/// The partitions of one topic whose offsets are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopic {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id, [`TopicId::ZERO`] when unknown. Offsets that were committed for another
    /// topic of this name are not given out.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// DescribeGroups, for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Whether an unknown group is `GROUP_ID_NOT_FOUND` (v6 and later) or merely `Dead`.
    pub reports_unknown_group: bool,
}

/// ListGroups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListRequest {
    /// Only groups in these states, in any case; empty for all (v4 and later, KIP-518).
    pub states: Vec<String>,
    /// Only groups of these types, in any case; empty for all (v5 and later, KIP-848).
    pub types: Vec<String>,
}

/// DeleteGroups, for one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteGroupRequest {
    /// The group; the empty name is allowed here.
    pub group_id: Arc<str>,
}

/// OffsetDelete (KIP-496). The handler has already refused partitions that do not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Whose offsets to delete.
    pub topics: Vec<OffsetDeleteTopic>,
}

/// The partitions of one topic whose offsets are to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetDeleteTopic {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// The end of a transaction, as its coordinator has decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransactionRequest {
    /// Whose transaction ends. With transaction version 2 the epoch is one more than that of the
    /// transaction's records (KIP-890).
    pub producer: Producer,
    /// The term of the transaction coordinator.
    pub coordinator_epoch: i32,
    /// Whether the transaction was committed, or aborted.
    pub commit: bool,
    /// The transaction's version: 0 or 1 (both mean the old protocol) or 2.
    pub transaction_version: i16,
}
