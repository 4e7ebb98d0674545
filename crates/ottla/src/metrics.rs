//! `/metrics`: what the parts of the node count, in the OpenMetrics text format.
//!
//! The parts keep plain counters of their own; they are read when Prometheus asks.

mod pushed;

use std::fmt;

use ottla_keeper::monitor::Dialect;
use ottla_log::SYNC_TIME_BOUNDS_US;
use ottla_model::QuotaKey;
use ottla_net::{Closed, Histogram, Refused};
use ottla_runtime::system;
use ottla_wire::ApiKey;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::{Kafka, Node};

use self::pushed::Pushed;

/// What Prometheus is told about the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything, as text. Blocks, since the sizes of logs are the file system's to tell.
pub(crate) fn text(node: &Node) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape::of(node)));
    registry.register_collector(Box::new(Pushed::of(node)));
    prometheus_client::encoding::text::encode_registry(&mut text, &registry)?;
    if let Some(keeper) = &node.keeper {
        text.push_str(&keeper.reading().prometheus(Dialect::OpenMetrics));
    }
    prometheus_client::encoding::text::encode_eof(&mut text)?;
    Ok(text)
}

/// One reading of all counters: metrics in the order in which they are shown.
#[derive(Debug, Default)]
struct Scrape {
    metrics: Vec<Metric>,
}

type Labels = Vec<(&'static str, String)>;

#[derive(Debug)]
struct Metric {
    name: &'static str,
    help: &'static str,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Counters(Vec<(Labels, f64)>),
    Gauges(Vec<(Labels, f64)>),
    Histograms(Vec<(Labels, Durations)>),
}

/// What a histogram shows, in seconds.
#[derive(Debug)]
struct Durations {
    sum: f64,
    /// Each bucket's upper bound and how many fell into it.
    buckets: Vec<(f64, u64)>,
}

impl Scrape {
    fn of(node: &Node) -> Self {
        let mut scrape = Scrape::default();
        scrape.process();
        if let Some(kafka) = &node.kafka {
            scrape.kafka(kafka);
        }
        scrape
    }

    fn kafka(&mut self, kafka: &Kafka) {
        self.metadata(kafka);
        self.quorum(kafka);
        if let Some(broker) = &kafka.broker {
            self.connections(broker);
            self.requests(broker);
            self.quotas(broker);
            self.telemetry(broker);
            self.partitions(kafka, broker);
            self.replication(broker);
        }
        self.log(kafka);
    }

    fn counter(&mut self, name: &'static str, help: &'static str, values: Vec<(Labels, f64)>) {
        self.metrics.push(Metric {
            name,
            help,
            values: Values::Counters(values),
        });
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, values: Vec<(Labels, f64)>) {
        self.metrics.push(Metric {
            name,
            help,
            values: Values::Gauges(values),
        });
    }

    fn process(&mut self) {
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        self.gauge(
            "ottla_build_info",
            "The running version",
            vec![(version, 1.0)],
        );
        let cpu = system::processor_seconds().unwrap_or(0.0);
        self.counter("process_cpu_seconds", "Processor time used", one(cpu));
        let memory = system::resident_memory_bytes().unwrap_or(0) as f64;
        self.gauge(
            "process_resident_memory_bytes",
            "Resident memory",
            one(memory),
        );
        let files = system::open_files().unwrap_or(0) as f64;
        self.gauge("process_open_fds", "Open file descriptors", one(files));
    }

    fn metadata(&mut self, kafka: &Kafka) {
        let image = kafka.controller.image();
        self.gauge(
            "ottla_topics",
            "Topics of the cluster",
            one(image.topic_count() as f64),
        );
        let broker = kafka.broker.as_ref();
        let (total, ready) = broker.map_or((0, 0), |b| b.partitions());
        self.gauge(
            "ottla_partitions",
            "Partitions that this node holds",
            one(total as f64),
        );
        self.gauge(
            "ottla_partitions_ready",
            "Partitions that are recovered",
            one(ready as f64),
        );
    }

    fn quorum(&mut self, kafka: &Kafka) {
        let state = kafka.controller.raft_state();
        let flag = |yes: bool| one(f64::from(u8::from(yes)));
        self.gauge(
            "ottla_quorum_leader",
            "1 on the node that decides about the metadata",
            flag(state.is_leader),
        );
        let has_leader = flag(state.leader.is_some());
        self.gauge(
            "ottla_quorum_has_leader",
            "Whether this node knows who leads the metadata quorum",
            has_leader,
        );
        self.gauge(
            "ottla_quorum_term",
            "The newest term that this node knows",
            one(state.term as f64),
        );
        self.gauge(
            "ottla_quorum_voters",
            "Voters of the metadata quorum",
            one(state.voters.len() as f64),
        );
        let applied = state.applied.map_or(0, |at| at.index);
        self.gauge(
            "ottla_quorum_applied",
            "The last entry of the quorum's log that this node has applied",
            one(applied as f64),
        );
        if let Some(broker) = &kafka.broker {
            self.gauge(
                "ottla_broker_fenced",
                "1 while the broker is fenced: it leads nothing",
                flag(broker.is_fenced()),
            );
        }
    }

    fn connections(&mut self, broker: &ottla_broker::Handle) {
        let listeners = broker.net_probe().listeners();
        let each = |value: &dyn Fn(&ottla_net::ListenerProbe) -> u64| {
            let row = |l: &std::sync::Arc<ottla_net::ListenerProbe>| {
                (vec![("listener", l.name().to_owned())], value(l) as f64)
            };
            listeners.iter().map(row).collect::<Vec<_>>()
        };
        self.gauge("ottla_connections", "Open connections", each(&|l| l.open()));
        self.counter(
            "ottla_connections_accepted",
            "Connections accepted",
            each(&|l| l.accepted()),
        );
        self.counter(
            "ottla_network_bytes_in",
            "Bytes of requests",
            each(&|l| l.bytes_in()),
        );
        self.counter(
            "ottla_network_bytes_out",
            "Bytes of responses",
            each(&|l| l.bytes_out()),
        );
        self.counter(
            "ottla_connections_delayed",
            "Connections that were accepted later because too many came",
            each(&|l| l.delayed().0),
        );
        let mut refused = Vec::new();
        let mut closed = Vec::new();
        for listener in listeners {
            let labels = |reason: &'static str| {
                vec![
                    ("listener", listener.name().to_owned()),
                    ("reason", reason.to_owned()),
                ]
            };
            for reason in Refused::ALL {
                refused.push((labels(reason.name()), listener.refused(reason) as f64));
            }
            for reason in Closed::ALL {
                closed.push((labels(reason.name()), listener.closed(reason) as f64));
            }
        }
        self.counter(
            "ottla_connections_refused",
            "Connections closed at accept",
            refused,
        );
        self.counter(
            "ottla_connections_closed",
            "Connections that ended, by reason",
            closed,
        );
    }

    fn quotas(&mut self, broker: &ottla_broker::Handle) {
        let probe = broker.probe();
        // Addresses are slowed down when they connect, not when they ask.
        let keys = QuotaKey::ALL
            .into_iter()
            .filter(|key| *key != QuotaKey::ConnectionCreationRate);
        let (mut answers, mut seconds) = (Vec::new(), Vec::new());
        for key in keys {
            let labels = vec![("quota", key.name().to_owned())];
            let (count, ms) = probe.throttled(key);
            answers.push((labels.clone(), count as f64));
            seconds.push((labels, ms as f64 / 1e3));
        }
        self.counter(
            "ottla_quota_throttled_requests",
            "Requests whose client was told to pause, by quota",
            answers,
        );
        self.counter(
            "ottla_quota_throttled_seconds",
            "The pauses of these requests",
            seconds,
        );
        self.gauge(
            "ottla_quota_shares",
            "Users and client ids whose use is being measured",
            one(broker.quota_shares() as f64),
        );
    }

    fn telemetry(&mut self, broker: &ottla_broker::Handle) {
        let counts = broker.telemetry();
        self.gauge(
            "ottla_telemetry_clients",
            "Clients that push metrics, or ask whether they should",
            one(counts.clients as f64),
        );
        self.gauge(
            "ottla_telemetry_series",
            "Series that clients have pushed",
            one(counts.series as f64),
        );
        for (name, help, count) in [
            (
                "ottla_telemetry_pushes",
                "Pushes of clients' metrics that were taken",
                counts.pushes,
            ),
            (
                "ottla_telemetry_throttled",
                "Requests about clients' metrics that came too early",
                counts.throttled,
            ),
            (
                "ottla_telemetry_unknown_subscriptions",
                "Pushes for a subscription that had changed",
                counts.unknown_subscriptions,
            ),
            (
                "ottla_telemetry_invalid",
                "Pushes that could not be read",
                counts.invalid,
            ),
            (
                "ottla_telemetry_series_dropped",
                "Pushed series that found no room",
                counts.dropped_series,
            ),
        ] {
            self.counter(name, help, one(count as f64));
        }
    }

    fn requests(&mut self, broker: &ottla_broker::Handle) {
        let probe = broker.net_probe();
        let mut requests = Vec::new();
        let mut latencies = Vec::new();
        for api in ApiKey::all() {
            let counts = probe.api(api);
            if counts.requests() == 0 {
                continue;
            }
            let labels = vec![("api", api.name().to_owned())];
            requests.push((labels.clone(), counts.requests() as f64));
            let latency = counts.latency();
            let sum = latency.sum_us() as f64 / 1e6;
            let buckets = buckets(&Histogram::BOUNDS_US, &latency.counts());
            latencies.push((labels, Durations { sum, buckets }));
        }
        self.counter("ottla_requests", "Requests answered", requests);
        self.metrics.push(Metric {
            name: "ottla_request_duration_seconds",
            help: "From a request's last byte to its response's last byte",
            values: Values::Histograms(latencies),
        });
        let counts = broker.probe();
        let records = counts.records_in() as f64;
        self.counter(
            "ottla_records_in",
            "Records that producers sent",
            one(records),
        );
        let rebalances = counts.rebalances() as f64;
        self.counter(
            "ottla_group_rebalances",
            "Rebalances begun",
            one(rebalances),
        );
        let (open, oldest_ms) = broker.open_transactions();
        self.gauge(
            "ottla_transactions_open",
            "Transactions that this node coordinates and that have not ended",
            one(open as f64),
        );
        self.gauge(
            "ottla_transactions_oldest_open_seconds",
            "How long the oldest of them is open",
            one(oldest_ms as f64 / 1e3),
        );
        let sessions = broker.fetch_sessions() as f64;
        self.gauge("ottla_fetch_sessions", "Open fetch sessions", one(sessions));
    }

    fn log(&mut self, kafka: &Kafka) {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let log = kafka.log_dir.probe();
        let rows: [(&'static str, &'static str, &AtomicU64); 14] = [
            (
                "ottla_log_appends",
                "Appends answered with offsets",
                &log.appends,
            ),
            (
                "ottla_log_append_errors",
                "Appends refused",
                &log.append_errors,
            ),
            (
                "ottla_log_duplicates",
                "Appends that repeated an earlier one",
                &log.duplicates,
            ),
            (
                "ottla_log_bytes_in",
                "Bytes of batches written",
                &log.bytes_in,
            ),
            (
                "ottla_log_bytes_out",
                "Bytes of batches served",
                &log.bytes_out,
            ),
            (
                "ottla_log_bytes_out_disk",
                "Bytes of batches served from disk",
                &log.bytes_out_disk,
            ),
            (
                "ottla_log_groups",
                "Groups of appends written together",
                &log.groups,
            ),
            (
                "ottla_log_cache_hits",
                "Reads answered from memory",
                &log.cache_hits,
            ),
            (
                "ottla_log_cache_misses",
                "Reads that went to the disk",
                &log.cache_misses,
            ),
            (
                "ottla_log_segments_rolled",
                "Segments begun",
                &log.segments_rolled,
            ),
            (
                "ottla_log_segments_deleted",
                "Segments removed by retention",
                &log.segments_deleted,
            ),
            (
                "ottla_log_corrupt_batches",
                "Damaged batches found",
                &log.corrupt_batches,
            ),
            (
                "ottla_log_truncated_bytes",
                "Bytes of torn tails cut off",
                &log.truncated_bytes,
            ),
            (
                "ottla_log_storage_full",
                "Appends refused by a full disk",
                &log.storage_full,
            ),
        ];
        for (name, help, value) in rows {
            self.counter(name, help, one(value.load(Relaxed) as f64));
        }
        self.compaction(kafka);
        let sum = log.sync_us.load(Relaxed) as f64 / 1e6;
        let buckets = buckets(&SYNC_TIME_BOUNDS_US, &log.sync_time_buckets());
        self.metrics.push(Metric {
            name: "ottla_log_flush_duration_seconds",
            help: "Flushes of segments to disk",
            values: Values::Histograms(vec![(Labels::new(), Durations { sum, buckets })]),
        });
    }

    fn compaction(&mut self, kafka: &Kafka) {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let log = kafka.log_dir.probe();
        let rows: [(&'static str, &'static str, &AtomicU64); 5] = [
            (
                "ottla_compaction_runs",
                "Compactions of a log that came to their end",
                &log.clean_runs,
            ),
            (
                "ottla_compaction_failures",
                "Compactions of a log that failed",
                &log.clean_failures,
            ),
            (
                "ottla_compaction_bytes_read",
                "Bytes that compaction has read",
                &log.clean_read_bytes,
            ),
            (
                "ottla_compaction_bytes_written",
                "Bytes that compaction has written",
                &log.clean_written_bytes,
            ),
            (
                "ottla_compaction_records_removed",
                "Records that compaction has removed",
                &log.clean_records_dropped,
            ),
        ];
        for (name, help, value) in rows {
            self.counter(name, help, one(value.load(Relaxed) as f64));
        }
        let dirty = log.dirty_percent_max.load(Relaxed) as f64 / 100.0;
        self.gauge(
            "ottla_compaction_dirty_ratio_max",
            "The uncompacted part of the dirtiest compacted log, 0 to 1",
            one(dirty),
        );
        let looked_at = log.clean_looked_at_ms.load(Relaxed) as f64 / 1000.0;
        self.gauge(
            "ottla_compaction_last_look_timestamp_seconds",
            "When compaction last looked for a dirty log",
            one(looked_at),
        );
        let of = |partition: &ottla_model::TopicPartition| {
            let labels = vec![
                ("topic", partition.topic.to_string()),
                ("partition", partition.partition.to_string()),
            ];
            (labels, 1.0)
        };
        self.gauge(
            "ottla_compaction_running",
            "Logs that are being compacted",
            kafka.log_dir.being_cleaned().iter().map(of).collect(),
        );
        self.gauge(
            "ottla_compaction_uncleanable",
            "Logs that cannot be compacted; the log of the node says why",
            kafka.log_dir.uncleanable().keys().map(of).collect(),
        );
    }

    fn replication(&mut self, broker: &ottla_broker::Handle) {
        let counts = broker.replication();
        let rows = [
            (
                "ottla_partitions_led",
                "Partitions that this node leads",
                counts.leaders,
            ),
            (
                "ottla_partitions_under_replicated",
                "Of these, those with replicas that are not in sync",
                counts.under_replicated,
            ),
            (
                "ottla_partitions_at_min_isr",
                "Of these, those with just as many replicas in sync as min.insync.replicas asks for",
                counts.at_min_isr,
            ),
            (
                "ottla_partitions_under_min_isr",
                "Of these, those that take no records with acks=all: too few replicas are in sync",
                counts.under_min_isr,
            ),
            (
                "ottla_partitions_reassigning",
                "Of these, those whose replicas are being moved",
                counts.reassigning,
            ),
            (
                "ottla_partitions_offline",
                "Partitions of the cluster that nobody leads",
                counts.offline,
            ),
            (
                "ottla_replica_fetchers",
                "Connections over which this node follows leaders",
                counts.fetchers,
            ),
        ];
        for (name, help, value) in rows {
            self.gauge(name, help, one(value as f64));
        }
        self.gauge(
            "ottla_replica_lag_records",
            "The most records that a follower of a partition led here lacks",
            one(counts.lag_records_max as f64),
        );
        let probe = broker.probe();
        self.counter(
            "ottla_replicated_bytes",
            "Bytes of records that came from leaders",
            one(probe.replicated_bytes() as f64),
        );
        self.counter(
            "ottla_isr_changes",
            "Changes of replicas in sync that this node asked for and got",
            one(probe.isr_changes() as f64),
        );
    }

    fn partitions(&mut self, kafka: &Kafka, broker: &ottla_broker::Handle) {
        let logs = broker.logs();
        let each = |value: &dyn Fn(&ottla_log::Log) -> f64| {
            let row = |(topic, partition, log): &(String, i32, ottla_log::Log)| {
                let labels = vec![
                    ("topic", topic.clone()),
                    ("partition", partition.to_string()),
                ];
                (labels, value(log))
            };
            logs.iter().map(row).collect::<Vec<_>>()
        };
        let start = each(&|l| l.log_start_offset() as f64);
        self.gauge(
            "ottla_partition_log_start_offset",
            "First offset of a partition",
            start,
        );
        let high = each(&|l| l.high_watermark() as f64);
        self.gauge(
            "ottla_partition_high_watermark",
            "End of what consumers may read",
            high,
        );
        let stable = each(&|l| l.last_stable_offset() as f64);
        self.gauge(
            "ottla_partition_last_stable_offset",
            "End of what consumers of committed records may read",
            stable,
        );
        let age = kafka.log_dir.oldest_transaction_age_ms() as f64 / 1e3;
        self.gauge(
            "ottla_oldest_open_transaction_age_seconds",
            "Silence of the producer of the oldest open transaction",
            one(age),
        );
        let late = kafka.log_dir.partitions_with_late_transactions() as f64;
        self.gauge(
            "ottla_partitions_with_late_transactions",
            "Partitions whose transaction no coordinator will end",
            one(late),
        );
        let size = each(&|l| l.size_bytes().unwrap_or(0) as f64);
        self.gauge(
            "ottla_partition_size_bytes",
            "Bytes on disk of a partition",
            size,
        );
    }
}

fn one(value: f64) -> Vec<(Labels, f64)> {
    vec![(Labels::new(), value)]
}

/// Buckets in seconds; the last count has no bound.
fn buckets(bounds_us: &[u64], counts: &[u64]) -> Vec<(f64, u64)> {
    let bounds = bounds_us
        .iter()
        .map(|us| *us as f64 / 1e6)
        .chain([f64::INFINITY]);
    bounds.zip(counts.iter().copied()).collect()
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in &self.metrics {
            let kind = match metric.values {
                Values::Counters(_) => MetricType::Counter,
                Values::Gauges(_) => MetricType::Gauge,
                Values::Histograms(_) => MetricType::Histogram,
            };
            let mut rows = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            match &metric.values {
                Values::Counters(values) => {
                    for (labels, value) in values {
                        ConstCounter::new(*value).encode(rows.encode_family(labels)?)?;
                    }
                }
                Values::Gauges(values) => {
                    for (labels, value) in values {
                        ConstGauge::new(*value).encode(rows.encode_family(labels)?)?;
                    }
                }
                Values::Histograms(values) => {
                    for (labels, Durations { sum, buckets }) in values {
                        let count = buckets.iter().map(|(_, n)| n).sum();
                        let mut row = rows.encode_family(labels)?;
                        row.encode_histogram::<Labels>(*sum, count, buckets, None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_of_a_histogram_is_that_without_a_bound() {
        let mut scrape = Scrape::default();
        let buckets = buckets(&[1_000_000], &[1, 2]);
        let durations = Durations { sum: 7.0, buckets };
        scrape.metrics.push(Metric {
            name: "flushes",
            help: "Flushes",
            values: Values::Histograms(vec![(Labels::new(), durations)]),
        });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(scrape));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("flushes_bucket{le=\"1.0\"} 1\n"), "{text}");
        assert!(text.contains("flushes_bucket{le=\"+Inf\"} 3\n"), "{text}");
    }
}
