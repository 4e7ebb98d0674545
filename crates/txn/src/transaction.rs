//! What is known of one transactional id, and how each step changes it.

use std::collections::BTreeSet;

use ottla_model::{
    ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_TIMESTAMP, ProducerEpoch, ProducerId,
    TimestampMs, TopicPartition,
};

use crate::request::ProducerIdAndEpoch;
use crate::state::TransactionState;
use crate::version::TransactionVersion;

/// The last epoch that a producer is given. The one above it is kept, so that its transaction can
/// always be fenced.
const LAST_EPOCH: ProducerEpoch = ProducerEpoch::MAX - 1;

/// What a record of `__transaction_state` says of a transactional id.
///
/// The methods give the value after a step; they check nothing that the coordinator has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer_id: ProducerId,
    /// The producer id before the last step, for retries over a change of it.
    pub(crate) previous_producer_id: ProducerId,
    /// The producer id after this transaction, when the epochs of this one are used up.
    pub(crate) next_producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    /// The epoch before the last bump that the producer itself has caused. Not in the log: a retry
    /// that spans a restart is fenced, as in Kafka.
    pub(crate) last_producer_epoch: ProducerEpoch,
    pub(crate) timeout_ms: i32,
    pub(crate) state: TransactionState,
    /// The partitions of the transaction; once it is prepared, those that lack their marker.
    pub(crate) partitions: BTreeSet<TopicPartition>,
    pub(crate) start_ms: TimestampMs,
    pub(crate) last_update_ms: TimestampMs,
    pub(crate) client_version: TransactionVersion,
}

impl Transaction {
    /// A transactional id that nobody has used, before its first record.
    pub(crate) fn unused(producer_id: ProducerId, timeout_ms: i32, now_ms: TimestampMs) -> Self {
        Transaction {
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            start_ms: NO_TIMESTAMP,
            last_update_ms: now_ms,
            client_version: TransactionVersion::V0,
        }
    }

    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        ProducerIdAndEpoch {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
        }
    }

    /// Whether the next bump needs another producer id.
    pub(crate) fn is_exhausted(&self) -> bool {
        is_exhausted(self.producer_epoch)
    }

    /// Whether a producer that says who it has been may go on as this one (KIP-360).
    pub(crate) fn recognizes(&self, expected: ProducerIdAndEpoch) -> bool {
        // A new transactional id takes everyone; the epoch of a known id is looked at later; and
        // the answer that changed the id may have been lost.
        self.producer_epoch == NO_PRODUCER_EPOCH
            || expected.producer_id == self.producer_id
            || (expected.producer_id == self.previous_producer_id
                && is_exhausted(expected.producer_epoch))
    }

    /// When it has been open for too long; `None` when it is not open or has no timeout (KIP-939).
    pub(crate) fn timeout_at_ms(&self) -> Option<TimestampMs> {
        let times_out = self.state == TransactionState::Ongoing && self.timeout_ms != i32::MAX;
        times_out.then(|| {
            let end = self.start_ms.saturating_add(i64::from(self.timeout_ms));
            end.saturating_add(1)
        })
    }

    /// After InitProducerId: the epoch is bumped, unless this is a retry.
    pub(crate) fn initialized(
        &self,
        timeout_ms: i32,
        expected: Option<ProducerEpoch>,
        now_ms: TimestampMs,
    ) -> Result<Self, ErrorCode> {
        let (producer_epoch, last_producer_epoch) = match expected {
            Some(epoch)
                if epoch != self.producer_epoch && self.producer_epoch != NO_PRODUCER_EPOCH =>
            {
                if epoch != self.last_producer_epoch {
                    return Err(ErrorCode::ProducerFenced);
                }
                // A retry of what has happened already. Another producer would have cleared the
                // last epoch, so that this one is the owner still.
                (self.producer_epoch, self.last_producer_epoch)
            }
            Some(_) => (self.bumped_epoch(), self.producer_epoch),
            None => (self.bumped_epoch(), NO_PRODUCER_EPOCH),
        };
        Ok(Transaction {
            producer_epoch,
            last_producer_epoch,
            ..self.emptied(timeout_ms, now_ms)
        })
    }

    /// After InitProducerId with used up epochs. `remember` lets the producer retry.
    pub(crate) fn rotated(
        &self,
        producer_id: ProducerId,
        timeout_ms: i32,
        remember: bool,
        now_ms: TimestampMs,
    ) -> Self {
        Transaction {
            producer_id,
            producer_epoch: 0,
            last_producer_epoch: if remember {
                self.producer_epoch
            } else {
                NO_PRODUCER_EPOCH
            },
            ..self.emptied(timeout_ms, now_ms)
        }
    }

    fn emptied(&self, timeout_ms: i32, now_ms: TimestampMs) -> Self {
        Transaction {
            timeout_ms,
            partitions: BTreeSet::new(),
            start_ms: NO_TIMESTAMP,
            ..self.step(TransactionState::Empty, now_ms)
        }
    }

    /// After AddPartitionsToTxn.
    pub(crate) fn with_partitions(
        &self,
        added: &BTreeSet<TopicPartition>,
        client_version: TransactionVersion,
        now_ms: TimestampMs,
    ) -> Self {
        let is_open = self.state == TransactionState::Ongoing;
        Transaction {
            partitions: self.partitions.union(added).cloned().collect(),
            start_ms: if is_open { self.start_ms } else { now_ms },
            client_version,
            ..self.step(TransactionState::Ongoing, now_ms)
        }
    }

    /// After EndTxn, or after the coordinator has decided to abort. In version 2 the epoch is
    /// bumped; `next_producer_id` takes over once the last one is used.
    pub(crate) fn prepared(
        &self,
        commit: bool,
        client_version: TransactionVersion,
        next_producer_id: Option<ProducerId>,
        now_ms: TimestampMs,
    ) -> Self {
        let state = if commit {
            TransactionState::PrepareCommit
        } else {
            TransactionState::PrepareAbort
        };
        let (producer_epoch, last_producer_epoch) = if client_version.bumps_epoch() {
            (self.bumped_epoch(), self.producer_epoch)
        } else {
            (self.producer_epoch, self.last_producer_epoch)
        };
        // An abort of nothing began when it ended.
        let was_open = self.state == TransactionState::Ongoing;
        Transaction {
            producer_epoch,
            last_producer_epoch,
            next_producer_id: next_producer_id.unwrap_or(NO_PRODUCER_ID),
            start_ms: if was_open { self.start_ms } else { now_ms },
            client_version,
            ..self.step(state, now_ms)
        }
    }

    /// After all partitions have their marker.
    pub(crate) fn completed(&self, now_ms: TimestampMs) -> Self {
        let state = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        };
        let changes_id =
            self.client_version.bumps_epoch() && self.next_producer_id != NO_PRODUCER_ID;
        let (producer_id, producer_epoch) = if changes_id {
            // What the producer has seen last stays the last epoch: it never hears of the one that
            // the markers had.
            (self.next_producer_id, 0)
        } else {
            (self.producer_id, self.producer_epoch)
        };
        Transaction {
            producer_id,
            producer_epoch,
            next_producer_id: NO_PRODUCER_ID,
            partitions: BTreeSet::new(),
            ..self.step(state, now_ms)
        }
    }

    fn step(&self, state: TransactionState, now_ms: TimestampMs) -> Self {
        Transaction {
            previous_producer_id: self.producer_id,
            state,
            last_update_ms: now_ms,
            ..self.clone()
        }
    }

    fn bumped_epoch(&self) -> ProducerEpoch {
        // Only a log that was written with a fault of its writer has the highest epoch in a state
        // that bumps it; the transaction must come to an end all the same.
        self.producer_epoch.saturating_add(1)
    }

    /// What must hold whenever a step was taken.
    pub(crate) fn assert_may_become(&self, next: &Transaction) {
        assert!(
            self.state.may_become(next.state),
            "a transaction cannot go from {:?} to {:?}",
            self.state,
            next.state
        );
        assert!(
            next.producer_id != self.producer_id || next.producer_epoch >= self.producer_epoch,
            "the epoch of a producer id never goes back: {self:?} to {next:?}"
        );
        assert!(
            next.producer_epoch != NO_PRODUCER_EPOCH,
            "a written transaction has an epoch"
        );
        assert!(
            next.state != TransactionState::Empty || next.partitions.is_empty(),
            "an empty transaction has no partitions"
        );
    }
}

fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch >= LAST_EPOCH
}
