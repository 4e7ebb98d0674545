//! Measures our node and Apache Kafka beside each other: same machine, same disk, same client
//! programs, in turn. Processor seconds and ratios are what counts; wall time on a machine with two
//! cores is as much the clients' as the broker's.
//!
//! Run it through `cargo xtask bench`, which gets and builds what it needs.

mod clients;
mod cluster;
mod connections;
mod java;
mod latency;
mod side;
mod start;
mod stored;
mod volume;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use serde_json::json;

use java::Java;
use ottla_testkit::report::{self, Report};
use side::{Programs, Side};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Figure {
    /// Start until the first acknowledged record, idle memory
    Start,
    /// Throughput, CPU for each GiB, memory under load
    Volume,
    /// Small batches, on disk before they are acknowledged
    Durable,
    /// End-to-end latency
    Latency,
    /// Start after kill -9 with much data, catch-up read
    Stored,
    /// 10,000 partitions
    Many,
    /// Memory for each connection
    Connections,
    /// Three nodes: leader killed until producing again
    Failover,
    /// Three nodes: stop of a node with many leaders
    HandOver,
    /// Three nodes: throughput, CPU for each GiB
    ClusterVolume,
    /// Three nodes: produce latency
    ClusterLatency,
    /// Three nodes: many topics are created
    Topics,
}

const ALL: [Figure; 7] = [
    Figure::Start,
    Figure::Volume,
    Figure::Durable,
    Figure::Latency,
    Figure::Connections,
    Figure::Stored,
    Figure::Many,
];

const OF_CLUSTERS: [Figure; 5] = [
    Figure::Failover,
    Figure::HandOver,
    Figure::ClusterVolume,
    Figure::ClusterLatency,
    Figure::Topics,
];

#[derive(Parser)]
struct Arguments {
    /// The path of our node's binary
    #[arg(long)]
    ottla: PathBuf,
    /// The folder with Apache Kafka's jars
    #[arg(long)]
    kafka: PathBuf,
    /// The folder with the jars of Kafka's tools
    #[arg(long)]
    tools: PathBuf,
    /// Measure only these
    #[arg(long, value_enum)]
    only: Vec<Figure>,
    /// Measure three nodes instead of one
    #[arg(long)]
    cluster: bool,
    /// How often a leader is killed
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Measure Apache Kafka alone
    #[arg(long, conflicts_with = "alone")]
    kafka_alone: bool,
    /// Measure our node alone
    #[arg(long)]
    alone: bool,
    /// How often each side is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// MiB of 1 KiB records for each combination of partitions and acknowledgements
    #[arg(long, default_value_t = 768)]
    mib: u64,
    /// GiB that are stored before the kill; measured in one round
    #[arg(long, default_value_t = 10)]
    gib_stored: u64,
    /// Seconds at the steady rate
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// Records in small durable batches
    #[arg(long, default_value_t = 300_000)]
    durable_records: u64,
    /// Where the figures go as JSON
    #[arg(long)]
    json: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let figures = match (arguments.only.as_slice(), arguments.cluster) {
        ([], false) => ALL.to_vec(),
        ([], true) => OF_CLUSTERS.to_vec(),
        (only, _) => only.to_vec(),
    };
    let sides: &[Side] = if arguments.alone {
        &[Side::Ottla]
    } else if arguments.kafka_alone {
        &[Side::Kafka]
    } else {
        &[Side::Ottla, Side::Kafka]
    };
    let mut report = Report::of("Ottla", "Kafka");
    for figure in figures {
        // These take minutes, and differ little between rounds.
        let once = matches!(
            figure,
            Figure::Stored | Figure::Many | Figure::Failover | Figure::Topics
        );
        for round in 0..if once { 1 } else { arguments.rounds } {
            for &side in sides {
                println!("{figure:?}, round {}, {}", round + 1, side.name());
                measure(&mut report, &arguments, figure, side)?;
                // A run that is broken off has something to show, too.
                report.write_json(&arguments.json, &conditions(&arguments))?;
            }
        }
    }
    println!("\n{}", report.table());
    println!("wrote {}", arguments.json.display());
    Ok(())
}

fn measure(report: &mut Report, arguments: &Arguments, figure: Figure, side: Side) -> Result<()> {
    let programs = Programs {
        ottla: arguments.ottla.clone(),
        kafka: arguments.kafka.clone(),
    };
    let java = Java {
        tools: arguments.tools.clone(),
    };
    match figure {
        Figure::Start => start::measure(report, &programs, side),
        Figure::Volume => volume::measure(report, &programs, &java, side, arguments.mib),
        Figure::Durable => {
            volume::measure_durable(report, &programs, &java, side, arguments.durable_records)
        }
        Figure::Latency => latency::measure(report, &programs, &java, side, arguments.seconds),
        Figure::Stored => stored::measure(report, &programs, &java, side, arguments.gib_stored),
        Figure::Many => stored::measure_many(report, &programs, side),
        Figure::Connections => connections::measure(report, &programs, side),
        Figure::Failover => cluster::measure_failover(report, &programs, side, arguments.kills),
        Figure::HandOver => cluster::measure_hand_over(report, &programs, side),
        Figure::ClusterVolume => {
            cluster::measure_volume(report, &programs, &java, side, arguments.mib)
        }
        Figure::ClusterLatency => {
            cluster::measure_latency(report, &programs, side, arguments.seconds)
        }
        Figure::Topics => cluster::measure_topics(report, &programs, side),
    }
}

/// What a reader must know of the machine and the run.
fn conditions(arguments: &Arguments) -> serde_json::Value {
    let mut all = report::machine();
    for (name, value) in [
        ("rounds", json!(arguments.rounds)),
        ("mib", json!(arguments.mib)),
        ("gib_stored", json!(arguments.gib_stored)),
        ("durable_records", json!(arguments.durable_records)),
    ] {
        all.insert(name.to_owned(), value);
    }
    all.into()
}
