//! Appending what a leader wrote: nothing is judged that the leader has judged, and nothing is
//! changed. What must hold is that the batches are whole, and that they follow.

use ottla_model::{LeaderEpoch, Offset};
use ottla_record::{Batch, BatchHeader, DecompressLimit, EndTxnMarker, HEADER_LEN, StampedBatch};
use ottla_runtime::fail_stop;

use crate::append::{Appended, Next, Run, Written};
use crate::owner::{GROUP_BYTES_MAX, Owner};
use crate::{AppendError, Error, LogConfig};

/// No marker is larger.
const MARKER_LEN_MAX: usize = 4096;

impl Owner {
    /// Writes a leader's batches, in as many runs and segments as they need. After an error a part
    /// of them may be in the log; the next fetch goes on behind it.
    pub(crate) fn follow(
        &mut self,
        run: &mut Run,
        written: &mut Written,
        batches: Vec<Batch>,
        config: &LogConfig,
    ) -> Result<Appended, AppendError> {
        if run.end.is_none() {
            self.forget_empty_terms();
        }
        let begins = self.judge_followed(run, &batches)?;
        let last_offset = last_offset_of(&batches);
        for batch in batches {
            self.make_place(run, written, batch.header(), config)?;
            self.stage_followed(run, batch);
            if self.next_offset < self.log_start_offset {
                let begun = self.write_followed(run, written, config);
                self.leave_no_early_segment();
                begun?;
            }
        }
        Ok(Appended {
            base_offset: begins,
            last_offset,
            log_append_time: ottla_model::NO_TIMESTAMP,
            log_start_offset: self.log_start_offset,
            duplicate: false,
        })
    }

    /// Forgets terms at the log's end that have no records: this replica led in them and wrote
    /// nothing. Its leader may have records of older terms that come here only now.
    fn forget_empty_terms(&mut self) {
        let forgotten = self.core.epochs.write().truncate_from_end(self.next_offset);
        self.epochs_dirty |= forgotten;
    }

    /// Whether the batches may follow, all of them. Returns where they begin.
    fn judge_followed(&self, run: &Run, batches: &[Batch]) -> Result<Offset, AppendError> {
        let invalid = |reason| Err(AppendError::Invalid { reason });
        let end = run.end.unwrap_or(self.next_offset);
        let mut expected = end;
        let mut current = self.newest_epoch(run);
        let mut begins = None;
        for batch in batches {
            let header = batch.header();
            let base = header.base_offset;
            let behind = base.checked_add(i64::from(header.last_offset_delta) + 1);
            let Some(behind) = behind.filter(|_| header.last_offset_delta >= 0 && base >= 0) else {
                return invalid("a batch of the leader has impossible offsets");
            };
            // A leader whose log starts inside a batch sends all of it.
            let reaches_in = begins.is_none() && run.end.is_none() && self.is_empty();
            if base < expected && !(reaches_in && behind > end) {
                return Err(AppendError::UnexpectedOffset {
                    offset: base,
                    expected,
                });
            }
            if batch.verify_crc().is_err() {
                return invalid("a batch of the leader does not match its CRC");
            }
            let epoch = header.partition_leader_epoch;
            if let Some(current) = current.filter(|&current| (0..current).contains(&epoch)) {
                return Err(AppendError::FencedLeaderEpoch { epoch, current });
            }
            current = current.max(Some(epoch));
            expected = behind;
            begins.get_or_insert(base);
        }
        begins.map_or_else(|| invalid("there is no batch"), Ok)
    }

    /// Whether the log has a start, and nothing behind it.
    fn is_empty(&self) -> bool {
        let is_blank = |active: &crate::owner::Active| active.size == 0;
        self.next_offset == self.log_start_offset
            && self.core.segments.load().len() <= 1
            && self.active.as_ref().is_none_or(is_blank)
    }

    /// Writes what is staged, where the next batch must not share its write or its segment.
    fn make_place(
        &mut self,
        run: &mut Run,
        written: &mut Written,
        header: &BatchHeader,
        config: &LogConfig,
    ) -> Result<(), AppendError> {
        let end = run.end.unwrap_or(self.next_offset);
        let base = header.base_offset;
        if base != end && !(base > end && self.core.has_gaps()) {
            // Where nothing was compacted, a segment has no gaps: the next one begins behind it.
            self.write_followed(run, written, config)?;
            return self.roll_to(base).map_err(|error| self.refused(&error));
        }
        let bytes = header.total_len() as u64;
        let next = Next {
            bytes,
            timestamp: Some(header.max_timestamp),
            last_offset: header.last_offset(),
        };
        if self.must_roll(run, &next, config) {
            self.write_followed(run, written, config)?;
            return self.write_and_roll(run, written, config);
        }
        if run.bytes > 0 && run.bytes + bytes > GROUP_BYTES_MAX {
            // Recovery looks for a torn write within the reach of one group.
            self.write_followed(run, written, config)?;
            if config.wait_for_disk {
                self.flush();
            }
        }
        Ok(())
    }

    /// Writes what is staged; an error when the disk is full, so that nothing may follow.
    fn write_followed(
        &mut self,
        run: &mut Run,
        written: &mut Written,
        config: &LogConfig,
    ) -> Result<(), AppendError> {
        let end = run.end.unwrap_or(self.next_offset);
        self.write_run(std::mem::take(run), written, config);
        if self.next_offset == end {
            Ok(())
        } else {
            Err(self.storage_full())
        }
    }

    /// When the first batch of a log that starts in its middle could not be written, the log starts
    /// where it started before.
    fn leave_no_early_segment(&mut self) {
        let start = self.log_start_offset;
        if self.next_offset >= start {
            return;
        }
        if let Err(error) = self.roll_to(start) {
            self.full_or_stop(&error);
            // The next append makes one.
            self.active = None;
            self.core.segments.store(std::sync::Arc::default());
            self.next_offset = start;
            self.flushed_offset = start;
        }
    }

    /// Begins a segment at `base`, which is not where the log ends.
    fn roll_to(&mut self, base: Offset) -> Result<(), Error> {
        if self.active.as_ref().is_some_and(|active| active.size > 0) {
            self.roll()?;
        }
        if let Some(blank) = self.active.take() {
            let others = self.core.segments.load().len().saturating_sub(1);
            if let Err(error) = self.remove_segments(others) {
                self.active = Some(blank);
                return Err(error);
            }
        }
        let (end, flushed) = (self.next_offset, self.flushed_offset);
        self.next_offset = base;
        self.flushed_offset = base;
        self.create_first_segment().inspect_err(|_| {
            self.next_offset = end;
            self.flushed_offset = flushed;
        })
    }

    fn refused(&mut self, error: &Error) -> AppendError {
        self.full_or_stop(error);
        self.storage_full()
    }

    fn stage_followed(&self, run: &mut Run, batch: Batch) {
        let header = *batch.header();
        let head = batch.bytes().get(..HEADER_LEN).unwrap_or_default();
        let stamped = StampedBatch {
            header,
            head: bytes::Bytes::copy_from_slice(head),
            body: batch.body(),
        };
        if header.has_producer() {
            let producers = self.core.producers.read();
            producers.stage(&mut run.staged, &header, marker_of(&batch));
        }
        let epoch = header.partition_leader_epoch;
        if epoch >= 0 && run.epochs.last().is_none_or(|&(last, _)| last < epoch) {
            run.epochs.push((epoch, header.base_offset));
        }
        run.bytes += stamped.total_len() as u64;
        run.end = Some(header.last_offset() + 1);
        run.batches.push(stamped);
    }

    /// The newest term that the log knows, or that is about to be written.
    pub(crate) fn newest_epoch(&self, run: &Run) -> Option<LeaderEpoch> {
        let staged = run.epochs.last().map(|&(epoch, _)| epoch);
        staged.or_else(|| self.core.epochs.read().latest())
    }
}

fn last_offset_of(batches: &[Batch]) -> Offset {
    let Some(last) = batches.last() else {
        fail_stop("an append without batches was let pass");
    };
    last.header().last_offset()
}

/// What a control batch says about its producer's transaction; nothing, if it is about something
/// else or was emptied by compaction.
fn marker_of(batch: &Batch) -> Option<EndTxnMarker> {
    if !batch.header().attributes.is_control() {
        return None;
    }
    let limit = DecompressLimit(MARKER_LEN_MAX);
    let (control_type, value) = batch.control_record(limit).ok()?;
    EndTxnMarker::parse(control_type, &value).ok()
}
