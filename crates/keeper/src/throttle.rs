//! What holds clients back: too many connections at once, too many requests in work, too large ones.
//!
//! ```text
//! first frame ─▶ tokens: enough? ─▶ frames ─▶ large ones: room? ─▶ in process: below the limits?
//!      no: the connection ends         no: the connection ends       no: nothing more is read, or
//!                                                                    the request waits
//! ```

mod connections;
mod large;
mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_config::KeeperLimits;
use ottla_runtime::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::monitor::Meters;

pub(crate) use connections::{Arrival, BlueThrottle};
pub(crate) use large::{Large, LargeRequests};
pub(crate) use requests::Turn;

/// All throttles of a server.
pub(crate) struct Throttles {
    connections: Option<Mutex<BlueThrottle>>,
    /// Requests that wait for their replies.
    in_process: AtomicU64,
    /// One of them was answered, and a throttle is on.
    fewer: Notify,
    pub(crate) large: Option<Arc<LargeRequests>>,
    limits: KeeperLimits,
}

impl Throttles {
    pub(crate) fn new(limits: &KeeperLimits, clock: &Clock, meters: &Arc<Meters>) -> Self {
        let throttle = limits.connection_throttle.as_ref();
        let connections = throttle.map(|t| BlueThrottle::new(t, clock.monotonic_ms()));
        let threshold = limits.large_request_threshold_bytes;
        let large = threshold.map(|threshold| {
            Arc::new(LargeRequests::new(
                threshold,
                limits.large_requests_bytes_max,
                meters,
            ))
        });
        Throttles {
            connections: connections.map(Mutex::new),
            in_process: AtomicU64::new(0),
            fewer: Notify::new(),
            large,
            limits: limits.clone(),
        }
    }

    /// Requests that wait for their replies (`ZooKeeperServer.getInProcess`).
    pub(crate) fn in_process(&self) -> u64 {
        self.in_process.load(Ordering::Relaxed)
    }

    /// Requests have begun to wait for their replies.
    pub(crate) fn begun(&self, requests: usize) {
        self.in_process
            .fetch_add(requests as u64, Ordering::Relaxed);
    }

    /// Requests do not wait any more.
    pub(crate) fn ended(&self, requests: usize) {
        self.in_process
            .fetch_sub(requests as u64, Ordering::Relaxed);
        if self.limits.request_throttle.requests_max.is_some() {
            self.fewer.notify_one();
        }
    }

    /// Whether a connection that waits for a reply is not read from: more requests are in work than
    /// this server's part of `globalOutstandingLimit` (`ZooKeeperServer.shouldThrottle`). `voters`
    /// is the size of the quorum.
    pub(crate) fn is_full(&self, voters: usize) -> bool {
        let servers = if voters > 2 { voters - 1 } else { 1 };
        self.in_process() > self.limits.outstanding_requests_max / servers as u64
    }

    /// Whether a client may come in, and how many tokens are missing then.
    pub(crate) fn admit(&self, arrival: Arrival, now_ms: i64, chance: f64) -> Result<u64, ()> {
        match &self.connections {
            None => Ok(0),
            Some(throttle) => throttle.lock().admit(arrival, now_ms, chance),
        }
    }

    /// With which probability a client is turned away by chance.
    pub(crate) fn drop_probability(&self) -> f64 {
        let throttle = self.connections.as_ref();
        throttle.map_or(0.0, |throttle| throttle.lock().drop_probability())
    }
}

#[cfg(test)]
mod tests {
    use ottla_config::KeeperConfig;
    use ottla_runtime::Runtime;

    use super::*;

    #[tokio::test]
    async fn each_server_has_its_part_of_the_outstanding_requests() {
        let mut limits = KeeperConfig::default().limits;
        limits.outstanding_requests_max = 100;
        let throttles = Throttles::new(&limits, &Runtime::real().clock, &Arc::default());
        throttles.begun(51);
        for (voters, is_full) in [(1, false), (2, false), (3, true), (5, true)] {
            assert_eq!(throttles.is_full(voters), is_full, "{voters} voters");
        }
        throttles.begun(50);
        assert!(throttles.is_full(1), "101 are more than 100");
        throttles.ended(1);
        assert!(!throttles.is_full(1));
        assert_eq!(throttles.in_process(), 100);
    }
}
