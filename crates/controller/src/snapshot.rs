//! Snapshots of the image as files, in Kafka's form (KIP-630).
//!
//! ```text
//! 00000000000000012345-0000000007.checkpoint     all records below offset 12345, written in epoch 7
//!
//! batch  control: snapshot header
//! batch  up to 1000 records ┐
//! batch  up to 1000 records ┘ offsets count from 0 within the file
//! batch  control: snapshot footer                 a file without it was cut off
//! ```
//!
//! Each batch carries its CRC. The file appears under its name only when it is whole and on disk.

use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use ottla_metadata::{Image, Record};
use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_record::{Batch, BatchOptions, ControlType, control_batch, split_batches};
use ottla_runtime::Disk;

use crate::batch;
use crate::error::Error;

const SUFFIX: &str = ".checkpoint";
const RECORDS_PER_BATCH: usize = 1000;

/// What a snapshot's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SnapshotId {
    /// The first offset that it does not cover.
    pub(crate) end_offset: Offset,
    /// The epoch in which it was written.
    pub(crate) epoch: LeaderEpoch,
}

impl SnapshotId {
    fn file_name(self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.end_offset, self.epoch)
    }

    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.file_name())
    }

    fn parse(name: &str) -> Option<Self> {
        let (end_offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let id = SnapshotId {
            end_offset: end_offset.parse().ok()?,
            epoch: epoch.parse().ok()?,
        };
        // Only the very form that we write: a renamed copy is none of ours.
        (id.file_name() == name).then_some(id)
    }
}

/// The newest snapshot of a folder.
pub(crate) fn newest(disk: &dyn Disk, dir: &Path) -> Result<Option<SnapshotId>, Error> {
    let entries = disk.list(dir).map_err(Error::io("list", dir))?;
    Ok(entries
        .iter()
        .filter_map(|entry| SnapshotId::parse(&entry.name))
        .max())
}

/// The image in parts of at most [`RECORDS_PER_BATCH`] records, as members of the quorum exchange
/// it: the offset in front, which a file has in its name.
pub(crate) fn parts(
    image: &Image,
    epoch: LeaderEpoch,
    now_ms: TimestampMs,
) -> Result<Vec<Bytes>, Error> {
    let offset = image.metadata_offset().to_be_bytes();
    let mut parts = vec![Bytes::copy_from_slice(&offset)];
    parts.extend(batches(image, epoch, now_ms)?);
    Ok(parts)
}

/// Reverses [`parts`], which have been put together.
pub(crate) fn from_bytes(mut bytes: Bytes) -> Result<Image, String> {
    let offset = bytes
        .try_get_i64()
        .map_err(|_| "a snapshot without an offset".to_owned())?;
    let image = decode(bytes, Path::new("of the quorum")).map_err(|error| error.to_string())?;
    Ok(image.at_offset(offset))
}

fn batches(image: &Image, epoch: LeaderEpoch, now_ms: TimestampMs) -> Result<Vec<Bytes>, Error> {
    let mut out = Vec::new();
    let mut next: Offset = 0;
    let control = |base_offset, control_type, value: &[u8]| {
        let options = BatchOptions {
            base_offset,
            leader_epoch: epoch,
            ..BatchOptions::default()
        };
        let batch = control_batch(options, now_ms, control_type, value);
        batch
            .map(|batch| batch.bytes().clone())
            .map_err(|error| Error::BadBatch {
                offset: base_offset,
                reason: error.to_string(),
            })
    };
    out.push(control(next, ControlType::SnapshotHeader, &header(now_ms))?);
    next += 1;
    let mut records = image.to_records().peekable();
    while records.peek().is_some() {
        let chunk: Vec<Record> = records.by_ref().take(RECORDS_PER_BATCH).collect();
        out.push(batch::encode(&chunk, next, epoch, now_ms)?);
        next += chunk.len() as Offset;
    }
    out.push(control(next, ControlType::SnapshotFooter, &FOOTER)?);
    Ok(out)
}

/// Kafka's `SnapshotHeaderRecord`, version 0: version i16, last contained log timestamp i64, no
/// tagged fields.
fn header(now_ms: TimestampMs) -> [u8; 11] {
    let mut bytes = [0; 11];
    bytes[2..10].copy_from_slice(&now_ms.to_be_bytes());
    bytes
}

/// Kafka's `SnapshotFooterRecord`, version 0: version i16, no tagged fields.
const FOOTER: [u8; 3] = [0; 3];

/// Reads a snapshot.
pub(crate) fn load(disk: &dyn Disk, dir: &Path, id: SnapshotId) -> Result<Image, Error> {
    let path = id.path(dir);
    let bytes = disk.read(&path).map_err(Error::io("read", &path))?;
    decode(bytes.into(), &path).map(|image| image.at_offset(id.end_offset - 1))
}

fn decode(bytes: Bytes, path: &Path) -> Result<Image, Error> {
    let corrupt = |position, reason: String| Error::CorruptSnapshot {
        path: path.to_owned(),
        position,
        reason,
    };
    let mut image = Image::empty();
    let mut position = 0;
    let mut last = None;
    for batch in split_batches(bytes) {
        let batch = batch.map_err(|error| corrupt(position, error.to_string()))?;
        batch
            .verify_crc()
            .map_err(|error| corrupt(position, error.to_string()))?;
        let control = control_type(&batch).map_err(|reason| corrupt(position, reason))?;
        let in_order = match (last, control) {
            (None, control) => control == Some(ControlType::SnapshotHeader),
            (Some(Some(ControlType::SnapshotFooter)), _) => false,
            (_, control) => control != Some(ControlType::SnapshotHeader),
        };
        if !in_order {
            return Err(corrupt(position, "its batches are out of order".to_owned()));
        }
        batch::decode(&batch, |record, offset| Ok(image.apply(&record, offset)?))
            .map_err(|error| corrupt(position, error.to_string()))?;
        position += batch.bytes().len();
        last = Some(control);
    }
    match last {
        Some(Some(ControlType::SnapshotFooter)) => Ok(image),
        _ => Err(corrupt(position, "it ends without a footer".to_owned())),
    }
}

fn control_type(batch: &Batch) -> Result<Option<ControlType>, String> {
    if !batch.header().attributes.is_control() {
        return Ok(None);
    }
    match batch.control_record(batch::LIMIT) {
        Ok((control_type, _)) => Ok(Some(control_type)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
