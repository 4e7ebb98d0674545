//! What a log's owner and its readers share.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use ottla_model::{Offset, TimestampMs, TopicId, TopicPartition};
use ottla_runtime::watch;
use ottla_runtime::{Clock, Disk, Random, Workers};
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use crate::checkpoints::Checkpoints;
use crate::clean::CleanState;
use crate::epochs::Epochs;
use crate::handles::Handles;
use crate::owner::Owner;
use crate::producer_state::ProducerState;
use crate::room::Room;
use crate::segment::Segment;
use crate::tail_cache::{LogTail, TailCache};
use crate::{Append, AppendError, Appended, Error, LogConfig, LogDirOptions, Probe};

/// What all logs of a data folder share.
pub(crate) struct Context {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) workers: Workers,
    pub(crate) options: LogDirOptions,
    pub(crate) cache: TailCache,
    pub(crate) room: Room,
    pub(crate) handles: Arc<Handles>,
    pub(crate) probe: Arc<Probe>,
    /// See [`LogDirOptions::producer_id_expiration_ms`].
    pub(crate) producer_id_expiration_ms: AtomicI64,
    /// See [`LogDirOptions::verify_transactions`].
    pub(crate) verify_transactions: AtomicBool,
    /// Files and folders to remove, and when.
    pub(crate) trash: Mutex<Vec<(TimestampMs, PathBuf)>>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) clean: CleanState,
}

/// The offsets that people ask a log for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOffsets {
    /// The first offset that can be read.
    pub log_start_offset: Offset,
    /// Everything before it is decided: consumers of committed records read up to here.
    pub last_stable_offset: Offset,
    /// Consumers read up to here.
    pub high_watermark: Offset,
    /// Everything before it is on disk.
    pub flushed_offset: Offset,
    /// The offset that the next record will get.
    pub log_end_offset: Offset,
}

pub(crate) type Answer = oneshot::Sender<Result<Appended, AppendError>>;

/// Work for the owner, in order.
pub(crate) enum Command {
    Append(Queued),
    Task(Box<dyn FnOnce(&mut Owner) + Send>),
}

/// An append that waits for its turn.
pub(crate) struct Queued {
    pub(crate) append: Append,
    pub(crate) bytes: u64,
    /// [`Core::failures`] when it was enqueued.
    pub(crate) failures_seen: u64,
    pub(crate) answer: Answer,
}

pub(crate) struct Queue {
    pub(crate) commands: VecDeque<Command>,
    /// Bytes of appends that are queued or being written.
    pub(crate) bytes: u64,
    /// The log's one owner, while it has nothing to do.
    pub(crate) owner: Option<Box<Owner>>,
    pub(crate) closed: bool,
}

pub(crate) struct Core {
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: TopicId,
    /// The partition's folder. It exists once something was appended.
    pub(crate) dir: PathBuf,
    pub(crate) context: Arc<Context>,
    pub(crate) config: ArcSwap<LogConfig>,
    /// Oldest first; the last one is active.
    pub(crate) segments: ArcSwap<Vec<Arc<Segment>>>,
    pub(crate) offsets: watch::Sender<LogOffsets>,
    pub(crate) epochs: RwLock<Epochs>,
    /// Changed by the owner alone, except that anybody may begin a verification. Whoever holds the
    /// lock of `offsets` may take this one, and not the other way round.
    pub(crate) producers: RwLock<ProducerState>,
    /// Whether a segment may have aborted transactions; most logs never have any.
    pub(crate) has_aborted: AtomicBool,
    pub(crate) tail: Arc<LogTail>,
    pub(crate) queue: Mutex<Queue>,
    /// Everything before it is on disk with its indexes, producers and epochs: recovery starts here.
    pub(crate) recovery_point: AtomicI64,
    /// What all other replicas that count have: the high watermark stays below. `Offset::MAX` when
    /// there are no others. See [`crate::Log::set_replicated_offset`].
    pub(crate) replicated_offset: AtomicI64,
    /// When the oldest record that is not flushed was written; `i64::MAX` when all are.
    pub(crate) unflushed_since_ms: AtomicI64,
    /// Appends whose bytes could not be written, and leaders' batches that were refused.
    pub(crate) failures: AtomicU64,
    /// Held by readers while they read, and by the owner while it cuts the log: what was cut is not
    /// served.
    pub(crate) cuts: RwLock<()>,
    /// The folder is gone; its name may belong to a new log.
    pub(crate) deleted: AtomicBool,
    /// Compaction was at it once.
    pub(crate) cleaned: AtomicBool,
    /// Damaged batches that were reported, so that a client's retries do not flood the log.
    pub(crate) reported: Mutex<Vec<(Offset, u64)>>,
}

impl Core {
    pub(crate) fn offsets(&self) -> LogOffsets {
        *self.offsets.borrow()
    }

    /// Hands a command to the owner, and starts the owner when it is idle. `Err` gives it back when
    /// the log is closed.
    pub(crate) fn enqueue(self: &Arc<Self>, command: Command) -> Result<(), Command> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(command);
        }
        if let Command::Append(queued) = &command {
            queue.bytes += queued.bytes;
        }
        queue.commands.push_back(command);
        if let Some(owner) = queue.owner.take() {
            drop(queue);
            crate::owner::start(owner);
        }
        Ok(())
    }

    /// Enqueues `task`, to run as the owner after everything that was enqueued before. `None` when
    /// the log is closed.
    pub(crate) fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        task: impl FnOnce(&mut Owner) -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let (tx, rx) = oneshot::channel();
        let task = move |owner: &mut Owner| {
            // The asker may have gone away; the work is done all the same.
            drop(tx.send(task(owner)));
        };
        self.enqueue(Command::Task(Box::new(task))).ok()?;
        Some(rx)
    }

    /// Takes no more commands, and refuses those that were enqueued behind the present one: whoever
    /// waits for them is told that the log is closed.
    pub(crate) fn close_queue(&self) {
        let refused = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            let refused = std::mem::take(&mut queue.commands);
            for command in &refused {
                if let Command::Append(queued) = command {
                    queue.bytes -= queued.bytes;
                }
            }
            refused
        };
        // Those who waited may have to do with the log, and so with its queue.
        drop(refused);
    }

    /// Publishes offsets; readers see only values for which the invariants hold. The last stable
    /// offset follows from the others and from the transactions.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut LogOffsets)) {
        self.offsets.send_if_modified(|offsets| {
            let before = *offsets;
            change(offsets);
            let (log_start, high_watermark) = (offsets.log_start_offset, offsets.high_watermark);
            let producers = self.producers.read();
            offsets.last_stable_offset = producers.last_stable_offset(log_start, high_watermark);
            check(&self.partition, &before, offsets);
            before != *offsets
        });
    }

    /// Publishes the offsets of a log that was cut, together with what is left of its producers. The
    /// log's end goes back; the high watermark does so only as far as the end makes it, which means
    /// that committed records are lost: an unclean leader was elected.
    pub(crate) fn publish_cut(&self, producers: ProducerState, start: Offset, end: Offset) {
        // What a leader said of records that are gone says nothing of those that come instead.
        self.replicated_offset.fetch_min(end, Ordering::AcqRel);
        self.offsets.send_modify(|offsets| {
            let before = *offsets;
            *offsets = LogOffsets {
                log_start_offset: start,
                last_stable_offset: 0,
                high_watermark: before.high_watermark.clamp(start, end),
                flushed_offset: end,
                log_end_offset: end,
            };
            offsets.last_stable_offset =
                producers.last_stable_offset(start, offsets.high_watermark);
            *self.producers.write() = producers;
            check_order(&self.partition, &before, offsets);
            if end < before.high_watermark {
                tracing::warn!(
                    log = %self.partition,
                    high_watermark = before.high_watermark,
                    log_end_offset = end,
                    "committed records were cut off: an unclean leader did not have them"
                );
            }
        });
    }

    /// Reports a damaged batch by file and position, once.
    pub(crate) fn report_corrupt(&self, segment: &Segment, position: u64, reason: &str) {
        let mut reported = self.reported.lock();
        let key = (segment.base_offset, position);
        if reported.contains(&key) {
            return;
        }
        // A segment that is all damage must not grow this without bound.
        if reported.len() < 1024 {
            reported.push(key);
        }
        drop(reported);
        self.context
            .report_corrupt(&segment.log_path(), position, reason);
    }

    pub(crate) fn closed(&self) -> Error {
        Error::Closed {
            log: self.partition.to_string(),
        }
    }

    /// Whether offsets may be missing between batches; where they may not, a gap is damage.
    pub(crate) fn has_gaps(&self) -> bool {
        self.config.load().compact || self.cleaned.load(Ordering::Acquire)
    }

    pub(crate) fn note_failure(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Moves the high watermark as far as this disk and the other replicas allow; it never goes back.
    pub(crate) fn advance_high_watermark(&self, offsets: &mut LogOffsets) {
        let own = if self.config.load().wait_for_disk {
            offsets.flushed_offset
        } else {
            offsets.log_end_offset
        };
        let safe = own.min(self.replicated_offset.load(Ordering::Acquire));
        offsets.high_watermark = offsets.high_watermark.max(safe);
    }
}

/// What must hold whenever offsets become visible.
fn check(partition: &TopicPartition, before: &LogOffsets, now: &LogOffsets) {
    check_order(partition, before, now);
    let forward = before.log_start_offset <= now.log_start_offset
        && before.last_stable_offset <= now.last_stable_offset
        && before.high_watermark <= now.high_watermark
        && before.flushed_offset <= now.flushed_offset
        && before.log_end_offset <= now.log_end_offset;
    if !forward {
        stop(partition, before, now);
    }
}

/// What must hold even when a log is cut, and offsets go back.
fn check_order(partition: &TopicPartition, before: &LogOffsets, now: &LogOffsets) {
    let ordered = now.log_start_offset <= now.last_stable_offset
        && now.last_stable_offset <= now.high_watermark
        && now.high_watermark <= now.log_end_offset
        && now.flushed_offset <= now.log_end_offset;
    if !ordered {
        stop(partition, before, now);
    }
}

fn stop(partition: &TopicPartition, before: &LogOffsets, now: &LogOffsets) {
    ottla_runtime::fail_stop(format!(
        "the offsets of {partition} went from {before:?} to {now:?}, which must never happen"
    ));
}
