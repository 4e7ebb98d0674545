//! Nodes that do one thing wrong on purpose: a checker notices each of them.

use std::time::Duration;

use ottla_sim::{Sabotage, Scenario, Shape, run};

/// A cluster of three under all faults, in which one thing is wrong.
fn scenario(number: u64, sabotage: Sabotage) -> Scenario {
    let seed = 101 + number;
    Scenario {
        sabotage: Some(sabotage),
        shape: Shape::Combined { nodes: 3 },
        chaos: Duration::from_secs(5),
        ..Scenario::cluster(seed)
    }
}

/// Plays seeds until one of these checkers complains.
fn is_noticed_by(checkers: &[&str], seeds_max: u64, scenario: impl Fn(u64) -> Scenario) {
    for seed in 0..seeds_max {
        let outcome = run(&scenario(seed));
        let mut names = outcome.violations.iter().map(|v| v.checker);
        if names.any(|name| checkers.contains(&name)) {
            return;
        }
    }
    panic!("within {seeds_max} seeds, none of {checkers:?} has complained");
}

#[test]
fn a_broker_epoch_of_an_earlier_life_is_noticed() {
    // The metadata itself refuses to apply it.
    let reuses = |seed| scenario(seed, Sabotage::ReusesBrokerEpoch);
    is_noticed_by(&["node", "one-life"], 4, reuses);
}

#[test]
fn two_leaders_of_one_term_are_noticed() {
    let keeps = |seed| scenario(seed, Sabotage::KeepsLeaderEpoch);
    is_noticed_by(&["one-leader"], 4, keeps);
}

#[test]
fn a_leader_from_outside_the_replicas_in_sync_is_noticed() {
    let elects = |seed| scenario(seed, Sabotage::ElectsOutsideIsr);
    is_noticed_by(&["acknowledged", "stable-offsets", "offsets"], 6, elects);
}

#[test]
fn records_that_are_served_before_they_are_committed_are_noticed() {
    let serves = |seed| scenario(seed, Sabotage::ServesUncommitted);
    is_noticed_by(&["offsets", "stable-offsets"], 8, serves);
}

#[test]
fn a_follower_that_counts_before_it_has_the_records_is_noticed() {
    let counts = |seed| scenario(seed, Sabotage::CountsSent);
    is_noticed_by(&["acknowledged"], 8, counts);
}

#[test]
fn metadata_that_is_not_flushed_is_noticed() {
    // Mostly by the log of the quorum itself: it finds less than was promised.
    let forgets = |seed| scenario(seed, Sabotage::ForgetsMetadata);
    is_noticed_by(&["node", "one-image", "one-leader", "topics"], 4, forgets);
}

#[test]
fn records_that_are_acknowledged_early_are_noticed() {
    let early = |seed| scenario(seed, Sabotage::AcknowledgesEarly);
    is_noticed_by(&["acknowledged", "offsets"], 6, early);
}

#[test]
fn a_follower_that_is_not_told_to_cut_is_noticed() {
    let forgets = |seed| scenario(seed, Sabotage::ForgetsDivergence);
    is_noticed_by(&["replicas", "node"], 6, forgets);
}
