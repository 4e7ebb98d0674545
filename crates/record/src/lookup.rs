//! Finding records by time, for ListOffsets (KIP-79, KIP-734).

use ottla_model::{Offset, TimestampMs};

use crate::record::{timestamp_of, walk};
use crate::{Batch, DecompressLimit, Error, TimestampType};

/// The first record of the batch with a timestamp of at least `timestamp`.
///
/// The header answers alone where it can, without decompressing.
pub fn first_record_at_or_after(
    batch: &Batch,
    timestamp: TimestampMs,
    limit: DecompressLimit,
) -> Result<Option<(Offset, TimestampMs)>, Error> {
    first_record_from(batch, Offset::MIN, timestamp, limit)
}

/// As [`first_record_at_or_after`], among the records from `min_offset` on: the log may start in
/// the middle of a batch.
pub fn first_record_from(
    batch: &Batch,
    min_offset: Offset,
    timestamp: TimestampMs,
    limit: DecompressLimit,
) -> Result<Option<(Offset, TimestampMs)>, Error> {
    let header = batch.header();
    if header.max_timestamp < timestamp || header.last_offset() < min_offset {
        return Ok(None);
    }
    if has_one_timestamp(batch) {
        return Ok(Some((
            header.base_offset.max(min_offset),
            header.max_timestamp,
        )));
    }
    let mut found = None;
    visit(batch, limit, |offset, at| {
        if found.is_none() && offset >= min_offset && at >= timestamp {
            found = Some((offset, at));
        }
    })?;
    Ok(found)
}

/// The record with the largest timestamp; of several the first. `None` without records.
pub fn record_with_max_timestamp(
    batch: &Batch,
    limit: DecompressLimit,
) -> Result<Option<(Offset, TimestampMs)>, Error> {
    let header = batch.header();
    if has_one_timestamp(batch) {
        return Ok(Some((header.base_offset, header.max_timestamp)));
    }
    let mut found: Option<(Offset, TimestampMs)> = None;
    visit(batch, limit, |offset, at| {
        if found.is_none_or(|(_, largest)| at > largest) {
            found = Some((offset, at));
        }
    })?;
    Ok(found)
}

/// Whether the header says it all: one timestamp for all records, none of which compaction removed.
fn has_one_timestamp(batch: &Batch) -> bool {
    let header = batch.header();
    header.attributes.timestamp_type() == TimestampType::LogAppendTime
        && header.record_count > 0
        && header.last_offset_delta.checked_add(1) == Some(header.record_count)
}

fn visit(
    batch: &Batch,
    limit: DecompressLimit,
    mut each: impl FnMut(Offset, TimestampMs),
) -> Result<(), Error> {
    let header = batch.header();
    if header.record_count <= 0 {
        return match header.record_count {
            0 => Ok(()),
            count => Err(Error::RecordCount { count }),
        };
    }
    let bytes = batch.decompressed(limit)?;
    walk(header, &bytes, |_, frame| {
        let offset = header
            .base_offset
            .wrapping_add(i64::from(frame.offset_delta));
        each(offset, timestamp_of(header, frame));
        Ok(())
    })
}
