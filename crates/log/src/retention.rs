//! What is deleted: by age, by size, and on demand (KIP-107).
//!
//! In two steps. First the log start offset moves, in memory and in the checkpoint; from then on
//! nobody reads what lies before it. Then whole segments below it lose their names, oldest first,
//! each one durably before the next: a crash in between leaves a log without holes.

use std::sync::Arc;

use ottla_model::{Offset, TimestampMs};

use crate::core::Core;
use crate::layout::{DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX};
use crate::layout::{TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};
use crate::owner::Owner;
use crate::segment::Segment;
use crate::{Error, Probe};

impl Owner {
    /// Where the log should start now, after age and size. Rolls an active segment that is due.
    pub(crate) fn plan_retention(&mut self, now_ms: TimestampMs) -> Result<Offset, Error> {
        let config = self.core.config.load_full();
        if !config.delete {
            return Ok(self.log_start_offset);
        }
        let segments = self.core.segments.load_full();
        let high_watermark = self.core.offsets().high_watermark;
        let mut excess = self.excess_bytes(&segments, config.retention_bytes)?;
        let mut start = self.log_start_offset;
        for (i, segment) in segments.iter().enumerate() {
            let end = segments
                .get(i + 1)
                .map_or(self.next_offset, |next| next.base_offset);
            if end > high_watermark || end == segment.base_offset {
                break;
            }
            let size = if config.retention_bytes >= 0 {
                segment.size()?
            } else {
                0
            };
            let is_excess = config.retention_bytes >= 0 && excess >= size;
            let is_old = config.retention_ms >= 0
                && now_ms.saturating_sub(newest_record(segment)?) > config.retention_ms;
            if !(is_excess || is_old || end <= self.log_start_offset) {
                break;
            }
            if is_excess {
                excess -= size;
            }
            start = start.max(end);
        }
        if start == self.next_offset && start > self.log_start_offset {
            // All records are due, the active segment's too: it can go once there is a new one.
            if let Err(error) = self.roll() {
                self.full_or_stop(&error);
                let active = segments.last().map_or(0, |s| s.base_offset);
                return Ok(active.max(self.log_start_offset));
            }
            self.publish_end();
        }
        Ok(start)
    }

    fn excess_bytes(&self, segments: &[Arc<Segment>], retention: i64) -> Result<u64, Error> {
        let Ok(retention) = u64::try_from(retention) else {
            return Ok(0);
        };
        let mut total = 0;
        for segment in segments {
            total += segment.size()?;
        }
        Ok(total.saturating_sub(retention))
    }

    /// Moves the log start forward; `false` when it is there already.
    pub(crate) fn advance_log_start(&mut self, start: Offset) -> bool {
        if start <= self.log_start_offset {
            return false;
        }
        self.log_start_offset = start;
        self.core
            .publish(|offsets| offsets.log_start_offset = start);
        self.epochs_dirty |= self.core.epochs.write().truncate_from_start(start);
        true
    }

    /// Whether there are whole segments below the log start.
    pub(crate) fn has_deletable(&self) -> bool {
        let segments = self.core.segments.load();
        segments
            .get(1)
            .is_some_and(|second| second.base_offset <= self.log_start_offset)
    }

    /// Takes the files of whole segments below the log start away.
    pub(crate) fn delete_segments(&mut self, now_ms: TimestampMs) -> Result<(), Error> {
        while self.has_deletable() {
            let mut segments = Vec::clone(&self.core.segments.load());
            let oldest = segments.remove(0);
            self.core.segments.store(Arc::new(segments));
            tracing::info!(
                log = %self.core.partition,
                segment = oldest.base_offset,
                log_start_offset = self.log_start_offset,
                "deleting a segment"
            );
            // Opened now, so that readers who still hold the segment can finish.
            oldest.keep_open()?;
            retire(&self.core, &oldest, now_ms)?;
            Probe::add(&self.core.context.probe.segments_deleted, 1);
        }
        Ok(())
    }
}

/// The time that a segment's age counts from.
pub(crate) fn newest_record(segment: &Segment) -> Result<TimestampMs, Error> {
    let (timestamp, _) = segment.max_timestamp()?;
    Ok(if timestamp < 0 {
        segment.seen_ms
    } else {
        timestamp
    })
}

/// Renames a segment's files, durably, and leaves their removal for later.
fn retire(core: &Core, segment: &Segment, now_ms: TimestampMs) -> Result<(), Error> {
    let disk = &*core.context.disk;
    let due_ms = now_ms.saturating_add(core.config.load().file_delete_delay_ms);
    for suffix in [
        LOG_SUFFIX,
        INDEX_SUFFIX,
        TIME_INDEX_SUFFIX,
        TRANSACTION_INDEX_SUFFIX,
        SNAPSHOT_SUFFIX,
    ] {
        let from = segment.path(suffix);
        let to = segment.path(&format!("{suffix}{DELETED_SUFFIX}"));
        match disk.rename(&from, &to) {
            Ok(()) => core.context.trash.lock().push((due_ms, to)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("rename", &from)(error)),
        }
    }
    disk.sync_dir(&core.dir)
        .map_err(Error::io("flush", &core.dir))
}
