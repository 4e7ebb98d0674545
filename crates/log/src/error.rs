//! What can go wrong, in words for a person.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Why a log cannot be opened or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Another process uses the data folder.
    #[error(
        "the data folder {path} is in use by another process; stop that process or choose another \
         log.dirs", path = path.display()
    )]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// The offset is not in the log.
    #[error("offset {offset} is outside the log, which has {log_start_offset} to {log_end_offset}")]
    OffsetOutOfRange {
        /// The offset that was asked for.
        offset: Offset,
        /// The first offset that the log has.
        log_start_offset: Offset,
        /// The offset that the next record will get, or the high watermark.
        log_end_offset: Offset,
    },
    /// The bytes on disk are not those that were written.
    #[error(
        "the record batch for offset {offset} at position {position} of {path} is corrupt: {reason}",
        path = path.display()
    )]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// The position of the batch in the segment.
        position: u64,
        /// The offset whose batch is damaged.
        offset: Offset,
        /// What is wrong with it.
        reason: String,
    },
    /// A small file of ours cannot be understood.
    #[error("{path} is malformed: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Compaction cannot do its work.
    #[error("the log {log} cannot be compacted: {reason}")]
    Uncleanable {
        /// The partition.
        log: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The log was closed or deleted.
    #[error("the log {log} is closed")]
    Closed {
        /// The partition.
        log: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io {
            action,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// Whether the disk has no room: the one disk error that goes away by itself.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Error::Io { source, .. } if ottla_runtime::disk::is_full(source))
    }
}

/// Why records were not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The disk is full. Nothing was written; later appends are tried again.
    #[error("no room is left on the disk of {path}; delete data or add space", path = path.display())]
    StorageFull {
        /// The partition's folder.
        path: PathBuf,
    },
    /// The producer left out or repeated a sequence (KIP-98).
    #[error(
        "out of order sequence of producer {producer_id}: {sequence} came, and the last one was \
         {last_sequence}"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The first sequence of the batch.
        sequence: i32,
        /// The last sequence that the log knows.
        last_sequence: i32,
    },
    /// A newer instance of the producer has taken over (KIP-98).
    #[error("producer {producer_id} has epoch {epoch}, which is older than {current_epoch}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The epoch of the batch.
        epoch: ProducerEpoch,
        /// The epoch that the log knows.
        current_epoch: ProducerEpoch,
    },
    /// The batch does not fit the state of its producer's transaction (KIP-890).
    #[error("a batch of producer {producer_id} is refused: {reason}")]
    InvalidTxnState {
        /// The producer.
        producer_id: ProducerId,
        /// What does not fit.
        reason: &'static str,
    },
    /// A newer coordinator has decided about the producer's transactions already (KIP-98).
    #[error(
        "a marker for producer {producer_id} comes from coordinator epoch {coordinator_epoch}, which is \
         older than {current_epoch}"
    )]
    TransactionCoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// The epoch of the marker's coordinator.
        coordinator_epoch: i32,
        /// The epoch that the log knows.
        current_epoch: i32,
    },
    /// The batches of one append must fit into one segment.
    #[error("the records have {bytes} bytes, and a segment takes {limit}")]
    RecordListTooLarge {
        /// The size of all batches.
        bytes: u64,
        /// `segment.bytes`.
        limit: u64,
    },
    /// The leader's term is over.
    #[error("leader epoch {epoch} is older than the log's epoch {current}")]
    FencedLeaderEpoch {
        /// The epoch of the append.
        epoch: LeaderEpoch,
        /// The newest epoch in the log.
        current: LeaderEpoch,
    },
    /// What a leader sent does not follow the log's end: the follower's records are not the
    /// leader's, or it has asked for something else.
    #[error(
        "a batch of the leader begins at offset {offset}, and {expected} or a later one must follow"
    )]
    UnexpectedOffset {
        /// The batch's first offset.
        offset: Offset,
        /// The log's end.
        expected: Offset,
    },
    /// There was nothing to append, or a batch that no validation lets pass.
    #[error("the record batches are not valid: {reason}")]
    Invalid {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
}
