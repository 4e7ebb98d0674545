//! Transactional records enter a log only with their coordinator's knowledge (KIP-890).
//!
//! ```text
//! produce ─▶ Log::verification ─▶ ongoing here already? append
//!                              └▶ a guard ─▶ ask the coordinator ─▶ append with the guard
//! ```
//!
//! The coordinator's answer may come too late: a marker may have ended the transaction in between.
//! So the guard is good only until the next marker or transactional batch of its producer.

use std::collections::BTreeMap;

use ottla_model::{ProducerEpoch, ProducerId, TimestampMs};
use ottla_record::BatchHeader;

/// More verifications under way than this belong to nobody; the oldest makes room.
const ENTRIES_MAX: usize = 10_000;

/// Proof that a verification began before the append that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// Whether the coordinator must be asked before an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// The producer's transaction has records in this log already, so the coordinator knows of it.
    Ongoing,
    /// Ask, and hand the guard to [`crate::Append::with_guard`].
    Needed(VerificationGuard),
}

/// One producer's verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VerificationState {
    pub(crate) guard: VerificationGuard,
    began_ms: TimestampMs,
    epoch: ProducerEpoch,
    /// Of the requests that wait for the answer: they may overtake each other, and a later one
    /// must not be the first in the log.
    pub(crate) lowest_sequence: i32,
    /// Whether the producer's epoch grows with each transaction (transaction version 2).
    pub(crate) supports_epoch_bump: bool,
}

impl VerificationState {
    /// Whether a written batch leaves the verification in force: it is that of the transaction
    /// which follows the marker.
    fn outlives(&self, header: &BatchHeader) -> bool {
        self.supports_epoch_bump
            && header.attributes.is_control()
            && header.producer_epoch == self.epoch
    }
}

/// Who asks for a verification.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) sequence: i32,
    pub(crate) supports_epoch_bump: bool,
    pub(crate) now_ms: TimestampMs,
}

/// The verifications of a log that are under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verifications {
    by_producer: BTreeMap<ProducerId, VerificationState>,
    next_guard: u64,
}

impl Verifications {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_producer.is_empty()
    }

    fn get(&self, id: ProducerId) -> Option<&VerificationState> {
        self.by_producer.get(&id)
    }

    /// The guard of the producer's verification, which begins now if there is none.
    pub(crate) fn begin(&mut self, asked: Asked) -> VerificationGuard {
        if self.by_producer.len() >= ENTRIES_MAX && self.get(asked.producer_id).is_none() {
            let oldest = self.by_producer.iter().min_by_key(|(_, s)| s.guard.0);
            let oldest = oldest.map(|(id, _)| *id);
            oldest.map(|id| self.by_producer.remove(&id));
        }
        let next_guard = &mut self.next_guard;
        let begin = || {
            *next_guard += 1;
            VerificationState {
                guard: VerificationGuard(*next_guard),
                began_ms: asked.now_ms,
                epoch: asked.epoch,
                lowest_sequence: asked.sequence,
                supports_epoch_bump: asked.supports_epoch_bump,
            }
        };
        let state = self
            .by_producer
            .entry(asked.producer_id)
            .or_insert_with(begin);
        if asked.epoch > state.epoch {
            state.epoch = asked.epoch;
            state.lowest_sequence = asked.sequence;
        } else if asked.epoch == state.epoch {
            state.lowest_sequence = state.lowest_sequence.min(asked.sequence);
        }
        state.guard
    }

    /// The producer's verification, unless one of the batches that were written meanwhile ended it.
    pub(crate) fn after(
        &self,
        id: ProducerId,
        written: Option<&BatchHeader>,
    ) -> Option<&VerificationState> {
        let state = self.get(id)?;
        written
            .is_none_or(|header| state.outlives(header))
            .then_some(state)
    }

    /// A transactional batch or a marker is in the log.
    pub(crate) fn written(&mut self, header: &BatchHeader) {
        if self.after(header.producer_id, Some(header)).is_none() {
            self.by_producer.remove(&header.producer_id);
        }
    }

    /// Forgets verifications whose producers never came back.
    pub(crate) fn expire(&mut self, now_ms: TimestampMs, expiration_ms: i64) {
        self.by_producer
            .retain(|_, state| now_ms.saturating_sub(state.began_ms) < expiration_ms);
    }
}
