//! The metadata of a node from before it had a quorum: read once, and put into the raft log.
//!
//! ```text
//! __cluster_metadata-0/00000000000000000000.log              batches of the offsets 0 .. 51
//! __cluster_metadata-0/00000000000000000052.log              the last segment
//! __cluster_metadata-0/00000000000000000052-0000000003.checkpoint    the image below offset 52
//! ```
//!
//! Every append was one batch and was on disk before the next one was written. So only the very
//! last batch can be torn by a crash; if a good batch follows a bad one, the disk has damaged what
//! was acknowledged, and the node must not start.
//!
//! All of this blocks on the disk.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla_metadata::{CLUSTER_METADATA_TOPIC, Image};
use ottla_model::Offset;
use ottla_record::{Batch, BatchHeader};
use ottla_runtime::Disk;

use crate::batch;
use crate::error::Error;
use crate::snapshot;

const SUFFIX: &str = ".log";

/// Where the old records lie in a data directory.
pub(crate) fn folder(log_dir: &Path) -> PathBuf {
    log_dir.join(format!("{CLUSTER_METADATA_TOPIC}-0"))
}

/// The image that the old files lead to; none when there are no such files.
pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Image>, Error> {
    if !disk.exists(dir) {
        return Ok(None);
    }
    let snapshot = snapshot::newest(disk, dir)?;
    let mut image = match snapshot {
        Some(id) => snapshot::load(disk, dir, id)?,
        None => Image::empty(),
    };
    let from = snapshot.map(|id| id.end_offset);
    let segments = list(disk, dir)?;
    if segments.is_empty() && from.is_none() {
        return Ok(None);
    }
    replay(disk, dir, &segments, from, &mut |batch| {
        batch::decode(batch, |record, offset| {
            if offset > image.metadata_offset() {
                image.apply(&record, offset)?;
            }
            Ok(())
        })
    })?;
    Ok(Some(image))
}

/// Whether there are old files.
pub(crate) fn is_there(disk: &dyn Disk, dir: &Path) -> bool {
    disk.exists(dir) && list(disk, dir).is_ok_and(|segments| !segments.is_empty())
}

/// Deletes the old files, once their image is on a majority's disks.
pub(crate) fn remove(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    if !disk.exists(dir) {
        return Ok(());
    }
    // The oldest first: a crash in between leaves a snapshot with what follows it.
    for entry in disk.list(dir).map_err(Error::io("list", dir))? {
        let ours = entry.name.ends_with(SUFFIX) || entry.name.contains(".checkpoint");
        if ours && !entry.is_dir {
            let path = dir.join(&entry.name);
            disk.remove_file(&path)
                .map_err(Error::io("remove", &path))?;
        }
    }
    disk.sync_dir(dir).map_err(Error::io("flush", dir))
}

/// Hands every batch with offsets from `from` on to `each`; none when there is no snapshot.
fn replay(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Offset],
    from: Option<Offset>,
    each: &mut dyn FnMut(&Batch) -> Result<(), Error>,
) -> Result<(), Error> {
    let start = from.unwrap_or(0);
    match segments.first() {
        Some(&first) if first > start => {
            return Err(Error::Gap {
                path: dir.to_owned(),
                snapshot_end: start,
                log_start: first,
            });
        }
        None => {
            return Err(Error::MissingLog {
                path: dir.to_owned(),
            });
        }
        Some(_) => {}
    }
    // Segments that end before the snapshot does hold nothing new.
    let needed = segments
        .partition_point(|&base| base <= start)
        .saturating_sub(1);
    let mut end = segments[needed];
    for (i, &base) in segments.iter().enumerate().skip(needed) {
        let is_last = i + 1 == segments.len();
        let path = path_of(dir, base);
        end = scan(disk, &path, base, is_last, end, &mut |batch| {
            if last_offset(batch.header()) < start {
                Ok(())
            } else {
                each(batch)
            }
        })?;
    }
    Ok(())
}

fn path_of(dir: &Path, base: Offset) -> PathBuf {
    dir.join(format!("{base:020}{SUFFIX}"))
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Offset>, Error> {
    let entries = disk.list(dir).map_err(Error::io("list", dir))?;
    let base = |name: &str| name.strip_suffix(SUFFIX).and_then(|base| base.parse().ok());
    let mut segments: Vec<Offset> = entries
        .iter()
        .filter_map(|entry| base(&entry.name))
        .collect();
    segments.sort_unstable();
    Ok(segments)
}

fn last_offset(header: &BatchHeader) -> Offset {
    header
        .base_offset
        .saturating_add(i64::from(header.last_offset_delta))
}

/// Reads one segment, and tells the offset after it. Bad bytes at the end of the last one were
/// never acknowledged; anywhere else they are an error.
fn scan(
    disk: &dyn Disk,
    path: &Path,
    base: Offset,
    is_last: bool,
    before: Offset,
    each: &mut dyn FnMut(&Batch) -> Result<(), Error>,
) -> Result<Offset, Error> {
    let corrupt = |position: usize, reason: String| Error::CorruptLog {
        path: path.to_owned(),
        position,
        reason,
    };
    if before != base {
        let reason = format!("the segment before it ends at offset {before}");
        return Err(corrupt(0, reason));
    }
    let bytes = Bytes::from(disk.read(path).map_err(Error::io("read", path))?);
    let mut end = before;
    let mut position = 0;
    while position < bytes.len() {
        let batch = match batch_at(&bytes, position, end) {
            Ok(batch) => batch,
            Err(reason) if !is_last || good_batch_follows(&bytes, position, end) => {
                return Err(corrupt(position, reason));
            }
            Err(_torn) => break,
        };
        each(&batch)?;
        position += batch.bytes().len();
        end = last_offset(batch.header()) + 1;
    }
    Ok(end)
}

/// The batch that begins at `position`, if it is good and has the expected offset.
fn batch_at(bytes: &Bytes, position: usize, expected: Offset) -> Result<Batch, String> {
    let rest = bytes.slice(position.min(bytes.len())..);
    let header = BatchHeader::parse(&rest).map_err(|error| error.to_string())?;
    let len = header.total_len();
    if len > rest.len() {
        return Err(format!(
            "the batch has {len} bytes, of which {} are there",
            rest.len()
        ));
    }
    let batch = Batch::parse(rest.slice(..len)).map_err(|error| error.to_string())?;
    batch.verify_crc().map_err(|error| error.to_string())?;
    if header.base_offset != expected || header.last_offset_delta < 0 {
        return Err(format!(
            "the batch has the offsets {} to {} where {expected} is expected",
            header.base_offset,
            last_offset(&header)
        ));
    }
    Ok(batch)
}

/// Whether a whole batch with a right CRC and a later offset stands anywhere behind `position`.
fn good_batch_follows(bytes: &Bytes, position: usize, expected: Offset) -> bool {
    (position + 1..bytes.len()).any(|at| {
        // The offset's and the magic's bytes rule out nearly all positions before a CRC is computed.
        let rest = bytes.get(at..).unwrap_or_default();
        let Ok(header) = BatchHeader::parse(rest) else {
            return false;
        };
        header.base_offset >= expected
            && header.total_len() <= rest.len()
            && batch_at(bytes, at, header.base_offset).is_ok()
    })
}

#[cfg(test)]
mod tests;
