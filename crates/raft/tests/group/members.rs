//! Members come, go, and come back with empty volumes.

use std::collections::BTreeSet;

use ottla_raft::{ChangeError, NodeId};

use crate::world::{Plan, World};

fn set(ids: impl IntoIterator<Item = NodeId>) -> BTreeSet<NodeId> {
    ids.into_iter().collect()
}

impl World {
    fn leader_handle(&mut self) -> ottla_raft::Handle {
        let leader = self.await_leader();
        self.handle(leader).expect("a leader is up")
    }

    fn add_learner(&mut self, id: NodeId) -> Result<(), ChangeError> {
        let (handle, member) = (self.leader_handle(), self.member(id));
        self.run(async move { handle.add_learner(id, member).await })
    }

    fn change_voters(
        &mut self,
        add: impl IntoIterator<Item = NodeId>,
        remove: impl IntoIterator<Item = NodeId>,
        keep: bool,
    ) -> Result<(), ChangeError> {
        let (add, remove) = (set(add), set(remove));
        let handle = self.leader_handle();
        self.run(async move { handle.change_voters(add, remove, keep).await })
    }

    fn remove_learner(&mut self, id: NodeId) -> Result<(), ChangeError> {
        let handle = self.leader_handle();
        self.run(async move { handle.remove_learner(id).await })
    }

    fn voters(&mut self) -> Vec<NodeId> {
        let leader = self.await_leader();
        let state = self.state(leader).expect("a leader is up");
        state.voters.keys().copied().collect()
    }
}

#[test]
fn a_learner_follows_and_becomes_a_voter_and_a_voter_leaves() {
    let mut world = World::new(Plan::new(3, 3));
    world.await_leader();
    world.pass(300);
    world.add_host(4);
    world.add_learner(4).unwrap();
    world.settle();
    assert_eq!(world.voters(), [1, 2, 3]);
    world.change_voters([4], [1], false).unwrap();
    world.settle_without(&[1]);
    assert_eq!(world.voters(), [2, 3, 4]);
    let leader = world.await_leader();
    let state = world.state(leader).unwrap();
    assert!(state.learners.is_empty() && !state.changing, "{state:?}");
    // The removed member, which may have led until now, disturbs nobody.
    world.pass(1_000);
    let leader = world.await_leader();
    let state = world.state(leader).unwrap();
    let term = state.term;
    world.pass(5_000);
    let leader = world.await_leader();
    assert_eq!(world.state(leader).unwrap().term, term);
    world.settle_without(&[1]);
}

#[test]
fn a_leader_that_loses_its_vote_hands_over() {
    let mut world = World::new(Plan::new(4, 3));
    let leader = world.await_leader();
    world.change_voters([], [leader], true).unwrap();
    assert!(world.until(5_000, |world| {
        let leaders = world.leaders();
        leaders.len() == 1 && leaders[0] != leader
    }));
    world.settle();
    assert!(!world.voters().contains(&leader));
}

#[test]
fn leadership_is_transferred_without_an_election_timeout() {
    for seed in 0..3 {
        let mut world = World::new(Plan::new(seed, 3));
        let leader = world.await_leader();
        world.pass(500);
        let to = (1..=3).find(|id| *id != leader).unwrap();
        let handle = world.handle(leader).unwrap();
        let started_ms = world.now_ms();
        world
            .run(async move { handle.transfer_leader(to).await })
            .unwrap();
        assert!(
            world.until(2_000, |world| world.leaders() == [to]),
            "seed {seed}"
        );
        let took_ms = world.now_ms() - started_ms;
        assert!(took_ms < 200, "seed {seed}: it took {took_ms} ms");
        world.settle();
    }
}

#[test]
fn a_member_with_an_empty_volume_is_not_its_old_self_and_comes_back_as_a_new_one() {
    let mut world = World::new(Plan::new(6, 3));
    let leader = world.await_leader();
    world.pass(500);
    let lost = (1..=3).find(|id| *id != leader).unwrap();
    world.lose(lost);
    world.wipe(lost);
    world.restart(lost);
    world.pass(3_000);
    // It got nothing, and it votes for nobody: with the other follower gone there is no majority.
    let state = world.state(lost).unwrap();
    assert!(!state.initialized && state.last_log.is_none(), "{state:?}");
    let other = (1..=3).find(|id| *id != leader && *id != lost).unwrap();
    world.crash(other);
    assert!(world.until(3_000, |world| world.leaders().is_empty()));
    world.pass(3_000);
    assert!(world.leaders().is_empty());
    world.restart(other);
    world.await_leader();
    // Under its old directory it cannot be reached; removed and added again it can.
    world.change_voters([], [lost], false).unwrap();
    world.add_learner(lost).unwrap();
    world.change_voters([lost], [], false).unwrap();
    world.settle();
    assert_eq!(world.voters(), [1, 2, 3]);
}

#[test]
fn changes_that_make_no_sense_are_refused() {
    let mut world = World::new(Plan::new(7, 3));
    let leader = world.await_leader();
    let refused = |done: Result<(), ChangeError>| match done {
        Err(ChangeError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refused(world.change_voters([9], [], false)).contains("member 9"));
    assert!(refused(world.change_voters([], [1, 2, 3], false)).contains("a voter"));
    assert!(refused(world.remove_learner(leader)).contains("is a voter"));
    let follower = (1..=3).find(|id| *id != leader).unwrap();
    let handle = world.handle(follower).unwrap();
    let member = world.member(1);
    let founded = world.run({
        let (handle, member) = (handle.clone(), member.clone());
        async move { handle.initialize([(1, member)].into()).await }
    });
    assert!(
        matches!(founded, Err(ChangeError::Refused(_))),
        "{founded:?}"
    );
    let mut changed = member.clone();
    changed.directory_id = ottla_model::Uuid([9; 16]);
    let foreign = world.run({
        let handle = handle.clone();
        async move { handle.add_learner(1, changed).await }
    });
    assert!(refused(foreign).contains("directory"));
    let elsewhere = world.run(async move { handle.add_learner(5, member).await });
    match elsewhere {
        Err(ChangeError::NotLeader(Some((id, _)))) => assert_eq!(id, leader),
        other => panic!("{other:?}"),
    }
    world.settle();
}

#[test]
fn a_member_that_has_moved_is_reached_at_its_new_endpoint() {
    let mut world = World::new(Plan::new(8, 3));
    let leader = world.await_leader();
    world.add_host(4);
    let (handle, right) = (world.handle(leader).unwrap(), world.member(4));
    let mut wrong = right.clone();
    wrong.endpoints[0].port = 9_999;
    world
        .run({
            let handle = handle.clone();
            async move { handle.add_learner(4, wrong).await }
        })
        .unwrap();
    world.pass(2_000);
    assert_eq!(world.published(4), None);
    world
        .run(async move { handle.update_member(4, right).await })
        .unwrap();
    let goal = world.state(leader).unwrap().applied;
    assert!(world.until(2_000, |world| world.published(4) >= goal));
    world.settle();
}
