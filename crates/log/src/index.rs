//! The two sparse indexes of a segment, in memory.
//!
//! ```text
//! .index      offset - base offset u32 | position u32        the batch that ends with that offset
//! .timeindex  timestamp i64 | offset - base offset u32       no record up to that offset is later
//! ```
//!
//! Entries strictly increase. Kafka preallocates the files with zeros, so reading stops at the first
//! entry that does not.

use bytes::{Buf, BufMut};
use ottla_model::{Offset, TimestampMs};

pub(crate) const OFFSET_ENTRY_LEN: usize = 8;
pub(crate) const TIME_ENTRY_LEN: usize = 12;

/// An entry of the offset index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) relative_offset: u32,
    pub(crate) position: u32,
}

impl OffsetEntry {
    pub(crate) fn decode(bytes: [u8; OFFSET_ENTRY_LEN]) -> Self {
        let mut bytes = &bytes[..];
        OffsetEntry {
            relative_offset: bytes.get_u32(),
            position: bytes.get_u32(),
        }
    }
}

/// An entry of the time index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: TimestampMs,
    pub(crate) relative_offset: u32,
}

/// Both indexes of one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Indexes {
    pub(crate) offsets: Vec<OffsetEntry>,
    pub(crate) times: Vec<TimeEntry>,
}

impl Indexes {
    /// Adds an entry for the batch at `position` that ends with `relative_offset`.
    pub(crate) fn push_offset(&mut self, relative_offset: u32, position: u32) {
        let entry = OffsetEntry {
            relative_offset,
            position,
        };
        if self.offsets.last().is_none_or(|last| follows(last, &entry)) && position > 0 {
            self.offsets.push(entry);
        }
    }

    /// Adds an entry, unless one says the same or more.
    pub(crate) fn push_time(&mut self, timestamp: TimestampMs, relative_offset: u32) {
        let is_later = self.times.last().is_none_or(|last| {
            timestamp > last.timestamp && relative_offset > last.relative_offset
        });
        if timestamp >= 0 && is_later {
            self.times.push(TimeEntry {
                timestamp,
                relative_offset,
            });
        }
    }

    /// Forgets what points to `relative_offset` or later ones, or behind `position`.
    pub(crate) fn truncate(&mut self, relative_offset: u64, position: u64) {
        self.offsets.retain(|e| {
            u64::from(e.relative_offset) < relative_offset && u64::from(e.position) < position
        });
        self.times
            .retain(|e| u64::from(e.relative_offset) < relative_offset);
    }

    /// The last entry at or before `relative_offset`.
    pub(crate) fn entry_for(&self, relative_offset: u64) -> Option<OffsetEntry> {
        let next = self
            .offsets
            .partition_point(|e| u64::from(e.relative_offset) <= relative_offset);
        self.offsets.get(next.checked_sub(1)?).copied()
    }

    /// The relative offset before which no record is at or after `timestamp`.
    pub(crate) fn relative_offset_for(&self, timestamp: TimestampMs) -> u32 {
        let next = self.times.partition_point(|e| e.timestamp < timestamp);
        next.checked_sub(1)
            .and_then(|i| self.times.get(i))
            .map_or(0, |e| e.relative_offset)
    }
}

fn follows(last: &OffsetEntry, next: &OffsetEntry) -> bool {
    next.relative_offset > last.relative_offset && next.position > last.position
}

pub(crate) fn decode_offsets(mut bytes: &[u8]) -> Vec<OffsetEntry> {
    let mut entries: Vec<OffsetEntry> = Vec::new();
    while bytes.remaining() >= OFFSET_ENTRY_LEN {
        let entry = OffsetEntry {
            relative_offset: bytes.get_u32(),
            position: bytes.get_u32(),
        };
        if entry.position == 0 || entries.last().is_some_and(|last| !follows(last, &entry)) {
            break;
        }
        entries.push(entry);
    }
    entries
}

pub(crate) fn encode_offsets(entries: &[OffsetEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * OFFSET_ENTRY_LEN);
    for entry in entries {
        out.put_u32(entry.relative_offset);
        out.put_u32(entry.position);
    }
    out
}

pub(crate) fn decode_times(mut bytes: &[u8]) -> Vec<TimeEntry> {
    let mut entries: Vec<TimeEntry> = Vec::new();
    while bytes.remaining() >= TIME_ENTRY_LEN {
        let entry = TimeEntry {
            timestamp: bytes.get_i64(),
            relative_offset: bytes.get_u32(),
        };
        let increases = entries.last().is_none_or(|last| {
            entry.timestamp > last.timestamp && entry.relative_offset > last.relative_offset
        });
        if !increases || entry.timestamp < 0 || (entry.timestamp, entry.relative_offset) == (0, 0) {
            break;
        }
        entries.push(entry);
    }
    entries
}

pub(crate) fn encode_times(entries: &[TimeEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * TIME_ENTRY_LEN);
    for entry in entries {
        out.put_i64(entry.timestamp);
        out.put_u32(entry.relative_offset);
    }
    out
}

/// An absolute offset relative to a segment's first; `None` when it does not fit into Kafka's 31
/// bits.
pub(crate) fn relative(base: Offset, offset: Offset) -> Option<u32> {
    let delta = offset.checked_sub(base)?;
    i32::try_from(delta).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lookups_find_the_entry_at_or_before() {
        let mut indexes = Indexes::default();
        indexes.push_offset(9, 100);
        indexes.push_offset(19, 200);
        let position = |i: &Indexes, offset| i.entry_for(offset).map(|e| e.position);
        assert_eq!(position(&indexes, 8), None);
        assert_eq!(position(&indexes, 9), Some(100));
        assert_eq!(position(&indexes, 1000), Some(200));
        indexes.push_time(50, 9);
        indexes.push_time(40, 12);
        indexes.push_time(60, 19);
        assert_eq!(indexes.times.len(), 2);
        assert_eq!(indexes.relative_offset_for(50), 0);
        assert_eq!(indexes.relative_offset_for(51), 9);
        assert_eq!(indexes.relative_offset_for(61), 19);
        indexes.truncate(19, 1000);
        assert_eq!(position(&indexes, 1000), Some(100));
    }

    #[test]
    fn zeros_that_kafka_preallocates_are_no_entries() {
        let mut bytes = encode_offsets(&[OffsetEntry {
            relative_offset: 9,
            position: 100,
        }]);
        bytes.extend([0; 80]);
        assert_eq!(decode_offsets(&bytes).len(), 1);
        assert!(decode_times(&[0; 120]).is_empty());
    }

    #[test]
    fn offsets_too_far_away_have_no_relative_form() {
        assert_eq!(relative(10, 10), Some(0));
        assert_eq!(relative(0, i64::from(i32::MAX)), Some(i32::MAX as u32));
        assert_eq!(relative(0, i64::from(i32::MAX) + 1), None);
        assert_eq!(relative(10, 9), None);
    }

    proptest! {
        #[test]
        fn random_bytes_decode_to_increasing_entries(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let offsets = decode_offsets(&bytes);
            prop_assert!(offsets.windows(2).all(|w| follows(&w[0], &w[1])));
            prop_assert_eq!(&decode_offsets(&encode_offsets(&offsets)), &offsets);
            let times = decode_times(&bytes);
            prop_assert!(times.windows(2).all(|w| w[0].timestamp < w[1].timestamp));
            prop_assert_eq!(&decode_times(&encode_times(&times)), &times);
        }
    }
}
