//! Metrics that clients push (KIP-714): who is asked for which, how often, and what they pushed.
//!
//! ```text
//! image: CLIENT_METRICS resources ─▶ subscriptions ─┐
//! GetTelemetrySubscriptions ─▶ client (id, name, library, address) ─▶ metrics, interval, subscription id
//! PushTelemetry ─▶ is it time, is the subscription id right ─▶ otlp::decode ─▶ series ─▶ /metrics
//! ```
//!
//! Bounded in every direction: clients that are remembered, series of one client and of all, and
//! the length of names and labels. What finds no room is counted. A client that is silent for three
//! intervals is forgotten, with its series.

mod clients;
mod series;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_config::{ClientMatch, ClientMetricsConfig};
use ottla_metadata::Image;
use ottla_model::{ErrorCode, Uuid};
use ottla_wire::otlp;
use parking_lot::Mutex;

pub(crate) use self::clients::Facts;
use self::clients::{Asked, Clients};
pub use self::series::{ClientMetricFamily, ClientSeries};

/// What the broker knows of its clients' metrics.
pub(crate) struct Telemetry {
    state: Mutex<State>,
    counters: Counters,
    max_bytes: usize,
}

struct State {
    subscriptions: Arc<Subscriptions>,
    clients: Clients,
}

/// The subscriptions as of one version of the metadata.
#[derive(Default)]
struct Subscriptions {
    /// Grows with each change, so that clients notice.
    version: u64,
    all: Vec<Subscription>,
}

struct Subscription {
    metrics: Vec<String>,
    interval_ms: i64,
    conditions: Vec<ClientMatch>,
}

/// Plain counters, for `/metrics`.
#[derive(Debug, Default)]
struct Counters {
    pushes: AtomicU64,
    throttled: AtomicU64,
    unknown_subscriptions: AtomicU64,
    invalid: AtomicU64,
    dropped_series: AtomicU64,
}

/// How the pushing of metrics goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelemetryCounts {
    /// Clients that are remembered.
    pub clients: usize,
    /// Series of all of them.
    pub series: usize,
    /// Pushes that were taken.
    pub pushes: u64,
    /// Requests that came too early.
    pub throttled: u64,
    /// Pushes for a subscription that has changed meanwhile.
    pub unknown_subscriptions: u64,
    /// Pushes that could not be read.
    pub invalid: u64,
    /// Series that found no room.
    pub dropped_series: u64,
}

/// The answer to a client that asks what to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) client_instance_id: Uuid,
    pub(crate) subscription_id: i32,
    pub(crate) metrics: Vec<String>,
    pub(crate) interval_ms: i64,
}

/// What a push says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Push {
    pub(crate) client_instance_id: Uuid,
    pub(crate) subscription_id: i32,
    pub(crate) terminating: bool,
    pub(crate) is_known_compression: bool,
    pub(crate) bytes: usize,
}

impl Telemetry {
    /// `max_bytes` is `telemetry.max.bytes`, `series_max` bounds the series of all clients.
    pub(crate) fn new(max_bytes: usize, series_max: usize) -> Self {
        Telemetry {
            state: Mutex::new(State {
                subscriptions: Arc::default(),
                clients: Clients::new(series_max),
            }),
            counters: Counters::default(),
            max_bytes,
        }
    }

    /// The most bytes of one push, compressed or not.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Takes over the subscriptions of an image.
    pub(crate) fn follow(&self, image: &Image) {
        let all = image.client_metrics().filter_map(|(name, overrides)| {
            let read = ClientMetricsConfig::resolve(overrides)
                .and_then(|config| Ok((config.conditions()?, config)));
            match read {
                Ok((conditions, config)) => Some(Subscription {
                    metrics: config.metrics,
                    interval_ms: config.interval_ms.into(),
                    conditions,
                }),
                // The controller has checked it, maybe in another version.
                Err(error) => {
                    tracing::error!(subscription = name, %error, "is left out");
                    None
                }
            }
        });
        let all = all.collect();
        let mut state = self.state.lock();
        let version = state.subscriptions.version + 1;
        state.subscriptions = Arc::new(Subscriptions { version, all });
    }

    /// Tells a client what to push. A zero `asked` is a client without an id: it gets `fresh`.
    ///
    /// # Errors
    /// `THROTTLING_QUOTA_EXCEEDED` for a client that asks again before its interval is over,
    /// although nothing has changed.
    pub(crate) fn subscribe(
        &self,
        asked: Uuid,
        fresh: impl FnMut() -> Uuid,
        facts: Facts,
        now_ms: i64,
    ) -> Result<Granted, ErrorCode> {
        let mut state = self.state.lock();
        let State {
            subscriptions,
            clients,
        } = &mut *state;
        let id = clients.id_for(asked, fresh);
        let client = clients.touch(id, facts, subscriptions, now_ms);
        if !client.may_ask(now_ms) {
            Counters::add(&self.counters.throttled, 1);
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        let Asked {
            subscription_id,
            metrics,
            interval_ms,
        } = client.asked().clone();
        Ok(Granted {
            client_instance_id: id,
            subscription_id,
            metrics,
            interval_ms,
        })
    }

    /// Whether a push is taken.
    ///
    /// # Errors
    /// In this order: `INVALID_REQUEST` (no id, or after the last push), `THROTTLING_QUOTA_EXCEEDED`,
    /// `UNKNOWN_SUBSCRIPTION_ID`, `UNSUPPORTED_COMPRESSION_TYPE`, `TELEMETRY_TOO_LARGE`.
    pub(crate) fn admit(&self, push: Push, facts: Facts, now_ms: i64) -> Result<(), ErrorCode> {
        if push.client_instance_id.is_zero() {
            return Err(ErrorCode::InvalidRequest);
        }
        let mut state = self.state.lock();
        let State {
            subscriptions,
            clients,
        } = &mut *state;
        let client = clients.touch(push.client_instance_id, facts, subscriptions, now_ms);
        let verdict = client.admit(&push, self.max_bytes, now_ms);
        match verdict {
            Err(ErrorCode::ThrottlingQuotaExceeded) => Counters::add(&self.counters.throttled, 1),
            Err(ErrorCode::UnknownSubscriptionId) => {
                Counters::add(&self.counters.unknown_subscriptions, 1);
            }
            _ => {}
        }
        verdict
    }

    /// Keeps what an admitted push holds, in place of what the client pushed before.
    pub(crate) fn record(&self, id: Uuid, metrics: &[otlp::Metric<'_>]) {
        let dropped = self.state.lock().clients.record(id, metrics);
        Counters::add(&self.counters.pushes, 1);
        Counters::add(&self.counters.dropped_series, dropped as u64);
    }

    /// An admitted push could not be read.
    pub(crate) fn count_invalid(&self) {
        Counters::add(&self.counters.invalid, 1);
    }

    /// What all clients have pushed, by metric.
    pub(crate) fn families(&self, now_ms: i64) -> Vec<ClientMetricFamily> {
        let mut state = self.state.lock();
        state.clients.forget_silent(now_ms);
        series::families(state.clients.iter())
    }

    /// How the pushing goes.
    pub(crate) fn counts(&self) -> TelemetryCounts {
        let (clients, series) = {
            let state = self.state.lock();
            (state.clients.len(), state.clients.series())
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TelemetryCounts {
            clients,
            series,
            pushes: read(&self.counters.pushes),
            throttled: read(&self.counters.throttled),
            unknown_subscriptions: read(&self.counters.unknown_subscriptions),
            invalid: read(&self.counters.invalid),
            dropped_series: read(&self.counters.dropped_series),
        }
    }
}

impl Counters {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
