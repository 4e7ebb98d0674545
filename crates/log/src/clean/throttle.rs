//! The limit of what all cleaner threads together read and write in a second.

use std::time::Duration;

use ottla_runtime::{Clock, Instant};
use parking_lot::Mutex;

/// Spreads bytes over time.
pub(crate) struct Throttle(Mutex<State>);

struct State {
    bytes_per_second: f64,
    /// When the bytes so far will have been paid for.
    paid_at: Option<Instant>,
}

impl Throttle {
    pub(crate) fn new(bytes_per_second: f64) -> Self {
        Throttle(Mutex::new(State {
            bytes_per_second,
            paid_at: None,
        }))
    }

    pub(crate) fn set(&self, bytes_per_second: f64) {
        let mut state = self.0.lock();
        state.bytes_per_second = bytes_per_second;
        state.paid_at = None;
    }

    /// Takes note of `bytes`, and until when to wait for them.
    pub(crate) fn take(&self, clock: &Clock, bytes: u64) -> Option<Instant> {
        let mut state = self.0.lock();
        let seconds = bytes as f64 / state.bytes_per_second.max(1.0);
        if seconds < 1e-9 {
            return None;
        }
        let now = clock.instant();
        let begins = state.paid_at.unwrap_or(now).max(now);
        // A day is long enough for one step, and keeps the arithmetic in its bounds.
        let until = begins + Duration::from_secs_f64(seconds.min(86_400.0));
        state.paid_at = Some(until);
        Some(until)
    }
}
