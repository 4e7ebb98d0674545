//! The coordinator of consumer groups as a pure state machine: who is a member, who leads, what
//! each member reads, and which offsets are committed. Groups of the classic protocol are in the
//! modules of this level, those of the new one (KIP-848) in `consumer`.
//!
//! One [`Coordinator`] holds all groups of one partition of `__consumer_offsets`
//! ([`partition_for`] says which groups these are). Requests, the time and the log's answers go
//! in; [`Effect`]s come out, which a driver carries out. A change is decided, appended, and applied
//! once its records are durable:
//!
//! ```text
//!   JoinGroup ──▶ parked until all have joined ──▶ answered
//!   SyncGroup ──▶ parked ── leader's assignment ──▶ Append ── durable ──▶ all answered
//!   OffsetCommit ─────────────────────────────────▶ Append ── durable ──▶ applied and answered
//!   TxnOffsetCommit ──▶ Append ── durable ──▶ pending ── marker durable ──▶ applied, or dropped
//! ```
//!
//! The behaviour is Kafka's (KIP-62, 98, 211, 345, 394, 429, 447, 496, 518, 800, 814). Where it differs:
//! a first join that is refused leaves no empty group behind; a parked request that its client has
//! sent again is answered with `REBALANCE_IN_PROGRESS` instead of never; a repeated SyncGroup of a
//! leader waits for the assignment that is already on its way to the log; a group with a
//! pending member does not expire; a group does not wait on for a member that
//! `group.max.size` has turned away.
//!
//! # What the broker's handlers do
//! They own the wire versions. The fields of [`Request`]'s structs say what to put in for versions
//! that lack a field, those of [`Response`]'s what to leave out; the ones that choose a behaviour
//! are `requires_known_member_id` (JoinGroup v4), `supports_skip_assignment` (JoinGroup v9),
//! `reports_unknown_group` (OffsetCommit v9, TxnOffsetCommit v6, DescribeGroups v6). Besides:
//! - `COORDINATOR_LOAD_IN_PROGRESS` while a partition is read, except for Heartbeat, which is
//!   answered with no error then; `NOT_COORDINATOR` when the partition is led elsewhere.
//! - Authorization, and the existence of topics in OffsetCommit, TxnOffsetCommit, OffsetDelete and
//!   OffsetFetch; that a transaction covers this partition (TxnOffsetCommit).
//! - OffsetFetch v0 to v7, DescribeGroups and DeleteGroups: one request per group, the answers put together.
//! - ListGroups: one request per partition, the answers put together.
//! - LeaveGroup v0 to v2: the only member's error becomes the answer's.
//!
//! Architecture invariant: no IO, no clock, no randomness, no tasks. The same calls give the same
//! effects in the same order.

mod commit;
mod consumer;
mod coordinator;
mod delete;
mod describe;
mod effect;
mod error;
mod expiry;
mod fetch_offsets;
mod generation;
mod group;
mod heartbeat;
mod join;
mod leave;
mod loading;
mod member;
mod offsets;
mod options;
mod outbox;
mod outcomes;
mod pending_offsets;
mod protocols;
mod rebalance;
mod records;
mod request;
mod response;
mod state;
mod static_member;
mod subscription;
mod sync;
mod timers;

#[cfg(test)]
mod tests;

pub use consumer::assignor::{Assignment, Assignor};
pub use consumer::cluster::{Cluster, GroupOverrides, TopicInfo};
pub use consumer::options::{ConsumerOptions, MigrationPolicy};
pub use consumer::request::{
    ConsumerHeartbeatRequest, ConsumerHeartbeatResponse, DescribedConsumerGroup,
    DescribedConsumerMember, DescribedPartitions,
};
pub use coordinator::{Coordinator, Counts};
pub use effect::{AppendId, Effect, KeyValue, Notice, Producer, Token};
pub use error::Error;
pub use options::Options;
pub use ottla_model::coordinator_partition as partition_for;
pub use request::{
    CommitPartition, CommitTopic, DeleteGroupRequest, DescribeRequest, EndTransactionRequest,
    FetchTopic, HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, ListRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetDeleteTopic, OffsetFetchRequest, Protocol,
    Request, SyncRequest, TxnOffsetCommitRequest,
};
pub use response::{
    CommittedTopic, DescribedGroup, DescribedMember, FetchedPartition, FetchedTopic, JoinResponse,
    JoinedMember, LeaveResponse, LeftMember, ListedGroup, OffsetCommitResponse,
    OffsetDeleteResponse, OffsetFetchResponse, PartitionErrors, Response, SyncResponse,
};
pub use state::GroupState;
