//! The same records in another compression (`compression.type` other than `producer`).

use crate::{Batch, BatchHeader, Compression, DecompressLimit, Error};

/// Compresses a batch anew. Offsets, timestamps, producer and flags stay; length and CRC are new.
///
/// The records are not looked at; [`crate::validate::produce`] does both in one go. A batch that
/// has the compression already comes back as it is, whatever its level.
pub fn recompress(
    batch: &Batch,
    compression: Compression,
    level: Option<i32>,
    limit: DecompressLimit,
) -> Result<Batch, Error> {
    if batch.header().attributes.compression()? == compression {
        return Ok(batch.clone());
    }
    let records = batch.decompressed(limit)?;
    assemble_with(*batch.header(), &records, compression, level)
}

/// Puts uncompressed `records` behind a header in another compression.
pub(crate) fn assemble_with(
    mut header: BatchHeader,
    records: &[u8],
    compression: Compression,
    level: Option<i32>,
) -> Result<Batch, Error> {
    header.attributes = header.attributes.with_compression(compression);
    if compression == Compression::None {
        return Batch::assemble(header, records);
    }
    Batch::assemble(header, &compression.compress(records, level)?)
}
