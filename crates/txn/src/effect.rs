//! What the coordinator asks its driver to do.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{ErrorCode, ProducerEpoch, ProducerId, TopicPartition};

use crate::response::Response;
use crate::version::TransactionVersion;

/// Names a request whose answer is owed. The driver chooses it; it comes back in one
/// [`Effect::Reply`], exactly once.
pub type Token = u64;

/// Names an append, counting up from 1 in the order in which the appends must reach the log.
pub type AppendId = u64;

/// Names one round of markers.
pub type MarkingId = u64;

/// One record of `__transaction_state`: its key, and its value or `None` for a tombstone.
pub type KeyValue = (Bytes, Option<Bytes>);

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
    },
    /// Write a marker to each of these partitions, wherever they are led, then call
    /// [`Coordinator::marked`](crate::Coordinator::marked) with what became of each.
    WriteMarkers(Markers),
    /// Get a producer id that nobody has been given, then call
    /// [`Coordinator::producer_id_allocated`](crate::Coordinator::producer_id_allocated).
    AllocateProducerId,
    /// Something worth a log line or a metric; nothing depends on it.
    Notice(Notice),
}

/// The end of one transaction, for the partitions that have not heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markers {
    /// The id to report the outcome under.
    pub marking_id: MarkingId,
    /// Whose transaction.
    pub transactional_id: Arc<str>,
    /// The producer that has written.
    pub producer_id: ProducerId,
    /// The epoch of the marker. In version 2 it is higher than that of the records.
    pub producer_epoch: ProducerEpoch,
    /// Whether the transaction is committed.
    pub commit: bool,
    /// The rules that the markers follow.
    pub transaction_version: TransactionVersion,
    /// Where they go, never empty.
    pub partitions: Vec<TopicPartition>,
}

/// What became of one marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerOutcome {
    /// It is durable.
    Written,
    /// The partition does not exist any more: nobody will ever read its records.
    Deleted,
    /// The partition knows a newer epoch of the producer, so nothing of this transaction is open.
    Fenced,
    /// It could not be written for now.
    Failed(ErrorCode),
}

/// What happened to a transactional id, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A producer has taken the transactional id.
    Initialized {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// Its producer id.
        producer_id: ProducerId,
        /// Its epoch.
        producer_epoch: ProducerEpoch,
    },
    /// A transaction that was open for too long is aborted.
    TimedOut {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// How long it was open.
        open_ms: i64,
    },
    /// A transaction has ended, and every partition knows.
    Completed {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// Whether it was committed.
        committed: bool,
    },
    /// A partition could not be told of a transaction's end; it will be told again.
    MarkerFailed {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// The partition.
        partition: TopicPartition,
        /// What the partition answered.
        error: ErrorCode,
    },
    /// A partition was not told of a transaction's end, and need not be.
    MarkerSkipped {
        /// The transactional id.
        transactional_id: Arc<str>,
        /// The partition.
        partition: TopicPartition,
        /// Why.
        reason: &'static str,
    },
    /// Transactional ids that nobody has used for long are forgotten.
    Expired {
        /// How many.
        transactional_ids: usize,
    },
    /// A record could not be made durable; its change did not happen.
    AppendFailed {
        /// The transactional id, or the first of several.
        transactional_id: Arc<str>,
        /// What the log answered.
        error: ErrorCode,
    },
}
