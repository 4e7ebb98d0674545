//! Measures our keeper and Apache ZooKeeper beside each other: same machine, same disk, the same client,
//! in turn, both with every write on disk before it is acknowledged.
//!
//! Run it through `cargo xtask bench keeper`, which gets and builds what it needs.

mod failover;
mod idle;
mod latency;
mod requests;
mod side;
mod stored;
mod volume;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use ottla_testkit::report::{self, Report};
use serde_json::json;

use side::{Programs, Side};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Figure {
    /// Three servers, many connections with many requests under way: writes and reads each second, CPU
    Volume,
    /// Three servers, one connection, one write after the other
    Latency,
    /// Memory with nothing to do
    Idle,
    /// Memory with many znodes, and the start with them on disk
    Stored,
    /// Three servers: the leader is killed until somebody else takes writes
    Failover,
}

const ALL: [Figure; 5] = [
    Figure::Idle,
    Figure::Volume,
    Figure::Latency,
    Figure::Failover,
    Figure::Stored,
];

#[derive(Parser)]
struct Arguments {
    /// The path of our binary
    #[arg(long, required_unless_present = "zookeeper_alone")]
    ottla: Option<PathBuf>,
    /// The folder with Apache ZooKeeper's jars
    #[arg(long)]
    zookeeper: PathBuf,
    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Figure>,
    /// Measure our keeper alone
    #[arg(long)]
    alone: bool,
    /// Measure Apache ZooKeeper alone
    #[arg(long, conflicts_with = "alone")]
    zookeeper_alone: bool,
    /// How often each side is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each load that is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds of the same load before: a JVM compiles what it runs
    #[arg(long, default_value_t = 10)]
    warm_up_seconds: u64,
    /// How many connections a load has
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// How many requests are under way on each
    #[arg(long, default_value_t = 100)]
    pipelined: usize,
    /// Bytes of data of each znode
    #[arg(long, default_value_t = 100)]
    data_bytes: usize,
    /// How many znodes are stored
    #[arg(long, default_value_t = 1_000_000)]
    znodes: usize,
    /// How often a leader is killed
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// MiB of ZooKeeper's heap: what zkServer.sh gives
    #[arg(long, default_value_t = 1000)]
    heap_mib: u32,
    /// MiB of smaller heaps, from the smallest on: the first that bears the stored znodes is measured, too
    #[arg(long, value_delimiter = ',', default_values_t = [384, 448, 512, 576, 640, 768, 896])]
    small_heaps_mib: Vec<u32>,
    /// Lines of `zoo.cfg` of both sides, as NAME=VALUE
    #[arg(long = "set", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Where the figures go as JSON
    #[arg(long)]
    json: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let figures = match arguments.only.as_slice() {
        [] => ALL.to_vec(),
        only => only.to_vec(),
    };
    let sides: &[Side] = if arguments.alone {
        &[Side::Keeper]
    } else if arguments.zookeeper_alone {
        &[Side::ZooKeeper]
    } else {
        &[Side::Keeper, Side::ZooKeeper]
    };
    let programs = Programs::of(&arguments);
    let mut report = Report::of("Ottla", "ZooKeeper");
    for figure in figures {
        // These take minutes, and have rounds of their own or differ little.
        let once = matches!(figure, Figure::Stored | Figure::Failover);
        for round in 0..if once { 1 } else { arguments.rounds } {
            for &side in sides {
                println!("{figure:?}, round {}, {}", round + 1, side.name());
                measure(&mut report, &arguments, &programs, figure, side)?;
                // A run that is broken off has something to show, too.
                report.write_json(&arguments.json, &conditions(&arguments))?;
            }
        }
    }
    println!("\n{}", report.table());
    println!("wrote {}", arguments.json.display());
    Ok(())
}

fn measure(
    report: &mut Report,
    arguments: &Arguments,
    programs: &Programs,
    figure: Figure,
    side: Side,
) -> Result<()> {
    match figure {
        Figure::Volume => volume::measure(report, arguments, programs, side),
        Figure::Latency => latency::measure(report, arguments, programs, side),
        Figure::Idle => idle::measure(report, programs, side),
        Figure::Stored => stored::measure(report, arguments, programs, side),
        Figure::Failover => failover::measure(report, arguments.kills, programs, side),
    }
}

/// What a reader must know of the machine and the run.
fn conditions(arguments: &Arguments) -> serde_json::Value {
    let mut all = report::machine();
    for (name, value) in [
        ("rounds", json!(arguments.rounds)),
        ("seconds", json!(arguments.seconds)),
        ("warm_up_seconds", json!(arguments.warm_up_seconds)),
        ("connections", json!(arguments.connections)),
        ("pipelined", json!(arguments.pipelined)),
        ("data_bytes", json!(arguments.data_bytes)),
        ("znodes", json!(arguments.znodes)),
        ("kills", json!(arguments.kills)),
        ("zookeeper_heap_mib", json!(arguments.heap_mib)),
        ("settings", json!(arguments.settings)),
        (
            "written",
            json!("on disk before it is acknowledged, on both sides"),
        ),
        ("zookeeper_jar", json!(side::jar(&arguments.zookeeper))),
        ("java", json!(side::java_version())),
    ] {
        all.insert(name.to_owned(), value);
    }
    all.into()
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}
