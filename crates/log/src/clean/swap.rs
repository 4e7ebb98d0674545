//! A new segment takes the place of those that it was made of: at once for readers, and for a
//! machine that loses its power at any moment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_model::Offset;
use ottla_runtime::disk::{Disk, OpenMode};
use ottla_runtime::fail_stop;

use crate::Error;
use crate::core::Core;
use crate::layout::{
    self, CLEANED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SNAPSHOT_SUFFIX, SWAP_SUFFIX,
    TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX,
};
use crate::owner::Owner;
use crate::roll::remove_if_exists;
use crate::segment::Segment;
use crate::walk::{Step, Walker};

/// The log comes last: with its name the swap is decided.
const INDEX_SUFFIXES: [&str; 3] = [TRANSACTION_INDEX_SUFFIX, TIME_INDEX_SUFFIX, INDEX_SUFFIX];

/// What became of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swapped {
    Done,
    /// The segments are not all there any more: retention was faster.
    Changed,
}

/// The part that changes nothing for anybody: the indexes get their names for the swap.
pub(crate) fn prepare(core: &Core, new: &Segment) -> Result<(), Error> {
    let disk = &*core.context.disk;
    for suffix in INDEX_SUFFIXES {
        let from = new.path(&format!("{suffix}{CLEANED_SUFFIX}"));
        let to = new.path(&format!("{suffix}{SWAP_SUFFIX}"));
        match disk.rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("rename", &from)(error));
            }
            _ => {}
        }
    }
    sync(disk, &core.dir)
}

/// Removes what a cleaning that does not come to its end has written.
pub(crate) fn discard(core: &Core, base_offset: Offset) {
    if core.deleted.load(Ordering::Acquire) {
        // The folder went away with the topic, and its name may be another's by now.
        return;
    }
    let disk = &*core.context.disk;
    let indexes = INDEX_SUFFIXES
        .into_iter()
        .flat_map(|suffix| [CLEANED_SUFFIX, SWAP_SUFFIX].map(|end| format!("{suffix}{end}")));
    let log = format!("{LOG_SUFFIX}{CLEANED_SUFFIX}");
    for suffix in indexes.chain([log]) {
        let path = layout::file(&core.dir, base_offset, &suffix);
        if let Err(error) = remove_if_exists(disk, &path) {
            tracing::warn!(%error, "left behind; the next start removes it");
        }
    }
}

impl Owner {
    /// Puts `new`, which [`prepare`] has seen, in the place of `old`.
    ///
    /// An error means that nothing has happened. Once the swap is decided on disk, whatever goes
    /// wrong ends the process: its next start completes the swap.
    pub(crate) fn swap_segments(
        &mut self,
        old: &[Arc<Segment>],
        new: &Arc<Segment>,
    ) -> Result<Swapped, Error> {
        let core = Arc::clone(&self.core);
        let segments = core.segments.load_full();
        let Some(first) = position(&segments, old) else {
            return Ok(Swapped::Changed);
        };
        for segment in old {
            // Readers who hold the old segments finish with the old files.
            segment.keep_for_readers()?;
        }
        let disk = &*core.context.disk;
        let cleaned = new.path(&format!("{LOG_SUFFIX}{CLEANED_SUFFIX}"));
        let swap = new.path(&format!("{LOG_SUFFIX}{SWAP_SUFFIX}"));
        disk.rename(&cleaned, &swap)
            .map_err(Error::io("rename", &cleaned))?;
        let replaced: Vec<Offset> = old.iter().map(|s| s.base_offset).skip(1).collect();
        let completed = sync(disk, &core.dir)
            .and_then(|()| complete(disk, &core.dir, new.base_offset, &replaced));
        if let Err(error) = completed {
            fail_stop(format!(
                "{error}; a compaction was interrupted, and the next start completes it"
            ));
        }
        new.renamed();
        let mut swapped = Vec::clone(&segments);
        swapped.splice(first..first + old.len(), [Arc::clone(new)]);
        let end = swapped.get(first + 1).map_or(0, |next| next.base_offset);
        core.segments.store(Arc::new(swapped));
        // Memory must not go on to serve what is gone: the list of aborted transactions has changed
        // with the records.
        core.tail.forget_before(end);
        self.promise_anew();
        Ok(Swapped::Done)
    }

    /// The new segment has another transaction index. Until that is said on disk, a start would find
    /// a broken promise, and make the index again from the log.
    fn promise_anew(&mut self) {
        let promised = self.write_promises().and_then(|()| {
            let disk = &*self.core.context.disk;
            sync(disk, &self.core.dir)
        });
        match promised {
            Err(error) if !error.is_full() => {
                fail_stop(format!("{error}; check the disk and start again"));
            }
            _ => {}
        }
    }
}

/// Where `old` stand in the log, if all of them do, one after the other and before the active one.
fn position(segments: &[Arc<Segment>], old: &[Arc<Segment>]) -> Option<usize> {
    let first = old.first()?;
    let at = segments.iter().position(|s| Arc::ptr_eq(s, first))?;
    let found = segments.get(at..at + old.len())?;
    let same = found.iter().zip(old).all(|(a, b)| Arc::ptr_eq(a, b));
    (same && at + old.len() < segments.len()).then_some(at)
}

/// What follows once `.log.swap` is durable.
fn complete(disk: &dyn Disk, dir: &Path, base: Offset, replaced: &[Offset]) -> Result<(), Error> {
    let suffixes = [
        LOG_SUFFIX,
        INDEX_SUFFIX,
        TIME_INDEX_SUFFIX,
        TRANSACTION_INDEX_SUFFIX,
        SNAPSHOT_SUFFIX,
    ];
    for &old in replaced {
        for suffix in suffixes {
            remove_if_exists(disk, &layout::file(dir, old, suffix))?;
        }
    }
    if !replaced.is_empty() {
        // Before the new segment gets its name: two segments must not have the same offsets.
        sync(disk, dir)?;
    }
    for suffix in INDEX_SUFFIXES.into_iter().chain([LOG_SUFFIX]) {
        let from = layout::file(dir, base, &format!("{suffix}{SWAP_SUFFIX}"));
        let to = layout::file(dir, base, suffix);
        match disk.rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("rename", &from)(error));
            }
            _ => {}
        }
    }
    sync(disk, dir)
}

fn sync(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    disk.sync_dir(dir).map_err(Error::io("flush", dir))
}

/// At a start: completes the swaps that were decided, and removes what is left of others. Whether
/// there was anything to do.
pub(crate) fn complete_swaps(disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
    let names = disk.list(dir).map_err(Error::io("list", dir))?;
    let swaps: Vec<&str> = names
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(SWAP_SUFFIX))
        .collect();
    if swaps.is_empty() {
        return Ok(false);
    }
    let base_of = |name: &&str| match layout::classify(name) {
        layout::FileKind::Log(base) => Some(base),
        _ => None,
    };
    let decided: Vec<Offset> = swaps.iter().filter_map(base_of).collect();
    let segments: Vec<Offset> = names
        .iter()
        .filter_map(|entry| base_of(&entry.name.as_str()))
        .collect();
    for &base in &decided {
        let end = end_of(disk, dir, base)?;
        let inside = |&&segment: &&Offset| segment > base && segment < end;
        let replaced: Vec<Offset> = segments.iter().filter(inside).copied().collect();
        tracing::info!(
            folder = %dir.display(),
            segment = base,
            replaced = replaced.len(),
            "completing an interrupted compaction"
        );
        complete(disk, dir, base, &replaced)?;
    }
    for name in swaps {
        // Indexes whose log was never swapped; those of the others have their names by now.
        remove_if_exists(disk, &dir.join(format!("{name}{SWAP_SUFFIX}")))?;
    }
    sync(disk, dir)?;
    Ok(true)
}

/// The offset behind the last batch of a `.log.swap`. Segments that end behind it had nothing left
/// when they were compacted: should they still be there, they are merely compacted once more.
fn end_of(disk: &dyn Disk, dir: &Path, base: Offset) -> Result<Offset, Error> {
    let path = layout::file(dir, base, &format!("{LOG_SUFFIX}{SWAP_SUFFIX}"));
    let file = disk
        .open(&path, OpenMode::Read)
        .map_err(Error::io("open", &path))?;
    let size = file.len().map_err(Error::io("measure", &path))?;
    let mut walker = Walker::new(&*file, 0, size, base);
    loop {
        match walker.next(false).map_err(Error::io("read", &path))? {
            Step::Batch { .. } => {}
            Step::End => return Ok(walker.next_offset()),
            Step::Bad { position, reason } => {
                tracing::error!(path = %path.display(), position, reason, "a damaged segment");
                return Ok(walker.next_offset());
            }
        }
    }
}
