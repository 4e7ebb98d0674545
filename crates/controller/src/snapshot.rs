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

use bytes::Bytes;
use ottla_metadata::{Image, Record};
use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_record::{Batch, BatchOptions, ControlType, control_batch, split_batches};
use ottla_runtime::Disk;

use crate::batch;
use crate::error::Error;

const SUFFIX: &str = ".checkpoint";
/// What a crash during the writing leaves behind.
const UNFINISHED_SUFFIX: &str = ".checkpoint.tmp";
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

/// Removes the snapshots before `keep` (none: no snapshot), and what unfinished writes have left.
pub(crate) fn remove_others(
    disk: &dyn Disk,
    dir: &Path,
    keep: Option<SnapshotId>,
) -> Result<(), Error> {
    for entry in disk.list(dir).map_err(Error::io("list", dir))? {
        let old = SnapshotId::parse(&entry.name).is_some_and(|id| Some(id) < keep);
        if old || entry.name.ends_with(UNFINISHED_SUFFIX) {
            let path = dir.join(&entry.name);
            disk.remove_file(&path)
                .map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Writes the image; once this returns it is on disk under its name.
pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    image: &Image,
    epoch: LeaderEpoch,
    now_ms: TimestampMs,
) -> Result<SnapshotId, Error> {
    let id = SnapshotId {
        end_offset: image.metadata_offset() + 1,
        epoch,
    };
    let path = id.path(dir);
    let bytes = encode(image, epoch, now_ms)?;
    disk.write_atomically(&path, &bytes)
        .map_err(Error::io("write", &path))?;
    Ok(id)
}

fn encode(image: &Image, epoch: LeaderEpoch, now_ms: TimestampMs) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut next: Offset = 0;
    let control = |base_offset, control_type, value: &[u8]| {
        let options = BatchOptions {
            base_offset,
            leader_epoch: epoch,
            ..BatchOptions::default()
        };
        control_batch(options, now_ms, control_type, value).map_err(|error| Error::BadBatch {
            offset: base_offset,
            reason: error.to_string(),
        })
    };
    out.extend_from_slice(control(next, ControlType::SnapshotHeader, &header(now_ms))?.bytes());
    next += 1;
    let mut records = image.to_records().peekable();
    while records.peek().is_some() {
        let chunk: Vec<Record> = records.by_ref().take(RECORDS_PER_BATCH).collect();
        out.extend_from_slice(&batch::encode(&chunk, next, epoch, now_ms)?);
        next += chunk.len() as Offset;
    }
    out.extend_from_slice(control(next, ControlType::SnapshotFooter, &FOOTER)?.bytes());
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
