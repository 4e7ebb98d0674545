//! The segment that takes the place of a group, while it is written.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use ottla_record::Batch;
use ottla_runtime::disk::OpenMode;

use super::sizes::Sizes;
use crate::aborted;
use crate::core::Core;
use crate::index::{self, Indexes};
use crate::layout::{
    CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX,
};
use crate::owner::Active;
use crate::segment::Segment;
use crate::transactions::AbortedEntry;
use crate::{Error, Origin, roll};

/// Written bytes are flushed after so many, so that the last flush is not a long one, which would
/// make all others on the disk wait.
const FLUSH_BYTES: u64 = 32 << 20;

/// A segment in `.cleaned` files.
pub(crate) struct Output {
    segment: Arc<Segment>,
    /// The same bookkeeping as of a segment that takes appends; its size counts `pending`, too.
    active: Active,
    indexes: Indexes,
    index_interval_bytes: u64,
    pending: Vec<Bytes>,
    pending_bytes: u64,
    flushed: u64,
    aborted: Vec<AbortedEntry>,
    /// Whether an old transaction index must be replaced, even by an empty one.
    had_transactions: bool,
}

/// See [`Output::mark`].
pub(crate) struct Mark {
    active: Active,
    offsets: usize,
    times: usize,
    aborted: usize,
}

impl Output {
    /// In the place of `old`, and of those that may follow it.
    pub(crate) fn create(core: &Core, old: &Segment) -> Result<Self, Error> {
        let disk = &core.context.disk;
        let (base, seen_ms) = (old.base_offset, old.seen_ms);
        let segment = Segment::create_cleaned(&core.context, &core.dir, base, seen_ms)?;
        let segment = Arc::new(segment);
        let had_transactions = disk.exists(&old.path(TRANSACTION_INDEX_SUFFIX));
        Ok(Output {
            active: Active::new(&segment),
            segment,
            indexes: Indexes::default(),
            index_interval_bytes: core.config.load().index_interval_bytes,
            pending: Vec::new(),
            pending_bytes: 0,
            flushed: 0,
            aborted: Vec::new(),
            had_transactions,
        })
    }

    /// Another old segment follows.
    pub(crate) fn extends_over(&mut self, core: &Core, old: &Segment) {
        self.had_transactions |= core
            .context
            .disk
            .exists(&old.path(TRANSACTION_INDEX_SUFFIX));
    }

    /// Adds a batch behind the others.
    pub(crate) fn push(&mut self, core: &Core, batch: &Batch) -> Result<(), Error> {
        let header = batch.header();
        let end = self.active.size + header.total_len() as u64;
        let fits = i32::try_from(end).is_ok()
            && index::relative(self.segment.base_offset, header.last_offset()).is_some();
        if !fits {
            return Err(Error::Uncleanable {
                log: core.partition.to_string(),
                reason: format!(
                    "segment {} would outgrow 2 GiB or 2^31 offsets; lower segment.bytes",
                    self.segment.base_offset
                ),
            });
        }
        self.active
            .note(&mut self.indexes, header, self.index_interval_bytes);
        self.pending_bytes += header.total_len() as u64;
        self.pending.push(batch.bytes().clone());
        Ok(())
    }

    /// What has been written so far.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            log: self.active.size,
            offsets: (self.indexes.offsets.len() * index::OFFSET_ENTRY_LEN) as u64,
            // One more is added at the end.
            times: ((self.indexes.times.len() + 1) * index::TIME_ENTRY_LEN) as u64,
        }
    }

    /// A place to come back to, once everything is written.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            active: self.active.clone(),
            offsets: self.indexes.offsets.len(),
            times: self.indexes.times.len(),
            aborted: self.aborted.len(),
        }
    }

    /// Takes away what came behind `mark`.
    pub(crate) fn back_to(&mut self, mark: Mark) -> Result<(), Error> {
        self.pending.clear();
        self.pending_bytes = 0;
        self.active = mark.active;
        self.indexes.offsets.truncate(mark.offsets);
        self.indexes.times.truncate(mark.times);
        self.aborted.truncate(mark.aborted);
        self.flushed = self.flushed.min(self.active.size);
        let path = self.segment.path(&cleaned(LOG_SUFFIX));
        self.segment
            .log()?
            .set_len(self.active.size)
            .map_err(Error::io("cut", &path))
    }

    pub(crate) fn push_aborted(&mut self, entry: AbortedEntry) {
        self.aborted.push(entry);
    }

    /// Writes what was added; how many bytes that was.
    pub(crate) fn write(&mut self, core: &Core) -> Result<u64, Error> {
        if self.pending.is_empty() {
            return Ok(0);
        }
        let context = &core.context;
        let bytes = self.pending_bytes;
        // Compaction makes room in the end, but needs some first, and must not take the last.
        context
            .room
            .take(&*context.disk, &core.dir, bytes, Origin::Coordinator)
            .map_err(Error::io("compact", &core.dir))?;
        let path = self.segment.path(&cleaned(LOG_SUFFIX));
        let file = self.segment.log()?;
        let parts: Vec<IoSlice<'_>> = self.pending.iter().map(|b| IoSlice::new(b)).collect();
        let position = self.active.size - bytes;
        file.write_at(&parts, position)
            .map_err(Error::io("write", &path))?;
        self.pending.clear();
        self.pending_bytes = 0;
        if self.active.size - self.flushed >= FLUSH_BYTES {
            file.sync_data().map_err(Error::io("flush", &path))?;
            self.flushed = self.active.size;
        }
        Ok(bytes)
    }

    /// Everything is on disk when this returns, in files whose names still say `.cleaned`.
    pub(crate) fn finish(mut self, core: &Core) -> Result<Arc<Segment>, Error> {
        self.write(core)?;
        let segment = self.segment;
        let path = segment.path(&cleaned(LOG_SUFFIX));
        let file = segment.log()?;
        file.sync_data().map_err(Error::io("flush", &path))?;
        self.active.push_time(&mut self.indexes);
        segment.set_size(self.active.size);
        let (timestamp, offset) = self.active.max_timestamp;
        segment.set_max_timestamp(timestamp, offset);
        let write = |suffix: &str, bytes: &[u8]| {
            let path = segment.path(&cleaned(suffix));
            core.context
                .disk
                .open(&path, OpenMode::Truncate)
                .and_then(|file| roll::rewrite_index(&*file, bytes))
                .map_err(Error::io("write", &path))
        };
        write(INDEX_SUFFIX, &index::encode_offsets(&self.indexes.offsets))?;
        write(TIME_INDEX_SUFFIX, &index::encode_times(&self.indexes.times))?;
        if self.had_transactions || !self.aborted.is_empty() {
            let bytes = aborted::encode(self.aborted.iter());
            write(TRANSACTION_INDEX_SUFFIX, &bytes)?;
        }
        segment.aborted.set_written(&self.aborted);
        Ok(segment)
    }
}

fn cleaned(suffix: &str) -> String {
    format!("{suffix}{CLEANED_SUFFIX}")
}
