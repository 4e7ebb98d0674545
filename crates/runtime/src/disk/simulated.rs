//! A disk in memory that forgets, at a crash, what was not flushed.
//!
//! ```text
//!  file:   durable bytes + pending writes   = what a reader sees
//!  folder: durable names + pending changes  = what a listing sees
//! ```
//!
//! A crash keeps the durable part. Of the pending writes each one is kept, torn or dropped at
//! random, in any combination (a disk reorders them); of the pending names a prefix is kept (a
//! journal keeps their order). The same seed gives the same losses.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, Entry, File, Lock, OpenMode};
use crate::Random;

/// One machine's disk; clones are the same disk. It lives outside the simulated host.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    random: Random,
    /// Counts crashes: handles of an earlier life no longer reach the disk.
    life: u64,
    files: BTreeMap<u64, Contents>,
    next_file: u64,
    names: Names,
    durable_names: Names,
    pending_names: Vec<(PathBuf, NameChange)>,
    locks: BTreeMap<PathBuf, u64>,
    capacity_bytes: u64,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy)]
enum Node {
    Dir,
    File(u64),
}

#[derive(Clone)]
enum NameChange {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Clone, Default)]
struct Contents {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SimDisk(Arc::new(Mutex::new(State {
            random: Random::from_seed(seed ^ 0x5149_6d44_6973_6b00),
            life: 0,
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            locks: BTreeMap::new(),
            capacity_bytes: u64::MAX,
        })))
    }

    /// The power fails: what was not flushed may be lost, torn or kept.
    pub fn crash(&self) {
        self.0.lock().crash();
    }

    /// What would be left if the power failed now, as a disk of its own; this one goes on. A test
    /// that calls it before each operation tries a power failure at every moment of one run.
    #[must_use]
    pub fn crashed_copy(&self, seed: u64) -> SimDisk {
        let mut copy = self.0.lock().copy(seed);
        copy.crash();
        SimDisk(Arc::new(Mutex::new(copy)))
    }

    /// Limits the bytes of all files together; writes beyond it fail as a full disk does.
    pub fn set_capacity_bytes(&self, capacity_bytes: u64) {
        self.0.lock().capacity_bytes = capacity_bytes;
    }

    /// Flips the bits of `mask` in one durable byte, as a bad disk would; `false` when there is no
    /// such byte.
    #[must_use]
    pub fn damage(&self, path: &Path, position: u64, mask: u8) -> bool {
        let mut state = self.0.lock();
        let Some(&Node::File(id)) = state.names.get(path) else {
            return false;
        };
        let Some(contents) = state.files.get_mut(&id) else {
            return false;
        };
        let at = position as usize;
        for bytes in [&mut contents.seen, &mut contents.durable] {
            let Some(byte) = bytes.get_mut(at) else {
                return false;
            };
            *byte ^= mask;
        }
        true
    }

    /// All paths of files, for a test that looks around.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.0.lock();
        let is_file =
            |(path, node): (&PathBuf, &Node)| matches!(node, Node::File(_)).then(|| path.clone());
        state.names.iter().filter_map(is_file).collect()
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(position, data) => {
                let start = *position as usize;
                let end = start + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(data);
            }
            Change::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }
}

impl State {
    fn copy(&self, seed: u64) -> State {
        State {
            random: Random::from_seed(seed),
            life: self.life,
            files: self.files.clone(),
            next_file: self.next_file,
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending_names: self.pending_names.clone(),
            locks: self.locks.clone(),
            capacity_bytes: self.capacity_bytes,
        }
    }

    fn crash(&mut self) {
        self.life += 1;
        self.locks.clear();
        for contents in self.files.values_mut() {
            for change in std::mem::take(&mut contents.pending) {
                match (self.random.below(3), change) {
                    (0, change) => change.apply(&mut contents.durable),
                    (1, Change::Write(position, mut data)) => {
                        data.truncate(self.random.below(data.len() as u64 + 1) as usize);
                        Change::Write(position, data).apply(&mut contents.durable);
                    }
                    _ => {}
                }
            }
            contents.seen.clone_from(&contents.durable);
        }
        let pending = std::mem::take(&mut self.pending_names);
        let kept = self.random.below(pending.len() as u64 + 1) as usize;
        for (_, change) in pending.into_iter().take(kept) {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
    }

    fn change_name(&mut self, dir: &Path, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push((dir.to_owned(), change));
    }

    /// The bytes of all files that have a name. (A real disk frees a removed file when its last
    /// handle is closed; nothing here keeps handles of removed files for long.)
    fn used_bytes(&self) -> u64 {
        let named = self.names.values().filter_map(|node| match node {
            Node::File(id) => self.files.get(id),
            Node::Dir => None,
        });
        named.map(|contents| contents.seen.len() as u64).sum()
    }

    fn dir_exists(&self, path: &Path) -> bool {
        path.as_os_str().is_empty()
            || path == Path::new("/")
            || matches!(self.names.get(path), Some(Node::Dir))
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            NameChange::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            NameChange::Remove(path) => names.retain(|p, _| !p.starts_with(path)),
            NameChange::Rename(from, to) => {
                let moved: Vec<PathBuf> = names
                    .keys()
                    .filter(|p| p.starts_with(from))
                    .cloned()
                    .collect();
                if !moved.is_empty() {
                    names.retain(|p, _| !p.starts_with(to));
                }
                for path in moved {
                    let Some(node) = names.remove(&path) else {
                        continue;
                    };
                    let rest = path.strip_prefix(from).unwrap_or(Path::new(""));
                    let target = if rest.as_os_str().is_empty() {
                        to.clone()
                    } else {
                        to.join(rest)
                    };
                    names.insert(target, node);
                }
            }
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}

struct SimFile {
    disk: SimDisk,
    id: u64,
    life: u64,
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        if state.locks.get(&self.path) == Some(&self.life) {
            state.locks.remove(&self.path);
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.0.lock();
        let id = match (state.names.get(path).copied(), mode) {
            (Some(Node::Dir), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(_)), OpenMode::CreateNew) => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            (Some(Node::File(id)), _) => id,
            (None, OpenMode::Read | OpenMode::Write) => return Err(missing(path)),
            (None, _) => {
                let dir = parent(path);
                if !state.dir_exists(&dir) {
                    return Err(missing(&dir));
                }
                let id = state.next_file;
                state.next_file += 1;
                state.files.insert(id, Contents::default());
                state.change_name(&dir, NameChange::Add(path.to_owned(), Node::File(id)));
                id
            }
        };
        let life = state.life;
        drop(state);
        let file = SimFile {
            disk: self.clone(),
            id,
            life,
        };
        if mode == OpenMode::Truncate {
            file.set_len(0)?;
        }
        Ok(Arc::new(file))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let mut dirs: Vec<&Path> = path.ancestors().collect();
        dirs.reverse();
        for dir in dirs {
            if state.dir_exists(dir) {
                continue;
            }
            // Like the real one, this call makes the folders durable before it returns.
            NameChange::Add(dir.to_owned(), Node::Dir).apply(&mut state.names);
            NameChange::Add(dir.to_owned(), Node::Dir).apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.0.lock();
        if !state.dir_exists(path) {
            return Err(missing(path));
        }
        let entry = |(p, node): (&PathBuf, &Node)| {
            let name = p.file_name()?.to_str()?.to_owned();
            (p.parent() == Some(path)).then_some(Entry {
                name,
                is_dir: matches!(node, Node::Dir),
            })
        };
        Ok(state.names.iter().filter_map(entry).collect())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !matches!(state.names.get(path), Some(Node::File(_))) {
            return Err(missing(path));
        }
        state.change_name(&parent(path), NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !matches!(state.names.get(path), Some(Node::Dir)) {
            return Err(missing(path));
        }
        state.change_name(&parent(path), NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.names.contains_key(from) {
            return Err(missing(from));
        }
        state.change_name(
            &parent(to),
            NameChange::Rename(from.to_owned(), to.to_owned()),
        );
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.dir_exists(path) {
            return Err(missing(path));
        }
        let pending = std::mem::take(&mut state.pending_names);
        for (dir, change) in pending {
            if dir == path {
                change.apply(&mut state.durable_names);
            } else {
                state.pending_names.push((dir, change));
            }
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.0.lock();
        state.names.contains_key(path) || state.dir_exists(path)
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let state = self.0.lock();
        Ok(state.capacity_bytes.saturating_sub(state.used_bytes()))
    }

    fn total_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.0.lock().capacity_bytes)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut state = self.0.lock();
        if state.locks.contains_key(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = state.life;
        state.locks.insert(path.to_owned(), life);
        Ok(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
            life,
        }))
    }
}

impl SimFile {
    /// Runs `f` on the contents, unless the machine has crashed since the file was opened.
    fn with<T>(&self, f: impl FnOnce(&mut Contents) -> T) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        if state.life != self.life {
            return Err(io::Error::other(
                "the machine crashed after this file was opened",
            ));
        }
        state
            .files
            .get_mut(&self.id)
            .map(f)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.with(|contents| {
            change.apply(&mut contents.seen);
            contents.pending.push(change);
        })
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(|contents| {
            let rest = contents.seen.get(position as usize..).unwrap_or_default();
            let n = rest.len().min(buf.len());
            buf[..n].copy_from_slice(&rest[..n]);
            n
        })
    }

    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let data: Vec<u8> = parts.iter().flat_map(|p| p.iter().copied()).collect();
        let end = position + data.len() as u64;
        let growth = end.saturating_sub(self.len()?);
        {
            let state = self.disk.0.lock();
            if state.used_bytes().saturating_add(growth) > state.capacity_bytes {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.change(Change::Write(position, data))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|contents| {
            for change in std::mem::take(&mut contents.pending) {
                change.apply(&mut contents.durable);
            }
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|contents| contents.seen.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len))
    }
}
