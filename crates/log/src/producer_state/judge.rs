//! Which batches of a producer may follow.

use super::*;

impl ProducerEntry {
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

    /// Before which offset the records lie, when this batch repeats one that is no longer
    /// remembered. Such a batch comes when a leader is cut off: what it was sent the producer asks
    /// for again only once that connection has timed out, and the next leader has taken many of the
    /// producer's newer batches by then.
    fn long_past(&self, header: &BatchHeader) -> Option<Offset> {
        let oldest = self.batches.front()?;
        if header.producer_epoch != self.epoch || header.base_sequence < 0 {
            return None;
        }
        let back_to = |sequence: i32| {
            let distance = i64::from(self.last_sequence()) - i64::from(sequence);
            distance.rem_euclid(1 << 31)
        };
        let was_taken = back_to(header.base_sequence) < self.in_a_row;
        let is_forgotten = back_to(header.last_sequence()) > back_to(oldest.first_sequence());
        let is_whole = back_to(header.base_sequence) >= back_to(header.last_sequence());
        (was_taken && is_forgotten && is_whole).then(|| oldest.first_offset())
    }

    fn fenced(&self, producer_id: ProducerId, epoch: ProducerEpoch) -> AppendError {
        AppendError::InvalidProducerEpoch {
            producer_id,
            epoch,
            current_epoch: self.epoch,
        }
    }

    fn check_epoch(&self, id: ProducerId, epoch: ProducerEpoch) -> Result<(), AppendError> {
        if epoch < self.epoch {
            return Err(self.fenced(id, epoch));
        }
        Ok(())
    }

    fn check_sequence(
        &self,
        header: &BatchHeader,
        verification: Option<&VerificationState>,
    ) -> Result<(), AppendError> {
        let sequence = header.base_sequence;
        let out_of_order = |last_sequence| {
            Err(AppendError::OutOfOrderSequence {
                producer_id: header.producer_id,
                sequence,
                last_sequence,
            })
        };
        if let Some(verification) = verification {
            // Its epoch is new, and so its sequences begin anew; or an earlier request is still
            // being verified.
            let is_new = verification.supports_epoch_bump && self.batches.is_empty();
            if (is_new && sequence != 0) || sequence > verification.lowest_sequence {
                return out_of_order(self.last_sequence());
            }
        }
        // A producer of which nothing is known may begin anywhere: what came before may have been
        // deleted.
        if self.epoch == NO_PRODUCER_EPOCH {
            return Ok(());
        }
        let last = if header.producer_epoch == self.epoch {
            self.last_sequence()
        } else {
            NO_SEQUENCE
        };
        if follows(last, sequence) {
            Ok(())
        } else {
            out_of_order(last)
        }
    }

    /// From transaction version 2 on a marker's epoch is newer than that of the records which it
    /// ends, so that a late one never ends the next transaction. The same epoch may come again when
    /// nothing is open: the coordinator did not hear that its marker was written.
    fn check_marker(&self, marker: &TransactionMarker) -> Result<(), AppendError> {
        let is_fenced = if marker.transaction_version < 2 {
            marker.producer_epoch < self.epoch
        } else {
            let is_repeated = marker.producer_epoch == self.epoch
                && (self.transaction_start.is_none() || self.epoch == ProducerEpoch::MAX);
            marker.producer_epoch <= self.epoch && !is_repeated
        };
        if is_fenced {
            return Err(self.fenced(marker.producer_id, marker.producer_epoch));
        }
        if marker.coordinator_epoch < self.coordinator_epoch {
            return Err(AppendError::TransactionCoordinatorFenced {
                producer_id: marker.producer_id,
                coordinator_epoch: marker.coordinator_epoch,
                current_epoch: self.coordinator_epoch,
            });
        }
        Ok(())
    }
}

impl ProducerState {
    /// Judges a batch after what the log and the staged changes know. The order of the checks
    /// decides which error a client hears; it is Kafka's.
    pub(crate) fn judge(
        &self,
        staged: &Staged,
        header: &BatchHeader,
        claim: &Claim,
    ) -> Result<Verdict, AppendError> {
        let id = header.producer_id;
        let nobody = ProducerEntry::default();
        let known = staged.entries.get(&id).or_else(|| self.entries.get(&id));
        let entry = known.unwrap_or(&nobody);
        if header.attributes.is_control() {
            let marker = claim.marker.ok_or(AppendError::Invalid {
                reason: "a control batch that is no transaction marker",
            })?;
            return entry.check_marker(&marker).map(|()| Verdict::Append);
        }
        if claim.origin == Origin::Client {
            if let Some(earlier) = entry.duplicate_of(header) {
                return Ok(Verdict::DuplicateOf(earlier));
            }
            if let Some(before) = entry.long_past(header) {
                return Ok(Verdict::DuplicateBefore(before));
            }
        }
        entry.check_epoch(id, header.producer_epoch)?;
        let is_transactional = header.attributes.is_transactional();
        let verification = self.verifications.after(id, staged.transactional.get(&id));
        if is_transactional && claim.must_verify && !entry.has_open(header.producer_epoch) {
            let guard = verification.map(|v| v.guard);
            if guard.is_none() || guard != claim.guard {
                return Err(AppendError::InvalidTxnState {
                    producer_id: id,
                    reason: "its transaction does not include this partition",
                });
            }
        }
        if claim.origin == Origin::Client {
            entry.check_sequence(header, verification)?;
        }
        if !is_transactional && entry.transaction_start.is_some() {
            return Err(AppendError::InvalidTxnState {
                producer_id: id,
                reason: "its transaction is open, and the batch is not part of it",
            });
        }
        Ok(Verdict::Append)
    }

    /// Whether the producer's transaction is open here, so that nobody need be asked.
    pub(crate) fn is_open(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<bool, AppendError> {
        let Some(entry) = self.entries.get(&id) else {
            return Ok(false);
        };
        entry.check_epoch(id, epoch)?;
        Ok(entry.has_open(epoch))
    }

    /// Begins, or joins, the producer's verification, unless its transaction is open here.
    pub(crate) fn verify(&mut self, asked: Asked) -> Result<Verification, AppendError> {
        if self.is_open(asked.producer_id, asked.epoch)? {
            return Ok(Verification::Ongoing);
        }
        Ok(Verification::Needed(self.verifications.begin(asked)))
    }
}
