//! `.snapshot`: the producers of a partition as of the offset in the file's name.
//!
//! ```text
//! version i16 | crc u32 | entries i32
//! entry: producer id i64 | epoch i16 | last sequence i32 | last offset i64 | offset delta i32
//!        | timestamp i64 | coordinator epoch i32 | start of the open transaction i64, or -1
//! ```

use std::path::Path;

use bytes::Buf;
use ottla_runtime::disk::File;
use serde_json::json;

use super::sink::Sink;
use super::unreadable;
use crate::{Error, moment};

const HEAD: usize = 10;
const ENTRY: usize = 46;
/// The CRC covers the file from here.
const CRC_FROM: usize = 6;
/// A million producers.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn dump(
    path: &Path,
    file: &dyn File,
    len: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    sink.begin(path, "producers", len)?;
    if len > FILE_BYTES_MAX {
        return sink.note(0, format!("{len} bytes are more than what is looked into"));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = file
        .read_at(&mut bytes, 0)
        .map_err(|e| unreadable(path, e))?;
    let bytes = bytes.get(..read).unwrap_or_default();
    if bytes.len() < HEAD {
        return sink.damage(
            0,
            format!("{} bytes are too few for producers", bytes.len()),
        );
    }
    let (mut head, mut rest) = bytes.split_at(HEAD);
    let (version, stored, entries) = (head.get_i16(), head.get_u32(), head.get_i32());
    if version != 1 {
        return sink.damage(0, format!("version {version}; only 1 is known"));
    }
    let covered = bytes.get(CRC_FROM..).unwrap_or_default();
    let computed = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, covered) as u32;
    if stored != computed {
        sink.damage(
            2,
            format!("stored crc {stored:#010x}, computed crc {computed:#010x}"),
        )?;
    }
    sink.headings(
        "PRODUCER              EPOCH   LAST SEQUENCE   LAST OFFSET           OPEN SINCE OFFSET     \
         LAST WRITE",
    )?;
    let mut position = HEAD as u64;
    while rest.remaining() >= ENTRY {
        let (producer, epoch, sequence) = (rest.get_i64(), rest.get_i16(), rest.get_i32());
        let (offset, delta, timestamp_ms) = (rest.get_i64(), rest.get_i32(), rest.get_i64());
        let (coordinator_epoch, start) = (rest.get_i32(), Some(rest.get_i64()).filter(|o| *o >= 0));
        let open = start.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        let at = moment::utc_text(timestamp_ms);
        sink.item(
            "producer",
            format!("{producer:<21} {epoch:<7} {sequence:<15} {offset:<21} {open:<21} {at}"),
            &json!({
                "producer_id": producer,
                "producer_epoch": epoch,
                "last_sequence": sequence,
                "last_offset": offset,
                "offset_delta": delta,
                "last_timestamp_ms": timestamp_ms,
                "coordinator_epoch": coordinator_epoch,
                "transaction_start_offset": start,
            }),
        )?;
        position += ENTRY as u64;
    }
    let found = (position - HEAD as u64) / ENTRY as u64;
    if rest.has_remaining() || u64::try_from(entries) != Ok(found) {
        let text = format!(
            "{entries} entries are announced, {found} and {} bytes are there",
            rest.len()
        );
        sink.damage(position, text)?;
    }
    Ok(())
}
