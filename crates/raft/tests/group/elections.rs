//! Leaders come and go; what was acknowledged stays.

use crate::world::{Plan, World, assert_same};

#[test]
fn three_members_elect_a_leader_and_apply_the_same() {
    let mut world = World::new(Plan::new(1, 3));
    world.await_leader();
    world.pass(2_000);
    world.settle();
    assert!(world.journal.acknowledged_count() > 100);
}

#[test]
fn a_lost_leader_is_replaced_within_a_second_and_nothing_acknowledged_is_lost() {
    for seed in 0..5 {
        let mut world = World::new(Plan::new(seed, 3));
        let leader = world.await_leader();
        world.pass(500);
        world.crash(leader);
        let before = world.journal.acknowledged_count();
        assert!(
            world.until(1_500, |world| world.journal.acknowledged_count() > before),
            "seed {seed}: nobody took over"
        );
        assert_ne!(world.leaders(), [leader]);
        world.restart(leader);
        world.settle();
    }
}

#[test]
fn a_minority_commits_nothing_and_the_majority_goes_on() {
    for seed in 0..5 {
        let mut world = World::new(Plan::new(seed, 5));
        let leader = world.await_leader();
        world.pass(300);
        let friend = (1..=5).find(|id| *id != leader).unwrap();
        for other in (1..=5).filter(|id| *id != leader && *id != friend) {
            world.cut(leader, other);
            world.cut(friend, other);
        }
        let ready = |world: &World, id| world.state(id).is_some_and(|state| state.ready);
        assert!(
            world.until(2_000, |world| !ready(world, leader)),
            "seed {seed}: a leader without a majority stays ready"
        );
        let committed = world.state(leader).unwrap().committed;
        world.await_leader();
        world.pass(1_000);
        assert_eq!(
            world.state(leader).unwrap().committed,
            committed,
            "seed {seed}"
        );
        assert_eq!(
            world.state(friend).unwrap().committed,
            committed,
            "seed {seed}"
        );
        world.mend();
        world.settle();
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let play = || {
        let mut world = World::new(Plan::new(42, 3));
        let leader = world.await_leader();
        world.pass(500);
        world.crash(leader);
        world.pass(2_000);
        world.restart(leader);
        world.settle();
        world.digest()
    };
    assert_same(&play(), &play());
}
