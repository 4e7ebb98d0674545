//! The numbers that clients pushed, as Prometheus sees them.
//!
//! `org.apache.kafka.producer.connection.creation.total` becomes
//! `kafka_client_producer_connection_creation_total`. Names and labels come from outside: they are
//! brought into Prometheus's alphabet, cut, and counted.

use std::collections::BTreeMap;

use ottla_model::Uuid;
use ottla_wire::otlp::{Attributes, Metric, MetricKind};

use super::clients::Client;

/// The most series of one client.
const PER_CLIENT_MAX: usize = 2_000;
/// The most labels of a series, those about the client not counted.
const LABELS_MAX: usize = 16;
/// The longest name of a metric or a label, and the longest value of a label, in bytes.
const TEXT_BYTES_MAX: usize = 200;
/// What the names of Kafka's clients begin with.
const KAFKA: &str = "org.apache.kafka.";
/// The labels that say which client it is; clients cannot set them otherwise.
const OWN_LABELS: [&str; 4] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
];

/// All series of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientMetricFamily {
    /// The name in Prometheus's alphabet; that of a counter without `_total`.
    pub name: String,
    /// Whether it only grows.
    pub is_counter: bool,
    /// Its series.
    pub series: Vec<ClientSeries>,
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientSeries {
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// The number.
    pub value: f64,
}

/// The series of one client.
#[derive(Debug, Default)]
pub(super) struct Series(BTreeMap<Key, Sample>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    name: String,
    labels: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    is_counter: bool,
    value: f64,
}

impl Series {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is pushed takes the place of what was; sums that are told as changes are added up. At
    /// most `room` series stay; returns how many more there were.
    pub(super) fn replace<'a>(
        &mut self,
        metrics: impl Iterator<Item = &'a Metric<'a>>,
        room: usize,
    ) -> usize {
        let room = room.min(PER_CLIENT_MAX);
        let before = std::mem::take(&mut self.0);
        let mut dropped = 0;
        for metric in metrics {
            let name = metric_name(metric.name);
            for point in &metric.points {
                let key = Key {
                    name: name.clone(),
                    labels: labels(&point.attributes),
                };
                if self.0.len() >= room && !self.0.contains_key(&key) {
                    dropped += 1;
                    continue;
                }
                let (is_counter, is_delta) = match metric.kind {
                    MetricKind::Gauge => (false, false),
                    MetricKind::Sum { monotonic, delta } => (monotonic, delta),
                };
                let base = before.get(&key).filter(|_| is_delta);
                let value = base.map_or(0.0, |sample| sample.value) + point.value;
                self.0.insert(key, Sample { is_counter, value });
            }
        }
        dropped
    }
}

/// The series of all clients by metric. A name has one kind: that of the first client that has it.
pub(super) fn families<'a>(
    clients: impl Iterator<Item = (&'a Uuid, &'a Client)>,
) -> Vec<ClientMetricFamily> {
    let mut families: BTreeMap<&str, ClientMetricFamily> = BTreeMap::new();
    for (id, client) in clients {
        let own = own_labels(id, client);
        for (key, sample) in &client.series.0 {
            let family = families
                .entry(&key.name)
                .or_insert_with(|| ClientMetricFamily {
                    name: key.name.clone(),
                    is_counter: sample.is_counter,
                    series: Vec::new(),
                });
            // A counter that is negative, or no number, is none.
            let fits = !sample.is_counter || sample.value >= 0.0;
            if family.is_counter == sample.is_counter && fits {
                let labels = own.iter().chain(&key.labels).cloned().collect();
                let value = sample.value;
                family.series.push(ClientSeries { labels, value });
            }
        }
    }
    let families = families.into_values();
    families.filter(|f| !f.series.is_empty()).collect()
}

fn own_labels(id: &Uuid, client: &Client) -> Vec<(String, String)> {
    let (software, version) = client.facts.software.clone().unwrap_or_default();
    let values = [
        cut(&client.facts.client_id).to_owned(),
        id.to_string(),
        software,
        version,
    ];
    let names = OWN_LABELS.map(str::to_owned);
    names.into_iter().zip(values).collect()
}

fn metric_name(name: &str) -> String {
    let name = format!(
        "kafka_client_{}",
        cut(name.strip_prefix(KAFKA).unwrap_or(name))
    );
    let name = in_alphabet(&name);
    // OpenMetrics puts this behind the names of counters by itself.
    name.strip_suffix("_total").unwrap_or(&name).to_owned()
}

fn labels(attributes: &Attributes<'_>) -> Vec<(String, String)> {
    let mut labels = BTreeMap::new();
    for (name, value) in attributes.iter().take(LABELS_MAX) {
        let name = in_alphabet(cut(name));
        if !name.is_empty() && !OWN_LABELS.contains(&name.as_str()) {
            labels.insert(name, cut(value).to_owned());
        }
    }
    labels.into_iter().collect()
}

/// Letters, digits and `_`, and no digit at the start.
fn in_alphabet(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut name: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    // Prometheus keeps names with two of them at the start for itself.
    if name.starts_with("__") {
        name = name.trim_start_matches('_').to_owned();
    }
    name
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}
