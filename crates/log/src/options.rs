//! What can be set, per data folder and per log.

use std::time::Duration;

use ottla_model::{LeaderEpoch, TimestampMs};
use ottla_record::{Batch, EndTxnMarker, end_txn_marker};

use crate::AppendError;
use crate::transactions::TransactionMarker;
use crate::verification::VerificationGuard;

/// What concerns all logs of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirOptions {
    /// Threads that write and flush. Each one waits for one flush at a time, so it should be a few
    /// times what the disk does at once.
    pub disk_threads: usize,
    /// Bytes of the newest batches kept in memory, of all logs together.
    pub cache_bytes: u64,
    /// Files of segments that stay open, of all logs together. More are open only while they have
    /// bytes that are not flushed, or are being read.
    pub open_files: usize,
    /// How often retention looks at the logs (`log.retention.check.interval.ms`).
    pub retention_interval: Duration,
    /// How often the recovery points, log start offsets and high watermarks are written
    /// (`log.flush.offset.checkpoint.interval.ms`).
    pub checkpoint_interval: Duration,
    /// A log's recovery point moves when it has this many new bytes: what recovery may have to read
    /// again of one log.
    pub checkpoint_min_bytes: u64,
    /// How often logs with a `flush.ms` are looked at (`log.flush.scheduler.interval.ms`).
    pub flush_check_interval: Duration,
    /// Producers that were silent for so long are forgotten (`producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
    /// How often silent producers are looked for (`producer.id.expiration.check.interval.ms`).
    pub producer_id_check_interval: Duration,
    /// Whether the first records of a transaction need a [`VerificationGuard`]
    /// (`transaction.partition.verification.enable`).
    pub verify_transactions: bool,
    /// The longest timeout of a transaction (`transaction.max.timeout.ms`): one that is open for
    /// longer, and five minutes, is late.
    pub transaction_max_timeout_ms: i64,
    /// Clients' records are refused while fewer bytes than this are free, so that what makes room
    /// again still has some (`ottla.disk.reserve.bytes`).
    pub reserve_bytes: u64,
}

impl Default for LogDirOptions {
    fn default() -> Self {
        LogDirOptions {
            disk_threads: 8,
            cache_bytes: 32 << 20,
            open_files: 4096,
            retention_interval: Duration::from_secs(300),
            checkpoint_interval: Duration::from_secs(60),
            checkpoint_min_bytes: 1 << 20,
            flush_check_interval: Duration::from_secs(1),
            producer_id_expiration_ms: 86_400_000,
            producer_id_check_interval: Duration::from_secs(600),
            verify_transactions: true,
            transaction_max_timeout_ms: 900_000,
            reserve_bytes: 0,
        }
    }
}

/// What concerns one log: the topic's properties, in Kafka's names and units.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// Whether an append is answered only when it is on disk (the default), or when the kernel has
    /// it.
    pub wait_for_disk: bool,
    /// Flush when this many records are not flushed (`flush.messages`).
    pub flush_messages: i64,
    /// Flush when a record was not flushed for so long (`flush.ms`).
    pub flush_ms: i64,
    /// The size at which a new segment begins (`segment.bytes`).
    pub segment_bytes: u64,
    /// The age at which a new segment begins (`segment.ms`).
    pub segment_ms: i64,
    /// The most that is taken off that age, by chance, so that segments do not all roll at once
    /// (`segment.jitter.ms`).
    pub segment_jitter_ms: i64,
    /// Whether a new segment takes its whole room on disk at once (`preallocate`).
    pub preallocate: bool,
    /// The size of an index at which a new segment begins (`segment.index.bytes`).
    pub segment_index_bytes: u64,
    /// An index entry for every so many bytes (`index.interval.bytes`).
    pub index_interval_bytes: u64,
    /// Whether `cleanup.policy` has `compact`: of each key only the last record stays.
    pub compact: bool,
    /// Whether `cleanup.policy` has `delete`.
    pub delete: bool,
    /// The age at which segments are deleted, -1 for never (`retention.ms`).
    pub retention_ms: i64,
    /// The log's size beyond which segments are deleted, -1 for never (`retention.bytes`).
    pub retention_bytes: i64,
    /// How long deleted files keep their bytes under another name (`file.delete.delay.ms`).
    pub file_delete_delay_ms: i64,
    /// How long a compacted log keeps the tombstones of keys (`delete.retention.ms`).
    pub delete_retention_ms: i64,
    /// How long records stay uncompacted at least (`min.compaction.lag.ms`).
    pub min_compaction_lag_ms: i64,
    /// How long records stay uncompacted at most (`max.compaction.lag.ms`).
    pub max_compaction_lag_ms: i64,
    /// The dirty part of a log, 0 to 1, above which it is compacted (`min.cleanable.dirty.ratio`).
    pub min_cleanable_dirty_ratio: f64,
}

impl LogConfig {
    /// The age at which a new segment begins: the active one cannot be compacted.
    pub(crate) fn segment_age_max_ms(&self) -> i64 {
        if self.compact {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            wait_for_disk: true,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 86_400_000,
            segment_jitter_ms: 0,
            preallocate: false,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            compact: false,
            delete: true,
            retention_ms: 7 * 86_400_000,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
        }
    }
}

/// Who appends, and with it what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client: the producer's epoch and sequences are checked.
    Client,
    /// A coordinator of this broker: its batches have no sequences; only the epoch and the
    /// transaction are checked.
    Coordinator,
    /// The partition's leader, to this follower: the batches are taken as they are.
    Leader,
}

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As [`LogConfig::wait_for_disk`] says.
    AsConfigured,
    /// When it is on disk, whatever the configuration says.
    ForDisk,
}

/// Records on their way into a log.
#[derive(Debug, Clone)]
pub struct Append {
    /// Batches that `ottla_record::validate` has let pass. All of them are appended, or none.
    pub batches: Vec<Batch>,
    /// The epoch of the leader that appends.
    pub leader_epoch: LeaderEpoch,
    /// Who appends.
    pub origin: Origin,
    /// The time to stamp when `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: Option<TimestampMs>,
    /// When to answer.
    pub wait: Wait,
    /// What [`crate::Log::verification`] gave, when the coordinator has confirmed the transaction.
    pub guard: Option<VerificationGuard>,
    /// The end of a transaction, instead of batches: the log makes its batch.
    pub marker: Option<TransactionMarker>,
}

impl Append {
    /// A client's batches with their own timestamps.
    #[must_use]
    pub fn from_client(batches: Vec<Batch>, leader_epoch: LeaderEpoch) -> Self {
        Append {
            batches,
            leader_epoch,
            origin: Origin::Client,
            log_append_time: None,
            wait: Wait::AsConfigured,
            guard: None,
            marker: None,
        }
    }

    /// A coordinator's batches, which must be on disk before they are answered.
    #[must_use]
    pub fn from_coordinator(batches: Vec<Batch>, leader_epoch: LeaderEpoch) -> Self {
        Append {
            origin: Origin::Coordinator,
            wait: Wait::ForDisk,
            ..Append::from_client(batches, leader_epoch)
        }
    }

    /// What the partition's leader wrote, for its follower.
    #[must_use]
    pub(crate) fn from_leader(batches: Vec<Batch>) -> Self {
        Append {
            origin: Origin::Leader,
            ..Append::from_client(batches, ottla_model::NO_LEADER_EPOCH)
        }
    }

    /// The end of a producer's transaction in this partition. It must be on disk before it is
    /// answered: its coordinator forgets the transaction then.
    #[must_use]
    pub fn transaction_marker(marker: TransactionMarker, leader_epoch: LeaderEpoch) -> Self {
        Append {
            marker: Some(marker),
            ..Append::from_coordinator(Vec::new(), leader_epoch)
        }
    }

    /// The same batches, whose transaction the coordinator has confirmed.
    #[must_use]
    pub fn with_guard(self, guard: VerificationGuard) -> Self {
        Append {
            guard: Some(guard),
            ..self
        }
    }

    /// Makes the batch of a marker.
    pub(crate) fn build_marker(&mut self, now_ms: TimestampMs) -> Result<(), AppendError> {
        let Some(marker) = self.marker else {
            return Ok(());
        };
        let end = EndTxnMarker {
            committed: marker.commit,
            coordinator_epoch: marker.coordinator_epoch,
        };
        let (id, epoch) = (marker.producer_id, marker.producer_epoch);
        let batch = end_txn_marker(0, self.leader_epoch, now_ms, id, epoch, end);
        let batch = batch.map_err(|_| AppendError::Invalid {
            reason: "the marker cannot be built",
        })?;
        self.batches = vec![batch];
        Ok(())
    }

    /// What the control batch of a marker says.
    pub(crate) fn end(&self) -> Option<EndTxnMarker> {
        self.marker.map(|marker| EndTxnMarker {
            committed: marker.commit,
            coordinator_epoch: marker.coordinator_epoch,
        })
    }

    /// The bytes of all batches.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.batches.iter().map(|b| b.bytes().len() as u64).sum()
    }
}
