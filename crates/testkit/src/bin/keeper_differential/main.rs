//! The same random operations on Apache ZooKeeper and on our keeper, or on two real ZooKeepers, which proves
//! the comparison itself.
//!
//! Run it through `cargo xtask keeper-differential`, which gets and builds what it needs.

mod servers;
mod shrink;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Parser;
use ottla_testkit::keeper::differential::{Difference, Generator, Step};

use servers::Servers;
use tally::Tally;

/// How much of the way to a difference is shown when it is not made shorter.
const SHOWN: usize = 25;

#[derive(Parser)]
struct Arguments {
    /// The path of our binary; without it two real ZooKeepers are compared
    #[arg(long)]
    ottla: Option<PathBuf>,
    /// The folder with Apache ZooKeeper's jars
    #[arg(long)]
    zookeeper: PathBuf,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, each on fresh servers
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// How many operations of each seed
    #[arg(long, default_value_t = 5000)]
    operations: usize,
    /// No more operations after so long, however many were wanted
    #[arg(long)]
    seconds: Option<u64>,
    /// How many servers on each side
    #[arg(long, default_value_t = 1)]
    servers: usize,
    /// How often a shorter way to a difference is tried, each time on fresh servers
    #[arg(long, default_value_t = 60)]
    shrink: usize,
    /// Go on with the next seed after a difference
    #[arg(long)]
    go_on: bool,
    /// Show how often each operation ended how
    #[arg(long)]
    tally: bool,
    /// Lines of `zoo.cfg` of both sides, as NAME=VALUE
    #[arg(long = "set", value_parser = setting)]
    settings: Vec<(String, String)>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let until = arguments.seconds.map(Duration::from_secs);
    let until = until.map(|limit| Instant::now() + limit);
    let is_over = || until.is_some_and(|until| Instant::now() > until);
    let mut bad = Vec::new();
    let mut kinds = std::collections::BTreeMap::new();
    for seed in arguments.seed..arguments.seed + arguments.runs {
        if is_over() {
            println!("the time is up before seed {seed}");
            break;
        }
        if let Some((steps, difference)) = one_seed(&arguments, seed, is_over)? {
            *kinds.entry(difference.kind.clone()).or_insert(0) += 1;
            bad.push(seed);
            tell(&arguments, &steps, *difference)?;
            if !arguments.go_on {
                break;
            }
        }
    }
    println!("seeds with a difference: {bad:?}");
    for (kind, count) in kinds {
        println!("  {count} × {kind}");
    }
    Ok(if bad.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The steps up to the first difference, if there is one.
fn one_seed(
    arguments: &Arguments,
    seed: u64,
    is_over: impl Fn() -> bool,
) -> Result<Option<(Vec<Step>, Box<Difference>)>> {
    let began = Instant::now();
    let servers = Servers::start(arguments)?;
    let mut pair = servers.pair();
    let mut generator = Generator::of(seed);
    let mut steps = Vec::new();
    let mut tally = Tally::default();
    while steps.len() < arguments.operations && !is_over() {
        let step = generator.next(pair.left());
        steps.push(step.clone());
        let begin = Instant::now();
        match pair.step(&step)? {
            Ok(seen) => {
                tally.count(&step, &seen, begin.elapsed());
                if matches!(step, Step::Open { .. }) && seen.text("opened") == Some("closed") {
                    println!("seed {seed}: {} operations were", steps.len());
                    for step in steps.iter().rev().take(SHOWN).rev() {
                        println!("  {step}");
                    }
                    bail!("neither side serves any more:\n{}", servers.logs());
                }
                generator.learn(&seen);
            }
            Err(difference) => {
                println!("seed {seed}: a difference after {} operations", steps.len());
                return Ok(Some((steps, difference)));
            }
        }
    }
    let (count, seconds) = (steps.len(), began.elapsed().as_secs_f64());
    println!("seed {seed}: no difference in {count} operations, {seconds:.0} s");
    if arguments.tally {
        println!("{tally}");
    }
    servers.stop()?;
    Ok(None)
}

fn tell(arguments: &Arguments, steps: &[Step], difference: Difference) -> Result<()> {
    println!("{difference}");
    let (way, difference) = shrink::shrink(arguments, steps, difference)?;
    let skipped = if arguments.shrink == 0 {
        way.len().saturating_sub(SHOWN)
    } else {
        0
    };
    println!("the way there, {} operations:", way.len());
    for (at, step) in way.iter().enumerate().skip(skipped) {
        println!("  {at}: {step}");
    }
    println!("{difference}");
    Ok(())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}
