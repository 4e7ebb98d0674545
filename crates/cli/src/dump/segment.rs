//! Files of batches: segments, and snapshots of the metadata.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use ottla_record::{
    Batch, BatchHeader, ControlType, DecompressLimit, EndTxnMarker, HEADER_LEN, Record,
};
use ottla_runtime::disk::File;
use serde::Serialize;
use serde_json::Value;

use super::decoded::{Contents, decode};
use super::sink::{Sink, count};
use super::{DumpArgs, unreadable};
use crate::{Error, base64, moment};

/// Larger batches are passed over, so that damaged lengths take no memory. Kafka's largest
/// possible `message.max.bytes` is beyond it, but nobody's real one.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The most that the records of a batch may have when they are decompressed.
const RECORD_BYTES_MAX: usize = 512 * 1024 * 1024;

/// One batch, in JSON.
#[derive(Debug, Serialize)]
struct BatchFields {
    position: u64,
    bytes: usize,
    base_offset: i64,
    last_offset: i64,
    records: i32,
    leader_epoch: i32,
    compression: Option<String>,
    timestamp_type: String,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
    base_sequence: Option<i32>,
    transactional: bool,
    /// `commit`, `abort` and so on; null for batches of clients.
    control: Option<String>,
    delete_horizon_ms: Option<i64>,
    crc: u32,
}

/// One record, in JSON.
#[derive(Debug, Serialize)]
struct RecordFields {
    offset: i64,
    timestamp_ms: i64,
    #[serde(flatten)]
    key: Part,
    #[serde(flatten)]
    value: Part,
    headers: Vec<HeaderFields>,
    /// What it says, where its topic is one of the brokers'.
    #[serde(skip_serializing_if = "Option::is_none")]
    decoded: Option<Value>,
}

#[derive(Debug, Serialize)]
struct HeaderFields {
    #[serde(flatten)]
    key: Part,
    #[serde(flatten)]
    value: Part,
}

/// Bytes under their name as text, or with `_base64` behind it.
#[derive(Debug)]
struct Part(&'static str, Option<Bytes>);

impl Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let Part(name, bytes) = self;
        let mut map = serializer.serialize_map(Some(1))?;
        match bytes
            .as_ref()
            .map(|bytes| (bytes, std::str::from_utf8(bytes)))
        {
            None => map.serialize_entry(name, &None::<&str>)?,
            Some((_, Ok(text))) => map.serialize_entry(name, text)?,
            Some((bytes, Err(_))) => {
                map.serialize_entry(&format!("{name}_base64"), &base64::encode(bytes))?;
            }
        }
        map.end()
    }
}

pub(super) fn dump(
    path: &Path,
    file: &dyn File,
    len: u64,
    args: &DumpArgs,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    let contents = args.contents.unwrap_or_else(|| Contents::of_folder(path));
    sink.begin(path, "batches", len)?;
    sink.headings(
        "POSITION     OFFSETS               RECORDS   BYTES      CODEC    EPOCH   \
         MAX TIMESTAMP              NOTES",
    )?;
    let mut position = 0;
    // A segment is named after the offset from which on its records are.
    let mut expected = first_offset(path).unwrap_or(0);
    let (mut batches, mut records) = (0, 0);
    while position < len {
        let Some((header, batch)) = read(path, file, position, len, sink)? else {
            break;
        };
        let total = header.total_len() as u64;
        check(&header, expected, position, sink)?;
        expected = header.last_offset().saturating_add(1).max(expected);
        batches += 1;
        records += u64::try_from(header.record_count).unwrap_or(0);
        if args
            .from_offset
            .is_none_or(|from| header.last_offset() >= from)
        {
            show(position, &header, batch, contents, args, sink)?;
        } else if let Some(Err(error)) = batch.map(|batch| batch.verify_crc()) {
            sink.damage(position, error)?;
        }
        position += total;
    }
    let text = match batches {
        1 => format!("  1 batch with {}", count(records, "record")),
        _ => format!("  {batches} batches with {}", count(records, "record")),
    };
    let fields = serde_json::json!({ "bytes": len, "batches": batches, "records": records });
    sink.item("segment", text, &fields)
}

/// The batch at a position, without its bytes when it is too large; `None` when nothing behind it
/// can be read.
fn read(
    path: &Path,
    file: &dyn File,
    position: u64,
    len: u64,
    sink: &mut Sink<'_>,
) -> Result<Option<(BatchHeader, Option<Batch>)>, Error> {
    let left = len - position;
    let mut head = [0; HEADER_LEN];
    let read = file
        .read_at(&mut head, position)
        .map_err(|e| unreadable(path, e))?;
    let head = head.get(..read).unwrap_or_default();
    let header = match BatchHeader::parse(head) {
        Ok(header) => header,
        // Fewer zeros may as well be the first bytes of a batch.
        Err(_) if read == HEADER_LEN && zeros(path, file, position, len)? => {
            sink.note(
                position,
                format!("{left} bytes of zeros up to the end: room made in advance"),
            )?;
            return Ok(None);
        }
        Err(error) => {
            sink.damage(
                position,
                format!("{error}; the {left} bytes from here on cannot be read"),
            )?;
            return Ok(None);
        }
    };
    let total = header.total_len();
    if total as u64 > left {
        let text = "the last batch is cut off";
        sink.damage(
            position,
            format!("{text}: {total} bytes are announced, {left} are there"),
        )?;
        return Ok(None);
    }
    if total > BATCH_BYTES_MAX {
        sink.note(
            position,
            format!("a batch of {total} bytes is not looked into"),
        )?;
        return Ok(Some((header, None)));
    }
    let mut bytes = vec![0; total];
    let read = file
        .read_at(&mut bytes, position)
        .map_err(|e| unreadable(path, e))?;
    bytes.truncate(read);
    match Batch::parse(bytes.into()) {
        Ok(batch) => Ok(Some((header, Some(batch)))),
        Err(error) => {
            sink.damage(position, error)?;
            Ok(Some((header, None)))
        }
    }
}

/// Whether only zeros follow.
fn zeros(path: &Path, file: &dyn File, from: u64, len: u64) -> Result<bool, Error> {
    let (mut position, mut buffer) = (from, vec![0; 64 * 1024]);
    while position < len {
        let read = file
            .read_at(&mut buffer, position)
            .map_err(|e| unreadable(path, e))?;
        let read_bytes = buffer.get(..read).unwrap_or_default();
        if read == 0 || read_bytes.iter().any(|b| *b != 0) {
            return Ok(read == 0);
        }
        position += read as u64;
    }
    Ok(true)
}

/// The offset in the name of a segment.
fn first_offset(path: &Path) -> Option<i64> {
    let name = path.file_name()?.to_str()?;
    // A metadata snapshot is named after its end.
    if !name.contains(".log") {
        return None;
    }
    name.split('.').next()?.parse().ok()
}

fn check(
    header: &BatchHeader,
    expected: i64,
    position: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    if header.base_offset < expected {
        let first = header.base_offset;
        sink.damage(
            position,
            format!("offset {first} comes behind offset {}", expected - 1),
        )?;
    }
    if header.last_offset_delta < 0 || header.record_count < 0 {
        let (last, count) = (header.last_offset_delta, header.record_count);
        sink.damage(
            position,
            format!("a batch of {count} records ends {last} behind its first"),
        )?;
    }
    Ok(())
}

fn show(
    position: u64,
    header: &BatchHeader,
    batch: Option<Batch>,
    contents: Contents,
    args: &DumpArgs,
    sink: &mut Sink<'_>,
) -> Result<(), Error> {
    let sound = match batch.as_ref().map(Batch::verify_crc) {
        Some(Err(error)) => {
            sink.damage(position, error)?;
            false
        }
        checked => checked.is_some(),
    };
    let control = batch.as_ref().filter(|_| sound).and_then(control);
    sink.item(
        "batch",
        batch_text(position, header, control.as_deref()),
        &batch_fields(position, header, control.clone()),
    )?;
    let Some(batch) = batch.filter(|_| sound) else {
        return Ok(());
    };
    let records = match batch.records(DecompressLimit(RECORD_BYTES_MAX)) {
        Ok(records) => records,
        Err(error) => return sink.damage(position, error),
    };
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => return sink.damage(position, error),
        };
        if args.records && args.from_offset.is_none_or(|from| record.offset >= from) {
            let contents = if header.attributes.is_control() {
                Contents::Control
            } else {
                contents
            };
            let decoded = decode(contents, record.key.as_ref(), record.value.as_ref());
            sink.item(
                "record",
                record_text(&record, decoded.as_ref()),
                &record_fields(record, decoded),
            )?;
        }
    }
    Ok(())
}

/// What a control batch says.
fn control(batch: &Batch) -> Option<String> {
    if !batch.header().attributes.is_control() {
        return None;
    }
    let found = batch.control_record(DecompressLimit(RECORD_BYTES_MAX)).ok();
    let Some((kind, value)) = found else {
        return Some("unreadable".to_owned());
    };
    Some(match EndTxnMarker::parse(kind, &value) {
        Ok(marker) => {
            let what = if marker.committed { "commit" } else { "abort" };
            format!("{what} by coordinator epoch {}", marker.coordinator_epoch)
        }
        Err(_) => match kind {
            ControlType::LeaderChange => "leader change".to_owned(),
            ControlType::SnapshotHeader => "snapshot header".to_owned(),
            ControlType::SnapshotFooter => "snapshot footer".to_owned(),
            ControlType::KraftVersion => "kraft version".to_owned(),
            ControlType::KraftVoters => "kraft voters".to_owned(),
            other => format!("type {}", other.id()),
        },
    })
}

fn codec(header: &BatchHeader) -> Option<String> {
    let compression = header.attributes.compression().ok()?;
    Some(compression.to_string())
}

fn batch_text(position: u64, header: &BatchHeader, control: Option<&str>) -> String {
    let offsets = format!("{}-{}", header.base_offset, header.last_offset());
    let mut notes = Vec::new();
    if header.has_producer() {
        let (id, epoch) = (header.producer_id, header.producer_epoch);
        let sequence = match header.base_sequence {
            -1 => String::new(),
            first => format!(" sequence {first}-{}", header.last_sequence()),
        };
        notes.push(format!("producer {id}/{epoch}{sequence}"));
    }
    if header.attributes.is_transactional() && control.is_none() {
        notes.push("transactional".to_owned());
    }
    notes.extend(control.map(|what| format!("control: {what}")));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{position:<12} {offsets:<21} {:<9} {:<10} {:<8} {:<7} {:<26} {}",
        header.record_count,
        header.total_len(),
        codec(header).unwrap_or_else(|| "?".to_owned()),
        header.partition_leader_epoch,
        if header.max_timestamp < 0 {
            "-".to_owned()
        } else {
            moment::utc_text(header.max_timestamp)
        },
        notes.join(", ")
    );
    text.truncate(text.trim_end().len());
    text
}

fn batch_fields(position: u64, header: &BatchHeader, control: Option<String>) -> BatchFields {
    let attributes = header.attributes;
    let of_producer = header.has_producer();
    BatchFields {
        position,
        bytes: header.total_len(),
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        records: header.record_count,
        leader_epoch: header.partition_leader_epoch,
        compression: codec(header),
        timestamp_type: attributes.timestamp_type().to_string(),
        base_timestamp_ms: header.base_timestamp,
        max_timestamp_ms: header.max_timestamp,
        producer_id: of_producer.then_some(header.producer_id),
        producer_epoch: of_producer.then_some(header.producer_epoch),
        base_sequence: Some(header.base_sequence).filter(|s| *s >= 0),
        transactional: attributes.is_transactional(),
        control,
        delete_horizon_ms: attributes
            .has_delete_horizon()
            .then_some(header.base_timestamp),
        crc: header.crc,
    }
}

fn record_text(record: &Record, decoded: Option<&Value>) -> String {
    let (offset, at) = (record.offset, moment::utc_text(record.timestamp));
    if let Some(decoded) = decoded {
        return format!("  {offset} {at} {decoded}");
    }
    let quoted = |bytes: Option<&Bytes>| match bytes.map(|b| (b, std::str::from_utf8(b))) {
        None => "null".to_owned(),
        Some((_, Ok(text))) => format!("{text:?}"),
        Some((bytes, Err(_))) => format!("base64:{}", base64::encode(bytes)),
    };
    let (key, value) = (quoted(record.key.as_ref()), quoted(record.value.as_ref()));
    let mut text = format!("  {offset} {at} {key} = {value}");
    for header in &record.headers {
        let (key, value) = (quoted(Some(&header.key)), quoted(header.value.as_ref()));
        let _ = write!(text, ", header {key} = {value}");
    }
    text
}

fn record_fields(record: Record, decoded: Option<Value>) -> RecordFields {
    let header = |header: ottla_record::Header| HeaderFields {
        key: Part("key", Some(header.key)),
        value: Part("value", header.value),
    };
    RecordFields {
        offset: record.offset,
        timestamp_ms: record.timestamp,
        key: Part("key", record.key),
        value: Part("value", record.value),
        headers: record.headers.into_iter().map(header).collect(),
        decoded,
    }
}
