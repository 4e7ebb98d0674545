//! Nodes that do one thing wrong on purpose: a checker notices each of them.

use std::time::Duration;

use ottla_sim::{Sabotage, Scenario, run};

/// Plays seeds until somebody complains; says who.
fn complaints(sabotage: Sabotage, seeds_max: u64) -> Vec<&'static str> {
    for seed in 0..seeds_max {
        let outcome = run(&Scenario {
            sabotage: Some(sabotage),
            chaos: Duration::from_secs(8),
            ..Scenario::cluster(seed)
        });
        let mut names: Vec<_> = outcome.violations.iter().map(|v| v.checker).collect();
        names.dedup();
        if !names.is_empty() {
            return names;
        }
    }
    Vec::new()
}

fn is_noticed(sabotage: Sabotage, seeds_max: u64) {
    let complaints = complaints(sabotage, seeds_max);
    assert!(!complaints.is_empty(), "nobody noticed {sabotage:?}");
}

#[test]
fn appends_that_are_acknowledged_early_are_noticed() {
    is_noticed(Sabotage::AcknowledgesEarly, 20);
}
