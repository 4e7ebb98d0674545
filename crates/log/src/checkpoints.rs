//! The checkpoint files of a data folder: where recovery starts, where the logs start, and what of
//! them was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ottla_model::{Offset, TopicPartition};
use ottla_runtime::Disk;
use parking_lot::Mutex;

use crate::checkpoint::{self, Offsets};
use crate::{Error, Log, layout};

/// What the files have. They are written one after the other, so that none goes back.
pub(crate) struct Checkpoints {
    folder: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    recovery_points: Offsets,
    log_starts: Offsets,
    high_watermarks: Offsets,
    /// The texts on disk: a checkpoint that would say the same is not written.
    written: BTreeMap<&'static str, String>,
}

/// What the files say of one log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checkpointed {
    pub(crate) recovery_point: Offset,
    pub(crate) log_start_offset: Offset,
    pub(crate) high_watermark: Offset,
}

impl Checkpoints {
    /// What the files in `folder` say of the partitions that have a folder.
    pub(crate) fn load(
        disk: &dyn Disk,
        folder: &Path,
        folders: &BTreeSet<TopicPartition>,
    ) -> Result<Self, Error> {
        let load = |name| load_offsets(disk, &folder.join(name), folders);
        Ok(Checkpoints {
            folder: folder.to_owned(),
            known: Mutex::new(Known {
                recovery_points: load(layout::RECOVERY_POINT_FILE)?,
                log_starts: load(layout::LOG_START_FILE)?,
                high_watermarks: load(layout::HIGH_WATERMARK_FILE)?,
                written: BTreeMap::new(),
            }),
        })
    }

    /// What is known of a log; zeros when that is nothing.
    pub(crate) fn of(&self, partition: &TopicPartition) -> Checkpointed {
        let known = self.known.lock();
        let of = |offsets: &Offsets| offsets.get(partition).copied().unwrap_or(0);
        Checkpointed {
            recovery_point: of(&known.recovery_points),
            log_start_offset: of(&known.log_starts),
            high_watermark: of(&known.high_watermarks),
        }
    }

    /// Forgets deleted logs, with the next write.
    pub(crate) fn forget(&self, partitions: &[TopicPartition]) {
        let mut known = self.known.lock();
        for partition in partitions {
            known.recovery_points.remove(partition);
            known.log_starts.remove(partition);
            known.high_watermarks.remove(partition);
        }
    }

    /// Says, durably, that a log is about to be cut: no file says more of it than `most` from now
    /// on. The log's own recovery point must be lowered before. Blocks.
    pub(crate) fn lower(
        &self,
        disk: &dyn Disk,
        partition: &TopicPartition,
        most: Checkpointed,
    ) -> Result<(), Error> {
        let mut known = self.known.lock();
        let lower = |offsets: &mut Offsets, most: Offset| {
            if let Some(known) = offsets.get_mut(partition) {
                *known = most.min(*known);
            }
        };
        lower(&mut known.recovery_points, most.recovery_point);
        lower(&mut known.log_starts, most.log_start_offset);
        lower(&mut known.high_watermarks, most.high_watermark);
        known.write(disk, &self.folder)
    }

    /// Writes the files, where they changed, with what the logs say. Blocks.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        logs: impl FnOnce() -> Vec<Log>,
    ) -> Result<(), Error> {
        let mut known = self.known.lock();
        for log in logs() {
            known.note(&log);
        }
        known.write(disk, &self.folder)
    }
}

impl Known {
    fn note(&mut self, log: &Log) {
        let core = &log.0;
        let partition = &core.partition;
        let segments = core.segments.load();
        let Some(first) = segments.first() else {
            return;
        };
        let offsets = core.offsets();
        let recovery_point = core.recovery_point.load(Ordering::Acquire);
        self.recovery_points
            .insert(partition.clone(), recovery_point);
        self.high_watermarks
            .insert(partition.clone(), offsets.high_watermark);
        if offsets.log_start_offset > first.base_offset {
            let start = offsets.log_start_offset;
            self.log_starts.insert(partition.clone(), start);
        } else {
            self.log_starts.remove(partition);
        }
    }

    fn write(&mut self, disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
        // The log starts first: what lies before them may be deleted right after.
        let texts = [
            (layout::LOG_START_FILE, &self.log_starts),
            (layout::RECOVERY_POINT_FILE, &self.recovery_points),
            (layout::HIGH_WATERMARK_FILE, &self.high_watermarks),
        ];
        for (name, offsets) in texts {
            let text = checkpoint::format_offsets(offsets);
            if self.written.get(name) == Some(&text) {
                continue;
            }
            let path = folder.join(name);
            disk.write_atomically(&path, text.as_bytes())
                .map_err(Error::io("write", &path))?;
            self.written.insert(name, text);
        }
        Ok(())
    }
}

/// The offsets of partitions that have a folder. A damaged file only costs time: recovery then
/// reads more.
pub(crate) fn load_offsets(
    disk: &dyn Disk,
    path: &Path,
    folders: &BTreeSet<TopicPartition>,
) -> Result<Offsets, Error> {
    let mut offsets = match checkpoint::read_offsets(disk, path) {
        Ok(offsets) => offsets.unwrap_or_default(),
        Err(error @ Error::Malformed { .. }) => {
            tracing::error!(%error, "a checkpoint is lost; recovery reads everything again");
            Offsets::new()
        }
        Err(error) => return Err(error),
    };
    offsets.retain(|partition, _| folders.contains(partition));
    Ok(offsets)
}
