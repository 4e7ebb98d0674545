//! What the log remembers of idempotent producers: enough to recognise a batch that is sent again,
//! and one that is missing (KIP-98); and of transactional ones, whose transaction is open.

use std::collections::{BTreeMap, HashMap, VecDeque};

use ottla_model::{NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP};
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_record::{BatchHeader, EndTxnMarker};

use crate::transactions::{AbortedEntry, Change, OpenTransaction, TransactionMarker, Transactions};
use crate::verification::Verifications;
use crate::verification::{Asked, Verification, VerificationGuard, VerificationState};
use crate::{AppendError, Origin};

mod judge;

/// A producer may have this many requests under way, so this many batches may come again.
pub(crate) const BATCHES_KEPT: usize = 5;

/// One batch of a producer, as remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RememberedBatch {
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// Its number of offsets, less one.
    pub offset_delta: i32,
    /// Its max timestamp.
    pub timestamp: TimestampMs,
}

impl RememberedBatch {
    /// The sequence of its first record; sequences go on with 0 after `i32::MAX`.
    #[must_use]
    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        let wrapped = if first < 0 { first + (1 << 31) } else { first };
        i32::try_from(wrapped).unwrap_or(NO_SEQUENCE)
    }

    /// The offset of its first record.
    #[must_use]
    pub fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Its newest epoch.
    pub epoch: ProducerEpoch,
    /// The epoch of the coordinator that ended its last transaction here, or -1.
    pub coordinator_epoch: i32,
    /// The max timestamp of its last batch.
    pub last_timestamp: TimestampMs,
    /// Where its open transaction begins.
    pub transaction_start: Option<Offset>,
    /// Its last batches of this epoch, oldest first, at most five.
    pub batches: VecDeque<RememberedBatch>,
    /// How many of its sequences were taken without a gap, those of [`ProducerEntry::batches`]
    /// included.
    pub in_a_row: i64,
}

impl Default for ProducerEntry {
    fn default() -> Self {
        ProducerEntry {
            epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: NO_TIMESTAMP,
            transaction_start: None,
            batches: VecDeque::new(),
            in_a_row: 0,
        }
    }
}

impl ProducerEntry {
    /// The sequence of the last record, or -1 when none is known of this epoch.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(NO_SEQUENCE, |b| b.last_sequence)
    }

    /// Whether it has a transaction under way in this epoch. A newer epoch may belong to the next
    /// one.
    fn has_open(&self, epoch: ProducerEpoch) -> bool {
        self.transaction_start.is_some() && self.epoch == epoch
    }

    /// Remembers the newest batch of this epoch, instead of the oldest one.
    pub(crate) fn remember(&mut self, batch: RememberedBatch) {
        if !follows(self.last_sequence(), batch.first_sequence()) {
            self.in_a_row = 0;
        }
        self.in_a_row += i64::from(batch.offset_delta) + 1;
        if self.batches.len() == BATCHES_KEPT {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }

    /// Takes note of a batch that is in the log; `marker` is what a control batch says.
    fn note(&mut self, header: &BatchHeader, marker: Option<EndTxnMarker>) -> Option<Change> {
        if header.attributes.is_control() && marker.is_none() {
            // Compaction has emptied it, or it is about something else.
            return None;
        }
        if header.producer_epoch != self.epoch {
            self.batches.clear();
            self.in_a_row = 0;
            self.epoch = header.producer_epoch;
        }
        self.last_timestamp = header.max_timestamp;
        if let Some(marker) = marker {
            self.coordinator_epoch = marker.coordinator_epoch;
            return self
                .transaction_start
                .take()
                .map(|first_offset| Change::End {
                    producer_id: header.producer_id,
                    first_offset,
                    last_offset: header.base_offset,
                    aborted: !marker.committed,
                });
        }
        if header.base_sequence != NO_SEQUENCE {
            self.remember(RememberedBatch {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
        }
        let begins = header.attributes.is_transactional() && self.transaction_start.is_none();
        begins.then(|| {
            self.transaction_start = Some(header.base_offset);
            Change::Begin {
                producer_id: header.producer_id,
                first_offset: header.base_offset,
            }
        })
    }
}

/// Whether a sequence comes next; after `i32::MAX` that is 0.
fn follows(last: i32, sequence: i32) -> bool {
    i64::from(sequence) == i64::from(last) + 1 || (sequence == 0 && last == i32::MAX)
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    DuplicateOf(RememberedBatch),
    /// It repeats a batch that is no longer remembered, and whose records lie before this offset.
    DuplicateBefore(Offset),
}

/// What a batch comes with, besides its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) origin: Origin,
    pub(crate) guard: Option<VerificationGuard>,
    pub(crate) marker: Option<TransactionMarker>,
    /// Whether a transaction may begin only with a guard.
    pub(crate) must_verify: bool,
}

/// All producers of a log, and the transactions that they have open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProducerState {
    entries: BTreeMap<ProducerId, ProducerEntry>,
    transactions: Transactions,
    verifications: Verifications,
}

/// Changes that become part of the state only when their batches were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Staged {
    entries: HashMap<ProducerId, ProducerEntry>,
    changes: Vec<Change>,
    /// Of each producer the transactional batch or marker that ends its verification.
    transactional: HashMap<ProducerId, BatchHeader>,
}

impl ProducerState {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (ProducerId, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// Whether nothing is known, so that nothing can expire.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.verifications.is_empty()
    }

    pub(crate) fn insert(&mut self, id: ProducerId, entry: ProducerEntry) {
        if let Some(first_offset) = entry.transaction_start {
            self.transactions.apply(Change::Begin {
                producer_id: id,
                first_offset,
            });
        }
        self.entries.insert(id, entry);
    }

    /// Stages a stamped batch; `marker` is what a control batch says.
    pub(crate) fn stage(
        &self,
        staged: &mut Staged,
        header: &BatchHeader,
        marker: Option<EndTxnMarker>,
    ) {
        let id = header.producer_id;
        let known = || self.entries.get(&id).cloned().unwrap_or_default();
        let entry = staged.entries.entry(id).or_insert_with(known);
        staged.changes.extend(entry.note(header, marker));
        if header.attributes.is_transactional() {
            let ends = staged.transactional.entry(id).or_insert(*header);
            // Records end a verification in any case, a marker perhaps.
            if ends.attributes.is_control() {
                *ends = *header;
            }
        }
    }

    /// Makes staged changes part of the state. Returns the transactions that were aborted, in the
    /// order of their markers.
    pub(crate) fn commit(&mut self, staged: Staged, high_watermark: Offset) -> Vec<AbortedEntry> {
        self.entries.extend(staged.entries);
        for header in staged.transactional.values() {
            self.verifications.written(header);
        }
        self.transactions.settle(high_watermark);
        let changes = staged.changes.into_iter();
        changes
            .filter_map(|change| self.transactions.apply(change))
            .collect()
    }

    /// Takes note of a batch found in the log, which may lie beyond the high watermark; the
    /// transaction that it aborts.
    pub(crate) fn replay(
        &mut self,
        header: &BatchHeader,
        marker: Option<EndTxnMarker>,
        high_watermark: Offset,
    ) -> Option<AbortedEntry> {
        if !header.has_producer() {
            return None;
        }
        let entry = self.entries.entry(header.producer_id).or_default();
        let change = entry.note(header, marker)?;
        let aborted = self.transactions.apply(change);
        self.transactions.settle(high_watermark);
        aborted
    }

    /// Up to where everything is decided.
    pub(crate) fn last_stable_offset(&self, log_start: Offset, high_watermark: Offset) -> Offset {
        self.transactions
            .last_stable_offset(log_start, high_watermark)
    }

    /// The open transaction that keeps the last stable offset back.
    pub(crate) fn oldest_open(&self) -> Option<OpenTransaction> {
        let (first_offset, producer_id) = self.transactions.oldest()?;
        let entry = self.entries.get(&producer_id)?;
        Some(OpenTransaction {
            producer_id,
            first_offset,
            last_timestamp: entry.last_timestamp,
        })
    }

    /// Forgets the producers, and the verifications, that have been silent for too long.
    pub(crate) fn expire(&mut self, now_ms: TimestampMs, expiration_ms: i64) {
        self.entries.retain(|_, entry| {
            entry.transaction_start.is_some()
                || now_ms.saturating_sub(entry.last_timestamp) < expiration_ms
        });
        self.verifications.expire(now_ms, expiration_ms);
    }
}

#[cfg(test)]
mod tests;
