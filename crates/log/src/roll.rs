//! New segments, checkpoints, and the order in which files become durable.
//!
//! A new segment is begun only when all of the old one is on disk: so a torn batch can stand only
//! at the end of the last segment, and a damaged one anywhere else was once whole.
//!
//! | before | must be durable |
//! |---|---|
//! | an append in a segment is answered | the segment's name, and the partition's folder |
//! | the next segment takes an append | the old segment, its indexes, the producer snapshot |
//! | the recovery point moves | batches, index entries, epochs and producers up to it |
//! | a segment's files are removed | the log start offset (or the removal of all older segments) |

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_model::Offset;
use ottla_runtime::Disk;
use ottla_runtime::disk::{File, OpenMode};

use crate::aborted::{self, Promises};
use crate::core::Core;
use crate::index::{self, OFFSET_ENTRY_LEN, TIME_ENTRY_LEN};
use crate::layout::{self, INDEX_SUFFIX, SNAPSHOT_SUFFIX, TIME_INDEX_SUFFIX};
use crate::owner::{Active, Owner};
use crate::segment::Segment;
use crate::{Error, Probe, checkpoint, producer_snapshot};

impl Owner {
    /// The folder and the first segment, durable.
    pub(crate) fn create_first_segment(&mut self) -> Result<(), Error> {
        let core = Arc::clone(&self.core);
        if !self.folder_exists {
            create_folder(&core)?;
            self.folder_exists = true;
        }
        self.begin_segment(self.next_offset)
    }

    /// Seals the active segment and begins the next one. After an error on a full disk the old one
    /// is still active, and the roll can be tried again.
    pub(crate) fn roll(&mut self) -> Result<(), Error> {
        let Some(active) = &self.active else {
            return self.create_first_segment();
        };
        if active.size == 0 {
            return Ok(());
        }
        let old = Arc::clone(&active.segment);
        let size = active.size;
        if let Some(indexes) = old.indexes.write().as_mut() {
            active.push_time(indexes);
        }
        self.persist()?;
        self.begin_segment(self.next_offset)?;
        if self.core.config.load().preallocate {
            // The room that the segment took and did not need.
            let trimmed = old.log()?.set_len(size);
            trimmed.map_err(Error::io("trim", &old.log_path()))?;
        }
        old.seal();
        self.core
            .recovery_point
            .store(self.next_offset, Ordering::Release);
        self.bytes_since_checkpoint = 0;
        Probe::add(&self.core.context.probe.segments_rolled, 1);
        Ok(())
    }

    fn begin_segment(&mut self, base_offset: Offset) -> Result<(), Error> {
        let core = Arc::clone(&self.core);
        let disk = &core.context.disk;
        let now = self.now_ms();
        let segment = Arc::new(Segment::create(&core.context, &core.dir, base_offset, now)?);
        let config = core.config.load();
        if config.preallocate {
            reserve(&segment, config.segment_bytes)?;
        }
        disk.sync_dir(&core.dir)
            .map_err(Error::io("flush", &core.dir))?;
        let mut segments = Vec::clone(&core.segments.load());
        if let Some(last) = segments.last()
            && last.base_offset >= base_offset
        {
            ottla_runtime::fail_stop(format!(
                "{}: segment {base_offset} cannot follow segment {}",
                core.partition, last.base_offset
            ));
        }
        segments.push(Arc::clone(&segment));
        core.segments.store(Arc::new(segments));
        self.active = Some(Active::new(&segment));
        Ok(())
    }

    /// Makes everything up to the end durable, so that recovery need not look at it again. With
    /// `force` also when it is little.
    pub(crate) fn checkpoint(&mut self, force: bool) -> Result<(), Error> {
        let minimum = self.core.context.options.checkpoint_min_bytes.max(1);
        let is_due = self.bytes_since_checkpoint >= minimum;
        if self.active.is_none() || !(is_due || force) {
            return Ok(());
        }
        if self.bytes_since_checkpoint == 0 && self.snapshot_offset == Some(self.next_offset) {
            return Ok(());
        }
        self.persist()?;
        let dir = self.dir();
        let disk = &self.core.context.disk;
        disk.sync_dir(dir).map_err(Error::io("flush", dir))?;
        self.core
            .recovery_point
            .store(self.next_offset, Ordering::Release);
        self.bytes_since_checkpoint = 0;
        Ok(())
    }

    /// Batches, indexes, epochs, producers. The folder's names are the caller's to flush.
    fn persist(&mut self) -> Result<(), Error> {
        self.persist_without_snapshot()?;
        self.write_snapshot()
    }

    /// As `persist`, for a log whose producers are about to be found out anew.
    pub(crate) fn persist_without_snapshot(&mut self) -> Result<(), Error> {
        if self.flushed_offset < self.next_offset {
            self.flush();
        }
        self.write_indexes_and_promises()?;
        self.write_epochs()
    }

    pub(crate) fn write_indexes_and_promises(&mut self) -> Result<(), Error> {
        self.write_indexes()?;
        self.write_promises()
    }

    /// Appends what is new in the indexes to their files.
    fn write_indexes(&mut self) -> Result<(), Error> {
        let disk = Arc::clone(&self.core.context.disk);
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        let (offsets, times) = {
            let indexes = active.segment.indexes.read();
            let Some(indexes) = indexes.as_ref() else {
                return Ok(());
            };
            let offsets = indexes.offsets.get(active.offsets_written..);
            let times = indexes.times.get(active.times_written..);
            (
                index::encode_offsets(offsets.unwrap_or_default()),
                index::encode_times(times.unwrap_or_default()),
            )
        };
        let at = active.offsets_written * OFFSET_ENTRY_LEN;
        extend(&*disk, &active.segment.path(INDEX_SUFFIX), at, &offsets)?;
        active.offsets_written += offsets.len() / OFFSET_ENTRY_LEN;
        let at = active.times_written * TIME_ENTRY_LEN;
        extend(&*disk, &active.segment.path(TIME_INDEX_SUFFIX), at, &times)?;
        active.times_written += times.len() / TIME_ENTRY_LEN;
        Ok(())
    }

    /// The transaction index of the active segment, and what all of them have. An index is on disk
    /// before it is promised.
    pub(crate) fn write_promises(&mut self) -> Result<(), Error> {
        if !self.core.has_aborted.load(Ordering::Acquire) && self.promises.is_empty() {
            return Ok(());
        }
        let segments = self.core.segments.load_full();
        // Older ones only have something left to write when the disk was full.
        for segment in segments.iter() {
            segment.write_aborted(true)?;
        }
        let promises = segments
            .iter()
            .filter_map(|s| Some((s.base_offset, s.aborted.promise()?)));
        let promises: Promises = promises.collect();
        if promises != self.promises {
            let path = self.dir().join(layout::TRANSACTION_INDEX_FILE);
            let text = aborted::format_promises(&promises);
            write_renamed(&*self.core.context.disk, &path, text.as_bytes())?;
            self.promises = promises;
        }
        Ok(())
    }

    pub(crate) fn write_epochs(&mut self) -> Result<(), Error> {
        if !self.epochs_dirty {
            return Ok(());
        }
        let text = self.core.epochs.read().format();
        let path = self.dir().join(layout::LEADER_EPOCH_FILE);
        write_renamed(&*self.core.context.disk, &path, text.as_bytes())?;
        self.epochs_dirty = false;
        Ok(())
    }

    /// The producers as of the end. Snapshots at segments' starts stay; others only until the next.
    fn write_snapshot(&mut self) -> Result<(), Error> {
        if self.snapshot_offset == Some(self.next_offset) {
            return Ok(());
        }
        let path = layout::file(self.dir(), self.next_offset, SNAPSHOT_SUFFIX);
        let bytes = producer_snapshot::encode(&self.core.producers.read());
        let disk = &*self.core.context.disk;
        write_renamed(disk, &path, &bytes)?;
        let previous = self.snapshot_offset.replace(self.next_offset);
        let segments = self.core.segments.load();
        if let Some(previous) = previous
            && !segments.iter().any(|s| s.base_offset == previous)
        {
            let path = layout::file(self.dir(), previous, SNAPSHOT_SUFFIX);
            remove_if_exists(disk, &path)?;
        }
        Ok(())
    }
}

/// Takes room for a whole segment. When there is not so much, the segment grows as it is written.
fn reserve(segment: &Segment, bytes: u64) -> Result<(), Error> {
    let path = segment.log_path();
    let reserved = segment.log()?.reserve(bytes);
    match reserved.map_err(Error::io("take room for", &path)) {
        Err(error) if error.is_full() => {
            tracing::warn!(file = %path.display(), bytes, "no room to preallocate a segment");
            Ok(())
        }
        other => other,
    }
}

fn create_folder(core: &Core) -> Result<(), Error> {
    let disk = &*core.context.disk;
    disk.create_dir_all(&core.dir)
        .map_err(Error::io("create", &core.dir))?;
    write_partition_metadata(core)
}

/// `partition.metadata`; its name becomes durable with the folder's next flush.
pub(crate) fn write_partition_metadata(core: &Core) -> Result<(), Error> {
    let path = core.dir.join(layout::PARTITION_METADATA_FILE);
    let text = checkpoint::format_partition_metadata(core.topic_id);
    write_renamed(&*core.context.disk, &path, text.as_bytes())
}

/// As `write_atomically`, but the name becomes durable only with the folder's next flush, which
/// several files then share.
pub(crate) fn write_renamed(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let write = || {
        let file = disk.open(temporary, OpenMode::Truncate)?;
        file.write_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_data()?;
        disk.rename(temporary, path)
    };
    write().map_err(Error::io("write", path))
}

/// Writes `bytes` at `position`, where the file must end then, and flushes them.
fn extend(disk: &dyn Disk, path: &Path, position: usize, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let file = disk.open(path, OpenMode::Create)?;
        let end = (position + bytes.len()) as u64;
        if bytes.is_empty() && file.len()? == end {
            return Ok(());
        }
        file.write_at(&[IoSlice::new(bytes)], position as u64)?;
        if file.len()? != end {
            file.set_len(end)?;
        }
        file.sync_data()
    };
    write().map_err(Error::io("write", path))
}

pub(crate) fn remove_if_exists(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Replaces an index file's contents, for recovery.
pub(crate) fn rewrite_index(file: &dyn File, bytes: &[u8]) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_at(&[IoSlice::new(bytes)], 0)?;
    file.sync_data()
}
