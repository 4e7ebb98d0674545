//! How the log lies on disk.
//!
//! ```text
//! 00000000000000000000.log   entries 0 .. 51
//! 00000000000000000052.log   the active segment: appends go here
//!
//! segment  magic u32 | first index u64 | has before u8 | term before u64 | crc u32     25 bytes
//!          batch ...
//! batch    magic u32 | length u32 | first index u64 | entries u32 | crc u32            24 bytes
//!          entry ...                                  (length: of all its entries)
//! entry    length u32 | crc u32 | term u64 | index u64 | kind u8 | payload             25 bytes + payload
//! ```
//!
//! A batch is what was written and flushed together, and it is on disk before the next one is
//! written. So only the very last batch can be torn by a crash: it is cut off, for nobody was told
//! of it. If a good batch follows a bad one, the disk has damaged what was acknowledged, and the
//! member must not start. Each entry has its own checksum, so that it can be read by itself.

use bytes::{BufMut, Bytes};

use crate::codec::{self, Reader, crc32c};
use crate::member::Position;
use crate::openraft_config::Entry;

const SEGMENT_MAGIC: u32 = 0x4f54_4c31;
const BATCH_MAGIC: u32 = 0x4f54_4c42;
/// The bytes before a segment's first batch.
pub(super) const SEGMENT_HEADER: usize = 25;
/// The bytes before a batch's first entry.
pub(super) const BATCH_HEADER: usize = 24;
/// The bytes of an entry's length and checksum.
const FRAME: usize = 8;
/// Term, index and kind.
const ENTRY_LEAST: usize = 17;

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The index of its first entry.
    pub(super) base: u64,
    /// The entry before the first one, unless that is the very first of all.
    pub(super) before: Option<Position>,
}

impl SegmentHeader {
    /// The header of a segment that goes on after `before`.
    pub(super) fn after(before: Option<Position>) -> Self {
        SegmentHeader {
            base: before.map_or(0, |position| position.index + 1),
            before,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.put_u32(SEGMENT_MAGIC);
        out.put_u64(self.base);
        out.put_u8(u8::from(self.before.is_some()));
        out.put_u64(self.before.map_or(0, |position| position.term));
        let crc = crc32c(&out);
        out.put_u32(crc);
        out
    }

    pub(super) fn decode(bytes: &Bytes) -> Result<Self, String> {
        if bytes.len() < SEGMENT_HEADER {
            return Err("the header of the segment is cut off".to_owned());
        }
        let (content, mut crc) = split(bytes.slice(..SEGMENT_HEADER), SEGMENT_HEADER - 4);
        if crc.u32()? != crc32c(&content) {
            return Err("the header of the segment has a wrong checksum".to_owned());
        }
        let mut reader = Reader::new(content);
        if reader.u32()? != SEGMENT_MAGIC {
            return Err("this is no segment".to_owned());
        }
        let base = reader.u64()?;
        let (has_before, term) = (reader.flag()?, reader.u64()?);
        if has_before != (base > 0) {
            return Err("the header of the segment contradicts itself".to_owned());
        }
        let before = has_before.then(|| Position {
            term,
            index: base - 1,
        });
        Ok(SegmentHeader { base, before })
    }
}

fn split(bytes: Bytes, at: usize) -> (Bytes, Reader) {
    (bytes.slice(..at), Reader::new(bytes.slice(at..)))
}

/// An entry as it is written: its length, its checksum, itself.
pub(super) fn encode_entry(entry: &Entry) -> Bytes {
    let mut out = vec![0; FRAME];
    codec::put_entry(&mut out, entry);
    let len = (out.len() - FRAME) as u32;
    let crc = crc32c(&out[FRAME..]);
    out[..4].copy_from_slice(&len.to_be_bytes());
    out[4..FRAME].copy_from_slice(&crc.to_be_bytes());
    out.into()
}

/// The bytes of the frame at the beginning of `bytes`, if they are all there.
fn frame(bytes: &Bytes) -> Result<(Bytes, u32), String> {
    let mut reader = Reader::new(bytes.clone());
    let (len, crc) = (reader.u32()? as usize, reader.u32()?);
    if len < ENTRY_LEAST {
        return Err(format!("an entry cannot have {len} bytes"));
    }
    Ok((reader.take(len)?, crc))
}

/// The entry at the beginning of `bytes`, and how long it is there.
pub(super) fn decode_entry(bytes: &Bytes, index: u64) -> Result<(Entry, usize), String> {
    let (content, crc) = frame(bytes)?;
    if crc32c(&content) != crc {
        return Err("an entry has a wrong checksum".to_owned());
    }
    let len = FRAME + content.len();
    let entry = Reader::entry(content)?;
    if entry.log_id.index != index {
        return Err(format!(
            "entry {} stands where {index} is expected",
            entry.log_id.index
        ));
    }
    Ok((entry, len))
}

/// The header of a batch.
pub(super) fn encode_batch_header(base: u64, entries: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::with_capacity(BATCH_HEADER);
    let len: usize = entries.iter().map(Bytes::len).sum();
    out.put_u32(BATCH_MAGIC);
    out.put_u32(len as u32);
    out.put_u64(base);
    out.put_u32(entries.len() as u32);
    let crc = crc32c(&out);
    out.put_u32(crc);
    out
}

/// A good batch, found in a segment.
pub(super) struct Batch {
    /// Its entries' positions in the log, and where each begins, counted from the batch's first byte.
    pub(super) entries: Vec<(Position, u64)>,
    /// Its bytes.
    pub(super) len: usize,
}

/// What a batch says about itself: its length, its first index, and the number of its entries.
fn batch_header(bytes: &Bytes) -> Result<(usize, u64, usize), String> {
    if bytes.len() < BATCH_HEADER {
        return Err("the header of a batch is cut off".to_owned());
    }
    let (content, mut crc) = split(bytes.slice(..BATCH_HEADER), BATCH_HEADER - 4);
    let mut reader = Reader::new(content.clone());
    if reader.u32()? != BATCH_MAGIC {
        return Err("a batch is expected here".to_owned());
    }
    if crc.u32()? != crc32c(&content) {
        return Err("the header of a batch has a wrong checksum".to_owned());
    }
    let (len, base, count) = (reader.u32()?, reader.u64()?, reader.u32()?);
    Ok((len as usize, base, count as usize))
}

/// The batch at the beginning of `bytes`, if it is good and begins with the expected index.
pub(super) fn decode_batch(bytes: &Bytes, expected: u64) -> Result<Batch, String> {
    let (len, base, count) = batch_header(bytes)?;
    if base != expected {
        return Err(format!(
            "a batch begins with entry {base} where {expected} is expected"
        ));
    }
    let total = BATCH_HEADER + len;
    if bytes.len() < total {
        return Err(format!(
            "a batch of {total} bytes has only {} of them",
            bytes.len()
        ));
    }
    if count == 0 || count > len / (FRAME + ENTRY_LEAST) {
        return Err(format!(
            "a batch of {len} bytes cannot have {count} entries"
        ));
    }
    let mut entries = Vec::with_capacity(count);
    let mut at = BATCH_HEADER;
    for index in (base..).take(count) {
        let (entry, entry_len) = decode_entry(&bytes.slice(at..total), index)?;
        entries.push((Position::of(&entry.log_id), at as u64));
        at += entry_len;
    }
    if at != total {
        return Err("a batch has bytes that belong to no entry".to_owned());
    }
    Ok(Batch {
        entries,
        len: total,
    })
}

/// Whether a whole good batch with a later entry stands anywhere behind `position`.
pub(super) fn good_batch_follows(bytes: &Bytes, position: usize, expected: u64) -> bool {
    let magic = BATCH_MAGIC.to_be_bytes();
    (position + 1..bytes.len()).any(|at| {
        bytes[at..].starts_with(&magic) && {
            let rest = bytes.slice(at..);
            batch_header(&rest)
                .is_ok_and(|(_, base, _)| base >= expected && decode_batch(&rest, base).is_ok())
        }
    })
}
