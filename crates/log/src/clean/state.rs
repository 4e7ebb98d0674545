//! What is remembered of compaction: up to where each log is clean, which ones are being cleaned,
//! and which ones cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ottla_model::{Offset, TopicPartition};
use ottla_runtime::Disk;
use parking_lot::Mutex;

use crate::checkpoint::{self, Offsets};
use crate::{Error, layout};

/// The state of one data folder.
pub(crate) struct CleanState {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The first dirty offset of each log that was ever cleaned, as in the file.
    offsets: Offsets,
    written: Option<String>,
    in_progress: BTreeSet<TopicPartition>,
    /// With the reason, for people.
    uncleanable: BTreeMap<TopicPartition, String>,
}

impl CleanState {
    /// With the offsets that `cleaner-offset-checkpoint` has.
    pub(crate) fn new(folder: &Path, offsets: Offsets) -> Self {
        CleanState {
            path: folder.join(layout::CLEANER_OFFSET_FILE),
            inner: Mutex::new(Inner {
                offsets,
                ..Inner::default()
            }),
        }
    }

    /// Up to where the log is clean; `None` when it was never cleaned.
    pub(crate) fn first_dirty(&self, partition: &TopicPartition) -> Option<Offset> {
        self.inner.lock().offsets.get(partition).copied()
    }

    /// Whether compaction may have left gaps between the log's offsets.
    pub(crate) fn was_cleaned(&self, partition: &TopicPartition) -> bool {
        self.inner.lock().offsets.contains_key(partition)
    }

    /// Notes, durably, up to where the log is clean. Blocks.
    pub(crate) fn note(
        &self,
        disk: &dyn Disk,
        partition: &TopicPartition,
        first_dirty: Offset,
    ) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        inner.offsets.insert(partition.clone(), first_dirty);
        self.write(disk, &mut inner)
    }

    /// A log is about to be cut: it is clean up to `end` at most. Blocks.
    pub(crate) fn lower(
        &self,
        disk: &dyn Disk,
        partition: &TopicPartition,
        end: Offset,
    ) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        let Some(first_dirty) = inner.offsets.get_mut(partition) else {
            return Ok(());
        };
        *first_dirty = end.min(*first_dirty);
        self.write(disk, &mut inner)
    }

    /// Forgets deleted logs: later ones of the same names begin anew. Blocks.
    pub(crate) fn forget(
        &self,
        disk: &dyn Disk,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        let mut is_known = false;
        for partition in partitions {
            is_known |= inner.offsets.remove(partition).is_some();
            inner.uncleanable.remove(partition);
        }
        if is_known {
            self.write(disk, &mut inner)?;
        }
        Ok(())
    }

    fn write(&self, disk: &dyn Disk, inner: &mut Inner) -> Result<(), Error> {
        let text = checkpoint::format_offsets(&inner.offsets);
        if inner.written.as_ref() != Some(&text) {
            disk.write_atomically(&self.path, text.as_bytes())
                .map_err(Error::io("write", &self.path))?;
            inner.written = Some(text);
        }
        Ok(())
    }

    /// Takes a log for cleaning; `false` when somebody has it.
    pub(crate) fn begin(&self, partition: &TopicPartition) -> bool {
        self.inner.lock().in_progress.insert(partition.clone())
    }

    pub(crate) fn end(&self, partition: &TopicPartition) {
        self.inner.lock().in_progress.remove(partition);
    }

    /// Whether the log may be cleaned now.
    pub(crate) fn is_free(&self, partition: &TopicPartition) -> bool {
        let inner = self.inner.lock();
        !inner.in_progress.contains(partition) && !inner.uncleanable.contains_key(partition)
    }

    pub(crate) fn mark_uncleanable(&self, partition: &TopicPartition, reason: String) {
        let mut inner = self.inner.lock();
        inner.uncleanable.insert(partition.clone(), reason);
    }

    pub(crate) fn uncleanable(&self) -> BTreeMap<TopicPartition, String> {
        self.inner.lock().uncleanable.clone()
    }

    pub(crate) fn in_progress(&self) -> Vec<TopicPartition> {
        self.inner.lock().in_progress.iter().cloned().collect()
    }
}
