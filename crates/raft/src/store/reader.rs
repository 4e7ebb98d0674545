//! Reading entries: the newest from memory, older ones from disk.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use openraft::OptionalSend;
use openraft::storage::RaftLogReader;
use ottla_runtime::disk::File;

use super::{Store, Tail, format, size_of_entry};
use crate::openraft_config::{Entry, Types, Vote};

/// A message to a follower has about so many bytes of entries, and one at least.
const MESSAGE_BYTES: usize = 1 << 20;
/// So many bytes are read from disk at once, and one entry at least.
const READ_BYTES: u64 = 1 << 20;

/// Where the next entries are found.
enum Source {
    /// There are none.
    Nothing,
    Memory(Vec<Entry>),
    Disk(Piece),
}

/// A piece of a segment.
struct Piece {
    file: Arc<dyn File>,
    /// The index of its first entry.
    index: u64,
    /// Where its entries begin in the file, ascending.
    positions: Vec<u64>,
    end: u64,
    truncations: u64,
}

impl Tail {
    fn source(&self, start: u64, end: u64, bytes_max: usize) -> Source {
        let (start, end) = (start.max(self.first()), end.min(self.next()));
        if start >= end {
            return Source::Nothing;
        }
        let cached = self.cache_base();
        if start >= cached {
            let (from, to) = ((start - cached) as usize, (end - cached) as usize);
            let mut bytes = 0;
            let mut entries = Vec::new();
            for entry in self.cache.range(from..to) {
                bytes += size_of_entry(entry);
                if bytes > bytes_max && !entries.is_empty() {
                    break;
                }
                entries.push(entry.clone());
            }
            return Source::Memory(entries);
        }
        let found = self.segments.iter().rfind(|s| s.base <= start);
        let Some(segment) = found.filter(|segment| start < segment.next()) else {
            return Source::Nothing;
        };
        let from = (start - segment.base) as usize;
        let to = (end.min(cached).min(segment.next()) - segment.base) as usize;
        let first = segment.positions[from];
        let mut count = 1;
        while from + count < to && segment.positions[from + count] - first < READ_BYTES {
            count += 1;
        }
        Source::Disk(Piece {
            file: Arc::clone(&segment.file),
            index: start,
            positions: segment.positions[from..from + count].to_vec(),
            end: segment
                .positions
                .get(from + count)
                .copied()
                .unwrap_or(segment.end),
            truncations: self.truncations,
        })
    }
}

impl Piece {
    /// Blocks on the disk.
    fn read(&self) -> Result<Vec<Entry>, String> {
        let start = self.positions[0];
        let mut bytes = vec![0; (self.end - start) as usize];
        let read = self
            .file
            .read_at(&mut bytes, start)
            .map_err(|error| error.to_string())?;
        bytes.truncate(read);
        let bytes = Bytes::from(bytes);
        let mut entries = Vec::with_capacity(self.positions.len());
        for (index, position) in (self.index..).zip(&self.positions) {
            let at = (*position - start) as usize;
            let rest = bytes.slice(at.min(bytes.len())..);
            entries.push(format::decode_entry(&rest, index)?.0);
        }
        Ok(entries)
    }
}

impl Store {
    /// The entries from `start` on, before `end`, until there are `bytes_max` of bytes.
    async fn read(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, io::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0_usize;
        loop {
            let at = entries.last().map_or(start, |last| last.log_id.index + 1);
            let left = bytes_max.saturating_sub(bytes);
            if left == 0 && !entries.is_empty() {
                return Ok(entries);
            }
            let source = self.0.tail.lock().source(at, end, left);
            let found = match source {
                Source::Nothing => return Ok(entries),
                Source::Memory(found) => found,
                Source::Disk(piece) => {
                    let truncations = piece.truncations;
                    let index = piece.index;
                    let read = self.0.runtime.tasks.blocking(move || piece.read()).await;
                    if self.0.tail.lock().truncations != truncations {
                        // The bytes may have changed under the read; what is left is read anew.
                        entries.clear();
                        bytes = 0;
                        continue;
                    }
                    read.map_err(|reason| {
                        let dir = self.0.dir.display();
                        io::Error::other(format!("entry {index} of {dir} cannot be read: {reason}"))
                    })?
                }
            };
            for entry in found {
                bytes += size_of_entry(&entry);
                if bytes > bytes_max && !entries.is_empty() {
                    return Ok(entries);
                }
                entries.push(entry);
            }
        }
    }
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.0.tail.lock().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, MESSAGE_BYTES).await
    }
}
