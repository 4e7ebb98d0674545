//! `ottla produce`: one record a line.
//!
//! ```text
//!   a thread: read_line ─▶ lines ─▶ cut ─▶ Producer::send ─▶ deliveries ─▶ summary
//! ```
//!
//! Input is read in a thread of its own: a terminal or a pipe blocks for as long as it likes, and
//! Ctrl-C must still be heard.

mod lines;
mod source;
mod summary;

use std::path::PathBuf;

use bytes::Bytes;
use ottla_client::{Acks, Delivery, Producer, ProducerOptions, ProducerRecord};
use ottla_record::{Compression, Header};
use ottla_runtime::{Runtime, Shutdown};
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::escape::escaped;
use crate::globals::{Globals, key_value};
use crate::output::OutputFormat;
use crate::{Error, Streams};

use lines::LineFormat;
use source::{Read, Source};
use summary::Summary;

/// What `ottla produce` takes.
#[derive(Debug, clap::Args)]
pub struct ProduceArgs {
    /// The topic to write to
    pub topic: String,
    /// Read this file and not standard input; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A line is a key, this text (\t is a tab), and a value
    #[arg(short = 'K', long, value_name = "TEXT")]
    pub key_separator: Option<String>,
    /// The key of every record
    #[arg(short, long, value_name = "TEXT", conflicts_with = "key_separator")]
    pub key: Option<String>,
    /// A header of every record; may be repeated, also with the same key
    #[arg(short = 'H', long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub header: Vec<(String, String)>,
    /// A key or a value that is just this text is null
    #[arg(long, value_name = "TEXT")]
    pub null_marker: Option<String>,
    /// Write to this partition only [default: by the key, or in turn without one]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "NAME", default_value = "none", value_parser = compression)]
    pub compression: Compression,
    /// Who must have a record before it counts: all (replicas in sync), 1 (the leader), 0 (nobody)
    #[arg(long, value_name = "WHO", default_value = "all", value_parser = acks)]
    pub acks: Acks,
    /// Whether a retry can never write a record twice [default: true with --acks all]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub idempotent: Option<bool>,
}

/// What is to be done, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    topic: String,
    file: Option<PathBuf>,
    format: LineFormat,
    headers: Vec<Header>,
    partition: Option<i32>,
    options: ProducerOptions,
    output: OutputFormat,
}

pub(crate) fn compression(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).map_err(|_| "it can be none, gzip, snappy, lz4 or zstd".to_owned())
}

pub(crate) fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        _ => Err("it can be all, 1 or 0".to_owned()),
    }
}

impl ProduceArgs {
    /// Checks what only makes sense together.
    pub(crate) fn plan(self, globals: &Globals) -> Result<Plan, Error> {
        if self.idempotent == Some(true) && self.acks != Acks::All {
            return Err(Error::Usage(
                "--idempotent needs --acks all: otherwise nobody knows what was written".to_owned(),
            ));
        }
        let key_separator = match self.key_separator.as_deref().map(escaped) {
            None => None,
            Some(Ok(separator)) if !separator.is_empty() => Some(separator),
            Some(Ok(_)) => return Err(Error::Usage("--key-separator is empty".to_owned())),
            Some(Err(reason)) => {
                return Err(Error::Usage(format!("--key-separator: {reason}")));
            }
        };
        let header = |(key, value): (String, String)| Header::new(key, Some(Bytes::from(value)));
        Ok(Plan {
            topic: self.topic,
            file: self.file.filter(|path| path.as_os_str() != "-"),
            format: LineFormat {
                key_separator,
                key: self.key.map(Bytes::from),
                null_marker: self.null_marker,
            },
            headers: self.header.into_iter().map(header).collect(),
            partition: self.partition,
            options: ProducerOptions {
                acks: self.acks,
                idempotence: self.idempotent.unwrap_or(self.acks == Acks::All),
                compression: self.compression,
                ..ProducerOptions::default()
            },
            output: globals.output.unwrap_or_default(),
        })
    }
}

/// A record under way, and the line that it came from.
struct Sent {
    line: u64,
    bytes: u64,
    delivery: Delivery,
}

/// Produces until the input ends, something fails, or a signal comes; then waits for what is under
/// way, and sums up.
pub(crate) async fn run(
    plan: Plan,
    cluster: &Cluster,
    runtime: &Runtime,
    interrupt: &Shutdown,
    streams: &mut Streams,
) -> Result<(), Error> {
    let topic = cluster.topic_to_write(&plan.topic).await?;
    if let Some(partition) = plan.partition
        && !topic.partitions.iter().any(|p| p.index == partition)
    {
        return Err(Error::NoPartition {
            topic: plan.topic,
            partition,
            partitions: topic.partitions.len(),
        });
    }
    let mut source = Source::open(plan.file.as_deref(), runtime, streams)?;
    if plan.file.is_none() && streams.input_is_terminal && streams.err_is_terminal {
        streams.say("one record a line; Ctrl-D ends");
    }
    let producer = Producer::new(cluster.client.clone(), plan.options.clone());
    let mut summary = Summary::new(&plan.topic);
    let mut failures = Vec::new();
    let (sent, mut arriving) = mpsc::unbounded_channel::<Sent>();
    let feeding = feed(&plan, cluster, interrupt, &producer, &mut source, sent);
    let collecting = async {
        while let Some(Sent {
            line,
            bytes,
            delivery,
        }) = arriving.recv().await
        {
            match delivery.await {
                Ok(place) => summary.delivered(place, bytes),
                Err(error) => {
                    summary.failed += 1;
                    if failures.len() < FAILURES_SHOWN {
                        failures.push((line, error));
                    } else {
                        // Whatever is wrong is wrong with many: no reason to read on.
                        arriving.close();
                    }
                }
            }
        }
    };
    let (fed, ()) = tokio::join!(feeding, collecting);
    source.finish();
    let mut failures = failures.into_iter().map(|(line, error)| {
        let action = format!("{}, line {line}", source.name);
        cluster.failure(&action, &error)
    });
    let first = failures.next();
    if summary.failed > 1 {
        for error in first.iter() {
            streams.report(error);
        }
        for error in failures {
            streams.report(&error);
        }
    }
    summary.print(plan.output, streams)?;
    fed?;
    match (first, summary.failed) {
        (None, _) => Ok(()),
        (Some(only), 1) => Err(only),
        (Some(error), failed) => Err(Error::Several {
            failed,
            total: summary.total(),
            things: "records",
            exit: error.exit(),
        }),
    }
}

/// So many failed records are told one by one; then reading stops.
const FAILURES_SHOWN: usize = 10;

/// Sends line after line until the input ends, a line is no record, nobody takes the deliveries
/// any more, or a signal comes.
async fn feed(
    plan: &Plan,
    cluster: &Cluster,
    interrupt: &Shutdown,
    producer: &Producer,
    source: &mut Source,
    sent: mpsc::UnboundedSender<Sent>,
) -> Result<(), Error> {
    loop {
        let read = tokio::select! {
            biased;
            () = interrupt.announced() => return Err(Error::Interrupted),
            read = source.next() => read,
        };
        let Read { line, bytes } = match read {
            None => return Ok(()),
            Some(read) => read?,
        };
        let size = bytes.len() as u64;
        let cut = plan.format.cut(bytes).map_err(|reason| Error::Line {
            input: source.name.clone(),
            line,
            reason,
        })?;
        let record = ProducerRecord {
            topic: plan.topic.clone(),
            partition: plan.partition,
            key: cut.key,
            value: cut.value,
            headers: plan.headers.clone(),
            timestamp_ms: None,
        };
        let delivery = producer
            .send(record)
            .await
            .map_err(|error| cluster.failure(&format!("{}, line {line}", source.name), &error))?;
        let one = Sent {
            line,
            bytes: size,
            delivery,
        };
        if sent.send(one).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
