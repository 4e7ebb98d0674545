//! Random faults from a seed.

use std::time::Duration;

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
    make_peace(&mut world);
    for id in 1..=voters {
        make_voter(&mut world, id);
    }
    world.settle();
    world.digest()
}

fn make_peace(world: &mut World) {
    world.mend();
    let ids: Vec<NodeId> = world.hosts.keys().copied().collect();
    for id in ids {
        world.hosts[&id].disk.set_capacity_bytes(u64::MAX);
        if !world.hosts[&id].up {
            world.restart(id);
        }
    }
}

fn strike(world: &mut World, voters: u64) {
    let any = |world: &World| 1 + world.random.below(voters);
    let id: NodeId = match world.leaders().first() {
        // Leaders are the more rewarding targets.
        Some(leader) if world.random.below(2) == 0 => *leader,
        _ => any(world),
    };
    let other = any(world);
    let is_up = world.hosts[&id].up;
    match world.random.below(12) {
        0 | 1 if is_up => world.crash(id),
        2 if is_up => world.lose(id),
        0..=3 if !is_up => world.restart(id),
        4 => world.isolate(id),
        5 if other != id => world.cut_one_way(id, other),
        6 if other != id => world.cut(id, other),
        7 => world.mend(),
        8 => {
            let room = world.random.below(3_000);
            world.leave_room(id, room);
        }
        9 => world.hosts[&id].disk.set_capacity_bytes(u64::MAX),
        10 => replace(world, voters, id),
        _ => {
            if let Some(handle) = world.handle(id) {
                // On a member that does not lead nothing comes of it.
                let _given = world.run(async move { handle.transfer_leader(other).await });
            }
        }
    }
}

/// A member loses its volume, and is made a voter again. Only when all others are there: else the
/// only copy of an entry could be the one that is lost.
fn replace(world: &mut World, voters: u64, id: NodeId) {
    make_peace(world);
    for each in 1..=voters {
        make_voter(world, each);
    }
    world.settle();
    world.lose(id);
    world.wipe(id);
    world.restart(id);
    // Sometimes the faults go on before it is a voter again.
    if world.random.below(3) > 0 {
        make_voter(world, id);
    }
}

/// Removes a member under its old directory, and adds it under the new one.
fn make_voter(world: &mut World, id: NodeId) {
    for _ in 0..50 {
        let leader = world.await_leader();
        let (Some(handle), Some(state)) = (world.handle(leader), world.state(leader)) else {
            continue;
        };
        let member = world.member(id);
        let known = state.member(id).cloned();
        let is_same = known.as_ref() == Some(&member);
        if is_same && state.is_voter(id) && !state.changing {
            return;
        }
        let is_voter = state.is_voter(id);
        // Whatever comes of it is seen in the next round.
        let _done = world.run(async move {
            let change = async {
                match known {
                    None => handle.add_learner(id, member).await,
                    Some(_) if is_same => handle.change_voters([id].into(), [].into(), true).await,
                    Some(_) if is_voter => {
                        handle.change_voters([].into(), [id].into(), false).await
                    }
                    Some(_) => handle.remove_learner(id).await,
                }
            };
            tokio::time::timeout(Duration::from_secs(3), change).await
        });
    }
    panic!("seed {}: {id} does not become a voter", world.plan.seed);
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
