//! Logs are compacted, and who is far behind gets a snapshot.

use crate::world::{Plan, World};

fn plan(seed: u64) -> Plan {
    Plan {
        snapshot_after_entries: 60,
        keep_entries: 10,
        ..Plan::new(seed, 3)
    }
}

#[test]
fn the_log_is_compacted_and_members_start_from_their_snapshots() {
    for seed in 0..3 {
        let mut world = World::new(plan(seed));
        world.await_leader();
        assert!(world.until(20_000, |world| world.journal.acknowledged_count() > 400));
        for id in 1..=3 {
            let state = world.state(id).unwrap();
            let snapshot = state.snapshot.expect("there was time for one");
            assert!(snapshot.index > 200, "{snapshot}");
            let files = world.hosts[&id].disk.files();
            let first = files
                .iter()
                .find(|path| path.extension().is_some_and(|e| e == "log"));
            let name = first.unwrap().file_stem().unwrap().to_str().unwrap();
            assert!(
                name.parse::<u64>().unwrap() > 0,
                "nothing was deleted: {files:?}"
            );
        }
        for id in 1..=3 {
            world.crash(id);
        }
        for id in 1..=3 {
            world.restart(id);
        }
        world.settle();
    }
}

#[test]
fn who_is_far_behind_gets_a_snapshot_even_when_the_leader_changes_meanwhile() {
    for seed in 0..4 {
        let mut world = World::new(plan(seed));
        let leader = world.await_leader();
        let late = (1..=3).find(|id| *id != leader).unwrap();
        world.crash(late);
        assert!(world.until(20_000, |world| world.journal.acknowledged_count() > 300));
        world.restart(late);
        if seed % 2 == 1 {
            let ms = world.random.below(60);
            world.pass(ms);
            world.crash(late);
            world.restart(late);
        }
        world.settle();
        let has_one = |world: &World| world.state(late).is_some_and(|s| s.snapshot.is_some());
        assert!(world.until(5_000, has_one), "seed {seed}");
        // A new learner starts from nothing but a snapshot.
        world.add_host(4);
        let member = world.member(4);
        let leader = world.await_leader();
        let handle = world.handle(leader).unwrap();
        world
            .run(async move { handle.add_learner(4, member).await })
            .unwrap();
        world.settle();
        assert!(
            world.journal.restored(4) > 0,
            "seed {seed}: it got all entries"
        );
    }
}
