//! What there is to measure, as plain counters for whoever exports them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ottla_wire::ApiKey;

/// Why a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// `max.connections` were open.
    Total,
    /// `max.connections.per.ip` were open from its address.
    PerIp,
    /// Its address makes more connections a second than its quota allows.
    IpRate,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed it between two requests.
    Peer,
    /// It broke.
    Broken,
    /// Nothing came for too long.
    Idle,
    /// A request or a reply did not come forward.
    Stalled,
    /// What came is no Kafka request, or too large a one.
    Malformed,
    /// An API or version that is not served.
    Unsupported,
    /// The broker wanted it closed.
    Dispatch,
    /// The node stopped.
    Drain,
}

impl Refused {
    /// All reasons.
    pub const ALL: [Refused; 3] = [Refused::Total, Refused::PerIp, Refused::IpRate];

    /// A word for labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refused::Total => "max_connections",
            Refused::PerIp => "max_connections_per_ip",
            Refused::IpRate => "connection_creation_rate",
        }
    }

    /// The property that sets the limit.
    #[must_use]
    pub fn property(self) -> &'static str {
        match self {
            Refused::Total => "max.connections",
            Refused::PerIp => "max.connections.per.ip",
            Refused::IpRate => "the quota connection_creation_rate",
        }
    }
}

impl Closed {
    /// All reasons.
    pub const ALL: [Closed; 8] = [
        Closed::Peer,
        Closed::Broken,
        Closed::Idle,
        Closed::Stalled,
        Closed::Malformed,
        Closed::Unsupported,
        Closed::Dispatch,
        Closed::Drain,
    ];

    /// A word for labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Closed::Peer => "peer",
            Closed::Broken => "broken",
            Closed::Idle => "idle",
            Closed::Stalled => "stalled",
            Closed::Malformed => "malformed",
            Closed::Unsupported => "unsupported",
            Closed::Dispatch => "refused",
            Closed::Drain => "drain",
        }
    }
}

/// The counters of one listener.
#[derive(Debug)]
pub struct ListenerProbe {
    name: Arc<str>,
    accepted: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
    delayed: AtomicU64,
    delayed_ms: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl ListenerProbe {
    fn new(name: Arc<str>) -> Self {
        ListenerProbe {
            name,
            accepted: AtomicU64::default(),
            refused: Default::default(),
            delayed: AtomicU64::default(),
            delayed_ms: AtomicU64::default(),
            closed: Default::default(),
            bytes_in: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
        }
    }

    /// The listener's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Connections that were accepted and not refused.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Connections that were refused at once.
    #[must_use]
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }

    /// How often accepting rested because of `max.connection.creation.rate`, and for how many
    /// milliseconds in all.
    #[must_use]
    pub fn delayed(&self) -> (u64, u64) {
        (self.delayed.load(Relaxed), self.delayed_ms.load(Relaxed))
    }

    /// Connections that ended.
    #[must_use]
    pub fn closed(&self, reason: Closed) -> u64 {
        self.closed[reason as usize].load(Relaxed)
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        let closed: u64 = Closed::ALL.iter().map(|r| self.closed(*r)).sum();
        self.accepted().saturating_sub(closed)
    }

    /// Bytes of whole requests, their length prefixes included.
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    /// Bytes of replies that the system has taken.
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Relaxed)
    }

    pub(crate) fn count_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_refused(&self, reason: Refused) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn count_delayed(&self, pause: Duration) {
        self.delayed.fetch_add(1, Relaxed);
        let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.delayed_ms.fetch_add(ms, Relaxed);
    }

    pub(crate) fn count_closed(&self, reason: Closed) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn count_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }
}

/// The counters of one API.
#[derive(Debug, Default)]
pub struct ApiProbe {
    requests: AtomicU64,
    errors: AtomicU64,
    latency: Histogram,
}

impl ApiProbe {
    /// Requests that were decoded and are answered (or had no reply to wait for).
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Requests that could not be decoded, and those that the broker counted as failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// The time from a request's last byte to its reply's last byte.
    #[must_use]
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }

    /// Counts a request whose reply carries an error.
    pub fn count_error(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_request(&self, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        self.latency.record(took);
    }
}

/// Durations, counted in fixed buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; Histogram::BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// The buckets' upper bounds in microseconds, each inclusive; a last bucket has none.
    pub const BOUNDS_US: [u64; 16] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 5_000_000, 30_000_000,
    ];

    /// Counts one duration.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = Self::BOUNDS_US.partition_point(|bound| *bound < us);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// How many fell into each bucket (not cumulated); the last one has no upper bound.
    #[must_use]
    pub fn counts(&self) -> [u64; Histogram::BOUNDS_US.len() + 1] {
        std::array::from_fn(|i| self.counts[i].load(Relaxed))
    }

    /// All durations together, in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Relaxed)
    }
}

/// All counters of a server.
#[derive(Debug)]
pub struct Probe {
    listeners: Vec<Arc<ListenerProbe>>,
    /// In the order of the keys.
    apis: Vec<ApiProbe>,
}

impl Probe {
    pub(crate) fn new<'a>(listeners: impl Iterator<Item = &'a str>) -> Self {
        Probe {
            listeners: listeners
                .map(|name| Arc::new(ListenerProbe::new(name.into())))
                .collect(),
            apis: ApiKey::all().map(|_| ApiProbe::default()).collect(),
        }
    }

    /// The listeners in the order of the options.
    #[must_use]
    pub fn listeners(&self) -> &[Arc<ListenerProbe>] {
        &self.listeners
    }

    /// One API's counters.
    #[must_use]
    pub fn api(&self, api: ApiKey) -> &ApiProbe {
        // The list has a place for each API.
        &self.apis[api.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_bounds_are_inclusive() {
        let histogram = Histogram::default();
        for us in [0, 50, 51, 30_000_000, 30_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1]), (2, 1));
        assert_eq!((counts[15], counts[16]), (1, 1));
        assert_eq!(histogram.sum_us(), 60_000_102);
    }

    #[test]
    fn every_api_has_its_own_counters() {
        let probe = Probe::new(["A"].into_iter());
        for api in ApiKey::all() {
            probe.api(api).count_error();
        }
        assert!(ApiKey::all().all(|api| probe.api(api).errors() == 1));
    }
}
