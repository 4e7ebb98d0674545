use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_runtime::Runtime;

use super::world::{
    Node, Plan, agree, directory_of, free_port, leader, learners, list, stop_all, voters, within,
};
use crate::error::Error;
use crate::members::fixture::local;
use crate::members::{ChangeError, Identity, Reconfigured, Standing};

type Ids = BTreeSet<ottla_raft::NodeId>;

fn to(participants: &[u64], observers: &[u64]) -> Reconfigured {
    Reconfigured {
        participants: participants.iter().copied().collect(),
        observers: observers.iter().copied().collect(),
        addresses: BTreeMap::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_found_one_ensemble_and_keep_it_over_restarts() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let nodes = plan.start_all(&[1, 2, 3]).await;
    let id = nodes[&1].ensemble_id;
    assert!(nodes.values().all(|node| node.ensemble_id == id));
    agree(&nodes, "first").await;
    for node in nodes.values() {
        let state = node
            .until("votes", |state| voters(state) == [1, 2, 3])
            .await;
        for (id, other) in &nodes {
            let directory_id = other.members.identity().directory_id;
            assert_eq!(directory_of(&state, *id), Some(directory_id));
            assert_eq!(state.voters[id].endpoints, other.members.endpoints());
        }
        assert_eq!(node.members.identity().ensemble_id, Some(id));
        let mut standing = node.members.standing();
        while *standing.get() != Standing::Member {
            assert!(within("a standing", standing.changed()).await);
        }
    }
    stop_all(nodes).await;
    // Two of three are enough now: nobody waits for the third.
    let nodes = plan.start_all(&[2, 3]).await;
    assert!(nodes.values().all(|node| node.ensemble_id == id));
    agree(&nodes, "second").await;
    nodes[&2].until_applied("first").await;
    stop_all(nodes).await;
}

#[tokio::test]
async fn a_server_alone_founds_alone_and_at_once() {
    let plan = Plan::new([1], &[1]);
    let options = crate::members::Options {
        is_standalone: true,
        listen: Vec::new(),
        endpoints: Vec::new(),
        ..plan.options(1)
    };
    for life in ["first", "second"] {
        let node = Node::start(options.clone(), Ids::from([1])).await.unwrap();
        let nodes = BTreeMap::from([(1, node)]);
        agree(&nodes, life).await;
        nodes[&1].until_applied("first").await;
        stop_all(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_founds_before_all_participants_are_there_and_a_stop_ends_the_waiting() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let start = |id| {
        let runtime = Runtime::real();
        let shutdown = runtime.shutdown().clone();
        let starting = {
            let (runtime, shutdown) = (runtime.clone(), shutdown.clone());
            let options = plan.options(id);
            async move { Node::start_in(runtime, options, Ids::new(), &shutdown).await }
        };
        (runtime, shutdown, starting)
    };
    let (runtime1, shutdown1, one) = start(1);
    let (runtime2, shutdown2, two) = start(2);
    let waiting = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        shutdown1.announce();
        shutdown2.announce();
    };
    let (one, two, ()) =
        Box::pin(within("a stop", async { tokio::join!(one, two, waiting) })).await;
    for outcome in [one, two] {
        assert!(matches!(outcome.err(), Some(Error::Stopped)));
    }
    runtime1.tasks.stop().await;
    runtime2.tasks.stop().await;
    for id in [1, 2] {
        let dir = plan.dirs[&id].path();
        let identity = Identity::open(&Runtime::real(), dir, id).unwrap();
        assert_eq!(identity.ensemble_id, None);
    }
    // With the third they go on.
    let nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "all").await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_mean_different_participants_found_nothing() {
    let plan = Plan::new(1..=2, &[1, 2]);
    let mut options = plan.options(2);
    options.participants = vec![1];
    let both = async {
        tokio::select! {
            _ = plan.start(1) => {}
            _ = Node::start(options, Ids::new()) => {}
        }
    };
    let outcome = tokio::time::timeout(Duration::from_millis(1_500), both).await;
    assert!(outcome.is_err(), "an ensemble was founded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_that_was_interrupted_takes_up_its_task_with_the_same_ensemble() {
    let plan = Plan::new(1..=2, &[1, 2]);
    let ensemble_id = ottla_model::Uuid([5; 16]);
    let runtime = Runtime::real();
    let dir = plan.dirs[&1].path();
    let mut identity = Identity::open(&runtime, dir, 1).unwrap();
    identity.adopt(&runtime, dir, ensemble_id).unwrap();
    let nodes = plan.start_all(&[1, 2]).await;
    assert!(nodes.values().all(|node| node.ensemble_id == ensemble_id));
    agree(&nodes, "on").await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_volume_was_lost_comes_back_and_gets_its_vote_again() {
    let mut plan = Plan::new(1..=3, &[1, 2, 3]);
    let mut nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "before").await;
    let old = nodes[&2].members.identity();
    nodes.remove(&2).unwrap().stop().await;
    plan.wipe(2);
    agree(&nodes, "meanwhile").await;
    nodes.insert(2, plan.start(2).await);
    let new = nodes[&2].members.identity();
    assert_eq!(new.ensemble_id, old.ensemble_id);
    assert_ne!(new.directory_id, old.directory_id);
    for node in nodes.values() {
        let is_back = |state: &ottla_raft::State| {
            voters(state) == [1, 2, 3] && directory_of(state, 2) == Some(new.directory_id)
        };
        node.until("the vote of the new volume", is_back).await;
    }
    nodes[&2].until_applied("before").await;
    agree(&nodes, "after").await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_a_living_server_has_is_refused() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "before").await;
    // Another server 3 on another volume and another port.
    let mut twin = Plan::new(1..=3, &[1, 2, 3]);
    let port = twin.ports[&3];
    twin.ports = plan.ports.clone();
    twin.ports.insert(3, port);
    let second = twin.start(3).await;
    let mut standing = second.members.standing();
    let refused = async {
        loop {
            if let Standing::Refused(reason) = &*standing.get() {
                return reason.clone();
            }
            assert!(standing.changed().await);
        }
    };
    let reason = within("a refusal", refused).await;
    let directories = [
        nodes[&3].members.identity().directory_id.to_string(),
        second.members.identity().directory_id.to_string(),
    ];
    assert!(directories.iter().all(|id| reason.contains(id)), "{reason}");
    second.stop().await;
    agree(&nodes, "after").await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_joins_and_follows_without_a_vote() {
    let plan = Plan::new(1..=3, &[1, 2]);
    let mut nodes = plan.start_all(&[1, 2]).await;
    agree(&nodes, "before").await;
    nodes.insert(3, plan.start(3).await);
    agree(&nodes, "with the observer").await;
    nodes[&3].until_applied("before").await;
    for node in nodes.values() {
        let follows = |state: &ottla_raft::State| voters(state) == [1, 2] && learners(state) == [3];
        node.until("the observer", follows).await;
    }
    assert_eq!(nodes[&3].ensemble_id, nodes[&1].ensemble_id);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconfig_gives_and_takes_votes_also_that_of_the_leader() {
    let mut plan = Plan::new(1..=4, &[1, 2, 3]);
    let mut nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "three").await;
    let old = leader(&nodes).await.members.clone();
    let stay: Vec<u64> = (1..=3).filter(|id| *id != old.id()).collect();
    let new = [stay[0], stay[1], 4];

    // A majority of the new participants has to be there, whoever is asked.
    let follower = nodes[&stay[0]].members.clone();
    for asked in [&old, &follower] {
        let error = asked.change(to(&[stay[0], 4, 5], &[])).await.unwrap_err();
        assert!(
            matches!(&error, ChangeError::NewConfigNoQuorum(reason) if reason.contains("{4, 5}")),
            "{error}"
        );
    }

    plan.participants = vec![1, 2, 3, 4];
    let mut options = plan.options(4);
    options.participants = vec![1, 2, 3, 4];
    let listed = Ids::from([1, 2, 3]);
    let joined = within("a start", Node::start(options, listed))
        .await
        .unwrap();
    nodes.insert(4, joined);
    let state = old_state(&nodes, old.id(), |state| learners(state) == [4]).await;
    assert_eq!(
        voters(&state),
        [1, 2, 3],
        "it was not listed as a participant"
    );
    agree(&nodes, "four follows").await;

    within("reconfig", follower.change(to(&new, &[])))
        .await
        .unwrap();
    list(&nodes, &new);
    for node in nodes.values() {
        let is_so = |state: &ottla_raft::State| voters(state) == sorted(&new) && !state.changing;
        node.until("the new votes", is_so).await;
    }
    // The one that has lost its vote follows on, and another one leads.
    let id = old.id();
    let is_so = |state: &ottla_raft::State| {
        !state.is_leader && learners(state) == [id] && state.leader.is_some_and(|l| l != id)
    };
    nodes[&id].until("another leader", is_so).await;
    agree(&nodes, "without the old leader").await;

    // What is gone is forgotten with the next change that does not name it.
    nodes.remove(&id).unwrap().stop().await;
    agree(&nodes, "three again").await;
    let leading = leader(&nodes).await;
    let silent = |state: &ottla_raft::State| {
        let clock = &leading.runtime.clock;
        let peer = state.peers.get(&id);
        peer.is_none_or(|peer| peer.silent_ms(clock).is_none_or(|ms| ms > 2_500))
    };
    leading.until("silence", silent).await;
    let changing = async {
        // A leader that is new does not know yet who is dead.
        while !learners(&leading.state()).is_empty() {
            leading.members.change(to(&new, &[])).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("forgetting", changing).await;

    // It comes back, and is taken in again.
    nodes.insert(id, plan.start(id).await);
    list(&nodes, &new);
    agree(&nodes, "back").await;
    let state = leader(&nodes).await.state();
    assert_eq!((voters(&state), learners(&state)), (sorted(&new), vec![id]));
    stop_all(nodes).await;
}

fn sorted(ids: &[u64]) -> Vec<u64> {
    let ids: Ids = ids.iter().copied().collect();
    ids.into_iter().collect()
}

async fn old_state(
    nodes: &BTreeMap<u64, Node>,
    id: u64,
    is_so: impl Fn(&ottla_raft::State) -> bool,
) -> std::sync::Arc<ottla_raft::State> {
    nodes[&id].until("a member", is_so).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn votes_follow_the_replicated_configuration() {
    let plan = Plan::new(1..=4, &[1, 2, 3]);
    let mut nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "three").await;
    nodes.insert(4, plan.start(4).await);
    list(&nodes, &[1, 2, 3, 4]);
    for node in nodes.values() {
        node.until("four votes", |state| voters(state) == [1, 2, 3, 4])
            .await;
    }
    list(&nodes, &[1, 2, 4]);
    for node in nodes.values() {
        let is_so =
            |state: &ottla_raft::State| voters(state) == [1, 2, 4] && learners(state) == [3];
        node.until("three votes", is_so).await;
    }
    agree(&nodes, "others").await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconfig_says_where_servers_are() {
    let plan = Plan::new(1..=3, &[1, 2, 3]);
    let nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "before").await;
    let leading = leader(&nodes).await;
    let other = (1..=3).find(|id| *id != leading.members.id()).unwrap();
    // An address that nobody answers at, and the right one.
    let addresses = vec![local(free_port()), local(plan.ports[&other])];
    let moved = Reconfigured {
        addresses: BTreeMap::from([(other, addresses.clone())]),
        ..to(&[1, 2, 3], &[])
    };
    within("reconfig", leading.members.change(moved))
        .await
        .unwrap();
    for node in nodes.values() {
        let is_so = |state: &ottla_raft::State| state.voters[&other].endpoints == addresses;
        node.until("the new addresses", is_so).await;
    }
    agree(&nodes, "after").await;
    stop_all(nodes).await;
}
