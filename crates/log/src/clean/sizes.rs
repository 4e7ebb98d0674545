//! How much fits into one segment: compaction would otherwise leave ever smaller ones.

use ottla_model::Offset;

use crate::layout::{INDEX_SUFFIX, TIME_INDEX_SUFFIX};
use crate::segment::Segment;
use crate::{Error, LogConfig};

/// The bytes of a segment's files.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sizes {
    pub(crate) log: u64,
    pub(crate) offsets: u64,
    pub(crate) times: u64,
}

impl Sizes {
    pub(crate) fn of(segment: &Segment) -> Result<Self, Error> {
        Ok(Sizes {
            log: segment.size()?,
            offsets: segment.file_len(INDEX_SUFFIX)?,
            times: segment.file_len(TIME_INDEX_SUFFIX)?,
        })
    }

    pub(crate) fn plus(&self, other: &Sizes) -> Sizes {
        Sizes {
            log: self.log + other.log,
            offsets: self.offsets + other.offsets,
            times: self.times + other.times,
        }
    }

    /// Whether one segment may have so much (`segment.bytes`, `segment.index.bytes`).
    pub(crate) fn fit(&self, config: &LogConfig) -> bool {
        let index = config.segment_index_bytes;
        self.log <= config.segment_bytes && self.offsets <= index && self.times <= index
    }
}

/// Whether all offsets below `end` can be written relative to `base`.
pub(crate) fn in_reach(base: Offset, end: Offset) -> bool {
    (end - 1).saturating_sub(base) <= i64::from(i32::MAX)
}
