//! The one owner of a log: everything that changes a log happens here, one job at a time.
//!
//! ```text
//! append() ─▶ queue ─▶ [ write a group ]─▶[ flush it ]─▶ publish offsets, answer
//!                          ▲ what arrives meanwhile is the next group │
//!                          └──────────────────────────────────────────┘
//! ```
//!
//! The owner is a value. It rests in the log's queue while there is nothing to do, and travels with
//! the job while there is: so no lock is held while the disk works, and two jobs cannot overlap.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_model::{NO_TIMESTAMP, Offset, TimestampMs};
use ottla_runtime::fail_stop;

use crate::aborted::Promises;
use crate::append::Written;
use crate::core::{Command, Core, Queued};
use crate::segment::Segment;
use crate::{Error, LogConfig, Probe};

/// A group takes at most this many bytes; the rest waits for the next one.
pub(crate) const GROUP_BYTES_MAX: u64 = 8 << 20;

/// What only the owner knows.
pub(crate) struct Owner {
    pub(crate) core: Arc<Core>,
    pub(crate) active: Option<Active>,
    pub(crate) epochs_dirty: bool,
    /// Written up to here; published when the group is finished.
    pub(crate) next_offset: Offset,
    pub(crate) flushed_offset: Offset,
    pub(crate) log_start_offset: Offset,
    /// Bytes that recovery would have to read again.
    pub(crate) bytes_since_checkpoint: u64,
    /// The offset of the newest producer snapshot.
    pub(crate) snapshot_offset: Option<Offset>,
    /// What the file of promises about transaction indexes says.
    pub(crate) promises: Promises,
    pub(crate) folder_exists: bool,
}

/// The segment that grows.
#[derive(Clone)]
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    pub(crate) size: u64,
    pub(crate) created_ms: TimestampMs,
    /// The max timestamp of the first batch: the segment's age counts from it.
    pub(crate) first_timestamp: Option<TimestampMs>,
    pub(crate) max_timestamp: (TimestampMs, Offset),
    pub(crate) bytes_since_index: u64,
    /// Index entries that are in the files already.
    pub(crate) offsets_written: usize,
    pub(crate) times_written: usize,
}

impl Active {
    /// An empty one, as old as its segment is known.
    pub(crate) fn new(segment: &Arc<Segment>) -> Self {
        Active {
            segment: Arc::clone(segment),
            size: 0,
            created_ms: segment.seen_ms,
            first_timestamp: None,
            max_timestamp: (NO_TIMESTAMP, segment.base_offset),
            bytes_since_index: 0,
            offsets_written: 0,
            times_written: 0,
        }
    }

    /// The age at which the segment is closed: `segment.ms`, less what chance takes off it. It is
    /// always the same for one segment, however often it is asked for.
    pub(crate) fn age_limit_ms(&self, config: &LogConfig) -> i64 {
        let age_ms = config.segment_age_max_ms();
        let most = config.segment_jitter_ms.min(age_ms);
        if most <= 0 {
            return age_ms;
        }
        age_ms - self.segment.chance() % most
    }
}

enum Work {
    Appends(Vec<Queued>),
    Task(Box<dyn FnOnce(&mut Owner) + Send>),
}

/// Begins to work off the queue.
pub(crate) fn start(owner: Box<Owner>) {
    let context = Arc::clone(&owner.core.context);
    context.workers.submit(move || run(owner));
}

fn run(mut owner: Box<Owner>) {
    match take(&owner.core) {
        None => rest(owner),
        Some(Work::Task(task)) => {
            task(&mut owner);
            rest(owner);
        }
        Some(Work::Appends(appends)) => {
            let written = owner.write(appends);
            let context = Arc::clone(&owner.core.context);
            context.workers.proceed(move || {
                owner.finish(written);
                rest(owner);
            });
        }
    }
}

/// Goes on if more has arrived (as a new job, so that other logs have their turn), or rests. The owner
/// of a closed log has nothing to wait for, and ends: it holds the log, which would never be freed.
fn rest(owner: Box<Owner>) {
    let core = Arc::clone(&owner.core);
    let mut queue = core.queue.lock();
    if queue.commands.is_empty() {
        if !queue.closed {
            queue.owner = Some(owner);
        }
    } else {
        drop(queue);
        start(owner);
    }
}

fn take(core: &Core) -> Option<Work> {
    let mut queue = core.queue.lock();
    let mut appends = Vec::new();
    let mut group_bytes = 0;
    while let Some(command) = queue.commands.pop_front() {
        match command {
            Command::Task(task) if appends.is_empty() => return Some(Work::Task(task)),
            Command::Append(queued)
                if appends.is_empty() || group_bytes + queued.bytes <= GROUP_BYTES_MAX =>
            {
                group_bytes += queued.bytes;
                appends.push(queued);
            }
            later => {
                queue.commands.push_front(later);
                break;
            }
        }
    }
    (!appends.is_empty()).then_some(Work::Appends(appends))
}

impl Owner {
    /// The second half of a group: flush, publish, answer.
    pub(crate) fn finish(&mut self, written: Written) {
        let config = self.core.config.load_full();
        let unflushed = self.next_offset - self.flushed_offset;
        let must_flush =
            config.wait_for_disk || written.wait_for_disk || unflushed >= config.flush_messages;
        if unflushed > 0 && must_flush {
            self.flush();
        }
        self.publish_end();
        let probe = &self.core.context.probe;
        Probe::add(&probe.groups, u64::from(written.bytes > 0));
        Probe::add(&probe.bytes_in, written.bytes);
        self.core.queue.lock().bytes -= written.queued_bytes;
        for (answer, result) in written.answers {
            match &result {
                Ok(appended) => {
                    Probe::add(&probe.appends, 1);
                    Probe::add(&probe.duplicates, appended.duplicate.into());
                }
                Err(_) => Probe::add(&probe.append_errors, 1),
            }
            // Nobody waits for an append with acks=0.
            drop(answer.send(result));
        }
    }

    /// Makes the active segment's batches durable.
    pub(crate) fn flush(&mut self) {
        let Some(active) = &self.active else { return };
        let segment = Arc::clone(&active.segment);
        let clock = &self.core.context.clock;
        let began = clock.instant();
        let synced = segment.log().and_then(|file| {
            file.sync_data()
                .map_err(Error::io("flush", &segment.log_path()))
        });
        if let Err(error) = synced {
            // The kernel may have dropped the dirty pages; a second try would wrongly succeed.
            fail_stop(format!(
                "{error}; it is not known which records are on disk; check the disk and start again"
            ));
        }
        let us = clock.instant().duration_since(began).as_micros();
        self.core
            .context
            .probe
            .observe_sync(u64::try_from(us).unwrap_or(u64::MAX));
        segment.set_unflushed(false);
        self.flushed_offset = self.next_offset;
        self.core
            .unflushed_since_ms
            .store(i64::MAX, Ordering::Relaxed);
    }

    /// Lets readers see what was written, and moves the high watermark.
    pub(crate) fn publish_end(&mut self) {
        let (end, flushed) = (self.next_offset, self.flushed_offset);
        self.core.publish(|offsets| {
            offsets.log_end_offset = end;
            offsets.flushed_offset = flushed;
            self.core.advance_high_watermark(offsets);
        });
    }

    /// What to do about an error of the disk: a full one is the caller's to report, anything else
    /// ends the process.
    pub(crate) fn full_or_stop(&mut self, error: &Error) {
        if !error.is_full() {
            fail_stop(format!("{error}; check the disk and start again"));
        }
        Probe::add(&self.core.context.probe.storage_full, 1);
        let now = self.core.context.clock.monotonic_ms();
        if self.core.context.room.tell_full(now) {
            tracing::error!(
                log = %self.core.partition,
                %error,
                "the disk is full: produce is refused until there is room, reads and deletes go on; delete \
                 topics, shorten retention.ms, or add space"
            );
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.core.dir
    }

    pub(crate) fn now_ms(&self) -> TimestampMs {
        self.core.context.clock.now_ms()
    }
}
