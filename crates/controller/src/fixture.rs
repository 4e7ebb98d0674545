//! What the tests of this crate share: a machine whose power can fail at any step on the disk.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ottla_metadata::{
    Command, ConfigResource, ConfigRules, CreateTopics, Image, NewTopic, Overrides, Refusal,
    RegisterBroker,
};
use ottla_model::{BrokerId, ClusterId, Uuid};
use ottla_runtime::Runtime;
use ottla_runtime::disk::{Disk, Entry, File, Lock, OpenMode, SimDisk};

use crate::{Identity, Options};

/// Allows every override.
pub(crate) struct AnyConfig;

impl ConfigRules for AnyConfig {
    fn check(&self, _: &Image, _: &ConfigResource, _: &Overrides) -> Result<(), Refusal> {
        Ok(())
    }

    fn list_default(&self, _: &ConfigResource, _: &str) -> Option<&'static str> {
        None
    }
}

pub(crate) fn log_dir() -> PathBuf {
    PathBuf::from("/data")
}

pub(crate) fn partition_dir() -> PathBuf {
    log_dir().join("__cluster_metadata-0")
}

pub(crate) fn identity(cluster: &str) -> Identity {
    Identity {
        node_id: BrokerId(1),
        cluster_id: ClusterId(cluster.into()),
        directory_id: Uuid([2; 16]),
    }
}

pub(crate) fn options() -> Options {
    Options::new(log_dir(), identity("test"), Arc::new(AnyConfig))
}

pub(crate) fn register() -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker_id: BrokerId(1),
        cluster_id: ClusterId("test".into()),
        incarnation_id: Uuid([1; 16]),
        directory_id: Uuid([2; 16]),
        rack: None,
        endpoints: Vec::new(),
        features: ottla_metadata::supported_features(),
        fenced: false,
        data_may_be_lost: false,
    })
}

pub(crate) fn create(name: &str) -> Command {
    let topics = vec![NewTopic {
        num_partitions: 3,
        ..NewTopic::with_defaults(name)
    }];
    Command::CreateTopics(CreateTopics {
        topics,
        ..CreateTopics::default()
    })
}

/// The real doors, but for the disk.
pub(crate) fn runtime(disk: impl Disk + 'static) -> Runtime {
    Runtime {
        disk: Arc::new(disk),
        ..Runtime::real()
    }
}

/// A disk whose machine loses its power after so many steps: from then on everything fails.
#[derive(Clone)]
pub(crate) struct PowerCut {
    disk: Arc<dyn Disk>,
    steps_left: Arc<AtomicI64>,
}

impl PowerCut {
    pub(crate) fn after(steps: i64, disk: &SimDisk) -> Self {
        PowerCut {
            disk: Arc::new(disk.clone()),
            steps_left: Arc::new(AtomicI64::new(steps)),
        }
    }

    /// Whether the power has failed.
    pub(crate) fn is_off(&self) -> bool {
        self.steps_left.load(Ordering::SeqCst) < 0
    }

    fn step(&self) -> io::Result<()> {
        if self.steps_left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.steps_left.store(-1, Ordering::SeqCst);
        Err(io::Error::other("the power is off"))
    }
}

impl Disk for PowerCut {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.step()?;
        let file = self.disk.open(path, mode)?;
        Ok(Arc::new(PoweredFile {
            file,
            power: self.clone(),
        }))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.disk.create_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.disk.remove_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        self.disk.rename(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
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

struct PoweredFile {
    file: Arc<dyn File>,
    power: PowerCut,
}

impl File for PoweredFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buf, position)
    }
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        // The write reaches the system, but not the caller's knowledge.
        let alive = self.power.step();
        self.file.write_at(parts, position)?;
        alive
    }
    fn sync_data(&self) -> io::Result<()> {
        self.power.step()?;
        self.file.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.power.step()?;
        self.file.set_len(len)
    }
}
