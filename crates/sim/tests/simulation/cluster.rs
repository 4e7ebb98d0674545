//! Whole clusters: what was acknowledged survives, and all nodes agree in the end.

use std::time::Duration;

use ottla_sim::{Outcome, Scenario, run};

use crate::play;

fn short(seed: u64) -> Scenario {
    Scenario {
        chaos: Duration::from_secs(5),
        ..Scenario::cluster(seed)
    }
}

fn all_hold(seeds: std::ops::Range<u64>) {
    let outcomes = play(seeds, short);
    // A world in which nothing happens would hold, too.
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let runs = outcomes.len() as u64;
    assert!(sum(|o| o.acknowledged) > 20 * runs);
    assert!(sum(|o| o.read) > 50 * runs);
    assert!(sum(|o| o.crashes) > runs);
    assert!(sum(|o| o.terms) > 5 * runs);
}

// Halves, since tests run side by side.
#[test]
fn what_was_acknowledged_survives_in_even_clusters() {
    all_hold(200..300);
}

#[test]
fn what_was_acknowledged_survives_in_odd_clusters() {
    all_hold(1_000..1_100);
}

#[test]
fn the_same_seed_gives_the_same_cluster() {
    for seed in [2, 3] {
        let (first, second) = (run(&short(seed)), run(&short(seed)));
        assert_eq!(second.differs_from(&first), None, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}
