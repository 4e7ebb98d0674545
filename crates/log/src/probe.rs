//! Counters that the broker exports.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Upper bounds of the histogram of flush times, in microseconds; a last bucket has no bound.
pub const SYNC_TIME_BOUNDS_US: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000,
];

/// What all logs of a data folder did since the start.
#[derive(Debug, Default)]
pub struct Probe {
    /// Appends that were answered with offsets, duplicates included.
    pub appends: AtomicU64,
    /// Appends that were refused.
    pub append_errors: AtomicU64,
    /// Appends that were duplicates of earlier ones.
    pub duplicates: AtomicU64,
    /// Bytes of batches written.
    pub bytes_in: AtomicU64,
    /// Bytes of batches served.
    pub bytes_out: AtomicU64,
    /// Bytes of batches served from disk; the rest came from memory.
    pub bytes_out_disk: AtomicU64,
    /// Groups of appends that were written together.
    pub groups: AtomicU64,
    /// Reads that memory answered.
    pub cache_hits: AtomicU64,
    /// Reads that had to go to the disk.
    pub cache_misses: AtomicU64,
    /// Segments begun.
    pub segments_rolled: AtomicU64,
    /// Segments removed by retention.
    pub segments_deleted: AtomicU64,
    /// Cleanings that came to their end.
    pub clean_runs: AtomicU64,
    /// Cleanings that failed.
    pub clean_failures: AtomicU64,
    /// Bytes that compaction has read.
    pub clean_read_bytes: AtomicU64,
    /// Bytes that compaction has written.
    pub clean_written_bytes: AtomicU64,
    /// Records that compaction has removed.
    pub clean_records_dropped: AtomicU64,
    /// The dirty part of the dirtiest compacted log, in percent.
    pub dirty_percent_max: AtomicU64,
    /// When compaction last looked for a log to clean, in milliseconds since 1970; 0 is never.
    pub clean_looked_at_ms: AtomicI64,
    /// Damaged batches found, in recovery and when reading.
    pub corrupt_batches: AtomicU64,
    /// Bytes of torn tails that recovery cut off.
    pub truncated_bytes: AtomicU64,
    /// Appends refused because the disk was full.
    pub storage_full: AtomicU64,
    /// Flushes of segments to disk.
    pub syncs: AtomicU64,
    /// Microseconds spent in them.
    pub sync_us: AtomicU64,
    sync_buckets: [AtomicU64; SYNC_TIME_BOUNDS_US.len() + 1],
}

impl Probe {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn observe_sync(&self, us: u64) {
        Probe::add(&self.syncs, 1);
        Probe::add(&self.sync_us, us);
        let bucket = SYNC_TIME_BOUNDS_US.partition_point(|&bound| bound < us);
        if let Some(counter) = self.sync_buckets.get(bucket) {
            Probe::add(counter, 1);
        }
    }

    /// How many flushes took up to each of [`SYNC_TIME_BOUNDS_US`] (not cumulative), and, last, how
    /// many took longer.
    #[must_use]
    pub fn sync_time_buckets(&self) -> [u64; SYNC_TIME_BOUNDS_US.len() + 1] {
        std::array::from_fn(|i| {
            let counter = self.sync_buckets.get(i);
            counter.map_or(0, |c| c.load(Ordering::Relaxed))
        })
    }
}
