//! The node's disk: power that fails in the middle of an operation, and lies.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use ottla_runtime::Random;
use ottla_runtime::disk::{Disk, Entry, File, Lock, OpenMode, SimDisk};
use parking_lot::Mutex;

/// How a disk betrays its node. No node can stand it; a checker must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// An honest disk.
    None,
    /// It says that the records of topics are flushed, and has done nothing.
    ForgetsFlushes,
    /// It says that names are durable, and has done nothing.
    ForgetsNames,
    /// It flips a bit in one of five reads of the records of topics.
    FlipsBits,
}

/// What ends a node from one moment to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The power fails: what was not flushed may be gone.
    Power,
    /// The process is killed: the kernel keeps what was written.
    Kill,
}

/// A [`SimDisk`] behind a switch. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct NodeDisk(Arc<Inner>);

struct Inner {
    below: SimDisk,
    lie: Lie,
    /// The host of this disk, and all others.
    host: String,
    others: Vec<String>,
    random: Random,
    power: Mutex<Power>,
}

#[derive(Default)]
struct Power {
    is_off: bool,
    /// Changes of the disk until the node ends.
    end: Option<(u64, End)>,
    flipped_bits: u64,
    used_before_full: Option<u64>,
}

struct NodeFile {
    disk: NodeDisk,
    below: Arc<dyn File>,
    /// Whether it holds records of a client's topic.
    holds_records: bool,
}

impl NodeDisk {
    /// The disk of a host among others.
    pub(crate) fn new(seed: u64, lie: Lie, host: &str, hosts: &[String]) -> Self {
        let others = hosts.iter().filter(|other| *other != host);
        NodeDisk(Arc::new(Inner {
            below: SimDisk::new(seed),
            lie,
            host: host.to_owned(),
            others: others.cloned().collect(),
            random: Random::from_seed(seed ^ 0x706f_7765_7200),
            power: Mutex::default(),
        }))
    }

    /// The node will end after so many changes: writes, flushes, names.
    pub(crate) fn end_after(&self, changes: u64, end: End) {
        self.0.power.lock().end = Some((changes, end));
    }

    /// The node ends now: nothing that it does reaches the disk any more.
    pub(crate) fn end_now(&self, end: End) {
        let mut power = self.0.power.lock();
        if !power.is_off {
            power.is_off = true;
            power.end = None;
            if end == End::Power {
                self.0.below.crash();
            }
            if turmoil::in_simulation() {
                // In the middle of the host's work: what it still says until it is gone, nobody hears.
                for other in &self.0.others {
                    turmoil::partition(self.0.host.as_str(), other.as_str());
                }
            }
        }
    }

    /// The node will not end after all.
    pub(crate) fn spare(&self) {
        self.0.power.lock().end = None;
    }

    /// The node may use the disk again.
    pub(crate) fn restore(&self) {
        self.0.power.lock().is_off = false;
    }

    pub(crate) fn is_off(&self) -> bool {
        self.0.power.lock().is_off
    }

    /// Leaves room for so many more bytes; `None` for as many as are wanted.
    pub(crate) fn leave_room(&self, bytes: Option<u64>) {
        self.0.below.set_capacity_bytes(u64::MAX);
        let Some(room) = bytes else {
            self.0.power.lock().used_before_full = None;
            return;
        };
        let free = self.0.below.free_bytes(Path::new("/")).unwrap_or(u64::MAX);
        let used = u64::MAX - free;
        self.0.power.lock().used_before_full = Some(used);
        self.0.below.set_capacity_bytes(used.saturating_add(room));
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.0.power.lock().used_before_full.is_some()
    }

    pub(crate) fn flipped_bits(&self) -> u64 {
        self.0.power.lock().flipped_bits
    }

    /// Something that only looks.
    fn look<T>(&self, look: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.is_off() {
            return Err(off());
        }
        look()
    }

    /// Something that changes the disk. The node may end just before it, or just after.
    fn change<T>(&self, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let ends = {
            let mut power = self.0.power.lock();
            if power.is_off {
                return Err(off());
            }
            match &mut power.end {
                Some((0, end)) => Some(*end),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            }
        };
        let Some(end) = ends else {
            return change();
        };
        if self.0.random.below(2) == 0 {
            drop(change());
        }
        self.end_now(end);
        Err(off())
    }
}

fn off() -> io::Error {
    io::Error::other("the power is off")
}

fn holds_records(path: &Path) -> bool {
    let is_log = path.extension().is_some_and(|e| e == "log");
    let folder = path.parent().and_then(Path::file_name);
    is_log && folder.is_some_and(|f| f.to_string_lossy().starts_with("records"))
}

impl Disk for NodeDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let open = || self.0.below.open(path, mode);
        let below = match mode {
            OpenMode::Read | OpenMode::Write => self.look(open)?,
            OpenMode::Create if self.0.below.exists(path) => self.look(open)?,
            _ => self.change(open)?,
        };
        Ok(Arc::new(NodeFile {
            disk: self.clone(),
            below,
            holds_records: holds_records(path),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(|| self.0.below.create_dir_all(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.look(|| self.0.below.list(path))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(|| self.0.below.remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(|| self.0.below.remove_dir_all(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| self.0.below.rename(from, to))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|| match self.0.lie {
            Lie::ForgetsNames => Ok(()),
            _ => self.0.below.sync_dir(path),
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.below.exists(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.look(|| self.0.below.free_bytes(path))
    }

    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        self.look(|| self.0.below.total_bytes(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.look(|| self.0.below.lock(path))
    }
}

impl File for NodeFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let read = self.disk.look(|| self.below.read_at(buf, position))?;
        let inner = &self.disk.0;
        let flips = self.holds_records && inner.lie == Lie::FlipsBits;
        if flips && read > 0 && inner.random.below(5) == 0 {
            let at = inner.random.below(read as u64) as usize;
            buf[at] ^= 1 << inner.random.below(8);
            inner.power.lock().flipped_bits += 1;
        }
        Ok(read)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.disk.change(|| self.below.write_at(parts, position))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change(|| {
            if self.holds_records && self.disk.0.lie == Lie::ForgetsFlushes {
                return Ok(());
            }
            self.below.sync_data()
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.look(|| self.below.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(|| self.below.set_len(len))
    }
}
