//! Metrics as Prometheus reads them, with the names of ZooKeeper's `PrometheusMetricsProvider`.

use std::fmt::Write as _;

use crate::monitor::reading::{Detail, Metric, Reading, Value};

/// What a text with metrics is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Prometheus' text format 0.0.4, as ZooKeeper serves it.
    Text,
    /// A part of a text in the OpenMetrics format 1.0, without its end. A counter's name would have
    /// to end with `_total` there, so that ZooKeeper's counters have no type.
    OpenMetrics,
}

impl Dialect {
    /// The media type of a whole text.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Dialect::Text => "text/plain; version=0.0.4; charset=utf-8",
            Dialect::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    fn counter(self) -> &'static str {
        match self {
            Dialect::Text => "counter",
            Dialect::OpenMetrics => "unknown",
        }
    }
}

/// The quantiles of a summary.
const BASIC: &[f64] = &[0.5];
const DETAILED: &[f64] = &[0.5, 0.9, 0.99];

impl Reading {
    /// All metrics as text.
    #[must_use]
    pub fn prometheus(&self, dialect: Dialect) -> String {
        let mut out = String::new();
        for metric in &self.metrics {
            write(&mut out, metric, dialect);
        }
        out
    }
}

fn write(out: &mut String, metric: &Metric, dialect: Dialect) {
    let name = metric.name;
    let kind = match metric.value {
        Value::Gauge(_) => "gauge",
        Value::Counter(_) => dialect.counter(),
        Value::Summary { .. } => "summary",
    };
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to memory does not fail.
        let _ = writeln!(out, "{arguments}");
    };
    line(format_args!("# HELP {name} {name}"));
    line(format_args!("# TYPE {name} {kind}"));
    match &metric.value {
        Value::Gauge(number) => line(format_args!("{name} {:?}", number.as_f64())),
        Value::Counter(number) => line(format_args!("{name} {:?}", *number as f64)),
        Value::Summary { detail, unit, read } => {
            let parts = match detail {
                Detail::Basic => BASIC,
                Detail::Detailed => DETAILED,
            };
            for part in parts {
                let value = match read.count {
                    0 => f64::NAN,
                    _ => unit.exact(read.quantile(*part) as f64),
                };
                line(format_args!("{name}{{quantile=\"{part}\"}} {value:?}"));
            }
            line(format_args!("{name}_count {:?}", read.count as f64));
            line(format_args!(
                "{name}_sum {:?}",
                unit.exact(read.total as f64)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::meter::Summary;
    use crate::monitor::{Number, Unit};

    fn text(value: Value, dialect: Dialect) -> String {
        let mut out = String::new();
        write(&mut out, &Metric { name: "m", value }, dialect);
        out
    }

    #[test]
    fn each_kind_has_its_form() {
        let gauge = Value::Gauge(Number::Int(5));
        assert_eq!(
            text(gauge, Dialect::Text),
            "# HELP m m\n# TYPE m gauge\nm 5.0\n"
        );
        let counter = Value::Counter(7);
        let wanted = "# HELP m m\n# TYPE m counter\nm 7.0\n";
        assert_eq!(text(counter.clone(), Dialect::Text), wanted);
        let wanted = "# HELP m m\n# TYPE m unknown\nm 7.0\n";
        assert_eq!(text(counter, Dialect::OpenMetrics), wanted);
        let summary = Summary::default();
        summary.add(1_500);
        let summary = Value::Summary {
            detail: Detail::Detailed,
            unit: Unit::Ms,
            read: summary.read(),
        };
        let wanted = "# HELP m m\n# TYPE m summary\nm{quantile=\"0.5\"} 1.5\nm{quantile=\"0.9\"} 1.5\n\
                      m{quantile=\"0.99\"} 1.5\nm_count 1.0\nm_sum 1.5\n";
        assert_eq!(text(summary, Dialect::Text), wanted);
    }

    #[test]
    fn a_summary_without_values_has_no_quantile() {
        let summary = Value::Summary {
            detail: Detail::Basic,
            unit: Unit::Plain,
            read: Summary::default().read(),
        };
        let text = text(summary, Dialect::Text);
        assert!(text.contains("m{quantile=\"0.5\"} NaN\n"), "{text}");
        assert!(text.ends_with("m_count 0.0\nm_sum 0.0\n"), "{text}");
    }
}
