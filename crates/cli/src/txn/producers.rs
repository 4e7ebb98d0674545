//! `ottla txn producers`.

use ottla_client::ActiveProducer;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::moment;
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla txn producers` takes.
#[derive(Debug, clap::Args)]
pub struct ProducersArgs {
    /// The topic
    pub topic: String,
    /// Only this partition
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
}

/// The producers of partitions.
#[derive(Debug, Serialize)]
pub(super) struct Producers {
    pub(super) producers: Vec<Row>,
    #[serde(skip)]
    pub(super) now_ms: i64,
}

/// One producer in one partition.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i32,
    /// Null when it wrote without sequences.
    pub(super) last_sequence: Option<i32>,
    pub(super) last_timestamp_ms: Option<i64>,
    pub(super) last_timestamp: Option<String>,
    /// Null when no transaction has ended here yet.
    pub(super) coordinator_epoch: Option<i32>,
    /// Null when no transaction is open here.
    pub(super) transaction_start_offset: Option<i64>,
}

impl Row {
    pub(super) fn new(topic: &str, partition: i32, producer: &ActiveProducer) -> Self {
        let last_timestamp_ms = Some(producer.last_timestamp_ms).filter(|ms| *ms >= 0);
        Row {
            topic: topic.to_owned(),
            partition,
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            last_sequence: Some(producer.last_sequence).filter(|s| *s >= 0),
            last_timestamp: last_timestamp_ms.map(moment::utc_text),
            last_timestamp_ms,
            coordinator_epoch: Some(producer.coordinator_epoch).filter(|e| *e >= 0),
            transaction_start_offset: producer.transaction_start_offset,
        }
    }
}

impl View for Producers {
    fn table(&self, wide: bool) -> String {
        if self.producers.is_empty() {
            return String::new();
        }
        let mut headings = vec![
            "PARTITION",
            "PRODUCER",
            "EPOCH",
            "OPEN TRANSACTION",
            "LAST WRITE",
        ];
        if wide {
            headings.extend(["LAST SEQUENCE", "COORDINATOR EPOCH", "LAST TIMESTAMP"]);
        }
        let rows = self.producers.iter().map(|row| {
            let open = row.transaction_start_offset;
            let mut cells = vec![
                row.partition.to_string(),
                row.producer_id.to_string(),
                row.producer_epoch.to_string(),
                open.map_or_else(|| "-".to_owned(), |at| format!("from offset {at}")),
                format!("{} ago", super::age(row.last_timestamp_ms, self.now_ms)),
            ];
            if wide {
                cells.push(super::dash(row.last_sequence));
                cells.push(super::dash(row.coordinator_epoch));
                cells.push(super::dash(row.last_timestamp.clone()));
            }
            cells
        });
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        self.producers
            .iter()
            .map(|row| row.producer_id.to_string())
            .collect()
    }
}

pub(super) async fn run(
    args: &ProducersArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let topic = cluster.topic(&args.topic).await?;
    let there: Vec<i32> = topic.partitions.iter().map(|p| p.index).collect();
    if let Some(partition) = args.partition.filter(|p| !there.contains(p)) {
        return Err(Error::NoPartition {
            topic: args.topic.clone(),
            partition,
            partitions: there.len(),
        });
    }
    let wanted = there
        .iter()
        .filter(|p| args.partition.is_none_or(|only| only == **p));
    let wanted: Vec<(&str, i32)> = wanted.map(|p| (args.topic.as_str(), *p)).collect();
    let described = cluster.client.describe_producers(&wanted).await;
    let action = format!("describing the producers of topic {}", args.topic);
    let (mut producers, mut errors) = (Vec::new(), Vec::new());
    for found in cluster.checked(&action, described)? {
        match found.producers {
            Ok(all) => producers.extend(
                all.iter()
                    .map(|p| Row::new(&found.topic, found.partition, p)),
            ),
            Err(error) => errors.push(cluster.failure(&action, &error)),
        }
    }
    let view = Producers {
        producers,
        now_ms: cluster.now_ms(),
    };
    if view.producers.is_empty() && errors.is_empty() {
        streams.say("no producers with an id have written there of late");
    }
    output::print(&view, output, streams)?;
    Error::of_several(errors, wanted.len(), "partitions", streams)
}
