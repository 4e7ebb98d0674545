//! Metadata records as record batches: one batch holds what belongs together.

use bytes::Bytes;
use ottla_metadata::Record;
use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_record::{Batch, BatchBuilder, BatchOptions, DecompressLimit};

use crate::error::Error;

/// Bounds the memory for a compressed batch. Ours are not compressed.
pub(crate) const LIMIT: DecompressLimit = DecompressLimit(64 << 20);

/// Builds the batch of these records, of which the first has the offset `base_offset`.
pub(crate) fn encode<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    now_ms: TimestampMs,
) -> Result<Bytes, Error> {
    let bad = |reason: String| Error::BadBatch {
        offset: base_offset,
        reason,
    };
    let options = BatchOptions {
        base_offset,
        leader_epoch,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let value = record.encode().map_err(|error| bad(error.to_string()))?;
        builder
            .append(now_ms, None, Some(&value), &[])
            .map_err(|error| bad(error.to_string()))?;
    }
    builder.build().map_err(|error| bad(error.to_string()))
}

/// Reads a batch whose CRC was verified; calls `each` with every record and its offset.
///
/// Control batches hold none of our records and are skipped.
pub(crate) fn decode(
    batch: &Batch,
    mut each: impl FnMut(Record, Offset) -> Result<(), Error>,
) -> Result<(), Error> {
    if batch.header().attributes.is_control() {
        return Ok(());
    }
    let offset = batch.header().base_offset;
    let bad = |reason: String| Error::BadBatch { offset, reason };
    for record in batch
        .records(LIMIT)
        .map_err(|error| bad(error.to_string()))?
    {
        let record = record.map_err(|error| bad(error.to_string()))?;
        let value = record.value.ok_or_else(|| Error::BadBatch {
            offset: record.offset,
            reason: "the record has no value".to_owned(),
        })?;
        each(Record::decode(value, record.offset)?, record.offset)?;
    }
    Ok(())
}
