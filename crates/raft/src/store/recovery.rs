//! The start: what is on disk, checked and with its torn end cut off.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_runtime::Disk;
use ottla_runtime::disk::OpenMode;

use super::format::{SEGMENT_HEADER, SegmentHeader, decode_batch, good_batch_follows};
use super::vote::VoteFile;
use super::writer::{SUFFIX, Segment, UNFINISHED_SUFFIX, Writer, create, path_of, read_committed};
use crate::error::Error;
use crate::member::Position;
use crate::openraft_config::Vote;

/// What was found.
pub(super) struct Recovered {
    pub(super) writer: Writer,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<Position>,
}

/// Reads the log, or makes it in an empty folder. `snapshot` is the last entry of the newest
/// snapshot: entries up to it may be missing.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    snapshot: Option<Position>,
    segment_bytes: u64,
) -> Result<Recovered, Error> {
    let (vote_file, vote) = VoteFile::open(&**disk, dir)?;
    let bases = list(&**disk, dir)?;
    let lost = |reason: String| Error::Lost {
        path: dir.to_owned(),
        reason,
    };
    if bases.is_empty() && (vote.is_some() || snapshot.is_some()) {
        return Err(lost("all segments of the log are gone".to_owned()));
    }
    let mut segments: Vec<Scanned> = Vec::new();
    for (i, &base) in bases.iter().enumerate() {
        let is_last = i + 1 == bases.len();
        let Some(scanned) = scan(&**disk, dir, base, is_last)? else {
            continue;
        };
        join(&**disk, dir, &mut segments, scanned, snapshot)?;
    }
    let first = segments.first().map_or(0, |first| first.segment.base);
    let covered = snapshot.map_or(0, |snapshot| snapshot.index + 1);
    if first > covered {
        return Err(lost(format!(
            "the log begins with entry {first}, and the snapshot ends before entry {covered}"
        )));
    }
    let (segments, last) = match segments.last() {
        None => (vec![create(&**disk, dir, None)?], None),
        Some(scanned) => {
            let last = scanned.last();
            settle(&**disk, dir, scanned)?;
            let segments = segments.into_iter().map(|scanned| scanned.segment);
            (segments.collect(), last)
        }
    };
    let committed = read_committed(&**disk, dir)?;
    let end = last.max(snapshot);
    if let Some(committed) = committed
        && end.is_none_or(|end| end.index < committed.index)
    {
        let end = end.map_or("nothing".to_owned(), |end| format!("entry {}", end.index));
        return Err(lost(format!(
            "entry {} was committed, but the log ends with {end}",
            committed.index
        )));
    }
    Ok(Recovered {
        writer: Writer {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            vote: vote_file,
            segments,
            last,
            segment_bytes,
        },
        vote,
        committed,
    })
}

/// The first indexes of the segments, ascending. What unfinished writes have left is removed.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, Error> {
    let mut bases = Vec::new();
    for entry in disk.list(dir).map_err(Error::io("list", dir))? {
        if entry.name.ends_with(UNFINISHED_SUFFIX) {
            let path = dir.join(&entry.name);
            disk.remove_file(&path)
                .map_err(Error::io("remove", &path))?;
        } else if let Some(base) = entry.name.strip_suffix(SUFFIX)
            && let Ok(base) = base.parse()
        {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// A segment, and what its entries say.
struct Scanned {
    segment: Segment,
    path: PathBuf,
    /// Where each entry stands in the log.
    entries: Vec<Position>,
    /// The indexes at which batches begin, and where in the file that is.
    batches: Vec<(u64, u64)>,
}

impl Scanned {
    /// The last entry, or the one before the segment.
    fn last(&self) -> Option<Position> {
        self.entries.last().copied().or(self.segment.before)
    }

    fn corrupt(&self, position: u64, reason: String) -> Error {
        Error::Corrupt {
            path: self.path.clone(),
            position,
            reason,
        }
    }
}

/// Reads a segment; none when it is the last one and its making was interrupted. Bad bytes at the
/// end of the last one are left to be cut off; anywhere else they are an error.
fn scan(disk: &dyn Disk, dir: &Path, base: u64, is_last: bool) -> Result<Option<Scanned>, Error> {
    let path = path_of(dir, base);
    let bytes = Bytes::from(disk.read(&path).map_err(Error::io("read", &path))?);
    let corrupt = |position: usize, reason: String| Error::Corrupt {
        path: path.clone(),
        position: position as u64,
        reason,
    };
    let header = match SegmentHeader::decode(&bytes) {
        Ok(header) if header.base == base => header,
        Ok(header) => {
            let reason = format!("its header says that it begins with entry {}", header.base);
            return Err(corrupt(0, reason));
        }
        Err(_torn) if is_last && bytes.len() <= SEGMENT_HEADER => {
            disk.remove_file(&path)
                .map_err(Error::io("remove", &path))?;
            disk.sync_dir(dir).map_err(Error::io("flush", dir))?;
            return Ok(None);
        }
        Err(reason) => return Err(corrupt(0, reason)),
    };
    let file = disk
        .open(&path, OpenMode::Write)
        .map_err(Error::io("open", &path))?;
    let mut scanned = Scanned {
        segment: Segment {
            base,
            before: header.before,
            file,
            positions: Vec::new(),
            end: SEGMENT_HEADER as u64,
        },
        path: path.clone(),
        entries: Vec::new(),
        batches: Vec::new(),
    };
    let mut position = SEGMENT_HEADER;
    while position < bytes.len() {
        let expected = scanned.segment.next();
        let batch = match decode_batch(&bytes.slice(position..), expected) {
            Ok(batch) => batch,
            Err(reason) if !is_last || good_batch_follows(&bytes, position, expected) => {
                return Err(corrupt(position, reason));
            }
            Err(_torn) => break,
        };
        scanned.batches.push((expected, position as u64));
        for (at, offset) in batch.entries {
            scanned.entries.push(at);
            scanned.segment.positions.push(position as u64 + offset);
        }
        position += batch.len;
        scanned.segment.end = position as u64;
    }
    Ok(Some(scanned))
}

/// Puts a segment behind those before it.
fn join(
    disk: &dyn Disk,
    dir: &Path,
    segments: &mut Vec<Scanned>,
    newer: Scanned,
    snapshot: Option<Position>,
) -> Result<(), Error> {
    let Some(older) = segments.last_mut() else {
        segments.push(newer);
        return Ok(());
    };
    let base = newer.segment.base;
    if base > older.segment.next() {
        // The log was about to begin anew behind a snapshot that was ahead of all of it.
        if snapshot.is_none_or(|snapshot| snapshot.index + 1 < base) {
            let reason = format!(
                "the segment before it ends before entry {}",
                older.segment.next()
            );
            return Err(newer.corrupt(0, reason));
        }
        for scanned in segments.drain(..) {
            disk.remove_file(&scanned.path)
                .map_err(Error::io("remove", &scanned.path))?;
        }
        disk.sync_dir(dir).map_err(Error::io("flush", dir))?;
        segments.push(newer);
        return Ok(());
    }
    if base < older.segment.next() {
        cut_overlap(older, base)?;
    }
    if older.last() != newer.segment.before {
        let reason = "the segment before it ends in another term than it says".to_owned();
        return Err(newer.corrupt(0, reason));
    }
    segments.push(newer);
    Ok(())
}

/// A newer segment holds the entries from `base` on: the truncation that made it was not over.
fn cut_overlap(older: &mut Scanned, base: u64) -> Result<(), Error> {
    let Some(&(_, at)) = older.batches.iter().find(|(first, _)| *first == base) else {
        let reason = format!("the segment behind it begins within one of its batches, with {base}");
        return Err(older.corrupt(older.segment.end, reason));
    };
    let keep = (base - older.segment.base) as usize;
    older.entries.truncate(keep);
    older.segment.positions.truncate(keep);
    older.segment.end = at;
    let file = &older.segment.file;
    file.set_len(at)
        .map_err(Error::io("shorten", &older.path))?;
    file.sync_data().map_err(Error::io("flush", &older.path))
}

/// Takes away what a crash has left of an unfinished append, and makes the rest durable: after a
/// kill the kernel may still hold a whole append that was not flushed, and from now on it counts.
fn settle(disk: &dyn Disk, dir: &Path, scanned: &Scanned) -> Result<(), Error> {
    let file = &scanned.segment.file;
    let len = file.len().map_err(Error::io("measure", &scanned.path))?;
    if len > scanned.segment.end {
        tracing::warn!(
            file = %scanned.path.display(),
            position = scanned.segment.end,
            bytes = len - scanned.segment.end,
            "dropped entries that a crash has torn; they were never acknowledged"
        );
        file.set_len(scanned.segment.end)
            .map_err(Error::io("shorten", &scanned.path))?;
    }
    file.sync_data()
        .map_err(Error::io("flush", &scanned.path))?;
    disk.sync_dir(dir).map_err(Error::io("flush", dir))
}
