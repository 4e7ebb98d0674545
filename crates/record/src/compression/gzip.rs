//! Gzip by way of zlib-rs.

use std::io::Write;

use flate2::Compression as Level;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{DecompressLimit, Failure, read_capped};

pub(super) fn compress(records: &[u8], level: Option<i32>) -> Result<Vec<u8>, String> {
    let level = match level {
        None | Some(..=-1) => Level::default(),
        Some(level) => Level::new(level.clamp(1, 9) as u32),
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(records.len() / 2), level);
    encoder
        .write_all(records)
        .and_then(|()| encoder.finish())
        .map_err(|e| e.to_string())
}

/// Java's reader goes on with the next member of a concatenated stream, so this does, too.
pub(super) fn decompress(body: &[u8], limit: DecompressLimit) -> Result<Vec<u8>, Failure> {
    read_capped(MultiGzDecoder::new(body), body.len(), limit)
}
