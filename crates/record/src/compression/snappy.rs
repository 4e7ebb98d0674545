//! Snappy: xerial's framing as Java writes it, and bare blocks as librdkafka may.
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 (1) | compatible version i32 (1)
//! block length i32 | block      ... repeated; each block holds at most 32 KiB of records
//! ```

use super::{DecompressLimit, Failure, corrupt};

const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\x00";
const XERIAL_HEADER_LEN: usize = 16;
const XERIAL_VERSION: [u8; 4] = 1i32.to_be_bytes();
const BLOCK_LEN: usize = 32 * 1024;
/// Three bytes make at most 64, so a block that claims more than this times its length lies.
const MAX_RATIO: usize = 22;

pub(super) fn compress(records: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(XERIAL_HEADER_LEN + records.len() / 2);
    out.extend_from_slice(XERIAL_MAGIC);
    out.extend_from_slice(&XERIAL_VERSION);
    out.extend_from_slice(&XERIAL_VERSION);
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(BLOCK_LEN.min(records.len()))];
    for piece in records.chunks(BLOCK_LEN) {
        let len = encoder
            .compress(piece, &mut block)
            .map_err(|e| e.to_string())?;
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(block.get(..len).unwrap_or_default());
    }
    Ok(out)
}

pub(super) fn decompress(body: &[u8], limit: DecompressLimit) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    if !body.starts_with(XERIAL_MAGIC) {
        decompress_block(body, &mut out, limit)?;
        return Ok(out);
    }
    let mut rest = body;
    while !rest.is_empty() {
        // Concatenated streams repeat the header in the middle.
        if rest.starts_with(XERIAL_MAGIC) {
            rest = rest
                .get(XERIAL_HEADER_LEN..)
                .ok_or_else(|| corrupt("the header of the framing ends early"))?;
            continue;
        }
        let cut = || corrupt("a block ends early");
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let len = u32::from_be_bytes(*len) as usize;
        let (block, after) = after.split_at_checked(len).ok_or_else(cut)?;
        decompress_block(block, &mut out, limit)?;
        rest = after;
    }
    Ok(out)
}

fn decompress_block(
    block: &[u8],
    out: &mut Vec<u8>,
    limit: DecompressLimit,
) -> Result<(), Failure> {
    let len = snap::raw::decompress_len(block).map_err(corrupt)?;
    if len > limit.0 - out.len() {
        return Err(Failure::Limit);
    }
    if len > block.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt("a block claims more than it can hold"));
    }
    let start = out.len();
    // Doubling may overshoot the limit, so the growth is ours.
    let wanted = (start + len).max(start.saturating_mul(2)).min(limit.0);
    out.reserve_exact(wanted - start);
    out.resize(start + len, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, out.get_mut(start..).unwrap_or_default())
        .map_err(corrupt)?;
    out.truncate(start + written);
    Ok(())
}
