//! Everything that changes the log on disk. All of this blocks, and one call at a time is under way.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode, is_full};

use super::format::{BATCH_HEADER, SEGMENT_HEADER, SegmentHeader, encode_batch_header};
use super::vote::VoteFile;
use crate::codec::{Reader, crc32c};
use crate::error::Error;
use crate::member::Position;
use crate::openraft_config::Vote;

pub(super) const SUFFIX: &str = ".log";
/// What a crash during the writing leaves behind.
pub(super) const UNFINISHED_SUFFIX: &str = ".unfinished";
const COMMITTED: &str = "committed";

/// A file of the log, with the places of its entries.
#[derive(Clone)]
pub(super) struct Segment {
    /// The index of its first entry.
    pub(super) base: u64,
    /// The entry before it.
    pub(super) before: Option<Position>,
    pub(super) file: Arc<dyn File>,
    /// Where each entry begins.
    pub(super) positions: Vec<u64>,
    /// The byte after the last batch.
    pub(super) end: u64,
}

impl Segment {
    /// The index after its last entry.
    pub(super) fn next(&self) -> u64 {
        self.base + self.positions.len() as u64
    }
}

/// What became of an append.
#[derive(Debug)]
pub(super) enum Written {
    /// It is in the file, and not yet flushed.
    Whole,
    /// The disk is full; the log is as it was before.
    DiskFull(io::Error),
}

/// The log on disk, of which the last segment is open for appends.
pub(super) struct Writer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) vote: VoteFile,
    /// Ascending, without holes; never empty.
    pub(super) segments: Vec<Segment>,
    /// The last entry that was written, or the one before the first segment.
    pub(super) last: Option<Position>,
    pub(super) segment_bytes: u64,
}

impl Writer {
    pub(super) fn save_vote(&mut self, vote: &Vote) -> Result<(), Error> {
        self.vote.save(vote)
    }

    /// The index of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    /// Writes entries as one batch behind the last one.
    ///
    /// An error is a reason to stop: what is on disk is unknown then.
    pub(super) fn write(&mut self, frames: &[Bytes], last: Position) -> Result<Written, Error> {
        if self.active().end >= self.segment_bytes
            && let Err(error) = self.roll()
        {
            return match error {
                Error::Io { source, .. } if is_full(&source) => Ok(Written::DiskFull(source)),
                other => Err(other),
            };
        }
        let base = self.next();
        let header = encode_batch_header(base, frames);
        let mut parts = Vec::with_capacity(frames.len() + 1);
        parts.push(IoSlice::new(&header));
        parts.extend(frames.iter().map(|frame| IoSlice::new(frame)));
        let (file, end) = (Arc::clone(&self.active().file), self.active().end);
        if let Err(error) = file.write_at(&parts, end) {
            if !is_full(&error) {
                return Err(self.failed("append to")(error));
            }
            // A part may have been written; take it away, so that nothing follows a torn batch.
            file.set_len(end).map_err(self.failed("shorten"))?;
            file.sync_data().map_err(self.failed("flush"))?;
            return Ok(Written::DiskFull(error));
        }
        let active = self.active_mut();
        let mut at = end + BATCH_HEADER as u64;
        for frame in frames {
            active.positions.push(at);
            at += frame.len() as u64;
        }
        active.end = at;
        self.last = Some(last);
        Ok(Written::Whole)
    }

    /// Makes what was written durable.
    pub(super) fn flush(&self) -> Result<(), Error> {
        // After a failed flush the system may have dropped the bytes while it says that they are
        // clean, so even a full disk is a reason to stop here.
        let flushed = self.active().file.sync_data();
        flushed.map_err(self.failed("flush"))
    }

    /// Begins a new segment.
    fn roll(&mut self) -> Result<(), Error> {
        let segment = create(&*self.disk, &self.dir, self.last)?;
        self.segments.push(segment);
        Ok(())
    }

    /// Takes away the entries after `after`, durably. The newest segments go first, so that a crash
    /// in between leaves a log without holes.
    pub(super) fn truncate(&mut self, after: Option<Position>) -> Result<Written, Error> {
        let next = after.map_or(0, |after| after.index + 1);
        let mut removed = false;
        while self.segments.len() > 1 && self.active().base >= next {
            let path = self.active_path();
            self.disk
                .remove_file(&path)
                .map_err(Error::io("remove", &path))?;
            self.segments.pop();
            removed = true;
        }
        if removed {
            self.disk
                .sync_dir(&self.dir)
                .map_err(Error::io("flush", &self.dir))?;
        }
        let keep = next.saturating_sub(self.active().base);
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        if keep < self.active().positions.len()
            && let Written::DiskFull(error) = self.cut(keep)?
        {
            return Ok(Written::DiskFull(error));
        }
        self.last = after;
        Ok(Written::Whole)
    }

    /// Leaves `keep` entries in the active segment.
    ///
    /// The cut may fall into a batch. Then what stays of that batch comes into a segment of its own,
    /// which gets its name when it is whole and on disk; only then the old one is shortened. After a
    /// crash in between the segments overlap, and the newer one counts.
    fn cut(&mut self, keep: usize) -> Result<Written, Error> {
        let path = self.active_path();
        let (start, frames) = remainder(self.active(), keep).map_err(Error::io("read", &path))?;
        let keep = keep - frames.len();
        let rest = if frames.is_empty() {
            None
        } else {
            match self.write_rest(keep, &frames) {
                Ok(rest) => Some(rest),
                Err(Error::Io { source, .. }) if is_full(&source) => {
                    return Ok(Written::DiskFull(source));
                }
                Err(error) => return Err(error),
            }
        };
        let base = self.active().base;
        match rest {
            // It has taken the old segment's name.
            Some(rest) if rest.base == base => *self.active_mut() = rest,
            rest => {
                let active = self.active_mut();
                active.positions.truncate(keep);
                active.end = start;
                let file = &active.file;
                file.set_len(start).map_err(Error::io("shorten", &path))?;
                file.sync_data().map_err(Error::io("flush", &path))?;
                self.segments.extend(rest);
            }
        }
        Ok(Written::Whole)
    }

    /// Makes a segment of entries of the active segment, of which the first is its `first`th.
    fn write_rest(&self, first: usize, frames: &[Bytes]) -> Result<Segment, Error> {
        let active = self.active();
        let before = match first.checked_sub(1) {
            None => active.before,
            Some(entry) => Some(Position {
                term: term_of(active, entry).map_err(Error::io("read", &self.active_path()))?,
                index: active.base + entry as u64,
            }),
        };
        let header = SegmentHeader::after(before);
        let path = path_of(&self.dir, header.base);
        let mut name = path.as_os_str().to_owned();
        name.push(UNFINISHED_SUFFIX);
        let unfinished = PathBuf::from(name);
        let segment_header = header.encode();
        let batch_header = encode_batch_header(header.base, frames);
        let mut parts = vec![IoSlice::new(&segment_header), IoSlice::new(&batch_header)];
        parts.extend(frames.iter().map(|frame| IoSlice::new(frame)));
        let file = self
            .disk
            .open(&unfinished, OpenMode::Truncate)
            .map_err(Error::io("create", &unfinished))?;
        file.write_at(&parts, 0)
            .map_err(Error::io("write", &unfinished))?;
        file.sync_data().map_err(Error::io("flush", &unfinished))?;
        self.disk
            .rename(&unfinished, &path)
            .map_err(Error::io("rename", &unfinished))?;
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io("flush", &self.dir))?;
        let mut at = (SEGMENT_HEADER + BATCH_HEADER) as u64;
        let mut positions = Vec::with_capacity(frames.len());
        for frame in frames {
            positions.push(at);
            at += frame.len() as u64;
        }
        Ok(Segment {
            base: header.base,
            before,
            file,
            positions,
            end: at,
        })
    }

    /// Deletes the segments of which nothing is needed any more; `upto` is the last entry that goes.
    /// The oldest go first, so that a crash in between leaves a log without holes.
    pub(super) fn purge(&mut self, upto: Position) -> Result<Written, Error> {
        let mut gone = 0;
        if upto.index >= self.next() {
            // A snapshot is ahead of the whole log. The new segment comes first: a crash in between
            // leaves a hole before it, and recovery knows from the snapshot that none is missing.
            let segment = match create(&*self.disk, &self.dir, Some(upto)) {
                Ok(segment) => segment,
                Err(Error::Io { source, .. }) if is_full(&source) => {
                    return Ok(Written::DiskFull(source));
                }
                Err(error) => return Err(error),
            };
            gone = self.segments.len();
            self.segments.push(segment);
            self.last = Some(upto);
        } else {
            let needed = |pair: &[Segment]| pair[1].base > upto.index + 1;
            while gone + 1 < self.segments.len() && !needed(&self.segments[gone..gone + 2]) {
                gone += 1;
            }
        }
        for segment in self.segments.drain(..gone) {
            let path = path_of(&self.dir, segment.base);
            self.disk
                .remove_file(&path)
                .map_err(Error::io("remove", &path))?;
        }
        if gone > 0 {
            self.disk
                .sync_dir(&self.dir)
                .map_err(Error::io("flush", &self.dir))?;
        }
        Ok(Written::Whole)
    }

    /// Notes down up to where entries are committed. It is not flushed: a start with an older note
    /// only learns of the commitment from the leader again.
    pub(super) fn save_committed(&self, committed: Position) -> Result<(), Error> {
        let path = self.dir.join(COMMITTED);
        let mut bytes = Vec::with_capacity(20);
        bytes.put_u64(committed.term);
        bytes.put_u64(committed.index);
        let crc = crc32c(&bytes);
        bytes.put_u32(crc);
        let file = match self.disk.open(&path, OpenMode::Create) {
            Ok(file) => file,
            Err(error) if is_full(&error) => return Ok(()),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        match file.write_at(&[IoSlice::new(&bytes)], 0) {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => Ok(()),
            Err(error) => Err(Error::io("write", &path)(error)),
        }
    }

    pub(super) fn active(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    fn active_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    fn active_path(&self) -> PathBuf {
        path_of(&self.dir, self.active().base)
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(action, &self.active_path())
    }
}

/// The entries before `keep` that share a batch with what is to be cut off, and where that batch
/// begins.
fn remainder(segment: &Segment, keep: usize) -> io::Result<(u64, Vec<Bytes>)> {
    let header = BATCH_HEADER as u64;
    // Entries of one batch touch each other; between batches there is a header.
    let mut first = keep;
    let mut frames = Vec::new();
    loop {
        let before = if first == 0 {
            SEGMENT_HEADER as u64
        } else {
            end_of(segment, first - 1)?
        };
        if before + header == segment.positions[first] {
            frames.reverse();
            return Ok((before, frames));
        }
        if first == 0 {
            return Err(io::Error::other(
                "the first entry is not where it should be",
            ));
        }
        first -= 1;
        let (start, end) = (segment.positions[first], before);
        let mut frame = vec![0; (end - start) as usize];
        if segment.file.read_at(&mut frame, start)? < frame.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        frames.push(Bytes::from(frame));
    }
}

fn term_of(segment: &Segment, entry: usize) -> io::Result<u64> {
    let mut term = [0; 8];
    if segment
        .file
        .read_at(&mut term, segment.positions[entry] + 8)?
        < term.len()
    {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(u64::from_be_bytes(term))
}

/// The byte after an entry: its length is its first field.
fn end_of(segment: &Segment, entry: usize) -> io::Result<u64> {
    let start = segment.positions[entry];
    let mut len = [0; 4];
    if segment.file.read_at(&mut len, start)? < len.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(start + 8 + u64::from(u32::from_be_bytes(len)))
}

pub(super) fn path_of(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}{SUFFIX}"))
}

/// Makes an empty segment whose name survives a crash.
pub(super) fn create(
    disk: &dyn Disk,
    dir: &Path,
    before: Option<Position>,
) -> Result<Segment, Error> {
    let header = SegmentHeader::after(before);
    let path = path_of(dir, header.base);
    let file = disk
        .open(&path, OpenMode::Truncate)
        .map_err(Error::io("create", &path))?;
    file.write_at(&[IoSlice::new(&header.encode())], 0)
        .map_err(Error::io("write", &path))?;
    file.sync_data().map_err(Error::io("flush", &path))?;
    disk.sync_dir(dir).map_err(Error::io("flush", dir))?;
    Ok(Segment {
        base: header.base,
        before,
        file,
        positions: Vec::new(),
        end: SEGMENT_HEADER as u64,
    })
}

/// Up to where entries were known to be committed. A note that is torn says nothing.
pub(super) fn read_committed(disk: &dyn Disk, dir: &Path) -> Result<Option<Position>, Error> {
    let path = dir.join(COMMITTED);
    if !disk.exists(&path) {
        return Ok(None);
    }
    let bytes = Bytes::from(disk.read(&path).map_err(Error::io("read", &path))?);
    let decode = |mut reader: Reader| -> Result<Position, String> {
        let content = reader.take(16)?;
        if reader.u32()? != crc32c(&content) {
            return Err("torn".to_owned());
        }
        let mut reader = Reader::new(content);
        Ok(Position {
            term: reader.u64()?,
            index: reader.u64()?,
        })
    };
    Ok(decode(Reader::new(bytes)).ok())
}
