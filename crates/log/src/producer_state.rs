//! What the log remembers of idempotent producers: enough to recognise a batch that is sent again,
//! and one that is missing (KIP-98).

use std::collections::{BTreeMap, HashMap, VecDeque};

use ottla_model::{NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP};
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_record::BatchHeader;

use crate::{AppendError, Origin};

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
}

impl Default for ProducerEntry {
    fn default() -> Self {
        ProducerEntry {
            epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: NO_TIMESTAMP,
            transaction_start: None,
            batches: VecDeque::new(),
        }
    }
}

impl ProducerEntry {
    /// The sequence of the last record, or -1 when none is known of this epoch.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(NO_SEQUENCE, |b| b.last_sequence)
    }

    /// The earlier batch that this one repeats.
    fn duplicate_of(&self, header: &BatchHeader) -> Option<RememberedBatch> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let same = |b: &&RememberedBatch| {
            b.first_sequence() == header.base_sequence && b.last_sequence == header.last_sequence()
        };
        self.batches.iter().find(same).copied()
    }

    /// Whether the batch may follow.
    fn check(&self, header: &BatchHeader, origin: Origin) -> Result<(), AppendError> {
        if header.producer_epoch < self.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current_epoch: self.epoch,
            });
        }
        // Coordinators write without sequences. A producer of which nothing is known may begin
        // anywhere: what came before may have been deleted.
        if origin != Origin::Client || self.epoch == NO_PRODUCER_EPOCH {
            return Ok(());
        }
        let last = if header.producer_epoch == self.epoch {
            self.last_sequence()
        } else {
            NO_SEQUENCE
        };
        let follows = i64::from(header.base_sequence) == i64::from(last) + 1
            || (header.base_sequence == 0 && last == i32::MAX);
        if follows {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence {
            producer_id: header.producer_id,
            sequence: header.base_sequence,
            last_sequence: last,
        })
    }

    /// Takes note of a batch that is in the log.
    fn note(&mut self, header: &BatchHeader) {
        if header.producer_epoch != self.epoch {
            self.batches.clear();
            self.epoch = header.producer_epoch;
        }
        self.last_timestamp = header.max_timestamp;
        if header.attributes.is_control() {
            self.transaction_start = None;
            return;
        }
        if header.attributes.is_transactional() && self.transaction_start.is_none() {
            self.transaction_start = Some(header.base_offset);
        }
        if header.base_sequence == NO_SEQUENCE {
            return;
        }
        if self.batches.len() == BATCHES_KEPT {
            self.batches.pop_front();
        }
        self.batches.push_back(RememberedBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
    }
}

/// What to do with a client's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    DuplicateOf(RememberedBatch),
}

/// All producers of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProducerState(BTreeMap<ProducerId, ProducerEntry>);

/// Changes that become part of the state only when their batches were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Staged(HashMap<ProducerId, ProducerEntry>);

impl ProducerState {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (ProducerId, &ProducerEntry)> {
        self.0.iter().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn insert(&mut self, id: ProducerId, entry: ProducerEntry) {
        self.0.insert(id, entry);
    }

    /// Judges a batch after what the log and the staged changes know.
    pub(crate) fn judge(
        &self,
        staged: &Staged,
        header: &BatchHeader,
        origin: Origin,
    ) -> Result<Verdict, AppendError> {
        let id = header.producer_id;
        let Some(entry) = staged.0.get(&id).or_else(|| self.0.get(&id)) else {
            return Ok(Verdict::Append);
        };
        if origin == Origin::Client
            && let Some(earlier) = entry.duplicate_of(header)
        {
            return Ok(Verdict::DuplicateOf(earlier));
        }
        entry.check(header, origin)?;
        Ok(Verdict::Append)
    }

    /// Stages a stamped batch.
    pub(crate) fn stage(&self, staged: &mut Staged, header: &BatchHeader) {
        let id = header.producer_id;
        let known = || self.0.get(&id).cloned().unwrap_or_default();
        staged.0.entry(id).or_insert_with(known).note(header);
    }

    /// Makes staged changes part of the state.
    pub(crate) fn commit(&mut self, staged: Staged) {
        self.0.extend(staged.0);
    }

    /// Takes note of a batch found in the log.
    pub(crate) fn replay(&mut self, header: &BatchHeader) {
        if header.has_producer() {
            self.0.entry(header.producer_id).or_default().note(header);
        }
    }

    /// Forgets the producers that have been silent for too long.
    pub(crate) fn expire(&mut self, now_ms: TimestampMs, expiration_ms: i64) {
        self.0.retain(|_, entry| {
            entry.transaction_start.is_some()
                || now_ms.saturating_sub(entry.last_timestamp) < expiration_ms
        });
    }
}

#[cfg(test)]
mod tests;
