//! Time: the wall clock for what people see, the monotonic one for intervals.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock: virtual in a simulation.
pub use tokio::time::Instant;

/// Both clocks and the sleeps. Clones share their skew.
#[derive(Clone)]
pub struct Clock {
    simulated: bool,
    /// Milliseconds that a simulation has put this node's wall clock ahead (or behind).
    skew_ms: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn real() -> Self {
        Clock {
            simulated: false,
            skew_ms: Arc::default(),
        }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn simulated() -> Self {
        Clock {
            simulated: true,
            skew_ms: Arc::default(),
        }
    }

    /// Milliseconds since the Unix epoch. It may jump; use [`Clock::monotonic_ms`] for intervals.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let since_epoch = if self.simulated {
            simulated_since_epoch()
        } else {
            real_since_epoch()
        };
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
            + self.skew_ms.load(Ordering::Relaxed)
    }

    /// Moves this node's wall clock. Only a simulation does that.
    #[cfg(feature = "sim")]
    pub fn jump_ms(&self, by_ms: i64) {
        self.skew_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// A point on the monotonic clock.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Milliseconds on a clock that never goes back; its zero means nothing.
    #[must_use]
    pub fn monotonic_ms(&self) -> i64 {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let elapsed = if self.simulated {
            simulated_since_epoch()
        } else {
            START.get_or_init(std::time::Instant::now).elapsed()
        };
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until a point on the monotonic clock.
    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
    }

    /// Waits for the future, but not for longer than `limit`; `None` when the time ran out.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }
}

fn real_since_epoch() -> Duration {
    // A clock before 1970 is a machine whose clock was never set; zero is as good as any answer.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(feature = "sim")]
fn simulated_since_epoch() -> Duration {
    turmoil::since_epoch().unwrap_or_default()
}

#[cfg(not(feature = "sim"))]
fn simulated_since_epoch() -> Duration {
    Duration::ZERO
}
