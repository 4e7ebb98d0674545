//! What the operator measures of itself.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use kube::Resource;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::{KafkaCluster, KafkaTopic, KeeperEnsemble};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    kind: String,
    outcome: &'static str,
}

const OK: &str = "ok";
const ERROR: &str = "error";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

/// A resource and whether it is as it says.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    kind: String,
    namespace: String,
    name: String,
}

/// What the canary tried.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Tried {
    pub(crate) namespace: String,
    pub(crate) cluster: String,
    pub(crate) listener: String,
}

/// What the operator measures of itself, for Prometheus.
pub struct Metrics {
    registry: Registry,
    reconciliations: Family<Outcome, Counter>,
    durations: Family<Kind, Histogram, fn() -> Histogram>,
    ready: Family<Named, Gauge>,
    leading: Gauge,
    pub(crate) canary_up: Family<Tried, Gauge>,
    pub(crate) canary_failures: Family<Tried, Counter>,
    pub(crate) canary_latency: Family<Tried, Gauge<f64, AtomicU64>>,
    is_ready: AtomicBool,
}

impl Metrics {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("ottla_operator");
        let reconciliations: Family<Outcome, Counter> = Family::default();
        // From the beginning: what counts from its first error on has no rate at the first one.
        for kind in [
            KafkaCluster::kind(&()),
            KeeperEnsemble::kind(&()),
            KafkaTopic::kind(&()),
        ] {
            for outcome in [OK, ERROR] {
                let kind = kind.to_string();
                drop(reconciliations.get_or_create(&Outcome { kind, outcome }));
            }
        }
        registry.register(
            "reconciliations",
            "How often a resource was looked at, by kind and outcome (ok, error)",
            reconciliations.clone(),
        );
        let durations: Family<Kind, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new([0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0]));
        registry.register(
            "reconcile_duration_seconds",
            "How long a look at a resource took, by kind",
            durations.clone(),
        );
        let ready = Family::default();
        registry.register(
            "resource_ready",
            "Whether a resource is as it says (1) or not (0)",
            ready.clone(),
        );
        let leading = Gauge::default();
        registry.register(
            "leading",
            "Whether this instance is the one that works (1) or waits (0)",
            leading.clone(),
        );
        let canary_up = Family::default();
        registry.register(
            "canary_up",
            "Whether the canary's last try on a listener worked (1) or not (0)",
            canary_up.clone(),
        );
        let canary_failures = Family::default();
        registry.register(
            "canary_failures",
            "How many of the canary's tries on a listener failed",
            canary_failures.clone(),
        );
        let canary_latency = Family::default();
        registry.register(
            "canary_latency_seconds",
            "How long the canary's last record took from the producer to the consumer",
            canary_latency.clone(),
        );
        Metrics {
            registry,
            reconciliations,
            durations,
            ready,
            leading,
            canary_up,
            canary_failures,
            canary_latency,
            is_ready: AtomicBool::new(false),
        }
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// A name that cannot be written; that is a mistake in this file.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Whether the API server was reached, and the operator works or waits for its turn.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(std::sync::atomic::Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.is_ready
            .store(true, std::sync::atomic::Ordering::Release);
    }

    pub(crate) fn set_leading(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    pub(crate) fn reconciled(&self, kind: &str, worked: bool, took: Duration) {
        let outcome = if worked { OK } else { ERROR };
        let kind = kind.to_owned();
        let label = Outcome {
            kind: kind.clone(),
            outcome,
        };
        self.reconciliations.get_or_create(&label).inc();
        self.durations
            .get_or_create(&Kind { kind })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn set_resource_ready(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        ready: Option<bool>,
    ) {
        let named = Named {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        match ready {
            Some(ready) => {
                self.ready.get_or_create(&named).set(i64::from(ready));
            }
            None => {
                self.ready.remove(&named);
            }
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_from_nothing_on() {
        let metrics = Metrics::new();
        let line = |count| {
            format!(
                "ottla_operator_reconciliations_total{{kind=\"KafkaTopic\",outcome=\"error\"}} {count}\n"
            )
        };
        assert!(metrics.text().unwrap().contains(&line(0)));
        metrics.reconciled("KafkaTopic", false, Duration::from_millis(5));
        assert!(metrics.text().unwrap().contains(&line(1)));
    }
}
