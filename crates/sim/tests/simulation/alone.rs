//! A node in a seeded world: what must hold on an honest disk, and what is noticed on others.

use std::time::Duration;

use ottla_sim::{Faults, Lie, Outcome, Scenario, run};

use crate::play;

fn short(seed: u64) -> Scenario {
    Scenario {
        chaos: Duration::from_secs(6),
        ..Scenario::alone(seed)
    }
}

fn all_hold(seeds: std::ops::Range<u64>) {
    let outcomes = play(seeds, short);
    // A world in which nothing happens would hold, too.
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let runs = outcomes.len() as u64;
    assert!(sum(|o| o.acknowledged) > 50 * runs);
    assert!(sum(|o| o.read) > 100 * runs);
    assert!(sum(|o| o.crashes) > runs);
    assert!(sum(|o| o.starts) > 2 * runs);
}

// Two halves, since tests run side by side.
#[test]
fn what_was_acknowledged_survives_crashes_in_even_worlds() {
    all_hold(0..60);
}

#[test]
fn what_was_acknowledged_survives_crashes_in_odd_worlds() {
    all_hold(1_000..1_060);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 4, 5] {
        let (first, second) = (run(&short(seed)), run(&short(seed)));
        assert_eq!(second.differs_from(&first), None, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first.digest, run(&short(seed + 100)).digest);
    }
}

fn checkers_that_complain(seeds: std::ops::Range<u64>, lie: Lie) -> Vec<&'static str> {
    let scenario = |seed| Scenario {
        faults: Faults::POWER,
        lie,
        ..short(seed)
    };
    let violations = seeds.flat_map(|seed| run(&scenario(seed)).violations);
    let mut names: Vec<_> = violations.map(|v| v.checker).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn a_disk_that_does_not_flush_loses_acknowledged_records_and_that_is_noticed() {
    let complaints = checkers_that_complain(0..4, Lie::ForgetsFlushes);
    // What is missing, or what has got the offset of a record that is missing.
    let lost = ["acknowledged", "offsets"];
    let is_noticed = complaints.iter().any(|name| lost.contains(name));
    assert!(is_noticed, "{complaints:?}");
}

#[test]
fn a_disk_that_forgets_names_is_noticed() {
    let complaints = checkers_that_complain(0..6, Lie::ForgetsNames);
    assert!(!complaints.is_empty());
}

#[test]
fn a_disk_that_flips_bits_never_gets_a_damaged_record_to_a_reader() {
    let mut flipped_bits = 0;
    for seed in 0..12 {
        let outcome = run(&Scenario {
            faults: Faults::RESTARTS,
            lie: Lie::FlipsBits,
            ..short(seed)
        });
        flipped_bits += outcome.flipped_bits;
        for violation in &outcome.violations {
            // That the node refuses is right. What it serves must be what was written; a consumer
            // that had to notice the damage by itself begins with these words.
            let by_consumer = violation.message.contains(": records of ");
            let refused = violation.checker == "answers" && !by_consumer;
            assert!(refused, "seed {seed}: {violation}");
        }
    }
    assert!(flipped_bits > 20, "only {flipped_bits} bits were damaged");
}
