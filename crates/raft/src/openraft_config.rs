//! openraft's types as this crate uses them: one leader a term, entries of opaque bytes.

use std::fmt;

use bytes::Bytes;
use openraft::impls::leader_id_std;
use openraft::type_config::alias;
use openraft::vote::RaftLeaderId;

use crate::async_runtime::SeededRuntime;
use crate::member::{Member, NodeId, Position};

openraft::declare_raft_types!(
    /// The types that openraft is used with.
    pub(crate) Types:
        D = Command,
        R = Bytes,
        NodeId = NodeId,
        Node = Member,
        LeaderId = leader_id_std::LeaderId<u64, NodeId>,
        AsyncRuntime = SeededRuntime,
);

/// What was proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command(pub(crate) Bytes);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

pub(crate) type LogId = alias::LogIdOf<Types>;
pub(crate) type Vote = alias::VoteOf<Types>;
pub(crate) type LeaderId = alias::LeaderIdOf<Types>;
pub(crate) type Entry = alias::EntryOf<Types>;
pub(crate) type Payload = openraft::EntryPayload<Command, NodeId, Member>;
pub(crate) type Membership = openraft::Membership<NodeId, Member>;
pub(crate) type StoredMembership = alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = alias::SnapshotMetaOf<Types>;

impl Position {
    pub(crate) fn of(log_id: &LogId) -> Self {
        Position {
            term: log_id.leader_id.term,
            index: log_id.index,
        }
    }

    pub(crate) fn log_id(self) -> LogId {
        LogId {
            // The committed form of a leader's id has only the term.
            leader_id: LeaderId::new(self.term, 0).to_committed(),
            index: self.index,
        }
    }
}
