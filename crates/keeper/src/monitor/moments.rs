//! Since when something is so.

use std::sync::atomic::{AtomicI64, Ordering};

use ottla_runtime::Clock;

/// What has not happened.
const NEVER: i64 = i64::MIN;

/// Moments on the monotonic clock, in milliseconds.
#[derive(Debug)]
pub(crate) struct Moments {
    started_ms: i64,
    leads_since_ms: AtomicI64,
    /// Since when clients are not served.
    unserved_since_ms: AtomicI64,
}

impl Moments {
    pub(crate) fn new(clock: &Clock) -> Self {
        let now_ms = clock.monotonic_ms();
        Moments {
            started_ms: now_ms,
            leads_since_ms: AtomicI64::new(NEVER),
            unserved_since_ms: AtomicI64::new(now_ms),
        }
    }

    /// How long the server has been running.
    pub(crate) fn uptime_ms(&self, clock: &Clock) -> i64 {
        clock.monotonic_ms() - self.started_ms
    }

    /// The server begins or ends to lead.
    pub(crate) fn set_leads(&self, clock: &Clock, leads: bool) {
        let since_ms = if leads { clock.monotonic_ms() } else { NEVER };
        self.leads_since_ms.store(since_ms, Ordering::Relaxed);
    }

    /// How long it has been leading.
    pub(crate) fn leads_for_ms(&self, clock: &Clock) -> i64 {
        match self.leads_since_ms.load(Ordering::Relaxed) {
            NEVER => 0,
            since_ms => clock.monotonic_ms() - since_ms,
        }
    }

    /// Clients are served from now on, or not any more. When they are again: for how many
    /// milliseconds they were not.
    pub(crate) fn set_serves(&self, clock: &Clock, serves: bool) -> Option<u64> {
        let now_ms = clock.monotonic_ms();
        let (then_ms, now_or_never) =
            (&self.unserved_since_ms, if serves { NEVER } else { now_ms });
        match then_ms.swap(now_or_never, Ordering::Relaxed) {
            NEVER => None,
            since_ms => serves.then(|| u64::try_from(now_ms - since_ms).unwrap_or(0)),
        }
    }
}
