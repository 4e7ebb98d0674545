//! The door to the disk.
//!
//! All calls block: they run on [`Workers`](crate::Workers) or in
//! [`Tasks::blocking`](crate::Tasks::blocking), never on a network task.
//!
//! What survives a crash is what POSIX promises and no more: a file's bytes after
//! [`File::sync_data`], and a name (created, renamed, removed) after [`Disk::sync_dir`] of its
//! folder. The simulated disk takes away everything else.

mod real;
#[cfg(feature = "sim")]
mod simulated;

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use real::RealDisk;
#[cfg(feature = "sim")]
pub use simulated::SimDisk;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// For reading and writing; created when it is missing.
    Create,
    /// For reading and writing; created, and an error when it exists.
    CreateNew,
    /// For reading and writing; created, and emptied when it exists.
    Truncate,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name without its folder. Names that are not UTF-8 are none of ours and are left out.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// A held lock; dropping it releases it.
pub trait Lock: Send + Sync {}

/// Files and folders.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Makes a folder and its parents, durably.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Removes a file's name.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or folder another name, atomically, replacing a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names of a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether the name exists.
    fn exists(&self, path: &Path) -> bool;
    /// The bytes that the file system of `path` still has room for.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// The size of the file system of `path`.
    fn total_bytes(&self, path: &Path) -> io::Result<u64>;
    /// Takes the lock file `path` for this process, or fails with `WouldBlock` when another
    /// process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
}

/// An open file. Positions are explicit, so that readers and the one writer share it.
pub trait File: Send + Sync {
    /// Fills `buf` from `position`; fewer bytes only at the file's end.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `parts`, one after the other, from `position` on.
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Makes the bytes (and the length) durable.
    fn sync_data(&self) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Takes room on the disk for a file of `len` bytes, whose length stays as it is.
    /// [`File::set_len`] gives back what is left of it. A disk that cannot do this does nothing.
    fn reserve(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }
}

impl dyn Disk + '_ {
    /// A whole file's bytes.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Replaces a file's contents so that after a crash either the old or the new ones are there,
    /// and the new ones once this has returned.
    pub fn write_atomically(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = Path::new(&name);
        let file = self.open(temporary, OpenMode::Truncate)?;
        file.write_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_data()?;
        self.rename(temporary, path)?;
        match path.parent() {
            Some(dir) => self.sync_dir(dir),
            None => Ok(()),
        }
    }
}

/// Whether the error says that the disk has no room left: the one disk error after which a log
/// may go on, since nothing that was written before is in doubt.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests;
