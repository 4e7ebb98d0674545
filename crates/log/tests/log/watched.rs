//! A disk that says when something is about to change.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use ottla_runtime::disk::{Disk, Entry, File, Lock, OpenMode, SimDisk};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// Calls `hook` before each operation that changes the disk or makes a change durable.
pub(crate) struct Watched {
    disk: SimDisk,
    hook: Hook,
}

struct WatchedFile(Arc<dyn File>, Hook);

impl Watched {
    pub(crate) fn new(disk: &SimDisk, hook: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Watched {
            disk: disk.clone(),
            hook: Arc::new(hook),
        })
    }
}

impl Disk for Watched {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode != OpenMode::Read {
            (self.hook)();
        }
        let file = self.disk.open(path, mode)?;
        Ok(Arc::new(WatchedFile(file, Arc::clone(&self.hook))))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        (self.hook)();
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        (self.hook)();
        self.disk.remove_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.hook)();
        self.disk.rename(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        (self.hook)();
        self.disk.sync_dir(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }
    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.total_bytes(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(path)
    }
}

impl File for WatchedFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buf, position)
    }
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        (self.1)();
        self.0.write_at(parts, position)
    }
    fn sync_data(&self) -> io::Result<()> {
        (self.1)();
        self.0.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        (self.1)();
        self.0.set_len(len)
    }
}
