//! Which part of a log can be cleaned, and how much it would be worth.

use std::sync::Arc;

use ottla_model::{Offset, TimestampMs};

use crate::retention::newest_record;
use crate::segment::Segment;
use crate::{Error, Log};

/// What can be cleaned of a log.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) log: Log,
    pub(crate) first_dirty: Offset,
    /// The segments before the first one that must not be touched.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The offset behind them.
    pub(crate) end: Offset,
    pub(crate) clean_bytes: u64,
    pub(crate) dirty_bytes: u64,
    /// Records are uncompacted for longer than `max.compaction.lag.ms`.
    pub(crate) is_overdue: bool,
}

impl Candidate {
    /// The dirty part of what can be cleaned, 0 to 1.
    pub(crate) fn dirty_ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 {
            return 0.0;
        }
        self.dirty_bytes as f64 / total as f64
    }

    /// Whether it should be cleaned by itself.
    pub(crate) fn is_due(&self) -> bool {
        let minimum = self.log.0.config.load().min_cleanable_dirty_ratio;
        self.dirty_bytes > 0 && (self.is_overdue || self.dirty_ratio() > minimum)
    }
}

/// Measures a log; `None` when nothing of it may be touched. Blocks.
pub(crate) fn examine(
    log: &Log,
    last_clean: Option<Offset>,
    now_ms: TimestampMs,
) -> Result<Option<Candidate>, Error> {
    let segments = log.0.segments.load_full();
    let Some((active, sealed)) = segments.split_last() else {
        return Ok(None);
    };
    let first_dirty = first_dirty(log, last_clean);
    let config = log.0.config.load_full();
    // All that the dirty offset lies in, and what follows.
    let from = sealed
        .partition_point(|s| s.base_offset <= first_dirty)
        .saturating_sub(1);
    let dirty = sealed.get(from..).unwrap_or_default();
    let mut limit = log.offsets().last_stable_offset.min(active.base_offset);
    if config.min_compaction_lag_ms > 0 {
        for segment in dirty {
            if newest_record(segment)? > now_ms.saturating_sub(config.min_compaction_lag_ms) {
                limit = limit.min(segment.base_offset);
                break;
            }
        }
    }
    let ends = |i: usize| segments.get(i + 1).map_or(0, |next| next.base_offset);
    let count = (0..sealed.len()).take_while(|&i| ends(i) <= limit).count();
    let Some(cleanable) = sealed.get(..count).filter(|s| !s.is_empty()) else {
        return Ok(None);
    };
    let end = ends(count - 1);
    let (mut clean_bytes, mut dirty_bytes) = (0, 0);
    for (i, segment) in cleanable.iter().enumerate() {
        if segment.base_offset < first_dirty {
            clean_bytes += segment.size()?;
        }
        if ends(i) > first_dirty {
            dirty_bytes += segment.size()?;
        }
    }
    let mut is_overdue = false;
    if config.max_compaction_lag_ms < i64::MAX {
        let limit = now_ms.saturating_sub(config.max_compaction_lag_ms);
        for (i, segment) in cleanable.iter().enumerate() {
            let is_old = |at: TimestampMs| at > 0 && at < limit;
            if ends(i) > first_dirty && segment.first_timestamp()?.is_some_and(is_old) {
                is_overdue = true;
                break;
            }
        }
    }
    Ok(Some(Candidate {
        log: log.clone(),
        first_dirty,
        segments: cleanable.to_vec(),
        end,
        clean_bytes,
        dirty_bytes,
        is_overdue,
    }))
}

/// Where the dirty section begins. An offset that the log does not have makes all of it dirty.
fn first_dirty(log: &Log, last_clean: Option<Offset>) -> Offset {
    let offsets = log.offsets();
    let start = offsets.log_start_offset;
    match last_clean {
        Some(clean) if clean > offsets.log_end_offset => {
            tracing::warn!(
                log = %log.partition(),
                clean_up_to = clean,
                log_end_offset = offsets.log_end_offset,
                "cleaner-offset-checkpoint is ahead of the log; all of the log counts as dirty"
            );
            start
        }
        Some(clean) => clean.max(start),
        None => start,
    }
}

/// Whether the active segment must be closed, so that its records can be compacted within
/// `max.compaction.lag.ms`. Blocks.
pub(crate) fn overdue_active(log: &Log, now_ms: TimestampMs) -> Result<bool, Error> {
    let config = log.0.config.load_full();
    if !config.compact || config.max_compaction_lag_ms == i64::MAX {
        return Ok(false);
    }
    let segments = log.0.segments.load_full();
    let Some(active) = segments.last() else {
        return Ok(false);
    };
    let limit = now_ms.saturating_sub(config.max_compaction_lag_ms);
    let first = active.first_timestamp()?;
    Ok(first.is_some_and(|at| at > 0 && at < limit))
}
