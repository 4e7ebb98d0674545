//! A data folder: its logs, its checkpoints, its clean or unclean end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use ottla_model::{Offset, TimestampMs, TopicId, TopicPartition, Uuid};
use ottla_runtime::disk::{Disk, Lock, OpenMode};
use ottla_runtime::watch;
use ottla_runtime::{Runtime, Tasks};
use parking_lot::{Mutex, RwLock};

use crate::checkpoint;
use crate::checkpoints::{Checkpoints, load_offsets};
use crate::clean::CleanState;
use crate::core::{Context, Core, LogOffsets, Queue};
use crate::handles::Handles;
use crate::layout;
use crate::owner::Owner;
use crate::progress::RecoveryProgress;
use crate::recovery::{Recovered, Recovery};
use crate::room::Room;
use crate::tail_cache::TailCache;
use crate::{Error, Log, LogConfig, LogDirOptions, Probe};

/// A coordinator ends a transaction within its timeout, and is given this much more (KIP-890).
const LATE_AFTER_MS: i64 = 5 * 60_000;

/// A data folder that this process owns. Clones are the same folder.
#[derive(Clone)]
pub struct LogDir(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) context: Arc<Context>,
    pub(crate) tasks: Tasks,
    path: PathBuf,
    logs: Mutex<BTreeMap<TopicPartition, Log>>,
    /// Folders that were there at the start and are not open yet.
    folders: Mutex<BTreeSet<TopicPartition>>,
    progress: Arc<RecoveryProgress>,
    lock: Mutex<Option<Box<dyn Lock>>>,
    /// Whether the last process ended cleanly.
    clean_start: bool,
}

impl Drop for Inner {
    /// A log and its owner hold each other while the owner rests.
    fn drop(&mut self) {
        for log in self.logs.get_mut().values() {
            let owner = log.0.queue.lock().owner.take();
            drop(owner);
        }
    }
}

/// What was found when the data folder was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Whether the last process ended cleanly, so that nothing has to be read again.
    pub clean_shutdown: bool,
    /// The partitions that have a folder.
    pub partitions: Vec<TopicPartition>,
}

impl LogDir {
    /// Takes the data folder for this process, and makes it when it is missing. Blocks.
    pub fn open(
        runtime: &Runtime,
        options: LogDirOptions,
        path: &Path,
    ) -> Result<(LogDir, RecoveryReport), Error> {
        let disk = Arc::clone(&runtime.disk);
        disk.create_dir_all(path)
            .map_err(Error::io("create", path))?;
        let lock = take_lock(&*disk, path)?;
        let clean_shutdown = take_marker(&*disk, path)?;
        let names = disk.list(path).map_err(Error::io("list", path))?;
        let names = || names.iter().filter(|e| e.is_dir).map(|e| e.name.as_str());
        let folders: BTreeSet<TopicPartition> = names().filter_map(layout::parse_folder).collect();
        let deleted = names().filter(|n| layout::is_deleted_folder(n));
        let trash = deleted.map(|n| (TimestampMs::MIN, path.join(n))).collect();
        let checkpoints = Checkpoints::load(&*disk, path, &folders)?;
        let cleaned = path.join(layout::CLEANER_OFFSET_FILE);
        let clean = CleanState::new(path, load_offsets(&*disk, &cleaned, &folders)?);
        let context = Arc::new(Context {
            clock: runtime.clock.clone(),
            random: runtime.random.clone(),
            workers: runtime.tasks.workers("log-disk", options.disk_threads),
            cache: TailCache::new(options.cache_bytes),
            room: Room::new(options.reserve_bytes),
            handles: Arc::new(Handles::new(options.open_files)),
            probe: Arc::new(Probe::default()),
            trash: Mutex::new(trash),
            checkpoints,
            clean,
            producer_id_expiration_ms: options.producer_id_expiration_ms.into(),
            verify_transactions: options.verify_transactions.into(),
            options,
            disk,
        });
        let report = RecoveryReport {
            clean_shutdown,
            partitions: folders.iter().cloned().collect(),
        };
        let inner = Inner {
            context,
            tasks: runtime.tasks.clone(),
            path: path.to_owned(),
            logs: Mutex::default(),
            progress: Arc::new(RecoveryProgress::new(folders.len() as u64)),
            folders: Mutex::new(folders),
            lock: Mutex::new(Some(lock)),
            clean_start: clean_shutdown,
        };
        Ok((LogDir(Arc::new(inner)), report))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Counters of all logs.
    #[must_use]
    pub fn probe(&self) -> Arc<Probe> {
        Arc::clone(&self.0.context.probe)
    }

    /// How far the recovery is.
    #[must_use]
    pub fn recovery_progress(&self) -> Arc<RecoveryProgress> {
        Arc::clone(&self.0.progress)
    }

    /// Bytes of memory that the newest batches take.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.0.context.cache.used_bytes()
    }

    /// Bytes that the disk has room for. Blocks.
    pub fn free_bytes(&self) -> Result<u64, Error> {
        let path = &self.0.path;
        self.0
            .context
            .disk
            .free_bytes(path)
            .map_err(Error::io("measure", path))
    }

    /// The size of the disk. Blocks.
    pub fn total_bytes(&self) -> Result<u64, Error> {
        let path = &self.0.path;
        self.0
            .context
            .disk
            .total_bytes(path)
            .map_err(Error::io("measure", path))
    }

    /// The partitions with a folder that were not opened: of topics that no longer exist, when all
    /// others are open.
    #[must_use]
    pub fn unopened(&self) -> Vec<TopicPartition> {
        self.0.folders.lock().iter().cloned().collect()
    }

    /// An open log.
    #[must_use]
    pub fn log(&self, partition: &TopicPartition) -> Option<Log> {
        self.0.logs.lock().get(partition).cloned()
    }

    /// All open logs.
    #[must_use]
    pub fn logs(&self) -> Vec<Log> {
        self.0.logs.lock().values().cloned().collect()
    }

    /// Opens a partition's log, recovering it if it is on disk. A log that nothing was written to
    /// has no folder, and opening it touches no file. Logs may be opened at the same time; each one
    /// can be used as soon as it is there.
    ///
    /// A folder of an earlier topic (another id) with the same name is put aside.
    pub async fn open_log(
        &self,
        partition: TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
    ) -> Result<Log, Error> {
        self.open_with(partition, topic_id, config, Offset::MAX)
            .await
    }

    /// As [`LogDir::open_log`], for a log that has other replicas: its high watermark is the one that
    /// was last written to `replication-offset-checkpoint`, and stays there until
    /// [`Log::set_replicated_offset`] says more.
    pub async fn open_replica(
        &self,
        partition: TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
    ) -> Result<Log, Error> {
        let known = self.0.context.checkpoints.of(&partition);
        self.open_with(partition, topic_id, config, known.high_watermark)
            .await
    }

    async fn open_with(
        &self,
        partition: TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
        replicated_offset: Offset,
    ) -> Result<Log, Error> {
        if let Some(open) = self.log(&partition) {
            return Ok(open);
        }
        let config = Arc::new(config);
        let dir = self.0.path.join(partition.to_string());
        let on_disk = self.0.folders.lock().contains(&partition);
        let recovered = if on_disk {
            let mut recovery = self.recovery(&partition, topic_id, &config, &dir);
            recovery.high_watermark = replicated_offset;
            let recovered = self.on_worker(move || recovery.run()).await?;
            self.0.folders.lock().remove(&partition);
            self.0.progress.log_done();
            recovered
        } else {
            Recovered::empty()
        };
        let log = self.assemble(
            partition,
            topic_id,
            config,
            dir,
            recovered,
            replicated_offset,
        );
        let mut logs = self.0.logs.lock();
        let kept = logs
            .entry(log.partition().clone())
            .or_insert_with(|| log.clone());
        Ok(kept.clone())
    }

    fn recovery(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: &Arc<LogConfig>,
        dir: &Path,
    ) -> Recovery {
        let known = self.0.context.checkpoints.of(partition);
        Recovery {
            context: Arc::clone(&self.0.context),
            progress: Arc::clone(&self.0.progress),
            partition: partition.clone(),
            topic_id,
            config: Arc::clone(config),
            gaps: config.compact || self.0.context.clean.was_cleaned(partition),
            root: self.0.path.clone(),
            dir: dir.to_owned(),
            recovery_point: known.recovery_point,
            log_start_offset: known.log_start_offset,
            high_watermark: Offset::MAX,
        }
    }

    async fn on_worker<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tx, rx) = tokio::sync::oneshot::channel();
        self.0.context.workers.submit(move || {
            // Whoever asked may have gone away.
            drop(tx.send(work()));
        });
        rx.await.unwrap_or_else(|_| {
            Err(Error::Closed {
                log: self.0.path.display().to_string(),
            })
        })
    }

    fn assemble(
        &self,
        partition: TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        dir: PathBuf,
        recovered: Recovered,
        replicated_offset: Offset,
    ) -> Log {
        let end = recovered.next_offset;
        let start = recovered.log_start_offset;
        let high_watermark = replicated_offset.min(end).max(start);
        let last_stable_offset = recovered
            .producers
            .last_stable_offset(start, high_watermark);
        let offsets = LogOffsets {
            log_start_offset: start,
            last_stable_offset,
            high_watermark,
            flushed_offset: end,
            log_end_offset: end,
        };
        let core = Arc::new(Core {
            cleaned: self.0.context.clean.was_cleaned(&partition).into(),
            partition,
            topic_id,
            dir,
            context: Arc::clone(&self.0.context),
            config: ArcSwap::new(config),
            segments: ArcSwap::from_pointee(recovered.segments),
            offsets: watch::Sender::new(offsets),
            epochs: RwLock::new(recovered.epochs),
            producers: RwLock::new(recovered.producers),
            has_aborted: AtomicBool::new(recovered.has_aborted),
            tail: Arc::default(),
            queue: Mutex::new(Queue {
                commands: std::collections::VecDeque::new(),
                bytes: 0,
                owner: None,
                closed: false,
            }),
            recovery_point: AtomicI64::new(recovered.recovery_point),
            replicated_offset: AtomicI64::new(replicated_offset),
            unflushed_since_ms: AtomicI64::new(i64::MAX),
            failures: AtomicU64::new(0),
            cuts: RwLock::default(),
            deleted: AtomicBool::new(false),
            reported: Mutex::default(),
        });
        let owner = Box::new(Owner {
            core: Arc::clone(&core),
            active: recovered.active,
            epochs_dirty: recovered.epochs_dirty,
            next_offset: end,
            flushed_offset: end,
            log_start_offset: recovered.log_start_offset,
            bytes_since_checkpoint: recovered.bytes_since_checkpoint,
            snapshot_offset: recovered.snapshot_offset,
            promises: recovered.promises,
            folder_exists: recovered.folder_exists,
        });
        core.queue.lock().owner = Some(owner);
        Log(core)
    }

    /// Deletes logs: their folders get other names at once, durably, and are removed later. However
    /// many they are, the data folder is flushed and the checkpoints are written once.
    pub async fn delete_logs(&self, partitions: Vec<TopicPartition>) -> Result<(), Error> {
        let logs: Vec<Log> = {
            let mut open = self.0.logs.lock();
            partitions.iter().filter_map(|p| open.remove(p)).collect()
        };
        let delay_of = |log: &Log| log.0.config.load().file_delete_delay_ms;
        let delays: HashMap<_, _> = logs
            .iter()
            .map(|log| (log.0.partition.clone(), delay_of(log)))
            .collect();
        // After what was enqueued before; what comes later is refused, and nothing touches the folders.
        let retired: Vec<_> = logs.iter().map(|log| log.0.submit(retire)).collect();
        for retired in retired.into_iter().flatten() {
            // A closed log is as good.
            drop(retired.await);
        }
        {
            let mut folders = self.0.folders.lock();
            for partition in &partitions {
                folders.remove(partition);
            }
        }
        let dir = self.clone();
        self.on_worker(move || dir.remove_folders(&partitions, &delays))
            .await
    }

    /// `delays_ms` says how long the files of a log stay; those of others stay for no time.
    fn remove_folders(
        &self,
        partitions: &[TopicPartition],
        delays_ms: &HashMap<TopicPartition, i64>,
    ) -> Result<(), Error> {
        let context = &self.0.context;
        let disk = &context.disk;
        let mut renamed = Vec::new();
        for partition in partitions {
            let from = self.0.path.join(partition.to_string());
            let id = Uuid(context.random.bytes16());
            let to = self.0.path.join(layout::deleted_folder(partition, id));
            match disk.rename(&from, &to) {
                Ok(()) => renamed.push((delays_ms.get(partition).copied().unwrap_or(0), to)),
                // Nothing was ever written to it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("rename", &from)(error)),
            }
        }
        if renamed.is_empty() {
            return Ok(());
        }
        disk.sync_dir(&self.0.path)
            .map_err(Error::io("flush", &self.0.path))?;
        let now_ms = context.clock.now_ms();
        let renamed = renamed.into_iter();
        let due = renamed.map(|(delay_ms, to)| (now_ms.saturating_add(delay_ms), to));
        context.trash.lock().extend(due);
        // A new topic of this name must not inherit the offsets.
        context.checkpoints.forget(partitions);
        let forgotten = self.0.context.clean.forget(&**disk, partitions);
        forgotten
            .and_then(|()| self.write_checkpoints())
            .or_else(|error| {
                // On a full disk the old text stays until the next time. A start in between finds no
                // folder of this name and ignores the entry.
                if error.is_full() { Ok(()) } else { Err(error) }
            })
    }

    /// Writes the checkpoint files, where they changed. Blocks.
    pub(crate) fn write_checkpoints(&self) -> Result<(), Error> {
        let context = &self.0.context;
        context.checkpoints.write(&*context.disk, || self.logs())
    }

    /// Moves a log's start to `offset` (KIP-107), durably, and deletes the segments before it.
    /// Returns the log start offset.
    pub async fn delete_records_before(&self, log: &Log, offset: Offset) -> Result<Offset, Error> {
        let has_deletable = log
            .run(move |owner| {
                let offsets = owner.core.offsets();
                if offset > offsets.high_watermark || offset < 0 {
                    return Err(Error::OffsetOutOfRange {
                        offset,
                        log_start_offset: offsets.log_start_offset,
                        log_end_offset: offsets.high_watermark,
                    });
                }
                owner.advance_log_start(offset);
                Ok(owner.has_deletable())
            })
            .await?;
        let dir = self.clone();
        self.on_worker(move || dir.write_checkpoints()).await?;
        if has_deletable {
            let now = self.0.context.clock.now_ms();
            log.run(move |owner| owner.delete_segments(now)).await?;
        }
        Ok(log.log_start_offset())
    }

    /// Deletes what is too old or too much, in all logs. Returns how many logs lost something.
    pub async fn enforce_retention(&self, now_ms: TimestampMs) -> Result<usize, Error> {
        let plan = move |owner: &mut Owner| {
            let start = owner.plan_retention(now_ms)?;
            owner.advance_log_start(start);
            Ok::<bool, Error>(owner.has_deletable())
        };
        let logs = self.logs().into_iter();
        let logs = logs.filter(|l| !l.0.segments.load().is_empty());
        let planned: Vec<_> = logs.map(|log| (log.0.submit(plan), log)).collect();
        let mut due = Vec::new();
        for (pending, log) in planned {
            let Some(pending) = pending else { continue };
            match pending.await {
                Ok(Ok(true)) => due.push(log),
                Ok(Err(error)) => {
                    tracing::error!(log = %log.partition(), %error, "retention failed; it is tried again");
                }
                Ok(Ok(false)) | Err(_) => {}
            }
        }
        if due.is_empty() {
            return Ok(0);
        }
        let dir = self.clone();
        match self.on_worker(move || dir.write_checkpoints()).await {
            // Deleting is what makes room. It is safe all the same: oldest segments go first.
            Err(error) if error.is_full() => {}
            other => other?,
        }
        let count = due.len();
        let delete = move |owner: &mut Owner| owner.delete_segments(now_ms);
        let deleting: Vec<_> = due.iter().map(|log| log.0.submit(delete)).collect();
        for pending in deleting.into_iter().flatten() {
            if let Ok(result) = pending.await {
                result?;
            }
        }
        Ok(count)
    }

    /// Moves the recovery points of logs with enough new bytes (`force`: with any), and writes the
    /// checkpoint files.
    pub async fn checkpoint(&self, force: bool) -> Result<(), Error> {
        self.checkpoint_logs(force, false).await?;
        let dir = self.clone();
        self.on_worker(move || dir.write_checkpoints()).await
    }

    /// All logs at the same time. A full disk, met by one of them, does not keep the others from it.
    async fn checkpoint_logs(&self, force: bool, close: bool) -> Result<(), Error> {
        let task = move |owner: &mut Owner| {
            let done = owner.checkpoint(force);
            owner.publish_end();
            if close {
                owner.core.close_queue();
            }
            done
        };
        let logs = self.logs();
        let pending: Vec<_> = logs.iter().map(|log| log.0.submit(task)).collect();
        let mut first_error = Ok(());
        for pending in pending.into_iter().flatten() {
            if let Ok(Err(error)) = pending.await
                && first_error.is_ok()
            {
                first_error = Err(error);
            }
        }
        first_error
    }

    /// Changes how producers and their transactions are treated, from now on
    /// (`producer.id.expiration.ms`, `transaction.partition.verification.enable`).
    pub fn update_producer_rules(&self, expiration_ms: i64, verify_transactions: bool) {
        let context = &self.0.context;
        let (expiration, verify) = (
            &context.producer_id_expiration_ms,
            &context.verify_transactions,
        );
        expiration.store(expiration_ms, Ordering::Relaxed);
        verify.store(verify_transactions, Ordering::Relaxed);
    }

    /// How long the producers of open transactions have been silent, in milliseconds: of each
    /// partition that has any, that of the oldest one.
    fn transaction_ages_ms(&self) -> Vec<i64> {
        let now = self.0.context.clock.now_ms();
        let logs = self.logs();
        let oldest = logs.iter().filter_map(Log::oldest_open_transaction);
        oldest
            .map(|open| now.saturating_sub(open.last_timestamp).max(0))
            .collect()
    }

    /// How long the oldest open transaction has been silent, in milliseconds; 0 without one.
    #[must_use]
    pub fn oldest_transaction_age_ms(&self) -> i64 {
        self.transaction_ages_ms().into_iter().max().unwrap_or(0)
    }

    /// How many partitions have a late transaction: no coordinator can be about to end it, so that
    /// consumers of committed records are stuck until somebody aborts it (KIP-664).
    #[must_use]
    pub fn partitions_with_late_transactions(&self) -> usize {
        let timeout_ms = self.0.context.options.transaction_max_timeout_ms;
        let ages = self.transaction_ages_ms().into_iter();
        ages.filter(|age| *age > timeout_ms + LATE_AFTER_MS).count()
    }

    /// Forgets producers that were silent for too long, in all logs. Their open transactions keep
    /// the others.
    pub(crate) fn expire_producers(&self) {
        let now = self.0.context.clock.now_ms();
        let expiration_ms = self
            .0
            .context
            .producer_id_expiration_ms
            .load(Ordering::Relaxed);
        for log in self.logs() {
            if !log.0.producers.read().is_empty() {
                log.0.producers.write().expire(now, expiration_ms);
            }
        }
    }

    /// Flushes logs whose oldest unflushed record is older than their `flush.ms`.
    pub(crate) fn flush_overdue(&self) {
        let now = self.0.context.clock.monotonic_ms();
        for log in self.logs() {
            let since = log.0.unflushed_since_ms.load(Ordering::Relaxed);
            if since != i64::MAX && now.saturating_sub(since) >= log.0.config.load().flush_ms {
                flush_later(&log);
            }
        }
    }

    /// When more files are open than there should be, flushes as many logs as that: their files can
    /// be closed then.
    pub(crate) fn flush_to_close(&self) {
        let handles = &self.0.context.handles;
        handles.close_idle();
        let logs = self.logs().into_iter();
        let unflushed =
            logs.filter(|log| log.0.unflushed_since_ms.load(Ordering::Relaxed) != i64::MAX);
        for log in unflushed.take(handles.excess()) {
            flush_later(&log);
        }
    }

    /// Removes files and folders whose time has come. Blocks.
    pub(crate) fn empty_trash(&self) {
        let now = self.0.context.clock.now_ms();
        let due: Vec<PathBuf> = {
            let mut trash = self.0.context.trash.lock();
            let (due, later) = trash.drain(..).partition(|(at, _)| *at <= now);
            *trash = later;
            Vec::into_iter(due).map(|(_, path)| path).collect()
        };
        let disk = &self.0.context.disk;
        for path in due {
            let is_folder = path.to_str().is_some_and(layout::is_deleted_folder);
            let removed = if is_folder {
                disk.remove_dir_all(&path)
            } else {
                disk.remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "cannot remove; left behind");
                }
                _ => {}
            }
        }
    }

    /// The clean end: everything is flushed, and the next start has nothing to recover. Call it
    /// once, when nobody appends any more.
    pub async fn close(&self) -> Result<(), Error> {
        let closed = self.checkpoint_logs(true, true).await;
        let dir = self.clone();
        let marked = self
            .on_worker(move || {
                dir.write_checkpoints()?;
                closed?;
                // A log that was not recovered yet is as unclean as before.
                if dir.0.clean_start || dir.unopened().is_empty() {
                    dir.write_marker()?;
                }
                Ok(())
            })
            .await;
        self.0.context.workers.close();
        drop(self.0.lock.lock().take());
        marked
    }

    fn write_marker(&self) -> Result<(), Error> {
        let disk = &self.0.context.disk;
        let path = self.0.path.join(layout::CLEAN_SHUTDOWN_FILE);
        let text = checkpoint::CLEAN_SHUTDOWN_TEXT.as_bytes();
        let write = || {
            let file = disk.open(&path, OpenMode::Truncate)?;
            file.write_at(&[IoSlice::new(text)], 0)?;
            file.sync_data()?;
            disk.sync_dir(&self.0.path)
        };
        write().map_err(Error::io("write", &path))
    }
}

fn take_lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Lock>, Error> {
    let file = path.join(layout::LOCK_FILE);
    disk.lock(&file).map_err(|error| {
        if error.kind() == std::io::ErrorKind::WouldBlock {
            let path = path.to_owned();
            Error::Locked { path }
        } else {
            Error::io("lock", &file)(error)
        }
    })
}

/// Whether the marker is there; it is removed, durably: from now on an end without it is unclean.
fn take_marker(disk: &dyn Disk, path: &Path) -> Result<bool, Error> {
    let marker = path.join(layout::CLEAN_SHUTDOWN_FILE);
    match disk.remove_file(&marker) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io("remove", &marker)(error)),
    }
    disk.sync_dir(path).map_err(Error::io("flush", path))?;
    Ok(true)
}

/// Flushes a log when its owner comes to it. Nobody waits; a log that was closed meanwhile has
/// flushed already.
fn flush_later(log: &Log) {
    drop(log.0.submit(|owner| {
        if owner.flushed_offset < owner.next_offset {
            owner.flush();
            owner.publish_end();
        }
    }));
}

/// Ends a log whose topic is gone.
fn retire(owner: &mut Owner) {
    owner.core.close_queue();
    owner.core.deleted.store(true, Ordering::Release);
    owner.core.segments.store(Arc::default());
    owner.core.tail.clear();
    owner.active = None;
    // Those who wait for news find out that there will be none.
    owner.core.offsets.send_modify(|_| {});
}
