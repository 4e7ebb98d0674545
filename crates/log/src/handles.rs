//! Files that stay open while they are used: a node with ten thousand partitions must not need ten
//! thousand descriptors.
//!
//! All files of segments share one limit. Beyond it those go that were not used since the last
//! round (the clock algorithm); they are opened again when somebody needs them. Two kinds stay:
//!
//! - A file with bytes that were not flushed. A write that failed later is told to whoever flushes
//!   a file that was open at that time, and perhaps to nobody else.
//! - A file whose name is about to be another's, for the readers who still hold its segment.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use ottla_runtime::disk::File;
use parking_lot::Mutex;

use crate::Error;

/// The open files of all segments.
pub(crate) struct Handles {
    limit: usize,
    open: Mutex<VecDeque<Weak<Slot>>>,
}

/// One file that may be open.
#[derive(Default)]
pub(crate) struct Handle(Arc<Slot>);

#[derive(Default)]
struct Slot {
    file: Mutex<Option<Arc<dyn File>>>,
    /// Used since the last round.
    used: AtomicBool,
    unflushed: AtomicBool,
    kept: AtomicBool,
}

impl Slot {
    /// Closes the file if nobody has used it since the last call; `false` when it stays.
    fn close(&self) -> bool {
        if self.used.swap(false, Ordering::AcqRel) {
            return false;
        }
        let Some(mut file) = self.file.try_lock() else {
            return false;
        };
        // Both are set under the lock.
        if self.unflushed.load(Ordering::Acquire) || self.kept.load(Ordering::Acquire) {
            return false;
        }
        *file = None;
        true
    }
}

impl Handles {
    pub(crate) fn new(limit: usize) -> Self {
        Handles {
            limit: limit.max(1),
            open: Mutex::default(),
        }
    }

    /// How many more files are open than there should be.
    pub(crate) fn excess(&self) -> usize {
        self.open.lock().len().saturating_sub(self.limit)
    }

    fn add(&self, slot: &Arc<Slot>) {
        self.open.lock().push_back(Arc::downgrade(slot));
        self.close_idle();
    }

    /// Closes what is too much, where it may be closed.
    pub(crate) fn close_idle(&self) {
        let mut open = self.open.lock();
        // Once around to take the marks of use away, and once more to close.
        for _ in 0..open.len() * 2 {
            if open.len() <= self.limit {
                break;
            }
            let Some(oldest) = open.pop_front() else {
                break;
            };
            if let Some(slot) = oldest.upgrade()
                && !slot.close()
            {
                open.push_back(oldest);
            }
        }
    }
}

impl Handle {
    /// The file, opened if it is not; `None` when there is none.
    pub(crate) fn get(
        &self,
        handles: &Handles,
        open: impl FnOnce() -> Result<Option<Arc<dyn File>>, Error>,
    ) -> Result<Option<Arc<dyn File>>, Error> {
        self.0.used.store(true, Ordering::Release);
        let opened = {
            let mut slot = self.0.file.lock();
            if let Some(file) = &*slot {
                return Ok(Some(Arc::clone(file)));
            }
            let Some(file) = open()? else {
                return Ok(None);
            };
            *slot = Some(Arc::clone(&file));
            file
        };
        handles.add(&self.0);
        Ok(Some(opened))
    }

    /// Takes a file that was just created.
    pub(crate) fn put(&self, handles: &Handles, file: Arc<dyn File>) {
        *self.0.file.lock() = Some(file);
        handles.add(&self.0);
    }

    /// The file stays open from now on: its name may become another's.
    pub(crate) fn keep(&self) {
        let _slot = self.0.file.lock();
        self.0.kept.store(true, Ordering::Release);
    }

    /// The file, if it is open.
    pub(crate) fn opened(&self) -> Option<Arc<dyn File>> {
        self.0.file.lock().clone()
    }

    /// Closes a file that was kept: its name has changed, and the next use opens that.
    pub(crate) fn forget(&self) {
        let mut slot = self.0.file.lock();
        self.0.kept.store(false, Ordering::Release);
        *slot = None;
    }

    /// Says whether the file has bytes that are not flushed.
    pub(crate) fn set_unflushed(&self, unflushed: bool) {
        let _slot = self.0.file.lock();
        self.0.unflushed.store(unflushed, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::Disk;
    use ottla_runtime::disk::{OpenMode, SimDisk};
    use std::path::Path;

    /// Uses files one after the other; returns which of them had to be opened.
    fn opened(handles: &Handles, files: &[Handle], uses: &[usize]) -> Vec<usize> {
        let disk = SimDisk::new(1);
        let mut opened = Vec::new();
        for &n in uses {
            let open = || {
                opened.push(n);
                let file = disk.open(Path::new("/f"), OpenMode::Create);
                Ok(Some(file.unwrap()))
            };
            assert!(files[n].get(handles, open).unwrap().is_some());
        }
        opened
    }

    fn files(count: usize) -> Vec<Handle> {
        (0..count).map(|_| Handle::default()).collect()
    }

    #[test]
    fn no_more_files_than_the_limit_stay_open_and_the_used_ones_do() {
        let handles = Handles::new(3);
        let files = files(50);
        let mut uses = vec![0; 2];
        for n in 1..50 {
            uses.extend([n, 0]);
        }
        let opened = opened(&handles, &files, &uses);
        assert!(handles.open.lock().len() <= 3 && handles.excess() == 0);
        let again = opened.iter().filter(|n| **n == 0).count();
        assert!(again < 25, "the one in use was closed {again} times");
    }

    #[test]
    fn unflushed_and_kept_files_stay_open() {
        let handles = Handles::new(2);
        let files = files(20);
        opened(&handles, &files, &[0, 1]);
        files[0].set_unflushed(true);
        files[1].keep();
        let all: Vec<usize> = (2..20).collect();
        opened(&handles, &files, &all);
        assert_eq!(opened(&handles, &files, &[0, 1]), Vec::<usize>::new());
        files[0].set_unflushed(false);
        opened(&handles, &files, &all);
        assert_eq!(opened(&handles, &files, &[0, 1]), [0]);
    }

    #[test]
    fn files_of_segments_that_are_gone_make_room() {
        let handles = Handles::new(2);
        for _ in 0..100 {
            opened(&handles, &files(2), &[0, 1]);
        }
        assert!(handles.open.lock().len() <= 2);
    }
}
