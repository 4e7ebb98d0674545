//! What can be set for all compaction of a data folder: Kafka's `log.cleaner.*`.

use std::time::Duration;

use ottla_record::DecompressLimit;

/// What concerns compaction as a whole; what concerns one log is in [`crate::LogConfig`].
#[derive(Debug, Clone, PartialEq)]
pub struct CleanerOptions {
    /// Whether logs are compacted at all (`log.cleaner.enable`).
    pub enabled: bool,
    /// Logs that are cleaned at the same time (`log.cleaner.threads`).
    pub threads: usize,
    /// Memory for maps of keys, of all threads together (`log.cleaner.dedupe.buffer.size`). It is
    /// taken as keys come, and given back after each log.
    pub dedupe_buffer_bytes: u64,
    /// How full a map may become, 0 to 1 (`log.cleaner.io.buffer.load.factor`).
    pub load_factor: f64,
    /// Bytes that are read or written at once, of all threads together
    /// (`log.cleaner.io.buffer.size`).
    pub io_buffer_bytes: usize,
    /// Bytes that all threads together read and write in a second
    /// (`log.cleaner.io.max.bytes.per.second`); infinite is no limit.
    pub io_max_bytes_per_second: f64,
    /// How long to wait when no log is dirty enough (`log.cleaner.backoff.ms`).
    pub backoff: Duration,
    /// The most that one compressed batch may become.
    pub decompressed_bytes_max: usize,
}

impl Default for CleanerOptions {
    fn default() -> Self {
        CleanerOptions {
            enabled: true,
            threads: 1,
            dedupe_buffer_bytes: 128 << 20,
            load_factor: 0.9,
            io_buffer_bytes: 512 << 10,
            io_max_bytes_per_second: f64::INFINITY,
            backoff: Duration::from_secs(15),
            decompressed_bytes_max: 100 << 20,
        }
    }
}

impl CleanerOptions {
    pub(crate) fn threads(&self) -> usize {
        self.threads.max(1)
    }

    /// The memory for one thread's map.
    pub(crate) fn map_bytes(&self) -> u64 {
        self.dedupe_buffer_bytes / self.threads() as u64
    }

    pub(crate) fn decompress_limit(&self) -> DecompressLimit {
        DecompressLimit(self.decompressed_bytes_max)
    }

    /// What one thread reads at once; the other half of its buffer is for what it writes.
    pub(crate) fn read_bytes(&self) -> usize {
        (self.io_buffer_bytes / self.threads() / 2).max(4096)
    }
}
