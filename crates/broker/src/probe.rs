//! What the broker counts beside what its log and its connections count.

use std::sync::atomic::{AtomicU64, Ordering};

use ottla_model::QuotaKey;

/// Counters of this broker; reading them costs nothing.
#[derive(Debug, Default)]
pub struct Probe {
    records_in: AtomicU64,
    rebalances: AtomicU64,
    replicated_bytes: AtomicU64,
    isr_changes: AtomicU64,
    throttled: [Throttled; QuotaKey::ALL.len()],
}

/// The pauses of one kind.
#[derive(Debug, Default)]
struct Throttled {
    answers: AtomicU64,
    ms: AtomicU64,
}

impl Probe {
    pub(crate) fn count_records_in(&self, records: i32) {
        self.records_in
            .fetch_add(u64::from(records.unsigned_abs()), Ordering::Relaxed);
    }

    pub(crate) fn count_rebalance(&self) {
        self.rebalances.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_replicated(&self, bytes: usize) {
        self.replicated_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_isr_change(&self) {
        self.isr_changes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_throttled(&self, key: QuotaKey, ms: i32) {
        let throttled = &self.throttled[key as usize];
        throttled.answers.fetch_add(1, Ordering::Relaxed);
        let ms = u64::from(ms.unsigned_abs());
        throttled.ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// How many answers told a client to pause for this quota, and for how many milliseconds in all.
    #[must_use]
    pub fn throttled(&self, key: QuotaKey) -> (u64, u64) {
        let throttled = &self.throttled[key as usize];
        let answers = throttled.answers.load(Ordering::Relaxed);
        (answers, throttled.ms.load(Ordering::Relaxed))
    }

    /// Records that producers sent and that passed the checks.
    #[must_use]
    pub fn records_in(&self) -> u64 {
        self.records_in.load(Ordering::Relaxed)
    }

    /// Bytes of records that came from leaders.
    #[must_use]
    pub fn replicated_bytes(&self) -> u64 {
        self.replicated_bytes.load(Ordering::Relaxed)
    }

    /// How often the controller took a change of replicas in sync from this broker.
    #[must_use]
    pub fn isr_changes(&self) -> u64 {
        self.isr_changes.load(Ordering::Relaxed)
    }

    /// How often a group began to rebalance.
    #[must_use]
    pub fn rebalances(&self) -> u64 {
        self.rebalances.load(Ordering::Relaxed)
    }
}
