//! Ensembles that do one thing wrong on purpose: it is noticed.

use std::time::Duration;

use ottla_model::Sabotage;

use crate::world::{Plan, World};

/// Plays seeds until one of these words is in a complaint: many more than it takes, since any change
/// of the servers makes other runs of them.
fn is_noticed_by(sabotage: Sabotage, words: &[&str]) {
    const SEEDS_MAX: u64 = 60;
    let mut complaints = Vec::new();
    for seed in 0..SEEDS_MAX {
        let world = World::new(Plan::new(1_000 + seed, 3).with(sabotage));
        let Err(violation) = world.play(Duration::from_secs(8)) else {
            continue;
        };
        if words.iter().any(|word| violation.contains(word)) {
            return;
        }
        complaints.push(violation);
    }
    panic!("within {SEEDS_MAX} seeds nobody has complained of {words:?}: {complaints:?}");
}

#[test]
fn entries_that_are_not_flushed_are_noticed() {
    // By what is lost, or by the log itself: it finds less than was promised.
    let words = ["is lost", "go back", "cannot both be", "ended by itself"];
    is_noticed_by(Sabotage::ForgetsMetadata, &words);
}

#[test]
fn votes_that_are_not_flushed_are_noticed() {
    is_noticed_by(Sabotage::ForgetsVotes, &["ended by itself", "is lost"]);
}

#[test]
fn an_answer_before_its_events_is_noticed() {
    is_noticed_by(Sabotage::AnswersBeforeEvents, &["before its event"]);
}

#[test]
fn a_read_that_overtakes_the_clients_own_write_is_noticed() {
    is_noticed_by(Sabotage::ReadsPastWrites, &["go back", "another request"]);
}

#[test]
fn a_sync_that_asks_nobody_is_noticed() {
    is_noticed_by(Sabotage::SyncsAtOnce, &["behind a sync misses"]);
}

#[test]
fn sessions_that_a_new_leader_forgets_are_noticed() {
    is_noticed_by(Sabotage::ForgetsSessions, &["are left"]);
}

#[test]
fn times_that_differ_from_server_to_server_are_noticed() {
    is_noticed_by(Sabotage::StampsOwnTime, &["the same state"]);
}
