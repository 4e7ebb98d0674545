//! What the coordinator asks its driver to do.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{ErrorCode, ProducerEpoch, ProducerId};

use crate::request::EndTransactionRequest;
use crate::response::Response;

/// Names a request whose answer is owed. The driver chooses it; it comes back in one
/// [`Effect::Reply`], exactly once.
pub type Token = u64;

/// Names an append, counting up from 1 in the order in which the appends must reach the log.
pub type AppendId = u64;

/// One record of `__consumer_offsets`: its key, and its value or `None` for a tombstone.
pub type KeyValue = (Bytes, Option<Bytes>);

/// Who writes in a transaction (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// The producer's id.
    pub id: ProducerId,
    /// Its term.
    pub epoch: ProducerEpoch,
}

/// One thing to do. The driver carries effects out in the order in which they are given.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer the request that came with this token.
    Reply {
        /// The request's token.
        token: Token,
        /// Its answer.
        response: Response,
    },
    /// Append these records as one atomic batch, then call
    /// [`Coordinator::appended`](crate::Coordinator::appended) with the outcome, in the order of
    /// the ids. Whatever depends on the records is held back until then.
    Append {
        /// The id to report the outcome under.
        append_id: AppendId,
        /// The records, never empty.
        records: Vec<KeyValue>,
        /// The transaction that the batch belongs to, if it does to one. It has no sequence.
        producer: Option<Producer>,
    },
    /// Append this transaction's marker, then call
    /// [`Coordinator::appended`](crate::Coordinator::appended) as for an [`Effect::Append`].
    AppendMarker {
        /// The id to report the outcome under.
        append_id: AppendId,
        /// What the marker says.
        marker: EndTransactionRequest,
    },
    /// Something worth a log line or a metric; nothing depends on it.
    Notice(Notice),
}

/// What happened to a group, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The members are called to join again.
    Rebalancing {
        /// The group.
        group_id: Arc<str>,
        /// The generation that ends.
        generation_id: i32,
        /// Why, with the client's own reason where it gave one (KIP-800).
        reason: String,
    },
    /// All members have joined; the leader's assignment is awaited.
    Joined {
        /// The group.
        group_id: Arc<str>,
        /// The new generation.
        generation_id: i32,
        /// The number of members.
        members: usize,
    },
    /// The assignment is durable and on its way to the members: a rebalance is complete.
    Stable {
        /// The group.
        group_id: Arc<str>,
        /// The generation.
        generation_id: i32,
    },
    /// The last member is gone.
    Emptied {
        /// The group.
        group_id: Arc<str>,
        /// The generation that has no members.
        generation_id: i32,
    },
    /// Members were dropped or have left.
    MembersRemoved {
        /// The group.
        group_id: Arc<str>,
        /// Their ids.
        member_ids: Vec<Arc<str>>,
        /// Why.
        reason: String,
    },
    /// Committed offsets were deleted because of their age, because their topic is gone, or because
    /// someone asked for it.
    OffsetsDeleted {
        /// The group.
        group_id: Arc<str>,
        /// How many.
        offsets: usize,
    },
    /// The group has no members and no offsets any more, or was deleted, and is forgotten.
    GroupDeleted {
        /// The group.
        group_id: Arc<str>,
    },
    /// Records could not be made durable; their change did not happen.
    AppendFailed {
        /// The group, unless it was the end of a transaction, which may concern several.
        group_id: Option<Arc<str>>,
        /// What the log answered.
        error: ErrorCode,
    },
}
