//! Zstandard in one shot.
//!
//! A streaming decoder would take a window of up to 128 MiB because the frame's header asks for it.
//! Decoding straight into the output needs no window; where the size is unknown, which is the
//! rule, the output grows by doubling and decoding starts over, so the work is at most twice.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use super::{DecompressLimit, Failure, corrupt, first_capacity};

/// `ZSTD_error_dstSize_tooSmall`; the C library returns errors as negated numbers.
const OUTPUT_TOO_SMALL: usize = 0usize.wrapping_sub(70);
/// A size in the frame's header is believed up to this many times the frame.
const BELIEVABLE_RATIO: u64 = 32;
const MIN_LEVEL: i32 = -131_072;
const MAX_LEVEL: i32 = 22;

pub(super) fn compress(records: &[u8], level: Option<i32>) -> Result<Vec<u8>, String> {
    let level = level
        .unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)
        .clamp(MIN_LEVEL, MAX_LEVEL);
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(records.len()));
    let mut context = CCtx::try_create().ok_or("no memory for the compressor")?;
    context
        .set_parameter(CParameter::CompressionLevel(level))
        .and_then(|_| context.compress2(&mut out, records))
        .map_err(|code| zstd_safe::get_error_name(code).to_owned())?;
    // The bound is above the input's size; the batch may live for long in memory.
    out.shrink_to_fit();
    Ok(out)
}

pub(super) fn decompress(body: &[u8], limit: DecompressLimit) -> Result<Vec<u8>, Failure> {
    // The C library takes no bytes for "nothing", but a stream without a frame is cut off.
    if body.is_empty() {
        return Err(corrupt("the frame is missing"));
    }
    let mut context = DCtx::try_create().ok_or_else(|| corrupt("no memory for a decoder"))?;
    let mut capacity = match zstd_safe::get_frame_content_size(body) {
        Ok(Some(size)) if size > limit.0 as u64 => return Err(Failure::Limit),
        Ok(Some(size)) if size <= (body.len() as u64).saturating_mul(BELIEVABLE_RATIO) => {
            size as usize
        }
        Ok(_) => first_capacity(body.len(), limit),
        Err(_) => return Err(corrupt("the frame's header is damaged")),
    };
    loop {
        let mut out = Vec::with_capacity(capacity);
        match context.decompress(&mut out, body) {
            Ok(_) => return Ok(out),
            Err(OUTPUT_TOO_SMALL) if capacity < limit.0 => {
                capacity = capacity.saturating_mul(2).clamp(4096.min(limit.0), limit.0);
            }
            Err(OUTPUT_TOO_SMALL) => return Err(Failure::Limit),
            Err(code) => return Err(corrupt(zstd_safe::get_error_name(code))),
        }
    }
}
