//! Whole ensembles and their clients in a seeded simulation: one thread, virtual time, servers that
//! lose what was not flushed, links that are cut in one direction or in both.
//!
//! What clients see is judged as it comes (`client`) and when all is over (`history`): writes are
//! linearizable, reads see the client's own writes and never go back, a watch fires before the new
//! data is seen, ephemerals live as long as their session.

mod client;
mod history;
mod sabotage;
mod wire;
mod world;

use std::time::Duration;

use world::{Plan, World};

/// The seeds of every test run; `OTTLA_KEEPER_SEEDS=FIRST..LAST` plays others.
fn seeds() -> std::ops::Range<u64> {
    let Ok(given) = std::env::var("OTTLA_KEEPER_SEEDS") else {
        return 1..161;
    };
    let parsed = given
        .split_once("..")
        .and_then(|(first, last)| Some(first.parse().ok()?..last.parse().ok()?));
    parsed.expect("OTTLA_KEEPER_SEEDS is FIRST..LAST")
}

#[test]
fn what_an_ensemble_promises_holds_through_crashes_and_cuts() {
    let mut totals = history::Counts::default();
    for seed in seeds() {
        let servers = if seed % 4 == 0 { 5 } else { 3 };
        let played = World::new(Plan::new(seed, servers)).play(Duration::from_secs(8));
        match played {
            Ok(counts) => totals.add(&counts),
            Err(violation) => panic!(
                "seed {seed}: {violation}\nrepeat it: OTTLA_KEEPER_SEEDS={seed}..{} cargo test --profile \
                 sim -p ottla-sim --test keeper",
                seed + 1
            ),
        }
    }
    println!("{totals:?}");
    // A run in which nothing happens proves nothing.
    let runs = seeds().count() as u64;
    assert!(
        totals.writes > 50 * runs && totals.reads > 50 * runs,
        "{totals:?}"
    );
    assert!(
        totals.events > 5 * runs && totals.crashes > runs,
        "{totals:?}"
    );
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let run = || World::new(Plan::new(7, 3)).play(Duration::from_secs(3));
    let (first, second) = (run().expect("it holds"), run().expect("it holds"));
    assert_eq!(first, second);
}
