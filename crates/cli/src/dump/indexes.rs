//! The indexes of a segment.
//!
//! ```text
//! .index      offset - base offset u32 | position u32
//! .timeindex  timestamp i64 | offset - base offset u32
//! .txnindex   version i16 | producer id i64 | first offset i64 | last offset i64
//!             | last stable offset i64
//! ```
//!
//! The first two may be followed by zeros, which Kafka allocates in advance.

use std::path::Path;

use ottla_record::{BatchHeader, HEADER_LEN};
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode};
use serde_json::json;

use super::sink::Sink;
use super::unreadable;
use crate::{Error, moment};

const OFFSET_ENTRY: usize = 8;
const TIME_ENTRY: usize = 12;
const TRANSACTION_ENTRY: usize = 34;
/// Entries that are read at once.
const AT_ONCE: usize = 4096;

/// Reads entries of `N` bytes one after the other, until `each` wants no more.
fn entries<const N: usize>(
    path: &Path,
    file: &dyn File,
    len: u64,
    sink: &mut Sink<'_>,
    mut each: impl FnMut(u64, &[u8; N], &mut Sink<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let (mut position, mut buffer) = (0, vec![0; N * AT_ONCE]);
    while position < len {
        let read = file
            .read_at(&mut buffer, position)
            .map_err(|e| unreadable(path, e))?;
        let (whole, rest) = buffer.get(..read).unwrap_or_default().as_chunks::<N>();
        for entry in whole {
            if !each(position, entry, sink)? {
                return Ok(());
            }
            position += N as u64;
        }
        if !rest.is_empty() || read == 0 {
            return sink.damage(
                position,
                format!("{} bytes are no entry of {N}", len - position),
            );
        }
    }
    Ok(())
}

/// The offset in the file's name.
fn base_offset(path: &Path) -> i64 {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    name.split('.')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; N])
}

/// `.index`, with each entry checked against the segment beside it.
pub(super) fn offsets(
    path: &Path,
    file: &dyn File,
    len: u64,
    disk: &dyn Disk,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    sink.begin(path, "offset index", len)?;
    sink.headings("OFFSET                POSITION")?;
    let base = base_offset(path);
    let segment = disk.open(&path.with_extension("log"), OpenMode::Read).ok();
    let mut last: Option<(u32, u32)> = None;
    entries::<OFFSET_ENTRY>(path, file, len, sink, |at, entry, sink| {
        let entry = (
            u32::from_be_bytes(number(entry, 0)),
            u32::from_be_bytes(number(entry, 4)),
        );
        if entry == (0, 0) {
            return Ok(false);
        }
        let (offset, position) = (base.saturating_add(i64::from(entry.0)), entry.1);
        sink.item(
            "offset_index_entry",
            format!("{offset:<21} {position}"),
            &json!({ "offset": offset, "position": position }),
        )?;
        if last.is_some_and(|last| entry.0 <= last.0 || entry.1 <= last.1) {
            sink.damage(
                at,
                format!("offset {offset} at {position} does not come behind the entry before"),
            )?;
        }
        last = Some(entry);
        if let Some(reason) = segment
            .as_deref()
            .and_then(|s| objection(s, offset, position))
        {
            sink.damage(at, reason)?;
        }
        Ok(true)
    })
}

/// What is wrong about an entry of the offset index, by the segment.
fn objection(segment: &dyn File, offset: i64, position: u32) -> Option<String> {
    let mut head = [0; HEADER_LEN];
    let read = segment.read_at(&mut head, u64::from(position)).ok()?;
    let header = BatchHeader::parse(head.get(..read)?);
    match header {
        Ok(h) if (h.base_offset..=h.last_offset()).contains(&offset) => None,
        Ok(h) => Some(format!(
            "offset {offset} is said to be at {position} of the segment, where {}-{} are",
            h.base_offset,
            h.last_offset()
        )),
        Err(_) => Some(format!(
            "offset {offset} is said to be at {position} of the segment, where no batch begins"
        )),
    }
}

/// `.timeindex`.
pub(super) fn times(
    path: &Path,
    file: &dyn File,
    len: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    sink.begin(path, "time index", len)?;
    sink.headings("TIMESTAMP                  OFFSET")?;
    let base = base_offset(path);
    let mut last: Option<(i64, u32)> = None;
    entries::<TIME_ENTRY>(path, file, len, sink, |at, entry, sink| {
        let entry = (
            i64::from_be_bytes(number(entry, 0)),
            u32::from_be_bytes(number(entry, 8)),
        );
        if entry == (0, 0) {
            return Ok(false);
        }
        let (timestamp_ms, offset) = (entry.0, base.saturating_add(i64::from(entry.1)));
        sink.item(
            "time_index_entry",
            format!("{:<26} {offset}", moment::utc_text(timestamp_ms)),
            &json!({ "timestamp_ms": timestamp_ms, "offset": offset }),
        )?;
        if last.is_some_and(|last| entry.0 < last.0 || entry.1 < last.1) {
            sink.damage(
                at,
                format!("{timestamp_ms} at offset {offset} comes before the entry in front of it"),
            )?;
        }
        last = Some(entry);
        Ok(true)
    })
}

/// `.txnindex`: the aborted transactions of a segment.
pub(super) fn transactions(
    path: &Path,
    file: &dyn File,
    len: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    sink.begin(path, "aborted transactions", len)?;
    sink.headings(
        "PRODUCER              FIRST OFFSET          LAST OFFSET           LAST STABLE OFFSET",
    )?;
    let mut last_end = i64::MIN;
    entries::<TRANSACTION_ENTRY>(path, file, len, sink, |at, entry, sink| {
        let version = i16::from_be_bytes(number(entry, 0));
        let field = |place: usize| i64::from_be_bytes(number(entry, 2 + place * 8));
        let (producer, first, last, stable) = (field(0), field(1), field(2), field(3));
        if version != 0 {
            sink.damage(
                at,
                format!("an entry of version {version}; only 0 is known"),
            )?;
        }
        sink.item(
            "aborted_transaction",
            format!("{producer:<21} {first:<21} {last:<21} {stable}"),
            &json!({
                "producer_id": producer,
                "first_offset": first,
                "last_offset": last,
                "last_stable_offset": stable,
            }),
        )?;
        if first > last || last <= last_end {
            sink.damage(
                at,
                format!("the transaction {first}-{last} of producer {producer} is out of order"),
            )?;
        }
        last_end = last;
        Ok(true)
    })
}
