//! The handle of one partition's log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_model::{TopicId, TopicPartition};
use ottla_record::{Batch, DecompressLimit};
use ottla_runtime::watch;
use tokio::sync::oneshot;

use crate::core::{Command, Core, LogOffsets, Queued};
use crate::producer_state::ProducerEntry;
use crate::read::Ask;
use crate::transactions::OpenTransaction;
use crate::verification::{Asked, Verification};
use crate::{Append, AppendError, Appended, Error, LogConfig, ReadResult, TimestampOffset, UpTo};

/// One partition's log. Clones are the same log; all methods may be called from any thread.
#[derive(Clone)]
pub struct Log(pub(crate) Arc<Core>);

/// Resolves when the append is durable (as far as its [`crate::Wait`] and the configuration ask) or
/// was refused. Dropping it does not take the append back.
#[must_use = "an append that nobody waits for may still fail"]
pub struct AppendFuture(oneshot::Receiver<Result<Appended, AppendError>>);

impl Future for AppendFuture {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap_or(Err(AppendError::Closed)))
    }
}

/// Waits for a log's offsets to move. Cheap to make and to clone.
#[derive(Clone)]
pub struct OffsetWatch(watch::Receiver<LogOffsets>);

impl OffsetWatch {
    /// The offsets now; [`OffsetWatch::changed`] waits for newer ones than these.
    pub fn offsets(&mut self) -> LogOffsets {
        *self.0.borrow_and_update()
    }

    /// Waits until the offsets have moved; `false` when the log is closed and gone.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// Waits until the high watermark is beyond `offset`, so that the record at `offset` can be
    /// read; `false` when the log is gone.
    pub async fn high_watermark_past(&mut self, offset: Offset) -> bool {
        let past = |o: &LogOffsets| o.high_watermark > offset;
        self.0.wait_for(past).await.is_ok()
    }

    /// Waits until the last stable offset is beyond `offset`, so that the record at `offset` is
    /// decided; `false` when the log is gone.
    pub async fn last_stable_past(&mut self, offset: Offset) -> bool {
        let past = |o: &LogOffsets| o.last_stable_offset > offset;
        self.0.wait_for(past).await.is_ok()
    }

    /// Waits until the log's end is beyond `offset`; `false` when the log is gone.
    pub async fn log_end_past(&mut self, offset: Offset) -> bool {
        let past = |o: &LogOffsets| o.log_end_offset > offset;
        self.0.wait_for(past).await.is_ok()
    }
}

/// What `DescribeLogDirs` and people want to know of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its first offset, and its name.
    pub base_offset: Offset,
    /// Its size without indexes.
    pub bytes: u64,
}

impl Log {
    /// The partition.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.0.partition
    }

    /// The topic's id.
    #[must_use]
    pub fn topic_id(&self) -> TopicId {
        self.0.topic_id
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<LogConfig> {
        self.0.config.load_full()
    }

    /// Changes the configuration; the next append and the next look of retention follow it.
    pub fn update_config(&self, config: LogConfig) {
        self.0.config.store(Arc::new(config));
    }

    /// Enqueues records. The order of the calls is the order in the log.
    pub fn append(&self, mut append: Append) -> AppendFuture {
        let (answer, rx) = oneshot::channel();
        if let Err(error) = append.build_marker(self.0.context.clock.now_ms()) {
            drop(answer.send(Err(error)));
            return AppendFuture(rx);
        }
        let bytes = append.total_len();
        let command = Command::Append(Queued {
            append,
            bytes,
            failures_seen: self.0.failures.load(Ordering::Acquire),
            answer,
        });
        if let Err(Command::Append(queued)) = self.0.enqueue(command) {
            // The future was made a moment ago and is there to hear it.
            drop(queued.answer.send(Err(AppendError::Closed)));
        }
        AppendFuture(rx)
    }

    /// Enqueues batches as the partition's leader wrote them: offsets, leader epochs, timestamps and
    /// bytes stay as they are, and producers and transactions follow them without being judged. The
    /// first one must begin at the log's end, or behind it where the leader's log has a gap; only an
    /// empty log takes one that begins before its start. Each one must match its CRC.
    ///
    /// Answered as other appends are, when the batches are on disk or as configured. After an error
    /// some of them may be in the log: its end says what to fetch next. Those that were enqueued
    /// before the error was answered fail, too, so that there is no hole.
    pub fn append_as_follower(&self, batches: Vec<Batch>) -> AppendFuture {
        self.append(Append::from_leader(batches))
    }

    /// Cuts off everything at and behind `offset`: records of a follower that its leader does not
    /// have (KIP-101). When this returns the cut is durable, and no reader sees what was cut. A crash
    /// on the way leaves a log that ends between `offset` and the old end.
    ///
    /// The log ends at `offset`, or before the batch that has `offset` in its middle, or where the
    /// last batch before it ends. Terms that begin at or behind the end are forgotten, also when there
    /// is nothing else to cut. The high watermark goes back only when the end is below it. An offset
    /// below the log's start is the same as [`Log::truncate_fully_and_start_at`].
    ///
    /// It has its place among appends by the order of the calls, not of the first polls.
    pub fn truncate_to(
        &self,
        offset: Offset,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        self.run(move |owner| owner.truncate_to(offset))
    }

    /// Throws all records, terms and producers away; the log is empty and begins at `offset`: that of
    /// a follower whose log ends before its leader's begins. Durable when it returns.
    pub fn truncate_fully_and_start_at(
        &self,
        offset: Offset,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        self.run(move |owner| owner.truncate_fully_and_start_at(offset))
    }

    /// Moves the log's start forward, as far as the high watermark, because the leader's has moved.
    /// Nobody waits: the next round of retention takes the segments away, and after a crash the
    /// leader says it again. A start that is there already is no news.
    pub fn advance_log_start(&self, offset: Offset) {
        if offset <= self.log_start_offset() {
            return;
        }
        // A closed log has no use for it.
        drop(self.0.submit(move |owner| {
            let high_watermark = owner.core.offsets().high_watermark;
            owner.advance_log_start(offset.min(high_watermark));
        }));
    }

    /// Whether transactional records of a producer need their coordinator's consent, which is so for
    /// the first ones of a transaction (KIP-890). `base_sequence` is that of the batch, or -1 for a
    /// coordinator's; `supports_epoch_bump` says that the client is of transaction version 2. An
    /// error when the producer is fenced. Never waits for the log's owner.
    pub fn verification(
        &self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        base_sequence: i32,
        supports_epoch_bump: bool,
    ) -> Result<Verification, AppendError> {
        let producers = &self.0.producers;
        if producers.read().is_open(producer_id, producer_epoch)? {
            return Ok(Verification::Ongoing);
        }
        producers.write().verify(Asked {
            producer_id,
            epoch: producer_epoch,
            sequence: base_sequence,
            supports_epoch_bump,
            now_ms: self.0.context.clock.now_ms(),
        })
    }

    /// The open transaction that keeps the last stable offset back.
    #[must_use]
    pub fn oldest_open_transaction(&self) -> Option<OpenTransaction> {
        self.0.producers.read().oldest_open()
    }

    /// Bytes of appends that are not answered yet, for a broker that wants to refuse more.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.0.queue.lock().bytes
    }

    /// All offsets, as of one moment.
    #[must_use]
    pub fn offsets(&self) -> LogOffsets {
        self.0.offsets()
    }

    /// The first offset that can be read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.offsets().log_start_offset
    }

    /// The offset that the next record will get.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.offsets().log_end_offset
    }

    /// Everything before it is on disk.
    #[must_use]
    pub fn flushed_offset(&self) -> Offset {
        self.offsets().flushed_offset
    }

    /// Consumers read up to here.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.offsets().high_watermark
    }

    /// Consumers of committed records read up to here.
    #[must_use]
    pub fn last_stable_offset(&self) -> Offset {
        self.offsets().last_stable_offset
    }

    /// Everything before it needs no recovery.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.0.recovery_point.load(Ordering::Acquire)
    }

    /// Follows the offsets.
    #[must_use]
    pub fn watch(&self) -> OffsetWatch {
        OffsetWatch(self.0.offsets.subscribe())
    }

    /// Says what the other replicas that count have: as a leader, everything before this offset is
    /// on all replicas in sync; as a follower, it is the leader's high watermark. The log's own high
    /// watermark follows it, as far as the log's own records go, and never goes back. A log begins
    /// with `Offset::MAX`: it has no other replicas.
    pub fn set_replicated_offset(&self, offset: Offset) {
        let before = self.0.replicated_offset.swap(offset, Ordering::AcqRel);
        if before != offset {
            self.0
                .publish(|offsets| self.0.advance_high_watermark(offsets));
        }
    }

    /// Begins a leader's term: appends from now on are of this epoch, which starts behind those that
    /// were enqueued before; the result says where. Nothing waits for the disk: a term without records
    /// leaves no trace, and records carry their epoch themselves. The call counts, not the first poll.
    pub fn begin_epoch(
        &self,
        epoch: LeaderEpoch,
    ) -> impl Future<Output = Result<Offset, Error>> + Send + 'static + use<> {
        let begin = move |owner: &mut crate::owner::Owner| {
            let start = owner.next_offset;
            owner.epochs_dirty |= owner.core.epochs.write().assign(epoch, start);
            start
        };
        let (begun, closed) = (self.0.submit(begin), self.0.closed());
        async move {
            match begun {
                Some(begun) => begun.await.map_err(|_| closed),
                None => Err(closed),
            }
        }
    }

    /// Whole batches from the one that has `from`, in at most `max_bytes` (but one batch in any case
    /// when `min_one_batch`), if memory has them or if there is nothing to read. `None` means that
    /// the disk is needed: call [`Log::read_blocking`] away from network tasks. Never blocks.
    pub fn try_read_cached(
        &self,
        from: Offset,
        max_bytes: usize,
        min_one_batch: bool,
        up_to: UpTo,
    ) -> Option<Result<ReadResult, Error>> {
        self.0.try_read_cached(Ask {
            from,
            max_bytes,
            min_one_batch,
            up_to,
        })
    }

    /// As [`Log::try_read_cached`], from memory or from disk. Batches from disk are checked; a
    /// damaged one is never returned. Blocks.
    pub fn read_blocking(
        &self,
        from: Offset,
        max_bytes: usize,
        min_one_batch: bool,
        up_to: UpTo,
    ) -> Result<ReadResult, Error> {
        self.0.read_blocking(Ask {
            from,
            max_bytes,
            min_one_batch,
            up_to,
        })
    }

    /// The first record below the high watermark with a timestamp of at least `timestamp`. Blocks.
    pub fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
        decompress: DecompressLimit,
    ) -> Result<Option<TimestampOffset>, Error> {
        self.0.offset_for_timestamp(timestamp, decompress)
    }

    /// The record with the largest timestamp (KIP-734). Blocks.
    pub fn max_timestamp_offset(
        &self,
        decompress: DecompressLimit,
    ) -> Result<Option<TimestampOffset>, Error> {
        self.0.max_timestamp_offset(decompress)
    }

    /// The largest epoch up to `epoch` and where it ends (KIP-101); one that is older than the log
    /// ends at its start. `None` when it is newer than all.
    #[must_use]
    pub fn leader_epoch_end_offset(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let end = self.log_end_offset();
        self.0.epochs.read().end_offset(epoch, end)
    }

    /// The newest leader epoch that wrote to the log.
    #[must_use]
    pub fn latest_leader_epoch(&self) -> Option<LeaderEpoch> {
        self.0.epochs.read().latest()
    }

    /// The epoch of the record at `offset`.
    #[must_use]
    pub fn leader_epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.0.epochs.read().epoch_at(offset)
    }

    /// Notes that a leader's term begins at the log's end, durably.
    pub async fn assign_leader_epoch(&self, epoch: LeaderEpoch) -> Result<(), Error> {
        self.run(move |owner| {
            let start = owner.next_offset;
            let is_new = owner.core.epochs.write().assign(epoch, start);
            owner.epochs_dirty |= is_new;
            if is_new && owner.folder_exists {
                owner.write_epochs()?;
                let dir = owner.dir();
                let disk = &owner.core.context.disk;
                disk.sync_dir(dir).map_err(Error::io("flush", dir))?;
            }
            Ok(())
        })
        .await
    }

    /// Everything that was appended before is on disk when this returns.
    pub async fn flush(&self) -> Result<(), Error> {
        self.run(|owner| {
            if owner.flushed_offset < owner.next_offset {
                owner.flush();
                owner.publish_end();
            }
            Ok(())
        })
        .await
    }

    /// Begins a new segment, unless the active one is empty.
    pub async fn roll(&self) -> Result<(), Error> {
        self.run(|owner| {
            owner.roll()?;
            owner.publish_end();
            Ok(())
        })
        .await
    }

    /// The idempotent and the transactional producers that the log knows, as of all earlier appends.
    pub async fn active_producers(&self) -> Result<Vec<(ProducerId, ProducerEntry)>, Error> {
        self.run(|owner| {
            let producers = owner.core.producers.read();
            let entries = producers.iter();
            Ok(entries.map(|(id, entry)| (id, entry.clone())).collect())
        })
        .await
    }

    /// The segments, oldest first. Blocks: sizes of segments that nobody has read yet are on disk.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, Error> {
        let segments = self.0.segments.load_full();
        let info = |s: &Arc<crate::segment::Segment>| {
            Ok(SegmentInfo {
                base_offset: s.base_offset,
                bytes: s.size()?,
            })
        };
        segments.iter().map(info).collect()
    }

    /// The size of all segments without indexes. Blocks, as [`Log::segments`].
    pub fn size_bytes(&self) -> Result<u64, Error> {
        Ok(self.segments()?.iter().map(|s| s.bytes).sum())
    }

    /// Flushes everything, so that the next start has nothing to recover, and takes no more appends.
    pub async fn close(&self) -> Result<(), Error> {
        let closed = self
            .run(|owner| {
                // Even when the disk is too full for a snapshot, the batches themselves are flushed.
                let checkpointed = owner.checkpoint(true);
                owner.publish_end();
                owner.core.close_queue();
                checkpointed
            })
            .await;
        match closed {
            Err(Error::Closed { .. }) => Ok(()),
            other => other,
        }
    }

    /// Runs `task` as the log's owner, in the order of the calls; the future only waits for it.
    pub(crate) fn run<T, F>(
        &self,
        task: F,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut crate::owner::Owner) -> Result<T, Error> + Send + 'static,
    {
        let (done, closed) = (self.0.submit(task), self.0.closed());
        async move {
            match done {
                Some(done) => done.await.unwrap_or(Err(closed)),
                None => Err(closed),
            }
        }
    }
}
