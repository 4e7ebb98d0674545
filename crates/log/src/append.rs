//! The first half of a group: judge, stamp, roll, write.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_model::{LeaderEpoch, NO_TIMESTAMP, Offset, TimestampMs};
use ottla_record::{StampedBatch, stamp};
use ottla_runtime::fail_stop;

use crate::core::{Answer, Queued};
use crate::index;
use crate::owner::{Active, Owner};
use crate::producer_state::{Claim, RememberedBatch, Staged, Verdict};
use crate::segment::Segment;
use crate::{Append, AppendError, Error, LogConfig, Origin, Wait};

/// The offset of records that were appended too long ago.
pub const UNKNOWN_OFFSET: Offset = -1;

/// Where records are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first record; [`UNKNOWN_OFFSET`] when the records were there before, and
    /// where is no longer known.
    pub base_offset: Offset,
    /// The offset of the last record, or of one that certainly comes behind it.
    pub last_offset: Offset,
    /// The time that was stamped, or -1 when the records keep their own.
    pub log_append_time: TimestampMs,
    /// The log's first offset.
    pub log_start_offset: Offset,
    /// Whether the records were there before: a producer had sent them again.
    pub duplicate: bool,
}

/// What an append repeats.
#[derive(Debug, Clone, Copy)]
enum Earlier {
    Batch(RememberedBatch),
    /// A batch that is no longer remembered; it lies before this offset.
    Before(Offset),
}

type Outcome = Result<Appended, AppendError>;

/// A group whose bytes the kernel has.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) answers: Vec<(Answer, Outcome)>,
    /// Whether somebody waits for the disk, whatever the configuration says.
    pub(crate) wait_for_disk: bool,
    pub(crate) bytes: u64,
    pub(crate) queued_bytes: u64,
}

/// Appends that go to one segment with one write.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) batches: Vec<StampedBatch>,
    pub(crate) bytes: u64,
    pub(crate) staged: Staged,
    pub(crate) epochs: Vec<(LeaderEpoch, Offset)>,
    answers: Vec<(Answer, Outcome)>,
    /// The offset behind the last batch, when there is one.
    pub(crate) end: Option<Offset>,
    /// Whether a client's records are among them.
    from_client: bool,
}

/// What comes next, as far as the segment's end depends on it.
pub(crate) struct Next {
    pub(crate) bytes: u64,
    /// The largest one.
    pub(crate) timestamp: Option<TimestampMs>,
    pub(crate) last_offset: Offset,
}

impl Owner {
    /// Writes a group. Errors are in the answers; what cannot be answered ends the process.
    pub(crate) fn write(&mut self, appends: Vec<Queued>) -> Written {
        let config = self.core.config.load_full();
        let mut written = Written::default();
        let mut run = Run::default();
        for queued in appends {
            let (append, bytes, answer) = (queued.append, queued.bytes, queued.answer);
            written.queued_bytes += bytes;
            written.wait_for_disk |= append.wait == Wait::ForDisk;
            if append.origin == Origin::Leader {
                let outcome = if queued.failures_seen == self.core.failures.load(Ordering::Acquire)
                {
                    self.follow(&mut run, &mut written, append.batches, &config)
                } else {
                    // It was enqueued behind one that failed, and would leave a hole.
                    Err(AppendError::Invalid {
                        reason: "an earlier append of the leader's batches has failed",
                    })
                };
                if outcome.is_err() {
                    self.core.note_failure();
                }
                run.answers.push((answer, outcome));
                continue;
            }
            match self.judge(&run, &append, bytes, &config) {
                Err(error) => run.answers.push((answer, Err(error))),
                Ok(Some(earlier)) => {
                    let outcome = self.duplicate(earlier, append.log_append_time);
                    run.answers.push((answer, Ok(outcome)));
                }
                Ok(None) => {
                    let next = self.next_of(&run, &append, bytes);
                    if self.must_roll(&run, &next, &config)
                        && let Err(error) = self.write_and_roll(&mut run, &mut written, &config)
                    {
                        run.answers.push((answer, Err(error)));
                        continue;
                    }
                    let outcome = self.stage(&mut run, append);
                    run.answers.push((answer, Ok(outcome)));
                }
            }
        }
        self.write_run(run, &mut written, &config);
        written
    }

    /// Whether the append may follow; what it repeats, when it repeats something.
    fn judge(
        &self,
        run: &Run,
        append: &Append,
        bytes: u64,
        config: &LogConfig,
    ) -> Result<Option<Earlier>, AppendError> {
        let invalid = |reason| Err(AppendError::Invalid { reason });
        if append.batches.is_empty() {
            return invalid("there is no batch");
        }
        if bytes > config.segment_bytes {
            return Err(AppendError::RecordListTooLarge {
                bytes,
                limit: config.segment_bytes,
            });
        }
        let current = self.newest_epoch(run);
        if let Some(current) = current.filter(|&current| append.leader_epoch < current) {
            return Err(AppendError::FencedLeaderEpoch {
                epoch: append.leader_epoch,
                current,
            });
        }
        let claim = Claim {
            origin: append.origin,
            guard: append.guard,
            marker: append.marker,
            must_verify: self
                .core
                .context
                .verify_transactions
                .load(Ordering::Relaxed),
        };
        let producers = self.core.producers.read();
        // Several batches of one producer are judged one after the other.
        let mut scratch = None;
        for batch in &append.batches {
            let header = batch.header();
            if header.last_offset_delta < 0 {
                return invalid("a batch has no offsets");
            }
            if !header.has_producer() {
                continue;
            }
            let staged = scratch.as_ref().unwrap_or(&run.staged);
            match producers.judge(staged, header, &claim)? {
                Verdict::DuplicateOf(batch) => return Ok(Some(Earlier::Batch(batch))),
                Verdict::DuplicateBefore(offset) => return Ok(Some(Earlier::Before(offset))),
                Verdict::Append if append.batches.len() == 1 => {}
                Verdict::Append => {
                    let scratch = scratch.get_or_insert_with(|| run.staged.clone());
                    producers.stage(scratch, header, append.end());
                }
            }
        }
        Ok(None)
    }

    fn duplicate(&self, earlier: Earlier, stamped: Option<TimestampMs>) -> Appended {
        let (base_offset, last_offset, timestamp) = match earlier {
            Earlier::Batch(batch) => (batch.first_offset(), batch.last_offset, batch.timestamp),
            Earlier::Before(offset) => (UNKNOWN_OFFSET, offset - 1, NO_TIMESTAMP),
        };
        Appended {
            base_offset,
            last_offset,
            log_append_time: stamped.map_or(NO_TIMESTAMP, |_| timestamp),
            log_start_offset: self.log_start_offset,
            duplicate: true,
        }
    }

    fn next_of(&self, run: &Run, append: &Append, bytes: u64) -> Next {
        let headers = || append.batches.iter().map(|b| b.header());
        let largest = headers().map(|h| h.max_timestamp).max();
        let records = headers().map(|h| i64::from(h.last_offset_delta) + 1);
        Next {
            bytes,
            timestamp: append.log_append_time.or(largest),
            last_offset: run.end.unwrap_or(self.next_offset) + records.sum::<i64>(),
        }
    }

    pub(crate) fn must_roll(&self, run: &Run, next: &Next, config: &LogConfig) -> bool {
        let Some(active) = &self.active else {
            return false;
        };
        let size = active.size + run.bytes;
        if size == 0 {
            return false;
        }
        let first = active
            .first_timestamp
            .or_else(|| run.batches.first().map(|b| b.header.max_timestamp))
            .filter(|&first| first >= 0);
        let age_ms = match (next.timestamp, first) {
            (Some(newest), Some(first)) => newest.saturating_sub(first),
            _ => self.now_ms().saturating_sub(active.created_ms),
        };
        let is_index_full = active.segment.indexes.read().as_ref().is_some_and(|i| {
            let fits = |entries: usize, len: usize| {
                ((entries + run.batches.len() + 1) * len) as u64 <= config.segment_index_bytes
            };
            !fits(i.offsets.len(), index::OFFSET_ENTRY_LEN)
                || !fits(i.times.len() + 1, index::TIME_ENTRY_LEN)
        });
        size + next.bytes > config.segment_bytes
            || size + next.bytes > u64::from(u32::MAX >> 1)
            || age_ms > active.age_limit_ms(config)
            || is_index_full
            || index::relative(active.segment.base_offset, next.last_offset).is_none()
    }

    /// Gives the batches their offsets, and notes what becomes true once they are written.
    fn stage(&self, run: &mut Run, append: Append) -> Appended {
        let base_offset = run.end.unwrap_or(self.next_offset);
        let mut next = base_offset;
        let end = append.end();
        for batch in &append.batches {
            let stamped = stamp(batch, next, append.leader_epoch, append.log_append_time);
            if stamped.header.has_producer() {
                let producers = self.core.producers.read();
                producers.stage(&mut run.staged, &stamped.header, end);
            }
            next = stamped.header.last_offset() + 1;
            run.bytes += stamped.total_len() as u64;
            run.batches.push(stamped);
        }
        run.from_client |= append.origin == Origin::Client;
        run.epochs.push((append.leader_epoch, base_offset));
        run.end = Some(next);
        Appended {
            base_offset,
            last_offset: next - 1,
            log_append_time: append.log_append_time.unwrap_or(NO_TIMESTAMP),
            log_start_offset: self.log_start_offset,
            duplicate: false,
        }
    }

    pub(crate) fn write_and_roll(
        &mut self,
        run: &mut Run,
        written: &mut Written,
        config: &LogConfig,
    ) -> Result<(), AppendError> {
        self.write_run(std::mem::take(run), written, config);
        self.roll().map_err(|error| {
            self.full_or_stop(&error);
            self.storage_full()
        })
    }

    pub(crate) fn storage_full(&self) -> AppendError {
        AppendError::StorageFull {
            path: self.core.dir.clone(),
        }
    }

    /// Writes a run with one call, or, on a full disk, leaves nothing of it.
    pub(crate) fn write_run(&mut self, run: Run, written: &mut Written, config: &LogConfig) {
        let Some(end) = run.end else {
            written.answers.extend(run.answers);
            return;
        };
        match self.try_write(&run) {
            Ok(()) => {
                if run.from_client && self.core.context.room.tell_room() {
                    tracing::info!("there is room on the disk again: produce is accepted");
                }
                written.bytes += run.bytes;
                written.answers.extend(run.answers);
                self.note(run.batches, run.staged, run.epochs, end, config);
            }
            Err(error) => {
                self.full_or_stop(&error);
                self.core.note_failure();
                let refused = run.answers.into_iter().map(|(answer, outcome)| {
                    // Duplicates of what this run would have written are refused with it.
                    let is_safe = |a: &Appended| a.duplicate && a.last_offset < self.next_offset;
                    let outcome = match outcome {
                        Ok(appended) if !is_safe(&appended) => Err(self.storage_full()),
                        other => other,
                    };
                    (answer, outcome)
                });
                written.answers.extend(refused);
            }
        }
    }

    fn try_write(&mut self, run: &Run) -> Result<(), Error> {
        self.take_room(run)?;
        if self.active.is_none() {
            self.create_first_segment()?;
        }
        let Some(active) = &self.active else {
            fail_stop("a log has no active segment after it was made");
        };
        let path = active.segment.log_path();
        active.segment.set_unflushed(true);
        let file = active.segment.log()?;
        let parts: Vec<IoSlice<'_>> = run
            .batches
            .iter()
            .flat_map(|b| [IoSlice::new(&b.head), IoSlice::new(&b.body)])
            .collect();
        let Err(error) = file.write_at(&parts, active.size) else {
            return Ok(());
        };
        // A full disk may have taken a part: nothing half-written stays.
        if let Err(error) = file.set_len(active.size) {
            fail_stop(format!("cannot cut {} back: {error}", path.display()));
        }
        Err(Error::io("write", &path)(error))
    }

    /// Refuses what would use up the room that making room needs.
    fn take_room(&self, run: &Run) -> Result<(), Error> {
        let (context, dir) = (&self.core.context, self.dir());
        let origin = if run.from_client {
            Origin::Client
        } else {
            Origin::Coordinator
        };
        // The partition's own folder comes with its first record.
        let folder = dir.parent().unwrap_or(dir);
        let taken = context.room.take(&*context.disk, folder, run.bytes, origin);
        taken.map_err(Error::io("append to", dir))
    }

    /// Takes note of batches that are written.
    fn note(
        &mut self,
        batches: Vec<StampedBatch>,
        staged: Staged,
        epochs: Vec<(LeaderEpoch, Offset)>,
        end: Offset,
        config: &LogConfig,
    ) {
        let Some(active) = &mut self.active else {
            fail_stop("batches were written without an active segment");
        };
        let segment = Arc::clone(&active.segment);
        let mut expected = self.next_offset;
        {
            let mut indexes = segment.indexes.write();
            let Some(indexes) = indexes.as_mut() else {
                fail_stop("the active segment is sealed");
            };
            for batch in &batches {
                let base = batch.header.base_offset;
                if base != expected && !(base > expected && self.core.has_gaps()) {
                    fail_stop(format!("wrote offset {base} where {expected} must follow"));
                }
                expected = batch.header.last_offset() + 1;
                active.note(indexes, &batch.header, config.index_interval_bytes);
            }
        }
        if expected != end {
            fail_stop(format!("wrote up to {expected} and promised {end}"));
        }
        segment.set_max_timestamp(active.max_timestamp.0, active.max_timestamp.1);
        segment.set_size(active.size);
        let high_watermark = self.core.offsets().high_watermark;
        let aborted = self.core.producers.write().commit(staged, high_watermark);
        if !aborted.is_empty() {
            self.core.has_aborted.store(true, Ordering::Release);
            for entry in aborted {
                segment.aborted.push(entry);
            }
            self.spill_aborted(&segment);
        }
        for (epoch, start) in epochs {
            self.epochs_dirty |= self.core.epochs.write().assign(epoch, start);
        }
        self.next_offset = end;
        self.bytes_since_checkpoint += batches.iter().map(|b| b.total_len() as u64).sum::<u64>();
        let since = &self.core.unflushed_since_ms;
        let now = self.core.context.clock.monotonic_ms();
        since.fetch_min(now, Ordering::Relaxed);
        self.core.context.cache.push(&self.core.tail, batches);
    }
}

impl Owner {
    /// Takes entries of the transaction index out of memory when they are many. A full disk only
    /// means that they stay.
    fn spill_aborted(&mut self, segment: &Segment) {
        if segment.aborted.must_spill()
            && let Err(error) = segment.write_aborted(false)
        {
            self.full_or_stop(&error);
        }
    }
}

impl Active {
    /// Takes note of a batch at the segment's end.
    pub(crate) fn note(
        &mut self,
        indexes: &mut index::Indexes,
        header: &ottla_record::BatchHeader,
        index_interval_bytes: u64,
    ) {
        let last_offset = header.last_offset();
        let base = self.segment.base_offset;
        self.first_timestamp.get_or_insert(header.max_timestamp);
        if header.max_timestamp > self.max_timestamp.0 {
            self.max_timestamp = (header.max_timestamp, last_offset);
        }
        if self.bytes_since_index > index_interval_bytes
            && let (Some(relative), Ok(position)) =
                (index::relative(base, last_offset), u32::try_from(self.size))
        {
            indexes.push_offset(relative, position);
            self.push_time(indexes);
            self.bytes_since_index = 0;
        }
        let len = header.total_len() as u64;
        self.size += len;
        self.bytes_since_index += len;
    }

    /// Adds the largest timestamp so far to the time index.
    pub(crate) fn push_time(&self, indexes: &mut index::Indexes) {
        let (timestamp, offset) = self.max_timestamp;
        if let Some(relative) = index::relative(self.segment.base_offset, offset) {
            indexes.push_time(timestamp, relative);
        }
    }
}
