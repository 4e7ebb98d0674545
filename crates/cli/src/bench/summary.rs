//! What was measured, for people and for machines.

use std::time::Duration;

use serde::Serialize;

use super::histogram::Histogram;
use crate::Error;
use crate::output::View;
use crate::table::properties;

/// The bare figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) records: u64,
    /// Of keys and values, without what the protocol adds.
    pub(super) bytes: u64,
    pub(super) failed: u64,
    pub(super) elapsed: Duration,
    /// From the call to the acknowledgement.
    pub(super) acknowledged: Histogram,
    /// From the call until the record is read back.
    pub(super) read_back: Histogram,
}

/// The figures, and how measuring ended.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) figures: Figures,
    pub(super) interrupted: bool,
    /// The first failure.
    pub(super) failure: Option<Error>,
}

#[derive(Debug, Serialize)]
pub(super) struct Summary {
    benchmark: &'static str,
    topic: String,
    interrupted: bool,
    records: u64,
    failed: u64,
    bytes: u64,
    seconds: f64,
    records_per_second: f64,
    mib_per_second: f64,
    /// Null when nothing was written.
    acknowledged_ms: Option<Percentiles>,
    /// Null unless records were read back one by one.
    read_back_ms: Option<Percentiles>,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Percentiles {
    fn of(histogram: &Histogram) -> Option<Percentiles> {
        (histogram.count() > 0).then(|| Percentiles {
            p50: histogram.per_mille_ms(500),
            p95: histogram.per_mille_ms(950),
            p99: histogram.per_mille_ms(990),
            p999: histogram.per_mille_ms(999),
            max: histogram.max_ms(),
        })
    }

    fn text(&self) -> String {
        format!(
            "50 % {:.2} ms, 95 % {:.2} ms, 99 % {:.2} ms, 99.9 % {:.2} ms, longest {:.2} ms",
            self.p50, self.p95, self.p99, self.p999, self.max
        )
    }
}

impl Summary {
    pub(super) fn new(
        benchmark: &'static str,
        topic: String,
        interrupted: bool,
        figures: &Figures,
    ) -> Summary {
        let seconds = figures.elapsed.as_secs_f64();
        // Nothing in no time is nothing a second, and not a number that JSON does not have.
        let rate = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
        Summary {
            benchmark,
            topic,
            interrupted,
            records: figures.records,
            failed: figures.failed,
            bytes: figures.bytes,
            seconds,
            records_per_second: rate(figures.records as f64),
            mib_per_second: rate(figures.bytes as f64 / (1024.0 * 1024.0)),
            acknowledged_ms: Percentiles::of(&figures.acknowledged),
            read_back_ms: Percentiles::of(&figures.read_back),
        }
    }
}

impl View for Summary {
    fn table(&self, _wide: bool) -> String {
        let cut = if self.interrupted {
            " (interrupted)"
        } else {
            ""
        };
        let mut pairs = vec![
            (
                "Benchmark",
                format!("{} of topic {}{cut}", self.benchmark, self.topic),
            ),
            (
                "Records",
                format!("{} in {:.2} s", self.records, self.seconds),
            ),
            (
                "Throughput",
                format!(
                    "{:.0} records/s, {:.2} MiB/s",
                    self.records_per_second, self.mib_per_second
                ),
            ),
        ];
        if self.failed > 0 {
            pairs.push(("Failed", self.failed.to_string()));
        }
        if let Some(percentiles) = &self.acknowledged_ms {
            pairs.push(("Acknowledged", percentiles.text()));
        }
        if let Some(percentiles) = &self.read_back_ms {
            pairs.push(("Read back", percentiles.text()));
        }
        properties(&pairs)
    }

    fn names(&self) -> Vec<String> {
        vec![self.topic.clone()]
    }
}
