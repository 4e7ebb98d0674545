//! What clients have pushed of their own metrics (KIP-714), beside those of the node.

use std::fmt;

use ottla_broker::ClientMetricFamily;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::Node;

/// One reading of what clients pushed.
#[derive(Debug)]
pub(super) struct Pushed(Vec<ClientMetricFamily>);

impl Pushed {
    pub(super) fn of(node: &Node) -> Self {
        Pushed(
            node.broker()
                .map(|b| b.client_metrics())
                .unwrap_or_default(),
        )
    }
}

impl Collector for Pushed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let kind = if family.is_counter {
                MetricType::Counter
            } else {
                MetricType::Gauge
            };
            let help = "Pushed by clients";
            let mut rows = encoder.encode_descriptor(&family.name, help, None, kind)?;
            for series in &family.series {
                let row = rows.encode_family(&series.labels)?;
                if family.is_counter {
                    ConstCounter::new(series.value).encode(row)?;
                } else {
                    ConstGauge::new(series.value).encode(row)?;
                }
            }
        }
        Ok(())
    }
}
