//! What compaction does with one batch: look at its keys, and write it again without some records.
//!
//! A batch keeps its base offset, its last offset, its producer and its sequences whatever it loses,
//! so offsets never change and a producer is still known by its last sequence. Once it has
//! tombstones, its base timestamp becomes the *delete horizon*: the time from which on compaction
//! may drop them (KIP-534). Records' own timestamps stay, since their deltas are written anew.

use std::ops::Range;

use ottla_model::{NO_TIMESTAMP, Offset, TimestampMs};

use crate::header::HEADER_LEN;
use crate::recompress::assemble_with;
use crate::record::{Frame, timestamp_of, walk};
use crate::varint::{put_varlong, varlong_len};
use crate::{Attributes, Batch, BatchHeader, Compression, DecompressLimit, Error, TimestampType};

/// What compaction wants to know of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedRecord<'a> {
    /// The offset in the partition.
    pub offset: Offset,
    /// The key; a record without one has no place in a compacted log.
    pub key: Option<&'a [u8]>,
    /// Whether there is a value; without one the record is a tombstone.
    pub has_value: bool,
}

impl<'a> KeyedRecord<'a> {
    fn of(header: &BatchHeader, bytes: &'a [u8], frame: &Frame) -> Self {
        let key = frame.key.clone();
        KeyedRecord {
            offset: header
                .base_offset
                .wrapping_add(i64::from(frame.offset_delta)),
            key: key.map(|key| bytes.get(key).unwrap_or_default()),
            has_value: frame.value.is_some(),
        }
    }
}

/// What is left of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retained {
    /// All of it: the bytes are as good as they were.
    Whole {
        /// How many records that is.
        records: u32,
    },
    /// Less, or the same with a delete horizon.
    Rewritten {
        /// The new batch.
        batch: Batch,
        /// How many records it has.
        records: u32,
    },
    /// No record.
    Nothing,
}

/// Shows the records of a batch in their order.
pub fn visit_keys(
    batch: &Batch,
    limit: DecompressLimit,
    mut visit: impl FnMut(KeyedRecord<'_>),
) -> Result<(), Error> {
    let header = batch.header();
    if is_empty(header)? {
        return Ok(());
    }
    let bytes = batch.decompressed(limit)?;
    walk(header, &bytes, |_, frame| {
        visit(KeyedRecord::of(header, &bytes, frame));
        Ok(())
    })
}

/// Leaves out the records that `keep` does not want.
///
/// `horizon_ms` becomes the batch's delete horizon when it has none and tombstones stay in it, or
/// when `needs_horizon` says so (a transaction's marker whose records are all gone). What is written
/// anew is compressed as it was.
pub fn retain(
    batch: &Batch,
    limit: DecompressLimit,
    horizon_ms: TimestampMs,
    needs_horizon: bool,
    mut keep: impl FnMut(KeyedRecord<'_>) -> bool,
) -> Result<Retained, Error> {
    let header = batch.header();
    if is_empty(header)? {
        return Ok(Retained::Nothing);
    }
    let bytes = batch.decompressed(limit)?;
    let mut kept = Kept::default();
    let mut at = 0;
    walk(header, &bytes, |_, frame| {
        let record = KeyedRecord::of(header, &bytes, frame);
        let range = at..frame.end;
        at = frame.end;
        if keep(record) {
            kept.has_tombstone |= frame.value.is_none();
            kept.max_timestamp = kept.max_timestamp.max(timestamp_of(header, frame));
            kept.add(range);
        } else {
            kept.dropped = true;
        }
        Ok(())
    })?;
    if kept.count == 0 {
        return Ok(Retained::Nothing);
    }
    let set_horizon =
        (kept.has_tombstone || needs_horizon) && !header.attributes.has_delete_horizon();
    if !kept.dropped && !set_horizon {
        return Ok(Retained::Whole {
            records: kept.count,
        });
    }
    let mut new = *header;
    new.record_count = i32::try_from(kept.count).unwrap_or(i32::MAX);
    if header.attributes.timestamp_type() == TimestampType::CreateTime {
        new.max_timestamp = kept.max_timestamp;
    }
    let records = if set_horizon {
        new.attributes = new.attributes.with_delete_horizon(true);
        new.base_timestamp = horizon_ms;
        kept.rebased(&bytes, header.base_timestamp.wrapping_sub(horizon_ms))?
    } else {
        kept.copied(&bytes)
    };
    let compression = header.attributes.compression()?;
    Ok(Retained::Rewritten {
        batch: assemble_with(new, &records, compression, None)?,
        records: kept.count,
    })
}

/// The batch without records: what is kept so that its producer's last sequence, or the end of the
/// log, stays known.
pub fn without_records(header: &BatchHeader) -> Result<Batch, Error> {
    let flags = header.attributes;
    let header = BatchHeader {
        attributes: Attributes(0)
            .with_compression(Compression::None)
            .with_timestamp_type(flags.timestamp_type())
            .with_transactional(flags.is_transactional())
            .with_control(flags.is_control()),
        base_timestamp: NO_TIMESTAMP,
        record_count: 0,
        ..*header
    };
    Batch::assemble(header, &[])
}

fn is_empty(header: &BatchHeader) -> Result<bool, Error> {
    match header.record_count {
        count if count < 0 => Err(Error::RecordCount { count }),
        count => Ok(count == 0),
    }
}

/// The records that stay, as runs of bytes.
struct Kept {
    runs: Vec<Range<usize>>,
    count: u32,
    dropped: bool,
    has_tombstone: bool,
    max_timestamp: TimestampMs,
}

impl Default for Kept {
    fn default() -> Self {
        Kept {
            runs: Vec::new(),
            count: 0,
            dropped: false,
            has_tombstone: false,
            max_timestamp: NO_TIMESTAMP,
        }
    }
}

impl Kept {
    fn add(&mut self, range: Range<usize>) {
        self.count += 1;
        match self.runs.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.runs.push(range),
        }
    }

    fn copied(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.runs.iter().map(Range::len).sum());
        for run in &self.runs {
            out.extend_from_slice(bytes.get(run.clone()).unwrap_or_default());
        }
        out
    }

    /// The records with timestamps relative to another base, which lies `by_ms` before the old one.
    fn rebased(&self, bytes: &[u8], by_ms: i64) -> Result<Vec<u8>, Error> {
        let length: usize = self.runs.iter().map(Range::len).sum();
        let mut out = Vec::with_capacity(length + self.count as usize * 8);
        let mut index = 0;
        for run in &self.runs {
            let mut at = run.start;
            while at < run.end {
                let frame =
                    Frame::read(bytes, at).map_err(|reason| Error::Record { index, reason })?;
                let delta = frame.timestamp_delta.wrapping_add(by_ms);
                let offset_delta = i64::from(frame.offset_delta);
                let rest = bytes.get(frame.key_at..frame.end).unwrap_or_default();
                let len = 1 + varlong_len(delta) + varlong_len(offset_delta) + rest.len();
                put_varlong(&mut out, len as i64);
                out.push(frame.attributes);
                put_varlong(&mut out, delta);
                put_varlong(&mut out, offset_delta);
                out.extend_from_slice(rest);
                at = frame.end;
                index += 1;
            }
        }
        if out.len() > i32::MAX as usize - HEADER_LEN {
            let reason = "more than 2 GiB of records";
            return Err(Error::Build { reason });
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
