//! Nodes that do one thing wrong on purpose: a checker notices each of them.

use ottla_sim::{Sabotage, Scenario, Shape, run};

/// A cluster of three under all faults, in which one thing is wrong.
fn scenario(number: u64, sabotage: Sabotage) -> Scenario {
    let seed = 101 + number;
    Scenario {
        sabotage: Some(sabotage),
        shape: Shape::Combined { nodes: 3 },
        ..Scenario::cluster(seed)
    }
}

/// Plays seeds until one of these checkers complains: many more than it takes, since any change of
/// the nodes makes other runs of them.
fn is_noticed_by(sabotage: Sabotage, checkers: &[&str]) {
    const SEEDS_MAX: u64 = 60;
    for number in 0..SEEDS_MAX {
        let outcome = run(&scenario(number, sabotage));
        let mut names = outcome.violations.iter().map(|v| v.checker);
        if names.any(|name| checkers.contains(&name)) {
            return;
        }
    }
    panic!("within {SEEDS_MAX} seeds, none of {checkers:?} has complained");
}

/// What is seen when acknowledged records are lost, or others get their offsets.
const LOST: [&str; 3] = ["acknowledged", "offsets", "stable-offsets"];

#[test]
fn a_broker_epoch_of_an_earlier_life_is_noticed() {
    // The metadata itself refuses to apply it.
    is_noticed_by(Sabotage::ReusesBrokerEpoch, &["node", "one-life"]);
}

#[test]
fn two_leaders_of_one_term_are_noticed() {
    is_noticed_by(Sabotage::KeepsLeaderEpoch, &["one-leader"]);
}

#[test]
fn a_leader_from_outside_the_replicas_in_sync_is_noticed() {
    is_noticed_by(Sabotage::ElectsOutsideIsr, &LOST);
}

#[test]
fn records_that_are_served_before_they_are_committed_are_noticed() {
    is_noticed_by(Sabotage::ServesUncommitted, &["offsets", "stable-offsets"]);
}

#[test]
fn a_follower_that_counts_before_it_has_the_records_is_noticed() {
    is_noticed_by(Sabotage::CountsSent, &LOST);
}

#[test]
fn a_high_watermark_that_follows_the_fastest_replica_is_noticed() {
    is_noticed_by(Sabotage::CountsFastest, &LOST);
}

#[test]
fn metadata_that_is_not_flushed_is_noticed() {
    // Mostly by the log of the quorum itself: it finds less than was promised.
    let checkers = ["node", "one-image", "one-leader", "topics"];
    is_noticed_by(Sabotage::ForgetsMetadata, &checkers);
}

#[test]
fn records_that_are_acknowledged_early_are_noticed() {
    is_noticed_by(Sabotage::AcknowledgesEarly, &LOST);
}

#[test]
fn a_follower_that_is_not_told_to_cut_is_noticed() {
    is_noticed_by(Sabotage::ForgetsDivergence, &["replicas", "node"]);
}

#[test]
fn a_replica_that_is_done_without_before_the_controller_agrees_is_noticed() {
    is_noticed_by(Sabotage::CountsProposed, &LOST);
}

#[test]
fn votes_that_are_not_flushed_are_noticed() {
    // By the file of the votes itself: a power failure leaves it torn.
    is_noticed_by(Sabotage::ForgetsVotes, &["node", "one-leader"]);
}
