//! Controllers that come, go, and come back with another volume.

use std::time::Duration;

use ottla_runtime::disk::SimDisk;
use ottla_wire::messages::add_raft_voter_request::Listener;
use ottla_wire::messages::{
    AddRaftVoterRequest, DescribeQuorumRequest, RemoveRaftVoterRequest, describe_quorum_request,
};
use ottla_wire::{Response, Text};

use crate::harness::*;

impl TestQuorum {
    fn voters(&self, through: i32) -> Vec<i32> {
        let quorum = self.handle(through).quorum().get();
        quorum.voters.iter().map(|voter| voter.id.0).collect()
    }

    async fn wait_for_voters(&self, through: i32, expected: &[i32]) {
        for _ in 0..PATIENCE.as_millis() / 10 {
            if self.voters(through) == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} instead of {expected:?}", self.voters(through));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_volume_takes_the_place_of_the_old_one() {
    let mut quorum = TestQuorum::started(3, Finding::Voters).await;
    let cluster_id = quorum.cluster_id();
    let leader = quorum.leader().await;
    quorum
        .handle(leader)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    quorum.create(leader, "kept").await;
    let wiped = (1..=3).find(|id| *id != leader).unwrap();
    let old = quorum.handle(wiped).identity().directory_id;
    quorum.kill(wiped).await;
    quorum.disks.insert(wiped, SimDisk::new(77));
    quorum.start(wiped).await.unwrap();
    let new = quorum.handle(wiped).identity().directory_id;
    assert_ne!(old, new);
    quorum.wait_for_voters(leader, &[1, 2, 3]).await;
    let members = quorum.handle(leader).quorum().get();
    let voter = members.voters.iter().find(|v| v.id.0 == wiped).unwrap();
    assert_eq!(voter.directory_id, new);
    quorum.settled("kept").await;
    // Its vote counts: the quorum goes on without another one.
    let other = (1..=3).find(|id| ![leader, wiped].contains(id)).unwrap();
    quorum.kill(other).await;
    quorum.create(wiped, "later").await;
    quorum.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_are_added_and_removed_while_the_quorum_runs() {
    let mut quorum = TestQuorum::started(3, Finding::Voters).await;
    let cluster_id = quorum.cluster_id();
    let leader = quorum.leader().await;
    quorum
        .handle(leader)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    // Node 4 is not named: it follows, and votes only when it is added.
    quorum.start(4).await.unwrap();
    assert_eq!(quorum.voters(4), [1, 2, 3]);
    let directory_id = quorum.handle(4).identity().directory_id;
    let add = AddRaftVoterRequest {
        cluster_id: Some(Text::from(cluster_id.0.as_str())),
        timeout_ms: 30_000,
        voter_id: 4,
        voter_directory_id: directory_id,
        listeners: vec![Listener {
            name: Text::from("CONTROLLER"),
            host: Text::from("127.0.0.1"),
            port: quorum.ports[&4],
            ..Listener::default()
        }],
        ..AddRaftVoterRequest::default()
    };
    let leader = quorum.leader().await;
    let Response::AddRaftVoter(added) = quorum.ask(leader, add.clone().into()).await else {
        panic!("another answer");
    };
    assert_eq!(added.error_code, 0, "{:?}", added.error_message);
    quorum.wait_for_voters(4, &[1, 2, 3, 4]).await;
    // Twice is once too often.
    let Response::AddRaftVoter(again) = quorum.ask(leader, add.into()).await else {
        panic!("another answer");
    };
    assert_eq!(again.error_code, 126);
    let removed = (1..=3).find(|id| *id != leader).unwrap();
    let remove = RemoveRaftVoterRequest {
        cluster_id: Some(Text::from(cluster_id.0.as_str())),
        voter_id: removed,
        voter_directory_id: quorum.handle(removed).identity().directory_id,
        ..RemoveRaftVoterRequest::default()
    };
    let Response::RemoveRaftVoter(gone) = quorum.ask(leader, remove.into()).await else {
        panic!("another answer");
    };
    assert_eq!(gone.error_code, 0, "{:?}", gone.error_message);
    let left: Vec<i32> = (1..=4).filter(|id| *id != removed).collect();
    quorum.wait_for_voters(4, &left).await;
    // It goes on as an observer, and whoever wants it back is told where it listens.
    let leader = quorum.leader().await;
    let Response::DescribeQuorum(answer) = quorum.ask(leader, describe().into()).await else {
        panic!("another answer");
    };
    let node = answer.nodes.iter().find(|node| node.node_id == removed);
    assert!(node.is_some_and(|node| !node.listeners.is_empty()));
    quorum.create(4, "after").await;
    quorum.settled("after").await;
    quorum.stop_all().await;
}

fn describe() -> DescribeQuorumRequest {
    DescribeQuorumRequest {
        topics: vec![describe_quorum_request::TopicData {
            topic_name: Text::from("__cluster_metadata"),
            partitions: vec![Default::default()],
            ..Default::default()
        }],
        ..DescribeQuorumRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_describes_the_quorum() {
    let quorum = TestQuorum::started(3, Finding::Voters).await;
    let leader = quorum.leader().await;
    let request = describe();
    let Response::DescribeQuorum(answer) = quorum.ask(leader, request.clone().into()).await else {
        panic!("another answer");
    };
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.leader_id), (0, leader));
    assert_eq!(partition.current_voters.len(), 3);
    assert_eq!(answer.nodes.len(), 3);
    let other = (1..=3).find(|id| *id != leader).unwrap();
    let Response::DescribeQuorum(answer) = quorum.ask(other, request.into()).await else {
        panic!("another answer");
    };
    assert_eq!(answer.topics[0].partitions[0].error_code, 6);
    quorum.stop_all().await;
}
