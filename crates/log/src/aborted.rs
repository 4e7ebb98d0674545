//! `.txnindex`: which transactions were aborted, so that whoever reads committed records can leave
//! theirs out.
//!
//! ```text
//! version i16 (0) | producer id i64 | first offset i64 | last offset i64 | last stable offset i64
//! ```
//!
//! An entry of 34 bytes is in the index of the segment that has the marker, which is at the last
//! offset; so the last offsets increase. The newest entries are in memory. Kafka's format has no
//! CRC, and a wrong entry would show aborted records as committed: so a small file beside the
//! segments ([`Promises`]) says what each index had when it was last flushed, and an index that does
//! not hold what was promised is made again from the log.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::path::Path;

use bytes::{Buf, BufMut};
use ottla_model::Offset;
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode};
use parking_lot::RwLock;

use crate::checkpoint;
use crate::transactions::{AbortedEntry, AbortedTransaction};

pub(crate) const ENTRY_LEN: usize = 34;
const VERSION: i16 = 0;
/// Entries of one segment that are kept in memory once they are written.
const NEWEST_MAX: usize = 256;
/// Entries read from a file at once.
const CHUNK_ENTRIES: u64 = 1024;

/// What a file must begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) entries: u64,
    pub(crate) crc: u32,
}

/// The promises for the segments of one log, by base offset. A segment without one has no aborted
/// transaction, or its index is Kafka's own work.
pub(crate) type Promises = BTreeMap<Offset, Promise>;

pub(crate) fn parse_promises(bytes: &[u8]) -> Result<Promises, String> {
    let promise = |line: &str| {
        let mut words = line.split_whitespace();
        let base: Offset = words.next()?.parse().ok()?;
        let entries = words.next()?.parse().ok()?;
        let crc = words.next()?.parse().ok()?;
        (words.next().is_none() && base >= 0).then_some((base, Promise { entries, crc }))
    };
    let lines = checkpoint::body_lines(bytes)?.into_iter();
    lines
        .map(|line| promise(line).ok_or_else(|| format!("'{line}' is not 'base entries crc'")))
        .collect()
}

pub(crate) fn format_promises(promises: &Promises) -> String {
    let lines = promises.iter();
    checkpoint::with_count(lines.map(|(base, p)| format!("{base} {} {}", p.entries, p.crc)))
}

pub(crate) fn encode<'a>(entries: impl Iterator<Item = &'a AbortedEntry>) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.put_i16(VERSION);
        out.put_i64(entry.producer_id);
        out.put_i64(entry.first_offset);
        out.put_i64(entry.last_offset);
        out.put_i64(entry.last_stable_offset);
    }
    out
}

fn decode_entry(mut bytes: &[u8]) -> Option<AbortedEntry> {
    if bytes.len() < ENTRY_LEN || bytes.get_i16() != VERSION {
        return None;
    }
    Some(AbortedEntry {
        producer_id: bytes.get_i64(),
        first_offset: bytes.get_i64(),
        last_offset: bytes.get_i64(),
        last_stable_offset: bytes.get_i64(),
    })
}

/// Whole entries that could be those of the segment from `base` on; the first one that could not
/// ends them.
pub(crate) fn decode(bytes: &[u8], base: Offset) -> Vec<AbortedEntry> {
    let mut after = base.saturating_sub(1);
    let plausible = |entry: &AbortedEntry| {
        let is_plausible = entry.last_offset > after
            && (0..entry.last_offset).contains(&entry.first_offset)
            && (0..=entry.last_offset + 1).contains(&entry.last_stable_offset);
        after = entry.last_offset;
        is_plausible
    };
    let entries = bytes.chunks_exact(ENTRY_LEN).map_while(decode_entry);
    entries.take_while(plausible).collect()
}

fn crc_of(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// The entries of a file that can be believed: those promised, or, without a promise, those that
/// are plausible. `None` when the promise is not kept.
pub(crate) fn believed(
    bytes: &[u8],
    base: Offset,
    promise: Option<Promise>,
) -> Option<Vec<AbortedEntry>> {
    let Some(promise) = promise else {
        return Some(decode(bytes, base));
    };
    let len = usize::try_from(promise.entries)
        .ok()?
        .checked_mul(ENTRY_LEN)?;
    let bytes = bytes.get(..len)?;
    (crc_of(bytes) == promise.crc).then(|| decode(bytes, base))
}

/// Takes away what a file has behind `len`.
pub(crate) fn cut(file: &dyn File, len: u64) -> io::Result<()> {
    if file.len()? > len {
        file.set_len(len)?;
        file.sync_data()?;
    }
    Ok(())
}

/// What a read needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    /// The first offset that is read.
    pub(crate) from: Offset,
    /// The offset behind the last one.
    pub(crate) to: Offset,
}

/// How far a search came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// No later entry can belong to the range.
    Complete,
    /// The next segments may have more.
    GoOn,
    /// The answer is on disk.
    NeedsDisk,
}

impl Range {
    /// Adds the entries that overlap the range, from entries in the order of the index.
    fn collect<'a>(
        self,
        entries: impl Iterator<Item = &'a AbortedEntry>,
        found: &mut Vec<AbortedTransaction>,
    ) -> Search {
        for entry in entries {
            if entry.last_offset >= self.from && entry.first_offset < self.to {
                found.push(AbortedTransaction {
                    producer_id: entry.producer_id,
                    first_offset: entry.first_offset,
                });
            }
            if entry.last_stable_offset >= self.to {
                return Search::Complete;
            }
        }
        Search::GoOn
    }
}

/// One segment's index. Only the log's owner adds to it.
#[derive(Default)]
pub(crate) struct AbortedIndex(RwLock<Option<Box<Entries>>>);

struct Entries {
    /// The last ones of all, oldest first; at least those that are not in the file yet.
    newest: VecDeque<AbortedEntry>,
    /// How many came before the newest: they are in the file only.
    older: u64,
    /// The last offset of the last one of them, or -1.
    older_up_to: Offset,
    /// How many are in the file, and their CRC.
    written: u64,
    /// How many of them are on disk for sure.
    synced: u64,
    digest: crc_fast::Digest,
    /// Nobody has looked into the file yet: all that is known is the promise.
    unchecked: Option<Option<Promise>>,
}

impl Entries {
    fn new() -> Self {
        Entries {
            newest: VecDeque::new(),
            older: 0,
            older_up_to: -1,
            written: 0,
            synced: 0,
            digest: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi),
            unchecked: None,
        }
    }

    fn total(&self) -> u64 {
        self.older + self.newest.len() as u64
    }

    fn note_written(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.written += (bytes.len() / ENTRY_LEN) as u64;
        while self.newest.len() > NEWEST_MAX && self.older < self.written {
            if let Some(entry) = self.newest.pop_front() {
                self.older += 1;
                self.older_up_to = entry.last_offset;
            }
        }
    }
}

impl AbortedIndex {
    /// A file that is looked into when somebody needs it.
    pub(crate) fn set_unchecked(&self, promise: Option<Promise>) {
        *self.0.write() = Some(Box::new(Entries {
            older_up_to: Offset::MAX,
            unchecked: Some(promise),
            ..Entries::new()
        }));
    }

    /// The entries of a file that was looked into.
    pub(crate) fn set_written(&self, all: &[AbortedEntry]) {
        let mut entries = Entries::new();
        entries.newest = all.iter().copied().collect();
        entries.note_written(&encode(all.iter()));
        entries.synced = entries.written;
        *self.0.write() = (!all.is_empty()).then(|| Box::new(entries));
    }

    /// Entries that are in no file.
    pub(crate) fn set_unwritten(&self, all: &[AbortedEntry]) {
        let mut entries = Entries::new();
        entries.newest = all.iter().copied().collect();
        *self.0.write() = (!all.is_empty()).then(|| Box::new(entries));
    }

    /// What an unchecked file was promised to have.
    pub(crate) fn unchecked(&self) -> Option<Option<Promise>> {
        self.0.read().as_ref()?.unchecked
    }

    /// Adds an entry behind the others.
    pub(crate) fn push(&self, entry: AbortedEntry) {
        let mut slot = self.0.write();
        let entries = slot.get_or_insert_with(|| Box::new(Entries::new()));
        entries.newest.push_back(entry);
    }

    /// How many entries are not in the file.
    pub(crate) fn unwritten(&self) -> usize {
        let slot = self.0.read();
        slot.as_ref()
            .filter(|e| e.unchecked.is_none())
            .map_or(0, |e| (e.total() - e.written) as usize)
    }

    /// Whether so many entries wait that memory should not hold them all.
    pub(crate) fn must_spill(&self) -> bool {
        self.unwritten() > NEWEST_MAX
    }

    /// Writes what is not in the file yet. The file ends there, whatever it had.
    pub(crate) fn write(&self, disk: &dyn Disk, path: &Path, sync: bool) -> io::Result<()> {
        let (bytes, at, is_synced) = {
            let slot = self.0.read();
            let Some(entries) = slot.as_ref().filter(|e| e.unchecked.is_none()) else {
                return Ok(());
            };
            let skip = (entries.written - entries.older) as usize;
            let at = entries.written * ENTRY_LEN as u64;
            let is_synced = entries.synced == entries.written;
            (encode(entries.newest.iter().skip(skip)), at, is_synced)
        };
        if bytes.is_empty() && (is_synced || !sync) {
            return Ok(());
        }
        let file = disk.open(path, OpenMode::Create)?;
        if !bytes.is_empty() {
            file.write_at(&[IoSlice::new(&bytes)], at)?;
        }
        let end = at + bytes.len() as u64;
        if file.len()? != end {
            file.set_len(end)?;
        }
        if sync {
            file.sync_data()?;
        }
        if let Some(entries) = self.0.write().as_mut() {
            entries.note_written(&bytes);
            if sync {
                entries.synced = entries.written;
            }
        }
        Ok(())
    }

    /// What the file has now.
    pub(crate) fn promise(&self) -> Option<Promise> {
        let slot = self.0.read();
        let entries = slot.as_ref()?;
        if let Some(promise) = entries.unchecked {
            return promise;
        }
        (entries.written > 0).then(|| Promise {
            entries: entries.written,
            crc: entries.digest.finalize() as u32,
        })
    }

    /// Searches in memory.
    pub(crate) fn search(&self, range: Range, found: &mut Vec<AbortedTransaction>) -> Search {
        let slot = self.0.read();
        let Some(entries) = slot.as_ref() else {
            return Search::GoOn;
        };
        if range.from <= entries.older_up_to {
            return Search::NeedsDisk;
        }
        range.collect(entries.newest.iter(), found)
    }

    /// Whether a part of the entries is in the file only.
    pub(crate) fn needs_file(&self) -> bool {
        self.0.read().as_ref().is_some_and(|e| e.older > 0)
    }

    /// All entries of a segment that was checked.
    pub(crate) fn all(
        &self,
        open: impl FnOnce() -> io::Result<std::sync::Arc<dyn File>>,
    ) -> io::Result<Vec<AbortedEntry>> {
        let (older, newest) = {
            let slot = self.0.read();
            let Some(entries) = slot.as_ref() else {
                return Ok(Vec::new());
            };
            (entries.older, entries.newest.clone())
        };
        let mut all = Vec::new();
        if older > 0 {
            all = read_entries(&*open()?, 0, older)?;
            if (all.len() as u64) < older {
                return Err(too_short());
            }
        }
        all.extend(newest);
        Ok(all)
    }

    /// As [`AbortedIndex::search`], in the file of a segment that was checked, and then in memory.
    pub(crate) fn search_file(
        &self,
        open: impl FnOnce() -> io::Result<std::sync::Arc<dyn File>>,
        range: Range,
        found: &mut Vec<AbortedTransaction>,
    ) -> io::Result<Search> {
        let (older, newest) = {
            let slot = self.0.read();
            let Some(entries) = slot.as_ref() else {
                return Ok(Search::GoOn);
            };
            (entries.older, entries.newest.clone())
        };
        let file = open()?;
        let read = |at, count| read_entries(&*file, at, count);
        let (mut low, mut high) = (0, older);
        while low < high {
            let middle = low.midpoint(high);
            match read(middle, 1)?.first() {
                Some(entry) if entry.last_offset < range.from => low = middle + 1,
                _ => high = middle,
            }
        }
        while low < older {
            let entries = read(low, CHUNK_ENTRIES.min(older - low))?;
            if entries.is_empty() {
                return Err(too_short());
            }
            low += entries.len() as u64;
            if range.collect(entries.iter(), found) == Search::Complete {
                return Ok(Search::Complete);
            }
        }
        Ok(range.collect(newest.iter(), found))
    }
}

fn read_entries(file: &dyn File, at: u64, count: u64) -> io::Result<Vec<AbortedEntry>> {
    let mut bytes = vec![0; count as usize * ENTRY_LEN];
    let len = file.read_at(&mut bytes, at * ENTRY_LEN as u64)?;
    let whole = bytes.get(..len).unwrap_or_default().chunks_exact(ENTRY_LEN);
    Ok(whole.map_while(decode_entry).collect())
}

fn too_short() -> io::Error {
    let reason = "the transaction index is shorter than it was";
    io::Error::new(io::ErrorKind::UnexpectedEof, reason)
}

#[cfg(test)]
mod tests;
