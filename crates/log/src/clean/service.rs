//! The running half: threads that look for the dirtiest log and clean it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use ottla_model::{Offset, TimestampMs, TopicPartition};
use ottla_runtime::{Service, Shutdown, TaskKind};
use tokio::sync::Notify;

use super::CleanerOptions;
use super::filter::LastRecords;
use super::job::{Job, Step};
use super::pick::{Candidate, examine, overdue_active};
use super::swap::{self, Swapped};
use super::throttle::Throttle;
use crate::{Error, Log, LogDir, Probe};

/// What one cleaning of one log did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// The first dirty offset before.
    pub from: Offset,
    /// The first dirty offset now; behind it the map had no room, or nothing may be touched.
    pub to: Offset,
    /// Bytes read for the map of keys.
    pub map_bytes: u64,
    /// Keys in the map.
    pub keys: u64,
    /// Memory of the map.
    pub map_memory_bytes: u64,
    /// Bytes read for the new segments.
    pub read_bytes: u64,
    /// Bytes written to them.
    pub written_bytes: u64,
    /// Segments that were looked at.
    pub segments: u64,
    /// Segments of which everything stayed, so that they were not written again.
    pub unchanged_segments: u64,
    /// Records in these segments.
    pub records: u64,
    /// Records that stayed of them.
    pub records_kept: u64,
    /// Records that went because they had no key.
    pub records_invalid: u64,
    /// Tombstones that went because their time was over.
    pub tombstones_dropped: u64,
}

/// How a cleaning ended when nothing went wrong.
enum Ended {
    Done(Cleaned),
    /// The topic was deleted, its policy has changed, its log was cut, or the node stops.
    Stopped,
}

/// The running half; its handle is [`CleanerHandle`].
pub struct Cleaner(Arc<Shared>);

/// Controls compaction. Clones are the same.
#[derive(Clone)]
pub struct CleanerHandle(Arc<Shared>);

struct Shared {
    dir: LogDir,
    options: ArcSwap<CleanerOptions>,
    throttle: Throttle,
    /// The options are others now.
    changed: Notify,
}

impl Cleaner {
    /// For the logs of `dir`.
    #[must_use]
    pub fn new(dir: &LogDir, options: CleanerOptions) -> (Cleaner, CleanerHandle) {
        let shared = Arc::new(Shared {
            dir: dir.clone(),
            throttle: Throttle::new(options.io_max_bytes_per_second),
            options: ArcSwap::from_pointee(options),
            changed: Notify::new(),
        });
        (Cleaner(Arc::clone(&shared)), CleanerHandle(shared))
    }
}

impl Service for Cleaner {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let shared = self.0;
        let mut running = 0;
        loop {
            while running < shared.options.load().threads() {
                let worker = worker(Arc::clone(&shared), running, shutdown.clone());
                let tasks = &shared.dir.0.tasks;
                tasks.spawn(TaskKind::Housekeeping, "compaction", worker);
                running += 1;
            }
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                () = shared.changed.notified() => {}
            }
        }
    }
}

async fn worker(shared: Arc<Shared>, number: usize, shutdown: Shutdown) -> Result<(), String> {
    let clock = shared.dir.0.context.clock.clone();
    while !shutdown.is_announced() {
        let options = shared.options.load_full();
        let is_wanted = options.enabled && number < options.threads();
        if is_wanted && shared.clean_dirtiest(&shutdown).await {
            continue;
        }
        // Never without a pause, whatever the configuration says: nothing may be to do for long.
        let backoff = options.backoff.max(std::time::Duration::from_millis(1));
        clock.timeout(backoff, shutdown.announced()).await;
    }
    Ok(())
}

impl CleanerHandle {
    /// Changes the options; a cleaning that runs goes on with its own, but for the throttle.
    pub fn reconfigure(&self, options: CleanerOptions) {
        if **self.0.options.load() == options {
            return;
        }
        self.0.throttle.set(options.io_max_bytes_per_second);
        self.0.options.store(Arc::new(options));
        self.0.changed.notify_one();
    }

    /// Cleans a log now, however dirty it is; `None` when nothing of it may be touched or somebody
    /// else is at it.
    pub async fn clean(&self, log: &Log) -> Result<Option<Cleaned>, Error> {
        let shared = &self.0;
        let state = &shared.dir.0.context.clean;
        let partition = log.partition();
        let (looked, now) = (log.clone(), shared.now_ms());
        let last_clean = state.first_dirty(partition);
        let examined = move || examine(&looked, last_clean, now);
        let Some(candidate) = shared.dir.0.tasks.blocking(examined).await? else {
            return Ok(None);
        };
        if !state.begin(partition) {
            return Ok(None);
        }
        let ended = shared.run(candidate, &Shutdown::new()).await;
        state.end(partition);
        match ended? {
            Ended::Done(cleaned) => {
                shared.finished(log, cleaned).await?;
                Ok(Some(cleaned))
            }
            Ended::Stopped => Ok(None),
        }
    }
}

impl Shared {
    fn now_ms(&self) -> TimestampMs {
        self.dir.0.context.clock.now_ms()
    }

    /// Cleans the log that needs it most; `false` when none needs it, or when it could not be done.
    async fn clean_dirtiest(&self, shutdown: &Shutdown) -> bool {
        let now = self.now_ms();
        let dir = self.dir.clone();
        let (best, overdue) = self.dir.0.tasks.blocking(move || pick(&dir, now)).await;
        for log in overdue {
            if let Err(error) = log.roll().await {
                tracing::warn!(log = %log.partition(), %error, "the active segment stays");
            }
        }
        let Some(candidate) = best else { return false };
        let log = candidate.log.clone();
        let partition = log.partition().clone();
        let ended = match self.run(candidate, shutdown).await {
            Ok(Ended::Done(cleaned)) => self.finished(&log, cleaned).await.map(|()| true),
            Ok(Ended::Stopped) => Ok(false),
            Err(error) => Err(error),
        };
        self.dir.0.context.clean.end(&partition);
        ended.unwrap_or_else(|error| {
            self.failed(&log, &error);
            false
        })
    }

    fn failed(&self, log: &Log, error: &Error) {
        let partition = log.partition();
        if log.0.deleted.load(Ordering::Acquire) || matches!(error, Error::Closed { .. }) {
            return;
        }
        Probe::add(&self.dir.0.context.probe.clean_failures, 1);
        if error.is_full() {
            tracing::warn!(log = %partition, %error, "no room to compact; it is tried again");
            return;
        }
        tracing::error!(
            log = %partition,
            %error,
            "the log cannot be compacted, and keeps all its records until the next start; the others \
             go on"
        );
        let state = &self.dir.0.context.clean;
        state.mark_uncleanable(partition, error.to_string());
    }

    /// Cleans a log from beginning to end.
    async fn run(&self, candidate: Candidate, shutdown: &Shutdown) -> Result<Ended, Error> {
        let log = candidate.log.clone();
        let tasks = &self.dir.0.tasks;
        if log.recovery_point() < candidate.end {
            // Recovery shall never have to read compacted segments again: they no longer have all
            // that it would look for.
            log.run(|owner| owner.checkpoint(true)).await?;
        }
        let options = self.options.load_full();
        let (dir, first_dirty) = (self.dir.clone(), candidate.first_dirty);
        let prepared = log.clone();
        let mut job = Box::new(Job::new(candidate, (*options).clone(), self.now_ms()));
        let prepare = move || {
            dir.write_checkpoints()?;
            // From now on the log may have gaps, and every later start must know.
            let disk = &*dir.0.context.disk;
            dir.0
                .context
                .clean
                .note(disk, prepared.partition(), first_dirty)?;
            prepared.0.cleaned.store(true, Ordering::Release);
            job.begin().map(|()| job)
        };
        let mut job = tasks.blocking(prepare).await?;
        loop {
            if shutdown.is_announced() || !may_go_on(&log) {
                tasks.blocking(move || job.discard()).await;
                return Ok(Ended::Stopped);
            }
            let (back, step) = tasks.blocking(move || stepped(job)).await;
            job = back;
            match step? {
                Step::Bytes(bytes) => self.wait_for(bytes, shutdown).await,
                Step::Group => {
                    let producers = log.active_producers().await?;
                    let producers = producers.iter().map(|(id, entry)| (*id, entry));
                    let last_records = LastRecords::of(producers);
                    let begun = move || {
                        let begun = job.begin_group(last_records);
                        (job, begun)
                    };
                    let (back, begun) = tasks.blocking(begun).await;
                    job = back;
                    begun?;
                }
                Step::Swap { old, new } => {
                    let base = new.base_offset;
                    let held = old.clone();
                    let swapping = log.run(move |owner| owner.swap_segments(&old, &new));
                    let swapped = swapping.await;
                    let core = Arc::clone(&log.0);
                    let is_done = matches!(swapped, Ok(Swapped::Done));
                    // The old files are closed here: it is now that the disk takes their bytes back.
                    let clear = move || {
                        drop(held);
                        if !is_done {
                            swap::discard(&core, base);
                        }
                    };
                    tasks.blocking(clear).await;
                    if swapped? == Swapped::Changed {
                        return Ok(Ended::Stopped);
                    }
                }
                Step::Done => return Ok(Ended::Done(job.cleaned())),
            }
        }
    }

    async fn wait_for(&self, bytes: u64, shutdown: &Shutdown) {
        let clock = &self.dir.0.context.clock;
        if let Some(until) = self.throttle.take(clock, bytes) {
            tokio::select! {
                biased;
                () = shutdown.announced() => {}
                () = clock.sleep_until(until) => {}
            }
        }
    }

    /// Notes the end of a cleaning, durably.
    async fn finished(&self, log: &Log, cleaned: Cleaned) -> Result<(), Error> {
        let (dir, noted) = (self.dir.clone(), log.clone());
        let note = move || {
            // A topic of the same name that was made meanwhile must not inherit the offset.
            let is_same = dir
                .log(noted.partition())
                .is_some_and(|open| Arc::ptr_eq(&open.0, &noted.0));
            if is_same {
                let disk = &*dir.0.context.disk;
                dir.0
                    .context
                    .clean
                    .note(disk, noted.partition(), cleaned.to)?;
            }
            Ok(())
        };
        self.dir.0.tasks.blocking(note).await?;
        let probe = &self.dir.0.context.probe;
        Probe::add(&probe.clean_runs, 1);
        Probe::add(
            &probe.clean_read_bytes,
            cleaned.map_bytes + cleaned.read_bytes,
        );
        Probe::add(&probe.clean_written_bytes, cleaned.written_bytes);
        Probe::add(
            &probe.clean_records_dropped,
            cleaned.records.saturating_sub(cleaned.records_kept),
        );
        tracing::info!(
            log = %log.partition(),
            from = cleaned.from,
            to = cleaned.to,
            keys = cleaned.keys,
            read_bytes = cleaned.read_bytes,
            written_bytes = cleaned.written_bytes,
            segments = cleaned.segments,
            unchanged_segments = cleaned.unchanged_segments,
            records = cleaned.records,
            records_kept = cleaned.records_kept,
            "compacted a log"
        );
        if cleaned.records_invalid > 0 {
            tracing::warn!(
                log = %log.partition(),
                records = cleaned.records_invalid,
                "records without a key were removed: a compacted topic cannot keep them"
            );
        }
        Ok(())
    }
}

fn stepped(mut job: Box<Job>) -> (Box<Job>, Result<Step, Error>) {
    let step = job.step();
    if step.is_err() {
        job.discard();
    }
    (job, step)
}

fn may_go_on(log: &Log) -> bool {
    log.0.config.load().compact && !log.0.deleted.load(Ordering::Acquire)
}

/// The log that needs it most, taken for cleaning, and the logs whose active segment is overdue.
fn pick(dir: &LogDir, now_ms: TimestampMs) -> (Option<Candidate>, Vec<Log>) {
    let state = &dir.0.context.clean;
    let probe = &dir.0.context.probe;
    let mut overdue = Vec::new();
    let mut due: Vec<Candidate> = Vec::new();
    let mut dirtiest: f64 = 0.0;
    for log in dir.logs() {
        let is_compacted = log.0.config.load().compact;
        if !is_compacted || !state.is_free(log.partition()) {
            continue;
        }
        let examined = overdue_active(&log, now_ms).and_then(|is_overdue| {
            if is_overdue {
                overdue.push(log.clone());
            }
            examine(&log, state.first_dirty(log.partition()), now_ms)
        });
        match examined {
            Ok(Some(candidate)) => {
                dirtiest = dirtiest.max(candidate.dirty_ratio());
                if candidate.is_due() {
                    due.push(candidate);
                }
            }
            Ok(None) => {}
            Err(error) => note_unmeasurable(dir, &log, &error),
        }
    }
    probe
        .dirty_percent_max
        .store((dirtiest * 100.0) as u64, Ordering::Relaxed);
    probe.clean_looked_at_ms.store(now_ms, Ordering::Relaxed);
    due.sort_by(|a, b| b.dirty_ratio().total_cmp(&a.dirty_ratio()));
    let best = due
        .into_iter()
        .find(|candidate| state.begin(candidate.log.partition()));
    (best, overdue)
}

fn note_unmeasurable(dir: &LogDir, log: &Log, error: &Error) {
    if log.0.deleted.load(Ordering::Acquire) {
        return;
    }
    let partition = log.partition();
    tracing::error!(log = %partition, %error, "the log cannot be compacted until the next start");
    dir.0
        .context
        .clean
        .mark_uncleanable(partition, error.to_string());
}

impl LogDir {
    /// The logs that compaction has given up, with the reasons.
    #[must_use]
    pub fn uncleanable(&self) -> std::collections::BTreeMap<TopicPartition, String> {
        self.0.context.clean.uncleanable()
    }

    /// The logs that are being compacted.
    #[must_use]
    pub fn being_cleaned(&self) -> Vec<TopicPartition> {
        self.0.context.clean.in_progress()
    }

    /// Up to where a log is compacted; `None` when it never was.
    #[must_use]
    pub fn cleaned_up_to(&self, partition: &TopicPartition) -> Option<Offset> {
        self.0.context.clean.first_dirty(partition)
    }
}
