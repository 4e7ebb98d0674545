//! LZ4 frames: written as librdkafka needs them (independent blocks, no block checksums), read
//! with everything that the frame format allows.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{DecompressLimit, Failure, corrupt, read_capped};

pub(super) fn compress(records: &[u8]) -> Result<Vec<u8>, String> {
    let info = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB)
        .block_checksums(false)
        .content_checksum(false);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(records.len() / 2));
    encoder.write_all(records).map_err(|e| e.to_string())?;
    encoder.finish().map_err(|e| e.to_string())
}

pub(super) fn decompress(body: &[u8], limit: DecompressLimit) -> Result<Vec<u8>, Failure> {
    let mut decoder = FrameDecoder::new(body);
    let records = read_capped(&mut decoder, body.len(), limit)?;
    // Java's consumers stop after the first frame, so records in a second one would be lost there.
    match decoder.get_ref() {
        [] => Ok(records),
        rest => Err(corrupt(format_args!(
            "{} bytes follow the frame",
            rest.len()
        ))),
    }
}
