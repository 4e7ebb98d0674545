//! `ottla bench`: how much a cluster takes in and gives out, and how long that takes.
//!
//! ```text
//!   Subject (topic, made if asked) ─▶ produce | consume | latency ─▶ Measured ─▶ Summary
//! ```
//!
//! A topic that was made is deleted at the end, whatever ended it; Ctrl-C gives the summary so far.

mod consume;
mod histogram;
mod latency;
mod produce;
mod summary;

use std::time::Duration;

use bytes::Bytes;
use ottla_client::{Acks, ProducerOptions};
use ottla_record::Compression;
use ottla_runtime::{Instant, Runtime, Shutdown};

use crate::cluster::{Cluster, CreateTopic};
use crate::output::{self, OutputFormat};
use crate::produce::{acks, compression};
use crate::{Error, Streams, moment};

use summary::Summary;

/// What `ottla bench` can measure.
#[derive(Debug, clap::Subcommand)]
pub enum BenchCommand {
    /// Write records as fast as they are taken, or at a rate
    Produce(WriteArgs),
    /// Read a topic from its beginning
    Consume(ReadArgs),
    /// Write one record at a time, and wait until it is read back
    Latency(WriteArgs),
}

/// What a benchmark takes that writes.
#[derive(Debug, clap::Args)]
pub struct WriteArgs {
    /// The topic to write to [default: one made for this, and deleted afterwards]
    pub topic: Option<String>,
    #[command(flatten)]
    pub length: Length,
    /// Bytes of each record's value
    #[arg(long, value_name = "BYTES", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(16..=64 * 1024 * 1024))]
    pub size: u32,
    /// Make the topic with so many partitions, and delete it afterwards
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Replicas of a topic that is made [default: the cluster's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub replication_factor: Option<i16>,
    /// Who must have a record before it counts: all (replicas in sync), 1 (the leader), 0 (nobody)
    #[arg(long, value_name = "WHO", default_value = "all", value_parser = acks)]
    pub acks: Acks,
    /// Bytes at which a batch is sent without waiting
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024)]
    pub batch_size: u32,
    /// How long a record waits for others to share its batch
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = moment::duration)]
    pub linger: Duration,
    /// Records a second [default: as fast as they are taken]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "NAME", default_value = "none", value_parser = compression)]
    pub compression: Compression,
}

/// What a benchmark takes that reads.
#[derive(Debug, clap::Args)]
pub struct ReadArgs {
    /// The topic to read
    pub topic: String,
    #[command(flatten)]
    pub length: Length,
}

/// When a benchmark ends.
#[derive(Debug, Clone, clap::Args)]
pub struct Length {
    /// End after so many records
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub records: Option<u64>,
    /// End after this time [default: 10s for what writes, if no number of records is given]
    #[arg(short, long, value_name = "TIME", value_parser = moment::duration)]
    pub duration: Option<Duration>,
}

impl Length {
    fn duration(&self) -> Option<Duration> {
        const DEFAULT: Duration = Duration::from_secs(10);
        self.duration.or(self.records.is_none().then_some(DEFAULT))
    }

    fn is_over(&self, records: u64, began: Instant, now: Instant) -> bool {
        self.records.is_some_and(|limit| records >= limit)
            || self.duration().is_some_and(|limit| now - began >= limit)
    }
}

impl WriteArgs {
    fn options(&self) -> ProducerOptions {
        let batch_bytes = usize::try_from(self.batch_size).unwrap_or(usize::MAX);
        let defaults = ProducerOptions::default();
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        ProducerOptions {
            acks: self.acks,
            idempotence: self.acks == Acks::All,
            compression: self.compression,
            linger: self.linger,
            batch_bytes,
            // A record larger than the buffer could never be sent.
            buffer_bytes: defaults.buffer_bytes.max(size.saturating_mul(2)),
        }
    }
}

/// What all benchmarks need.
struct Bench<'a> {
    cluster: &'a Cluster,
    runtime: &'a Runtime,
    interrupt: &'a Shutdown,
}

/// Measures, tidies up, and prints what was measured.
pub(crate) async fn run(
    command: &BenchCommand,
    cluster: &Cluster,
    runtime: &Runtime,
    interrupt: &Shutdown,
    format: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let bench = Bench {
        cluster,
        runtime,
        interrupt,
    };
    let (kind, topic, measured) = match command {
        BenchCommand::Consume(args) => {
            let measured = consume::measure(&bench, args, streams).await?;
            ("consume", args.topic.clone(), measured)
        }
        BenchCommand::Produce(args) | BenchCommand::Latency(args) => {
            let (topic, made) = bench.topic(args).await?;
            let (kind, measured) = match command {
                BenchCommand::Latency(_) => (
                    "latency",
                    latency::measure(&bench, args, &topic, streams).await,
                ),
                _ => (
                    "produce",
                    produce::measure(&bench, args, &topic, streams).await,
                ),
            };
            if made && let Err(error) = cluster.delete_topic(&topic).await {
                streams.report(&error);
            }
            (kind, topic, measured?)
        }
    };
    let (failure, interrupted) = (measured.failure, measured.interrupted);
    let summary = Summary::new(kind, topic, interrupted, &measured.figures);
    output::print(&summary, format, streams)?;
    match failure {
        Some(error) => Err(error),
        None if interrupted => Err(Error::Interrupted),
        None => Ok(()),
    }
}

impl Bench<'_> {
    /// The topic to write to, and whether it was made for this.
    async fn topic(&self, args: &WriteArgs) -> Result<(String, bool), Error> {
        let name = match (&args.topic, args.partitions) {
            (Some(name), None) => return Ok((self.cluster.topic(name).await?.name, false)),
            (Some(name), Some(_)) => name.clone(),
            (None, _) => format!("ottla-bench-{:016x}", self.runtime.random.below(u64::MAX)),
        };
        let topic = CreateTopic {
            name: name.clone(),
            partitions: Some(args.partitions.unwrap_or(1)),
            replication_factor: args.replication_factor,
            configs: Vec::new(),
            validate_only: false,
        };
        self.cluster.create_topic(&topic).await?;
        // Its partitions may need a moment to get their leaders.
        let leaders = self.cluster.client.partitions(&name).await;
        match self.cluster.checked("waiting for the topic", leaders) {
            Ok(_) => Ok((name, true)),
            Err(error) => {
                self.cluster.delete_topic(&name).await?;
                Err(error)
            }
        }
    }

    fn failure(&self, topic: &str, error: &ottla_client::Error) -> Error {
        self.cluster
            .failure(&format!("measuring topic {topic}"), error)
    }
}

/// Letters without order, of which each record takes another part: neither the same again and
/// again, nor made anew for each.
struct Values {
    letters: Bytes,
    size: usize,
    next: usize,
}

/// How many different beginnings there are.
const BEGINNINGS: usize = 16 * 1024;

impl Values {
    fn new(runtime: &Runtime, size: u32) -> Values {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let letter = |_| b'A' + u8::try_from(runtime.random.below(26)).unwrap_or(0);
        let letters: Vec<u8> = (0..BEGINNINGS).map(letter).collect();
        let letters = letters.iter().copied().cycle();
        Values {
            letters: letters.take(BEGINNINGS + size).collect(),
            size,
            next: 0,
        }
    }

    fn next(&mut self) -> Bytes {
        let begin = self.next;
        // Odd, so that all beginnings have their turn.
        self.next = (self.next + 4099) % BEGINNINGS;
        self.letters.slice(begin..begin + self.size)
    }
}

#[cfg(test)]
mod tests;
