//! The metadata partition on disk: Kafka's segments, one record batch an append.
//!
//! ```text
//! __cluster_metadata-0/00000000000000000000.log    batches of the offsets 0 .. 51
//! __cluster_metadata-0/00000000000000000052.log    the active segment: appends go here
//! ```
//!
//! Every append is one batch and is on disk before the next one is written. So only the very last
//! batch can be torn by a crash; if a good batch follows a bad one, the disk has damaged what was
//! acknowledged, and the node must not start.
//!
//! All of this blocks on the disk.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{LeaderEpoch, NO_LEADER_EPOCH, Offset};
use ottla_record::{Batch, BatchHeader};
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode, is_full};

use crate::error::Error;

const SUFFIX: &str = ".log";

/// The segments of the metadata partition, of which the last one is open for appends.
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The segments' first offsets, ascending; never empty.
    segments: Vec<Offset>,
    active: Arc<dyn File>,
    /// Where the next batch begins in the active segment.
    position: u64,
    next_offset: Offset,
    last_epoch: LeaderEpoch,
}

/// What became of an append.
#[derive(Debug)]
pub(crate) enum Appended {
    /// It is on disk.
    Durable,
    /// The disk is full; the log is as it was before.
    DiskFull(io::Error),
}

impl Store {
    /// Opens the partition, or makes it when the folder has no segments, and hands every batch
    /// with offsets from `from` on to `each`.
    ///
    /// `from` is where the newest snapshot ends, none when there is no snapshot.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        from: Option<Offset>,
        mut each: impl FnMut(&Batch) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut segments = list(&**disk, dir)?;
        let start = from.unwrap_or(0);
        match segments.first() {
            Some(&first) if first > start => {
                let path = dir.to_owned();
                return Err(Error::Gap {
                    path,
                    snapshot_end: start,
                    log_start: first,
                });
            }
            None if from.is_some() => {
                return Err(Error::MissingLog {
                    path: dir.to_owned(),
                });
            }
            Some(_) => {}
            None => {
                create(&**disk, dir, start)?;
                segments.push(start);
            }
        }
        // Segments that end before the snapshot does hold nothing new.
        let needed = segments
            .partition_point(|&base| base <= start)
            .saturating_sub(1);
        let mut end = End {
            offset: segments[needed],
            epoch: NO_LEADER_EPOCH,
            position: 0,
        };
        for (i, &base) in segments.iter().enumerate().skip(needed) {
            let is_last = i + 1 == segments.len();
            end = scan(
                &**disk,
                &path_of(dir, base),
                base,
                is_last,
                end,
                &mut |batch| {
                    if last_offset(batch.header()) < start {
                        Ok(())
                    } else {
                        each(batch)
                    }
                },
            )?;
        }
        let base = segments[segments.len() - 1];
        let path = path_of(dir, base);
        let active = disk
            .open(&path, OpenMode::Write)
            .map_err(Error::io("open", &path))?;
        let mut store = Store {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            segments,
            active,
            position: end.position,
            next_offset: end.offset,
            last_epoch: end.epoch,
        };
        store.settle_tail()?;
        if store.next_offset < start {
            // The lost tail is in the snapshot; the log goes on behind it.
            store.next_offset = start;
            store.roll()?;
            store.delete_older_segments()?;
        }
        Ok(store)
    }

    /// The offset of the next record.
    pub(crate) fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The epoch of the last batch that was found at the start, or -1.
    pub(crate) fn last_epoch(&self) -> LeaderEpoch {
        self.last_epoch
    }

    /// The number of segments.
    #[cfg(test)]
    pub(crate) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Appends one batch, whose first offset is [`Store::next_offset`], and flushes it.
    ///
    /// An error is a reason to stop: whether the batch is on disk is unknown then.
    pub(crate) fn append(&mut self, batch: &Bytes, records: usize) -> Result<Appended, Error> {
        if let Err(error) = self.active.write_at(&[IoSlice::new(batch)], self.position) {
            if !is_full(&error) {
                return Err(self.failed("append to")(error));
            }
            // A part may have been written; take it away, so that nothing follows a torn batch.
            self.active
                .set_len(self.position)
                .map_err(self.failed("shorten"))?;
            self.active.sync_data().map_err(self.failed("flush"))?;
            return Ok(Appended::DiskFull(error));
        }
        // After a failed flush the system may have dropped the bytes while it says that they are
        // clean, so even a full disk is a reason to stop here.
        self.active.sync_data().map_err(self.failed("flush"))?;
        self.position += batch.len() as u64;
        self.next_offset += records as Offset;
        Ok(Appended::Durable)
    }

    /// Begins a new segment.
    pub(crate) fn roll(&mut self) -> Result<(), Error> {
        let base = self.next_offset;
        if self.segments.last() == Some(&base) {
            return Ok(());
        }
        self.active = create(&*self.disk, &self.dir, base)?;
        self.segments.push(base);
        self.position = 0;
        Ok(())
    }

    /// Deletes all segments but the active one, the oldest first, so that a crash in between leaves
    /// a log without holes.
    pub(crate) fn delete_older_segments(&mut self) -> Result<(), Error> {
        while self.segments.len() > 1 {
            let path = path_of(&self.dir, self.segments[0]);
            self.disk
                .remove_file(&path)
                .map_err(Error::io("remove", &path))?;
            self.segments.remove(0);
        }
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io("flush", &self.dir))
    }

    /// Takes away what a crash has left of an unfinished append, and makes the rest durable: after a
    /// kill the kernel may still hold a whole append that was not flushed, and from now on it counts.
    fn settle_tail(&mut self) -> Result<(), Error> {
        let len = self.active.len().map_err(self.failed("measure"))?;
        if len > self.position {
            tracing::warn!(
                file = %self.active_path().display(),
                position = self.position,
                bytes = len - self.position,
                "dropped an append that a crash has torn; it was never acknowledged"
            );
            self.active
                .set_len(self.position)
                .map_err(self.failed("shorten"))?;
        }
        self.active.sync_data().map_err(self.failed("flush"))?;
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io("flush", &self.dir))
    }

    fn active_path(&self) -> PathBuf {
        path_of(&self.dir, self.segments.last().copied().unwrap_or(0))
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(action, self.active_path())
    }
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

/// Makes an empty segment whose name survives a crash.
fn create(disk: &dyn Disk, dir: &Path, base: Offset) -> Result<Arc<dyn File>, Error> {
    let path = path_of(dir, base);
    let file = disk
        .open(&path, OpenMode::Truncate)
        .map_err(Error::io("create", &path))?;
    disk.sync_dir(dir).map_err(Error::io("flush", dir))?;
    Ok(file)
}

fn last_offset(header: &BatchHeader) -> Offset {
    header
        .base_offset
        .saturating_add(i64::from(header.last_offset_delta))
}

/// How far the segments are good.
#[derive(Clone, Copy)]
struct End {
    /// The offset after the last record.
    offset: Offset,
    /// The epoch of the last batch.
    epoch: LeaderEpoch,
    /// The byte after the last batch, in the last segment.
    position: u64,
}

/// Reads one segment. Bad bytes at the end of the last one are left to be cut off; anywhere else
/// they are an error.
fn scan(
    disk: &dyn Disk,
    path: &Path,
    base: Offset,
    is_last: bool,
    before: End,
    each: &mut dyn FnMut(&Batch) -> Result<(), Error>,
) -> Result<End, Error> {
    let corrupt = |position: usize, reason: String| Error::CorruptLog {
        path: path.to_owned(),
        position,
        reason,
    };
    if before.offset != base {
        let reason = format!("the segment before it ends at offset {}", before.offset);
        return Err(corrupt(0, reason));
    }
    let bytes = Bytes::from(disk.read(path).map_err(Error::io("read", path))?);
    let mut end = End {
        position: 0,
        ..before
    };
    let mut position = 0;
    while position < bytes.len() {
        let batch = match batch_at(&bytes, position, end.offset) {
            Ok(batch) => batch,
            Err(reason) if !is_last || good_batch_follows(&bytes, position, end.offset) => {
                return Err(corrupt(position, reason));
            }
            Err(_torn) => break,
        };
        each(&batch)?;
        position += batch.bytes().len();
        end = End {
            offset: last_offset(batch.header()) + 1,
            epoch: batch.header().partition_leader_epoch,
            position: position as u64,
        };
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
