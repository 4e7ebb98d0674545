//! `cargo run --profile sim -p ottla-sim -- --seeds 100`: plays many seeds and says how to repeat a bad one.

#![allow(clippy::print_stdout, reason = "a command line")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use ottla_sim::{Outcome, Sabotage, Scenario, Shape, run};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(
    about = "Plays seeded simulations of nodes and clusters with crashes, lost flushes and bad networks"
)]
struct Arguments {
    /// How many seeds to play
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// What is played
    #[arg(long, value_enum, default_value_t = Kind::Any)]
    kind: Kind,
    /// What the nodes do wrong on purpose, by the name in `ottla_model::Sabotage`
    #[arg(long, value_parser = sabotage)]
    sabotage: Option<Sabotage>,
    /// Seconds of virtual time with faults
    #[arg(long, default_value_t = 12)]
    chaos_seconds: u64,
    /// Play each seed twice and compare
    #[arg(long)]
    twice: bool,
    /// Print the history of every seed with a violation
    #[arg(long)]
    history: bool,
    /// What is logged on standard error, for example `debug` or `ottla_log=trace`
    #[arg(long)]
    log: Option<String>,
}

fn sabotage(name: &str) -> Result<Sabotage, String> {
    let known = Sabotage::ALL.into_iter();
    let found = known.clone().find(|fault| format!("{fault:?}") == name);
    let names: Vec<_> = known.map(|fault| format!("{fault:?}")).collect();
    found.ok_or_else(|| format!("there are {}", names.join(", ")))
}

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One node that is a cluster of its own
    Alone,
    /// Three nodes, five, or controllers and brokers apart
    Cluster,
    /// A node or a cluster, as the seed wants it
    Any,
}

impl Kind {
    fn scenario(self, seed: u64) -> Scenario {
        match self {
            Kind::Alone => Scenario::alone(seed),
            Kind::Cluster => Scenario::cluster(seed),
            Kind::Any if seed.is_multiple_of(4) => Scenario::alone(seed),
            Kind::Any => Scenario::cluster(seed),
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(log) = &arguments.log {
        let filter = EnvFilter::try_new(log)?;
        let log = tracing_subscriber::fmt().with_env_filter(filter);
        log.with_writer(std::io::stderr).without_time().init();
    }
    let began = Instant::now();
    let mut total = Total::default();
    for seed in arguments.first_seed..arguments.first_seed + arguments.seeds {
        let scenario = Scenario {
            chaos: Duration::from_secs(arguments.chaos_seconds),
            sabotage: arguments.sabotage,
            ..arguments.kind.scenario(seed)
        };
        let mut outcome = run(&scenario);
        if arguments.twice {
            outcome
                .violations
                .extend(run(&scenario).differs_from(&outcome));
        }
        total.add(&outcome, scenario.shape);
        if !outcome.violations.is_empty() {
            show(&arguments, &outcome, scenario.shape);
        }
    }
    println!("{total} in {:.1} s", began.elapsed().as_secs_f64());
    Ok(if total.bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(arguments: &Arguments, outcome: &Outcome, shape: Shape) {
    let (seed, chaos_seconds) = (outcome.seed, arguments.chaos_seconds);
    if arguments.history {
        outcome.history.iter().for_each(|line| println!("{line}"));
    }
    println!("seed {seed} ({shape:?}) fails:");
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    let kind = if shape == Shape::Alone {
        "alone"
    } else {
        "cluster"
    };
    println!(
        "  repeat it: cargo run --profile sim -p ottla-sim -- --seeds 1 --first-seed {seed} --kind {kind} \
         --chaos-seconds {chaos_seconds} --history --log info"
    );
}

/// What all runs have shown.
#[derive(Default)]
struct Total {
    seeds: u64,
    clusters: u64,
    bad: u64,
    acknowledged: u64,
    read: u64,
    crashes: u64,
    starts: u64,
    terms: u64,
}

impl Total {
    fn add(&mut self, outcome: &Outcome, shape: Shape) {
        self.seeds += 1;
        self.clusters += u64::from(shape != Shape::Alone);
        self.bad += u64::from(!outcome.violations.is_empty());
        self.acknowledged += outcome.acknowledged;
        self.read += outcome.read;
        self.crashes += outcome.crashes;
        self.starts += outcome.starts;
        self.terms += outcome.terms;
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} seeds ({} clusters): {} with violations; {} records acknowledged, {} read, {} \
             crashes, {} starts, {} terms of leaders",
            self.seeds,
            self.clusters,
            self.bad,
            self.acknowledged,
            self.read,
            self.crashes,
            self.starts,
            self.terms
        )
    }
}
