//! How far the recovery of a data folder is, for those who wait for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that grow while logs are opened; readable at any time.
#[derive(Debug, Default)]
pub struct RecoveryProgress {
    logs_total: AtomicU64,
    logs_done: AtomicU64,
    bytes_scanned: AtomicU64,
}

impl RecoveryProgress {
    pub(crate) fn new(logs_total: u64) -> Self {
        RecoveryProgress {
            logs_total: logs_total.into(),
            ..RecoveryProgress::default()
        }
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes_scanned.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn log_done(&self) {
        self.logs_done.fetch_add(1, Ordering::Relaxed);
    }

    /// The folders that were there at the start.
    #[must_use]
    pub fn logs_total(&self) -> u64 {
        self.logs_total.load(Ordering::Relaxed)
    }

    /// How many of them are open.
    #[must_use]
    pub fn logs_done(&self) -> u64 {
        self.logs_done.load(Ordering::Relaxed)
    }

    /// Bytes that were read again.
    #[must_use]
    pub fn bytes_scanned(&self) -> u64 {
        self.bytes_scanned.load(Ordering::Relaxed)
    }
}
