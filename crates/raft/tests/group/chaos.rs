//! Random faults from a seed.

use ottla_raft::NodeId;

use crate::world::{Plan, World, assert_same};

/// Faults for some seconds, then peace; then all is checked.
fn play(seed: u64) -> String {
    let voters = [3, 3, 5][(seed % 3) as usize];
    let mut world = World::new(Plan {
        latency_max_ms: 1 + seed % 23,
        snapshot_after_entries: [40, 300, 1_000_000][(seed / 3 % 3) as usize],
        keep_entries: 10,
        ..Plan::new(seed, voters)
    });
    let end_ms = world.now_ms() + 8_000;
    while world.now_ms() < end_ms {
        let pause = 20 + world.random.below(900);
        world.pass(pause);
        strike(&mut world, voters);
    }
    world.mend();
    for id in 1..=voters {
        if !world.hosts[&id].up {
            world.restart(id);
        }
        world.hosts[&id].disk.set_capacity_bytes(u64::MAX);
    }
    world.settle();
    world.digest()
}

fn strike(world: &mut World, voters: u64) {
    let any = |world: &World| 1 + world.random.below(voters);
    let id: NodeId = match world.leaders().first() {
        // Leaders are the more rewarding targets.
        Some(leader) if world.random.below(2) == 0 => *leader,
        _ => any(world),
    };
    match world.random.below(9) {
        0 | 1 if world.hosts[&id].up => world.crash(id),
        2 if world.hosts[&id].up => world.lose(id),
        0..=3 if !world.hosts[&id].up => world.restart(id),
        4 => world.isolate(id),
        5 => {
            let other = any(world);
            if other != id {
                world.cut_one_way(id, other);
            }
        }
        6 => {
            let other = any(world);
            if other != id {
                world.cut(id, other);
            }
        }
        7 => world.mend(),
        _ => {
            let handle = world.handle(id);
            let to = any(world);
            if let Some(handle) = handle {
                // On a member that does not lead nothing comes of it.
                let _given = world.run(async move { handle.transfer_leader(to).await });
            }
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_happens() {
    let number =
        |name, default| std::env::var(name).map_or(default, |n: String| n.parse().unwrap());
    let first: u64 = number("OTTLA_RAFT_FIRST_SEED", 0);
    for seed in first..first + number("OTTLA_RAFT_SEEDS", 12) {
        play(seed);
    }
}

#[test]
fn a_run_with_faults_repeats_itself() {
    for seed in [4, 7] {
        assert_same(&play(seed), &play(seed));
    }
}
