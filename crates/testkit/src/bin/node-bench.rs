//! Measures one broker process with a librdkafka client beside it on the same machine:
//!
//! - start: from the spawn of the process to the first acknowledged record (`acks=all`)
//! - memory: resident, ten seconds after a start on empty data
//! - CPU: the broker's user and system time for each GiB of 1 KiB records, produced with `acks=all`
//!   and consumed back, with the default durability and without waiting for the disk
//!
//! Run it through `cargo xtask bench node`, which builds what it measures.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use ottla_testkit::scenario::{Acknowledgements, Outcome, Record, Scenario, send};
use ottla_testkit::{Broker, Launch};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::json;

const IDLE: Duration = Duration::from_secs(10);
const FIRST_RECORD_LIMIT: Duration = Duration::from_secs(60);
const PHASE_LIMIT: Duration = Duration::from_secs(900);
const RECORD_BYTES: usize = 1024;
const POLL: Duration = Duration::from_millis(100);

#[derive(Parser)]
struct Arguments {
    /// The path of our node's binary
    #[arg(long, required_unless_present = "kafka")]
    ottla: Option<PathBuf>,
    /// The folder with Apache Kafka's jars, to measure that instead
    #[arg(long)]
    kafka: Option<PathBuf>,
    /// How many starts the median is taken of
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    starts: u64,
    /// MiB to produce and to consume
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,
    /// Properties that turn waiting for the disk off, as NAME=VALUE
    #[arg(long, default_value = "ottla.acks.wait.for.disk=false")]
    relaxed: Vec<String>,
    /// Where the figures go as JSON
    #[arg(long)]
    json_folder: PathBuf,
}

impl Arguments {
    fn launch(&self, settings: &[String]) -> Result<Launch> {
        let settings = settings
            .iter()
            .map(|pair| {
                pair.split_once('=')
                    .map(|(n, v)| (n.to_owned(), v.to_owned()))
            })
            .collect::<Option<Vec<_>>>()
            .context("a setting is NAME=VALUE")?;
        Ok(match (&self.kafka, &self.ottla) {
            (Some(lib), _) => Launch::Kafka {
                lib: lib.clone(),
                settings,
            },
            (None, Some(binary)) => Launch::Ottla {
                binary: binary.clone(),
                settings,
            },
            (None, None) => anyhow::bail!("neither --ottla nor --kafka is given"),
        })
    }
}

/// The broker's CPU time and the wall time of one phase.
struct Phase {
    cpu_seconds: f64,
    wall_seconds: f64,
}

/// Producing and consuming with one kind of durability.
struct Volume {
    durability: &'static str,
    gib: f64,
    produce: Phase,
    consume: Phase,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let name = if arguments.kafka.is_some() {
        "kafka"
    } else {
        "ottla"
    };
    let defaults = arguments.launch(&[])?;
    let mut starts_ms = (0..arguments.starts)
        .map(|_| start_until_first_record(&defaults))
        .collect::<Result<Vec<f64>>>()?;
    starts_ms.sort_by(f64::total_cmp);
    let median_ms = starts_ms[starts_ms.len() / 2];
    println!(
        "start until first acknowledged record, {} times:",
        starts_ms.len()
    );
    println!(
        "  median {median_ms:.1} ms, least {:.1} ms, most {:.1} ms",
        starts_ms[0],
        starts_ms[starts_ms.len() - 1]
    );
    let idle_kib = idle_memory(&defaults)?;
    println!(
        "resident memory after {} s idle: {:.1} MiB",
        IDLE.as_secs(),
        mib(idle_kib)
    );
    let mut volumes = vec![volume(&defaults, "default", arguments.mib)?];
    // Kafka does not wait for the disk in the first place.
    if arguments.kafka.is_none() {
        let relaxed = arguments.launch(&arguments.relaxed)?;
        volumes.push(volume(&relaxed, "waiting off", arguments.mib)?);
    }
    print_volumes(&volumes);
    write_json(&arguments.json_folder, name, &starts_ms, idle_kib, &volumes)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "memory in KiB is far below 2^52"
)]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Milliseconds from the spawn to the first acknowledgement, on empty data.
fn start_until_first_record(launch: &Launch) -> Result<f64> {
    let mut broker = Broker::prepare(launch.clone())?;
    let properties = [
        ("acks", "all"),
        ("linger.ms", "0"),
        ("reconnect.backoff.ms", "1"),
        ("reconnect.backoff.max.ms", "5"),
        ("retry.backoff.ms", "1"),
        ("topic.metadata.refresh.fast.interval.ms", "1"),
    ];
    let started = Instant::now();
    broker.spawn()?;
    // librdkafka looks only once a second whether a broker that refused it is there by now, and
    // whether a new topic has a leader, which would be measured instead of the broker: it starts
    // when somebody listens, and asks for the topic itself.
    while TcpStream::connect(broker.bootstrap()).is_err() {
        ensure!(
            started.elapsed() < FIRST_RECORD_LIMIT,
            "no listener: {}",
            broker.log_tail()
        );
        thread::sleep(Duration::from_millis(1));
    }
    let producer = Scenario::new(broker.bootstrap()).producer(&properties)?;
    while !has_leader(&producer, "first") {
        ensure!(
            started.elapsed() < FIRST_RECORD_LIMIT,
            "no leader: {}",
            broker.log_tail()
        );
    }
    send(&producer, "first", 0, &Record::of("first"))?;
    while producer.context().count() == 0 {
        producer.poll(Duration::from_millis(1));
        ensure!(
            started.elapsed() < FIRST_RECORD_LIMIT,
            "no record: {}",
            broker.log_tail()
        );
    }
    let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
    check_acknowledged(&producer.context().outcomes())?;
    broker.wait_ready()?;
    broker.stop()?;
    Ok(elapsed_ms)
}

/// Whether the topic, created by the question, has a leader for its first partition.
fn has_leader(producer: &BaseProducer<Acknowledgements>, topic: &str) -> bool {
    let metadata = producer
        .client()
        .fetch_metadata(Some(topic), FIRST_RECORD_LIMIT);
    metadata.is_ok_and(|metadata| {
        let partitions = metadata.topics().first().map(|topic| topic.partitions());
        partitions
            .and_then(<[_]>::first)
            .is_some_and(|partition| partition.leader() >= 0)
    })
}

fn check_acknowledged(outcomes: &std::collections::BTreeMap<usize, Outcome>) -> Result<()> {
    for (number, outcome) in outcomes {
        if let Outcome::Refused(error) = outcome {
            anyhow::bail!("record {number} was refused: {error}");
        }
    }
    Ok(())
}

fn idle_memory(launch: &Launch) -> Result<u64> {
    let mut broker = Broker::start(launch.clone())?;
    thread::sleep(IDLE);
    let kib = broker.process()?.resident_kib()?;
    broker.stop()?;
    Ok(kib)
}

fn volume(launch: &Launch, durability: &'static str, mib: u64) -> Result<Volume> {
    let mut broker = Broker::start(launch.clone())?;
    let clients = Scenario::new(broker.bootstrap());
    let topic = clients.create_topic("volume", 1)?;
    let count = usize::try_from(mib * 1024 * 1024 / RECORD_BYTES as u64)?;
    let produce = measured(&broker, || produce(&clients, &topic, count))?;
    let consume = measured(&broker, || consume(&clients, &topic, count))?;
    broker.stop()?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a benchmark's MiB are far below 2^52"
    )]
    let gib = mib as f64 / 1024.0;
    Ok(Volume {
        durability,
        gib,
        produce,
        consume,
    })
}

fn measured(broker: &Broker, run: impl FnOnce() -> Result<()>) -> Result<Phase> {
    let (cpu, wall) = (broker.process()?.cpu_seconds()?, Instant::now());
    run()?;
    let wall_seconds = wall.elapsed().as_secs_f64();
    Ok(Phase {
        cpu_seconds: broker.process()?.cpu_seconds()? - cpu,
        wall_seconds,
    })
}

fn produce(clients: &Scenario, topic: &str, count: usize) -> Result<()> {
    let properties = [
        ("acks", "all"),
        ("linger.ms", "5"),
        ("batch.size", "1000000"),
        ("queue.buffering.max.kbytes", "65536"),
    ];
    let producer = clients.producer(&properties)?;
    let record = Record::of(noise());
    for number in 0..count {
        send(&producer, topic, number, &record)?;
    }
    producer.flush(PHASE_LIMIT)?;
    let outcomes = producer.context().outcomes();
    ensure!(
        outcomes.len() == count,
        "{} of {count} records have an outcome",
        outcomes.len()
    );
    check_acknowledged(&outcomes)
}

fn consume(clients: &Scenario, topic: &str, count: usize) -> Result<()> {
    let config = clients.config(&[
        ("group.id", "unused"),
        ("enable.auto.commit", "false"),
        ("queued.max.messages.kbytes", "65536"),
    ]);
    let consumer: BaseConsumer = config.create()?;
    let mut at = TopicPartitionList::new();
    at.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&at)?;
    let (mut read, started) = (0, Instant::now());
    while read < count {
        ensure!(
            started.elapsed() < PHASE_LIMIT,
            "{read} of {count} records read"
        );
        if let Some(message) = consumer.poll(POLL) {
            let length = message?.payload().map(<[u8]>::len);
            ensure!(length == Some(RECORD_BYTES), "a record has another length");
            read += 1;
        }
    }
    Ok(())
}

/// A value that does not compress, the same in each run.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = Vec::with_capacity(RECORD_BYTES);
    while value.len() < RECORD_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend_from_slice(&state.to_le_bytes());
    }
    value
}

fn print_volumes(volumes: &[Volume]) {
    println!("broker CPU for each GiB of {RECORD_BYTES} B records, and throughput:");
    for volume in volumes {
        for (what, phase) in [("produce", &volume.produce), ("consume", &volume.consume)] {
            println!(
                "  {:<12} {what}  {:>7.2} CPU s/GiB  {:>7.1} MiB/s  ({:.2} CPU s, {:.2} s)",
                volume.durability,
                phase.cpu_seconds / volume.gib,
                volume.gib * 1024.0 / phase.wall_seconds,
                phase.cpu_seconds,
                phase.wall_seconds,
            );
        }
    }
}

fn write_json(
    folder: &Path,
    name: &str,
    starts_ms: &[f64],
    idle_kib: u64,
    volumes: &[Volume],
) -> Result<()> {
    let phase = |phase: &Phase| json!({ "broker_cpu_seconds": phase.cpu_seconds, "wall_seconds": phase.wall_seconds });
    let volumes: Vec<_> = volumes
        .iter()
        .map(|v| {
            json!({
                "durability": v.durability,
                "gib": v.gib,
                "record_bytes": RECORD_BYTES,
                "produce": phase(&v.produce),
                "consume": phase(&v.consume),
            })
        })
        .collect();
    let figures = json!({
        "broker": name,
        "start_until_first_acknowledged_record_ms": starts_ms,
        "resident_idle_kib": idle_kib,
        "volumes": volumes,
    });
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("node-{name}.json"));
    fs::write(&path, serde_json::to_string_pretty(&figures)?)?;
    println!("wrote {}", path.display());
    Ok(())
}
