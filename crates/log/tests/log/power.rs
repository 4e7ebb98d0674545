//! A disk whose power fails at a chosen change.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use ottla_runtime::disk::{Disk, Entry, File, Lock, OpenMode, SimDisk};
use parking_lot::Mutex;

/// A [`SimDisk`] with a switch. When the power fails, whoever works on the disk unwinds, as if the
/// process had never got further.
#[derive(Clone)]
pub(crate) struct PowerDisk {
    below: SimDisk,
    switch: Arc<Mutex<Switch>>,
    failed: Arc<tokio::sync::Notify>,
}

struct Switch {
    /// Changes until the power fails.
    left: u64,
    /// Whether the last change is still made.
    after: bool,
    is_off: bool,
}

struct PowerFile(Arc<dyn File>, PowerDisk);

impl PowerDisk {
    pub(crate) fn new(below: &SimDisk, changes: u64, after: bool) -> Self {
        PowerDisk {
            below: below.clone(),
            switch: Arc::new(Mutex::new(Switch {
                left: changes,
                after,
                is_off: false,
            })),
            failed: Arc::default(),
        }
    }

    pub(crate) async fn failed(&self) {
        self.failed.notified().await;
    }

    pub(crate) fn is_off(&self) -> bool {
        self.switch.lock().is_off
    }

    fn look(&self) {
        if self.is_off() {
            std::panic::resume_unwind(Box::new("no power"));
        }
    }

    fn change<T>(&self, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.look();
        let (fails, after) = {
            let mut switch = self.switch.lock();
            let fails = switch.left == 0;
            switch.left = switch.left.saturating_sub(1);
            switch.is_off = fails;
            (fails, switch.after)
        };
        if !fails {
            return change();
        }
        if after {
            drop(change());
        }
        self.below.crash();
        self.failed.notify_one();
        std::panic::resume_unwind(Box::new("the power failed"));
    }
}

impl Disk for PowerDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let open = || {
            let file = self.below.open(path, mode)?;
            Ok(Arc::new(PowerFile(file, self.clone())) as Arc<dyn File>)
        };
        if matches!(mode, OpenMode::Read | OpenMode::Write) || self.below.exists(path) {
            self.look();
            return open();
        }
        self.change(open)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(|| self.below.create_dir_all(path))
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.look();
        self.below.list(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(|| self.below.remove_file(path))
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(|| self.below.remove_dir_all(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| self.below.rename(from, to))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|| self.below.sync_dir(path))
    }
    fn exists(&self, path: &Path) -> bool {
        self.look();
        self.below.exists(path)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.look();
        self.below.free_bytes(path)
    }
    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        self.look();
        self.below.total_bytes(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.look();
        self.below.lock(path)
    }
}

impl File for PowerFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.1.look();
        self.0.read_at(buf, position)
    }
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.1.change(|| self.0.write_at(parts, position))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.change(|| self.0.sync_data())
    }
    fn len(&self) -> io::Result<u64> {
        self.1.look();
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.change(|| self.0.set_len(len))
    }
}
