//! `cargo run -p ottla-sim -- --seeds 100`: plays many seeds and says how to repeat a bad one.

#![allow(clippy::print_stdout, reason = "a command line")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use ottla_sim::{Scenario, run};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(about = "Plays seeded simulations of a node with crashes, lost flushes and bad networks")]
struct Arguments {
    /// How many seeds to play
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
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

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(log) = &arguments.log {
        let filter = EnvFilter::try_new(log)?;
        let log = tracing_subscriber::fmt().with_env_filter(filter);
        log.with_writer(std::io::stderr).without_time().init();
    }
    let began = Instant::now();
    let mut bad = 0;
    let (mut acknowledged, mut read, mut crashes, mut starts) = (0, 0, 0, 0);
    for seed in arguments.first_seed..arguments.first_seed + arguments.seeds {
        let scenario = Scenario {
            chaos: Duration::from_secs(arguments.chaos_seconds),
            ..Scenario::new(seed)
        };
        let mut outcome = run(&scenario);
        if arguments.twice {
            outcome
                .violations
                .extend(run(&scenario).differs_from(&outcome));
        }
        acknowledged += outcome.acknowledged;
        read += outcome.read;
        crashes += outcome.crashes;
        starts += outcome.starts;
        if outcome.violations.is_empty() {
            continue;
        }
        bad += 1;
        if arguments.history {
            outcome.history.iter().for_each(|line| println!("{line}"));
        }
        println!("seed {seed} fails:");
        for violation in &outcome.violations {
            println!("  {violation}");
        }
        println!(
            "  repeat it: cargo run -p ottla-sim -- --seeds 1 --first-seed {seed} \
             --chaos-seconds {} --history --log info",
            arguments.chaos_seconds
        );
    }
    println!(
        "{} seeds in {:.1} s: {bad} with violations; {acknowledged} records acknowledged, {read} \
         read, {crashes} crashes, {starts} starts",
        arguments.seeds,
        began.elapsed().as_secs_f64()
    );
    Ok(if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
