//! Cutting a log: a follower whose records are not the leader's gives them up (KIP-101).
//!
//! ```text
//! 1  flush, indexes, epochs        so that what stays needs no recovery
//! 2  checkpoints say less          no file promises what is about to go
//! 3  leader-epoch-checkpoint       terms that begin behind the cut
//! 4  segments, newest first        each one durably before the next: never a hole
//! 5  the last one's length
//! 6  recovery                      finds indexes, producers, transactions as after a crash
//! ```
//!
//! A crash on the way leaves a log that ends somewhere between the new end and the old one. Such a
//! log is sound, and its follower cuts it again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_model::Offset;
use ottla_runtime::fail_stop;

use crate::checkpoints::Checkpointed;
use crate::layout::{self, FileKind, INDEX_SUFFIX, LOG_SUFFIX};
use crate::layout::{TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};
use crate::owner::Owner;
use crate::progress::RecoveryProgress;
use crate::recovery::{Recovered, Recovery};
use crate::roll::remove_if_exists;
use crate::segment::Segment;
use crate::walk::{Step, Walker, resync};
use crate::{Error, Probe};

/// Where to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    /// The number of segments that stay, at least one.
    segments: usize,
    /// The length of the last one of them.
    position: u64,
    /// The log's new end.
    end: Offset,
}

impl Owner {
    /// See [`crate::Log::truncate_to`].
    pub(crate) fn truncate_to(&mut self, offset: Offset) -> Result<(), Error> {
        self.check_not_negative(offset)?;
        if offset >= self.next_offset {
            return self.cut_epochs(self.next_offset);
        }
        if offset < self.log_start_offset || self.core.segments.load().is_empty() {
            return self.truncate_fully_and_start_at(offset);
        }
        let cut = self.find_cut(offset)?;
        if cut.end < self.log_start_offset {
            // The first records of the only batch that is left were deleted already.
            return self.truncate_fully_and_start_at(self.log_start_offset);
        }
        tracing::info!(
            log = %self.core.partition,
            from = self.next_offset,
            to = cut.end,
            "cutting off records that the leader does not have"
        );
        self.cut(cut)
    }

    /// See [`crate::Log::truncate_fully_and_start_at`].
    pub(crate) fn truncate_fully_and_start_at(&mut self, offset: Offset) -> Result<(), Error> {
        self.check_not_negative(offset)?;
        let core = Arc::clone(&self.core);
        let is_new = !self.folder_exists && self.next_offset == 0;
        if is_new && offset == 0 {
            return self.cut_epochs(0);
        }
        tracing::info!(
            log = %core.partition,
            log_start_offset = self.log_start_offset,
            log_end_offset = self.next_offset,
            start_at = offset,
            "throwing a log away; it begins anew"
        );
        core.recovery_point.store(0, Ordering::Release);
        self.lower_checkpoints(0, offset)?;
        self.cut_epochs(0)?;
        let _nobody_reads = core.cuts.write();
        self.remove_segments(0)
            .and_then(|()| self.remove_snapshots())
            .unwrap_or_else(|error| stop_half_way(&error));
        self.install(Recovered {
            log_start_offset: offset,
            next_offset: offset,
            recovery_point: offset,
            folder_exists: self.folder_exists,
            ..Recovered::empty()
        });
        if let Err(error) = self.create_first_segment() {
            // The next append tries it again. Until then a start finds an empty log, which is as
            // far behind the leader as this one.
            self.full_or_stop(&error);
        }
        Ok(())
    }

    fn check_not_negative(&self, offset: Offset) -> Result<(), Error> {
        if offset >= 0 {
            return Ok(());
        }
        Err(Error::OffsetOutOfRange {
            offset,
            log_start_offset: self.log_start_offset,
            log_end_offset: self.next_offset,
        })
    }

    /// Finds the last batch that lies before `offset`.
    fn find_cut(&self, offset: Offset) -> Result<Cut, Error> {
        let segments = self.core.segments.load_full();
        let begins_before = segments.partition_point(|s| s.base_offset < offset);
        let at = begins_before.saturating_sub(1);
        let Some(segment) = segments.get(at) else {
            fail_stop("a log that has no segment cannot be cut");
        };
        let (position, end) = last_batch_before(segment, offset, self.core.has_gaps())?;
        Ok(Cut {
            segments: at + 1,
            position,
            end,
        })
    }

    fn cut(&mut self, cut: Cut) -> Result<(), Error> {
        let core = Arc::clone(&self.core);
        let point = match self.persist_without_snapshot() {
            Ok(()) => cut.end,
            // Recovery then reads more.
            Err(error) if error.is_full() => {
                cut.end.min(core.recovery_point.load(Ordering::Acquire))
            }
            Err(error) => return Err(error),
        };
        core.recovery_point.fetch_min(point, Ordering::AcqRel);
        self.lower_checkpoints(point, cut.end)?;
        self.cut_epochs(cut.end)?;
        let _nobody_reads = core.cuts.write();
        self.remove_segments(cut.segments)
            .and_then(|()| self.shorten_last_segment(cut.position))
            .and_then(|()| self.recover(point, cut.end))
            .unwrap_or_else(|error| stop_half_way(&error));
        Ok(())
    }

    fn lower_checkpoints(&self, recovery_point: Offset, end: Offset) -> Result<(), Error> {
        let context = &self.core.context;
        let most = Checkpointed {
            recovery_point,
            log_start_offset: end,
            high_watermark: end,
        };
        let (disk, partition) = (&*context.disk, &self.core.partition);
        context.checkpoints.lower(disk, partition, most)?;
        context.clean.lower(disk, partition, end)
    }

    /// Forgets terms that begin at or behind the cut, durably: also those that the log has no record
    /// of.
    fn cut_epochs(&mut self, end: Offset) -> Result<(), Error> {
        let is_changed = self.core.epochs.write().truncate_from_end(end);
        self.epochs_dirty |= is_changed;
        if is_changed && self.folder_exists {
            self.write_epochs()?;
            self.sync_folder()?;
        }
        Ok(())
    }

    fn sync_folder(&self) -> Result<(), Error> {
        let (disk, dir) = (&self.core.context.disk, self.dir());
        disk.sync_dir(dir).map_err(Error::io("flush", dir))
    }

    /// Takes the files of all segments but the first `count` away.
    pub(crate) fn remove_segments(&mut self, count: usize) -> Result<(), Error> {
        let core = Arc::clone(&self.core);
        let mut segments = Vec::clone(&core.segments.load());
        self.active = None;
        while segments.len() > count
            && let Some(newest) = segments.pop()
        {
            core.segments.store(Arc::new(segments.clone()));
            self.remove_segment(&newest)?;
            Probe::add(&core.context.probe.truncated_bytes, newest.size()?);
        }
        Ok(())
    }

    fn remove_segment(&self, segment: &Segment) -> Result<(), Error> {
        segment.keep_open()?;
        let disk = &*self.core.context.disk;
        for suffix in [
            LOG_SUFFIX,
            INDEX_SUFFIX,
            TIME_INDEX_SUFFIX,
            TRANSACTION_INDEX_SUFFIX,
        ] {
            remove_if_exists(disk, &segment.path(suffix))?;
        }
        self.sync_folder()
    }

    fn shorten_last_segment(&mut self, len: u64) -> Result<(), Error> {
        let Some(segment) = self.core.segments.load().last().cloned() else {
            return Ok(());
        };
        let path = segment.log_path();
        let cut = segment.size()?.saturating_sub(len);
        Probe::add(&self.core.context.probe.truncated_bytes, cut);
        let file = segment.log()?;
        // Flushed at once: bytes behind the new end must not come back after new appends.
        let done = file.set_len(len).and_then(|()| file.sync_data());
        done.map_err(Error::io("cut", &path))
    }

    /// Removes what speaks of producers and transactions of a log that is thrown away.
    fn remove_snapshots(&mut self) -> Result<(), Error> {
        if !self.folder_exists {
            return Ok(());
        }
        let (disk, dir) = (&*self.core.context.disk, self.dir());
        let entries = disk.list(dir).map_err(Error::io("list", dir))?;
        for entry in entries {
            let is_snapshot = matches!(layout::classify(&entry.name), FileKind::Snapshot(_));
            if is_snapshot || entry.name == layout::TRANSACTION_INDEX_FILE {
                remove_if_exists(disk, &dir.join(&entry.name))?;
            }
        }
        self.sync_folder()
    }

    /// Finds out from the shortened files what the log is now.
    fn recover(&mut self, recovery_point: Offset, end: Offset) -> Result<(), Error> {
        let core = &self.core;
        let root = core.dir.parent().unwrap_or(&core.dir);
        let recovery = Recovery {
            context: Arc::clone(&core.context),
            progress: Arc::new(RecoveryProgress::new(0)),
            partition: core.partition.clone(),
            topic_id: core.topic_id,
            config: core.config.load_full(),
            gaps: core.has_gaps(),
            root: root.to_owned(),
            dir: core.dir.clone(),
            recovery_point,
            log_start_offset: self.log_start_offset,
            high_watermark: core.offsets().high_watermark.min(end),
        };
        let recovered = recovery.run()?;
        if recovered.next_offset != end {
            fail_stop(format!(
                "{} was cut at {end} and ends at {}",
                core.partition, recovered.next_offset
            ));
        }
        self.install(recovered);
        let tidied = self.write_indexes_and_promises();
        match tidied.and_then(|()| self.sync_folder()) {
            // They are written with the next checkpoint.
            Err(error) if error.is_full() => Ok(()),
            other => other,
        }
    }

    /// Makes a log of what was found the log that people see.
    fn install(&mut self, recovered: Recovered) {
        let core = Arc::clone(&self.core);
        core.tail.clear();
        core.segments.store(Arc::new(recovered.segments));
        *core.epochs.write() = recovered.epochs;
        core.has_aborted
            .store(recovered.has_aborted, Ordering::Release);
        core.unflushed_since_ms.store(i64::MAX, Ordering::Relaxed);
        core.reported.lock().clear();
        self.active = recovered.active;
        self.epochs_dirty |= recovered.epochs_dirty;
        self.next_offset = recovered.next_offset;
        self.flushed_offset = recovered.next_offset;
        self.log_start_offset = recovered.log_start_offset;
        self.bytes_since_checkpoint = recovered.bytes_since_checkpoint;
        self.snapshot_offset = recovered.snapshot_offset;
        self.promises = recovered.promises;
        self.folder_exists = recovered.folder_exists;
        let (start, end) = (self.log_start_offset, self.next_offset);
        core.publish_cut(recovered.producers, start, end);
        core.recovery_point
            .store(recovered.recovery_point, Ordering::Release);
    }
}

/// Where the last sound batch before `offset` ends in the segment, and the offset behind it. What is
/// damaged behind it goes with the rest, and is fetched from the leader again.
fn last_batch_before(
    segment: &Segment,
    offset: Offset,
    gaps: bool,
) -> Result<(u64, Offset), Error> {
    let (file, size, base) = (segment.log()?, segment.size()?, segment.base_offset);
    let failed = |e| Error::io("read", &segment.log_path())(e);
    let from_start = || Walker::from_start(&*file, size, base, gaps);
    let mut unproven = segment.position_hint(offset - 1)?;
    let mut walker = match unproven {
        Some((position, _)) => Walker::from_middle(&*file, position, size, base, gaps),
        None => from_start(),
    };
    let mut found = (0, base);
    loop {
        let step = walker.next(false).map_err(failed)?;
        if let Some((_, last_offset)) = unproven.take()
            && !matches!(&step, Step::Batch { header, .. } if header.last_offset() == last_offset)
        {
            walker = from_start();
            continue;
        }
        match step {
            Step::Batch { header, .. } if header.last_offset() < offset => {
                found = (walker.position(), walker.next_offset());
            }
            Step::Batch { .. } | Step::End => return Ok(found),
            Step::Bad { position, .. } => {
                let expected = walker.next_offset();
                let next = resync(&*file, position + 1, size, expected).map_err(failed)?;
                let Some(next) = next else {
                    return Ok(found);
                };
                walker.jump(next);
            }
        }
    }
}

fn stop_half_way(error: &Error) -> ! {
    fail_stop(format!(
        "{error}; a log was being cut, and the next start finds what is left of it; check the disk and \
         start again"
    ))
}
