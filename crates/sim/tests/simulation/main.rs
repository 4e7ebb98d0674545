//! Nodes and clusters in a seeded world: what must hold on honest disks, and what is noticed
//! otherwise.

mod alone;
mod cluster;
mod sabotage;

use ottla_sim::{Outcome, Scenario, Shape, run};

/// Plays seeds and shows what is wrong with the first bad one.
fn play(seeds: std::ops::Range<u64>, scenario: impl Fn(u64) -> Scenario) -> Vec<Outcome> {
    let outcome = |seed| {
        let scenario = scenario(seed);
        let outcome = run(&scenario);
        let violations: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
        let chaos_seconds = scenario.chaos.as_secs();
        let kind = if scenario.shape == Shape::Alone {
            "alone"
        } else {
            "cluster"
        };
        assert!(
            violations.is_empty(),
            "seed {seed}: {}\nrepeat it: cargo run --profile sim -p ottla-sim -- --seeds 1 \
             --first-seed {seed} --kind {kind} --chaos-seconds {chaos_seconds} --history",
            violations.join("\n")
        );
        outcome
    };
    seeds.map(outcome).collect()
}
