//! One segment: a `.log` file and its two indexes.
//!
//! The newest segment of a log is *active*: its indexes are in memory and grow. When the next one
//! begins it is sealed: its indexes are on disk, and its files are opened only when somebody reads.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ottla_model::{NO_TIMESTAMP, Offset, TimestampMs};
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode};
use parking_lot::{Mutex, RwLock};

use crate::Error;
use crate::aborted::{self, AbortedIndex, Promise, Range, Search};
use crate::core::Context;
use crate::handles::{Handle, Handles};
use crate::index::{self, Indexes, OFFSET_ENTRY_LEN, OffsetEntry};
use crate::layout::{self, CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX};
use crate::layout::{TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};
use crate::transactions::{AbortedEntry, AbortedTransaction};
use crate::walk::{Step, Walker};

const UNKNOWN: u64 = u64::MAX;

/// A segment, shared between its log's owner and the readers.
pub(crate) struct Segment {
    pub(crate) base_offset: Offset,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    /// When this process first met the segment: stands in for its age when no record has a
    /// timestamp.
    pub(crate) seen_ms: TimestampMs,
    handles: Arc<Handles>,
    log: Handle,
    offset_index: Handle,
    /// Bytes of whole batches; readers never look behind it.
    size: AtomicU64,
    /// See [`Segment::first_timestamp`].
    first_timestamp: OnceLock<TimestampMs>,
    /// The largest timestamp and the last offset of its batch.
    max_timestamp: Mutex<Option<(TimestampMs, Offset)>>,
    /// Present while the segment is active.
    pub(crate) indexes: RwLock<Option<Indexes>>,
    /// The transactions that were aborted by a marker in this segment.
    pub(crate) aborted: AbortedIndex,
    /// Its file, once the name is about to be another's.
    aborted_file: Mutex<Option<Arc<dyn File>>>,
}

impl Segment {
    /// A segment that is on disk already; nothing is opened.
    pub(crate) fn on_disk(
        context: &Context,
        dir: &Path,
        base_offset: Offset,
        now_ms: TimestampMs,
    ) -> Self {
        Segment {
            base_offset,
            dir: dir.to_owned(),
            disk: Arc::clone(&context.disk),
            seen_ms: now_ms,
            handles: Arc::clone(&context.handles),
            log: Handle::default(),
            offset_index: Handle::default(),
            size: AtomicU64::new(UNKNOWN),
            first_timestamp: OnceLock::new(),
            max_timestamp: Mutex::default(),
            indexes: RwLock::default(),
            aborted: AbortedIndex::default(),
            aborted_file: Mutex::default(),
        }
    }

    /// A new, empty, active segment; its name is not durable yet.
    pub(crate) fn create(
        context: &Context,
        dir: &Path,
        base_offset: Offset,
        now_ms: TimestampMs,
    ) -> Result<Self, Error> {
        let segment = Segment::on_disk(context, dir, base_offset, now_ms);
        let path = segment.log_path();
        let file = context
            .disk
            .open(&path, OpenMode::Truncate)
            .map_err(Error::io("create", &path))?;
        segment.log.put(&segment.handles, file);
        segment.size.store(0, Ordering::Release);
        *segment.max_timestamp.lock() = Some((NO_TIMESTAMP, base_offset));
        *segment.indexes.write() = Some(Indexes::default());
        Ok(segment)
    }

    /// A new, empty segment for compaction to write, in a `.cleaned` file.
    pub(crate) fn create_cleaned(
        context: &Context,
        dir: &Path,
        base_offset: Offset,
        seen_ms: TimestampMs,
    ) -> Result<Self, Error> {
        let segment = Segment::on_disk(context, dir, base_offset, seen_ms);
        let path = segment.path(&format!("{LOG_SUFFIX}{CLEANED_SUFFIX}"));
        let file = context
            .disk
            .open(&path, OpenMode::Truncate)
            .map_err(Error::io("create", &path))?;
        // Until it is renamed the file of this name is the old segment's.
        segment.log.keep();
        segment.log.put(&segment.handles, file);
        segment.size.store(0, Ordering::Release);
        Ok(segment)
    }

    /// Opens what readers who hold the segment may still need when its names are another's. Its
    /// transaction index must have been looked into.
    pub(crate) fn keep_for_readers(&self) -> Result<(), Error> {
        self.size()?;
        self.max_timestamp()?;
        self.keep_open()?;
        if self.aborted.needs_file() {
            let path = self.path(TRANSACTION_INDEX_SUFFIX);
            let file = self.disk.open(&path, OpenMode::Read);
            *self.aborted_file.lock() = Some(file.map_err(Error::io("open", &path))?);
        }
        Ok(())
    }

    /// The files have their final names now: they are opened again when somebody reads.
    pub(crate) fn renamed(&self) {
        self.log.forget();
    }

    /// The max timestamp of the first batch, from which the segment's age counts; `None` while it
    /// has no batch.
    pub(crate) fn first_timestamp(&self) -> Result<Option<TimestampMs>, Error> {
        if let Some(known) = self.first_timestamp.get() {
            return Ok(Some(*known));
        }
        let size = self.size()?;
        if size == 0 {
            return Ok(None);
        }
        let file = self.log_for_a_moment()?;
        let mut walker = Walker::new(&*file, 0, size, self.base_offset);
        let first = walker
            .next(false)
            .map_err(Error::io("read", &self.log_path()))?;
        let Step::Batch { header, .. } = first else {
            return Ok(None);
        };
        Ok(Some(
            *self.first_timestamp.get_or_init(|| header.max_timestamp),
        ))
    }

    /// A number that is spread evenly over the segments of all logs, and stays the same for each.
    pub(crate) fn chance(&self) -> i64 {
        let mut hasher = DefaultHasher::new();
        self.dir.file_name().hash(&mut hasher);
        self.base_offset.hash(&mut hasher);
        i64::from_ne_bytes((hasher.finish() >> 1).to_ne_bytes())
    }

    pub(crate) fn path(&self, suffix: &str) -> PathBuf {
        layout::file(&self.dir, self.base_offset, suffix)
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.path(LOG_SUFFIX)
    }

    /// The `.log` file, opened when needed.
    pub(crate) fn log(&self) -> Result<Arc<dyn File>, Error> {
        let path = || self.log_path();
        let open = || {
            let path = path();
            let file = self.disk.open(&path, OpenMode::Write);
            file.map(Some).map_err(Error::io("open", &path))
        };
        let missing = || Error::io("open", &path())(std::io::ErrorKind::NotFound.into());
        self.log.get(&self.handles, open)?.ok_or_else(missing)
    }

    /// Says whether the `.log` file has bytes that are not flushed.
    pub(crate) fn set_unflushed(&self, unflushed: bool) {
        self.log.set_unflushed(unflushed);
    }

    /// Opens what readers who hold the segment may still need when its names are another's or
    /// nobody's.
    pub(crate) fn keep_open(&self) -> Result<(), Error> {
        self.log.keep();
        self.offset_index.keep();
        drop(self.log()?);
        drop(self.open_offset_index(&self.path(INDEX_SUFFIX))?);
        Ok(())
    }

    /// Bytes of batches.
    pub(crate) fn size(&self) -> Result<u64, Error> {
        match self.size.load(Ordering::Acquire) {
            UNKNOWN => {
                let file = self.log_for_a_moment()?;
                let len = file.len().map_err(Error::io("measure", &self.log_path()))?;
                self.set_size(len);
                Ok(len)
            }
            size => Ok(size),
        }
    }

    /// The length of one of the segment's files, 0 when it is missing.
    pub(crate) fn file_len(&self, suffix: &str) -> Result<u64, Error> {
        let path = self.path(suffix);
        match self.disk.open(&path, OpenMode::Read) {
            Ok(file) => file.len().map_err(Error::io("measure", &path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    /// The `.log` file as it is open, or opened for the moment: of most segments little is asked
    /// but their size.
    fn log_for_a_moment(&self) -> Result<Arc<dyn File>, Error> {
        let open = self.log.opened();
        if let Some(file) = open {
            return Ok(file);
        }
        let path = self.log_path();
        self.disk
            .open(&path, OpenMode::Read)
            .map_err(Error::io("open", &path))
    }

    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// The largest timestamp, and the last offset of the batch that has it.
    pub(crate) fn max_timestamp(&self) -> Result<(TimestampMs, Offset), Error> {
        if let Some(known) = *self.max_timestamp.lock() {
            return Ok(known);
        }
        let last = self.load_indexes()?.times.last().copied();
        let found = match last {
            Some(entry) => (
                entry.timestamp,
                self.base_offset + i64::from(entry.relative_offset),
            ),
            None => self.scan_max_timestamp()?,
        };
        *self.max_timestamp.lock() = Some(found);
        Ok(found)
    }

    pub(crate) fn set_max_timestamp(&self, timestamp: TimestampMs, offset: Offset) {
        *self.max_timestamp.lock() = Some((timestamp, offset));
    }

    /// A segment too small for an index entry, or one whose time index is lost.
    fn scan_max_timestamp(&self) -> Result<(TimestampMs, Offset), Error> {
        let (file, size) = (self.log()?, self.size()?);
        let mut walker = Walker::new(&*file, 0, size, self.base_offset);
        let mut largest = (NO_TIMESTAMP, self.base_offset);
        let failed = |e| Error::io("read", &self.log_path())(e);
        while let Step::Batch { header, .. } = walker.next(false).map_err(failed)? {
            if header.max_timestamp > largest.0 {
                largest = (header.max_timestamp, header.last_offset());
            }
        }
        Ok(largest)
    }

    /// Both indexes: of the active segment a copy, of a sealed one what the files have.
    pub(crate) fn load_indexes(&self) -> Result<Indexes, Error> {
        if let Some(indexes) = &*self.indexes.read() {
            return Ok(indexes.clone());
        }
        let read = |suffix| {
            let path = self.path(suffix);
            crate::checkpoint::read_if_exists(&*self.disk, &path).map(Option::unwrap_or_default)
        };
        Ok(Indexes {
            offsets: index::decode_offsets(&read(INDEX_SUFFIX)?),
            times: index::decode_times(&read(TIME_INDEX_SUFFIX)?),
        })
    }

    /// Where to begin to look for `offset`: at the batch at `position`, which ends with the other
    /// value, or at the segment's start. The answer is a hint: whoever uses it checks that it is so.
    pub(crate) fn position_hint(&self, offset: Offset) -> Result<Option<(u64, Offset)>, Error> {
        let relative = u64::try_from(offset - self.base_offset).unwrap_or(0);
        let entry = match &*self.indexes.read() {
            Some(indexes) => indexes.entry_for(relative),
            None => None,
        };
        let entry = match entry {
            None if self.indexes.read().is_none() => self.search_offset_index(relative)?,
            entry => entry,
        };
        Ok(entry.map(|e| {
            let last_offset = self.base_offset + i64::from(e.relative_offset);
            (e.position.into(), last_offset)
        }))
    }

    /// Binary search in the file: a cold read touches a few pages of it, which the kernel caches.
    fn search_offset_index(&self, relative: u64) -> Result<Option<OffsetEntry>, Error> {
        let path = self.path(INDEX_SUFFIX);
        let Some(file) = self.open_offset_index(&path)? else {
            return Ok(None);
        };
        let entry = |n: u64| -> Result<OffsetEntry, Error> {
            let mut bytes = [0; OFFSET_ENTRY_LEN];
            file.read_at(&mut bytes, n * OFFSET_ENTRY_LEN as u64)
                .map_err(Error::io("read", &path))?;
            Ok(OffsetEntry::decode(bytes))
        };
        let len = file.len().map_err(Error::io("measure", &path))?;
        let (mut low, mut high) = (0, len / OFFSET_ENTRY_LEN as u64);
        let mut best = None;
        while low < high {
            let middle = low.midpoint(high);
            let found = entry(middle)?;
            if u64::from(found.relative_offset) <= relative {
                best = Some(found);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(best.filter(|e| e.position > 0))
    }

    fn open_offset_index(&self, path: &Path) -> Result<Option<Arc<dyn File>>, Error> {
        self.offset_index.get(&self.handles, || {
            match self.disk.open(path, OpenMode::Read) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::io("open", path)(error)),
            }
        })
    }

    /// Writes what is new in the transaction index to its file.
    pub(crate) fn write_aborted(&self, sync: bool) -> Result<(), Error> {
        let path = self.path(TRANSACTION_INDEX_SUFFIX);
        let written = self.aborted.write(&*self.disk, &path, sync);
        written.map_err(Error::io("write", &path))
    }

    /// Looks into a transaction index that nobody has looked into since the start.
    pub(crate) fn read_aborted(
        &self,
        promise: Option<Promise>,
    ) -> Result<Option<Vec<AbortedEntry>>, Error> {
        let path = self.path(TRANSACTION_INDEX_SUFFIX);
        let bytes = crate::checkpoint::read_if_exists(&*self.disk, &path)?;
        let believed = aborted::believed(&bytes.unwrap_or_default(), self.base_offset, promise);
        if believed.is_none() {
            tracing::warn!(
                path = %path.display(),
                "the transaction index is missing or damaged; it is made again from the log"
            );
        }
        Ok(believed)
    }

    /// Puts a new transaction index into the place of one that is lost. Several readers may do so at
    /// the same time: they write the same.
    pub(crate) fn replace_aborted(&self, entries: &[AbortedEntry]) -> Result<(), Error> {
        let path = self.path(TRANSACTION_INDEX_SUFFIX);
        let bytes = aborted::encode(entries.iter());
        let write = || {
            let file = self.disk.open(&path, OpenMode::Create)?;
            file.write_at(&[std::io::IoSlice::new(&bytes)], 0)?;
            aborted::cut(&*file, bytes.len() as u64)?;
            file.sync_data()
        };
        match write().map_err(Error::io("write", &path)) {
            Ok(()) => self.aborted.set_written(entries),
            // Until there is room they are in memory only.
            Err(error) if error.is_full() => self.aborted.set_unwritten(entries),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The aborted transactions of this segment that overlap `range`, from memory or disk. The
    /// index must have been looked into.
    pub(crate) fn search_aborted(
        &self,
        range: Range,
        found: &mut Vec<AbortedTransaction>,
    ) -> Result<Search, Error> {
        match self.aborted.search(range, found) {
            Search::NeedsDisk => {}
            done => return Ok(done),
        }
        let searched = self
            .aborted
            .search_file(|| self.open_aborted(), range, found);
        searched.map_err(Error::io("read", &self.path(TRANSACTION_INDEX_SUFFIX)))
    }

    /// All aborted transactions of this segment. The index must have been looked into.
    pub(crate) fn all_aborted(&self) -> Result<Vec<AbortedEntry>, Error> {
        let all = self.aborted.all(|| self.open_aborted());
        all.map_err(Error::io("read", &self.path(TRANSACTION_INDEX_SUFFIX)))
    }

    fn open_aborted(&self) -> std::io::Result<Arc<dyn File>> {
        let kept = self.aborted_file.lock().clone();
        match kept {
            Some(file) => Ok(file),
            None => self
                .disk
                .open(&self.path(TRANSACTION_INDEX_SUFFIX), OpenMode::Read),
        }
    }

    /// Turns an active segment into a sealed one; its indexes must be on disk.
    pub(crate) fn seal(&self) {
        *self.indexes.write() = None;
    }
}
