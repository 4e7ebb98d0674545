//! Nodes that do one thing wrong on purpose: a checker notices each of them.

use std::time::Duration;

use ottla_sim::{Faults, Sabotage, Scenario, Shape, run};

/// A cluster of three under all faults, in which one thing is wrong.
fn scenario(seed: u64, sabotage: Sabotage) -> Scenario {
    Scenario {
        sabotage: Some(sabotage),
        shape: Shape::Combined { nodes: 3 },
        chaos: Duration::from_secs(5),
        ..Scenario::cluster(seed)
    }
}

/// Plays seeds until one of these checkers complains.
fn is_noticed_by(
    checkers: &[&str],
    seeds_max: u64,
    scenario: impl Fn(u64) -> Scenario,
) {
    for seed in 0..seeds_max {
        let outcome = run(&scenario(seed));
        let mut names = outcome.violations.iter().map(|v| v.checker);
        if names.any(|name| checkers.contains(&name)) {
            return;
        }
    }
    panic!("within {seeds_max} seeds, none of {checkers:?} has complained");
}
