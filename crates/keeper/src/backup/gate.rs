//! One at a time, and a rest behind each one that was carried out (`admin.rateLimiterIntervalInMS`).

use std::sync::Arc;

use parking_lot::Mutex;

use super::Refused;
use crate::server::Server;

/// A gate that lets one through.
#[derive(Debug, Default)]
pub(crate) struct Gate(Arc<Mutex<Passage>>);

#[derive(Debug, Default)]
struct Passage {
    is_taken: bool,
    /// On the monotonic clock.
    free_at_ms: i64,
}

/// Whoever has it is through; the next one comes when it is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Mutex<Passage>>);

impl Gate {
    pub(super) fn enter(&self, server: &Server) -> Result<Pass, Refused> {
        let now_ms = server.runtime.clock.monotonic_ms();
        let mut passage = self.0.lock();
        if passage.is_taken {
            return Err(Refused::new(429, "another one is under way; wait for it"));
        }
        let wait_ms = passage.free_at_ms.saturating_sub(now_ms);
        if wait_ms > 0 {
            let seconds = (wait_ms + 999) / 1_000;
            let reason = format!(
                "the last one was a moment ago; wait for {seconds} s, or set \
                 admin.rateLimiterIntervalInMS"
            );
            return Err(Refused::new(429, reason));
        }
        passage.is_taken = true;
        Ok(Pass(Arc::clone(&self.0)))
    }
}

impl Pass {
    /// It was carried out: the next one has to wait.
    pub(super) fn rest(&mut self, server: &Server) {
        let interval_ms = server.config.admin.rate_limiter_interval_ms;
        let interval_ms = i64::try_from(interval_ms).unwrap_or(i64::MAX);
        let now_ms = server.runtime.clock.monotonic_ms();
        self.0.lock().free_at_ms = now_ms.saturating_add(interval_ms);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.lock().is_taken = false;
    }
}
