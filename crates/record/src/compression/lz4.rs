//! LZ4 frames: written as librdkafka needs them (independent blocks, no block checksums), read
//! with everything that the frame format allows.

use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{DecompressLimit, Failure, corrupt, read_capped};

const MAGIC: [u8; 4] = 0x184d_2204u32.to_le_bytes();
/// Bits of the frame's flags.
const DICTIONARY_ID: u8 = 0x01;
const CONTENT_CHECKSUM: u8 = 0x04;
const CONTENT_SIZE: u8 = 0x08;
const BLOCK_CHECKSUM: u8 = 0x10;
/// The bit of a block's size that says that the block is stored as it is.
const UNCOMPRESSED: u32 = 1 << 31;
const END_MARK: u32 = 0;

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
    // The decoder takes the end of the bytes for the end of the frame, and would leave a second
    // frame unread. Java's and librdkafka's consumers want one whole frame and nothing else.
    match frame_len(body) {
        None => return Err(corrupt("the frame is damaged or ends early")),
        Some(len) if len < body.len() => return Err(corrupt("bytes follow the frame")),
        Some(_) => {}
    }
    read_capped(FrameDecoder::new(body), body.len(), limit)
}

/// The length of the frame at the front of `body`, found by its block sizes alone.
fn frame_len(body: &[u8]) -> Option<usize> {
    let flags = *body.strip_prefix(&MAGIC)?.first()?;
    let present = |flag: u8, len: usize| if flags & flag == 0 { 0 } else { len };
    // Magic, flags, block size and header checksum are always there.
    let mut at = 7 + present(CONTENT_SIZE, 8) + present(DICTIONARY_ID, 4);
    loop {
        let size = u32::from_le_bytes(*body.get(at..)?.first_chunk()?);
        at += 4;
        if size == END_MARK {
            at += present(CONTENT_CHECKSUM, 4);
            return (at <= body.len()).then_some(at);
        }
        at += (size & !UNCOMPRESSED) as usize + present(BLOCK_CHECKSUM, 4);
    }
}
