//! What the broker counts beside what its log and its connections count.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of this broker; reading them costs nothing.
#[derive(Debug, Default)]
pub struct Probe {
    records_in: AtomicU64,
    rebalances: AtomicU64,
}

impl Probe {
    pub(crate) fn count_records_in(&self, records: i32) {
        self.records_in
            .fetch_add(u64::from(records.unsigned_abs()), Ordering::Relaxed);
    }

    pub(crate) fn count_rebalance(&self) {
        self.rebalances.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that producers sent and that passed the checks.
    #[must_use]
    pub fn records_in(&self) -> u64 {
        self.records_in.load(Ordering::Relaxed)
    }

    /// How often a group began to rebalance.
    #[must_use]
    pub fn rebalances(&self) -> u64 {
        self.rebalances.load(Ordering::Relaxed)
    }
}
