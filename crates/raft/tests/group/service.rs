//! What users of a group rely on beside its log.

use std::time::Duration;

use ottla_raft::ProposeError;

use crate::world::{Plan, World};

#[test]
fn members_that_ended_in_order_come_back_with_everything() {
    let mut world = World::new(Plan::new(1, 3));
    world.await_leader();
    world.pass(1_000);
    for id in 1..=3 {
        world.stop(id);
    }
    for id in 1..=3 {
        world.restart(id);
    }
    world.settle();
}

#[test]
fn a_leader_resigns_within_some_round_trips() {
    let mut world = World::new(Plan::new(2, 3));
    let leader = world.await_leader();
    world.pass(500);
    let handle = world.handle(leader).unwrap();
    let started_ms = world.now_ms();
    let resigned = world.run({
        let handle = handle.clone();
        async move { handle.resign(Duration::from_secs(2)).await }
    });
    assert!(resigned);
    assert!(world.until(1_000, |world| {
        let leaders = world.leaders();
        leaders.len() == 1 && leaders[0] != leader
    }));
    assert!(world.now_ms() - started_ms < 300);
    // Whoever does not lead has nothing to do.
    assert!(world.run(async move { handle.resign(Duration::from_secs(2)).await }));
    world.settle();
}

#[test]
fn a_read_sees_what_was_acknowledged_and_a_cut_off_leader_answers_none() {
    let mut world = World::new(Plan::new(3, 3));
    let leader = world.await_leader();
    world.pass(500);
    let handle = world.handle(leader).unwrap();
    let read = world.run({
        let handle = handle.clone();
        async move {
            let before = handle.state().get().committed;
            (before, handle.read_index().await)
        }
    });
    assert!(read.1.clone().unwrap() >= read.0, "{read:?}");
    world.isolate(leader);
    let read = world.run(async move { handle.read_index().await });
    assert!(matches!(read, Err(ProposeError::NotLeader(_))), "{read:?}");
    world.mend();
    world.settle();
}

#[test]
fn a_full_disk_refuses_proposals_and_loses_nothing() {
    for full in [1, 3] {
        let mut world = World::new(Plan::new(full, 3));
        let leader = world.await_leader();
        world.pass(500);
        // The leader alone, or everybody.
        let ids: Vec<u64> = if full == 1 {
            vec![leader]
        } else {
            vec![1, 2, 3]
        };
        for id in &ids {
            world.leave_room(*id, 2_000);
        }
        let is_full = |world: &World| world.state(leader).is_some_and(|state| state.disk_full);
        assert!(world.until(5_000, is_full), "{full}: the disk never fills");
        world.pass(1_000);
        let before = world.journal.acknowledged_count();
        world.pass(1_000);
        assert_eq!(world.journal.acknowledged_count(), before, "{full}");
        for id in ids {
            world.hosts[&id].disk.set_capacity_bytes(u64::MAX);
        }
        world.settle();
        assert!(!is_full(&world));
    }
}

#[test]
fn a_dead_learner_is_called_rarely_and_at_once_when_it_is_back() {
    let mut world = World::new(Plan::new(5, 3));
    let leader = world.await_leader();
    world.add_host(4);
    let (handle, member) = (world.handle(leader).unwrap(), world.member(4));
    world
        .run(async move { handle.add_learner(4, member).await })
        .unwrap();
    world.settle();
    world.crash(4);
    world.pass(5_000);
    let before = world.journal.calls(4);
    world.pass(20_000);
    // Its replication and its heartbeat, once in a second each.
    let calls = world.journal.calls(4) - before;
    assert!(calls <= 45, "{calls} calls in 20 seconds");
    world.restart(4);
    let goal = world.state(leader).unwrap().applied;
    assert!(world.until(1_500, |world| world.published(4) >= goal));
    world.settle();
}
