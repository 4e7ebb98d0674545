//! Moves partitions to other brokers, and takes controllers their vote, as an operator would.

use std::time::Duration;

use ottla_client::{Broker, Client};
use ottla_wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_wire::messages::{
    AlterPartitionReassignmentsRequest, DescribeQuorumRequest, ElectLeadersRequest,
    RemoveRaftVoterRequest,
};
use ottla_wire::{Request, Response, Text};

use super::{Desk, TOPIC};
use crate::history::Event;

/// So many controllers keep their vote.
const VOTERS_MIN: usize = 2;

/// Moves until the faults are over.
pub(super) async fn move_about(desk: Desk) {
    let Some(client) = desk.client("mover", Duration::from_secs(3)).await else {
        return;
    };
    while desk.pause(2_500).await {
        let moved = match desk.random.below(6) {
            0..3 => reassign(&desk, &client).await,
            3 | 4 => elect(&client).await,
            _ => remove_voter(&desk, &client).await,
        };
        // What is refused or lost is no harm: the next one may be taken.
        let what = match moved {
            Ok(what) => what,
            Err(error) => format!("could not: {error}"),
        };
        desk.note(Event::Moved { what });
    }
}

type Moved = Result<String, ottla_client::Error>;

/// Gives a partition other replicas, in another order, or ends such a change.
async fn reassign(desk: &Desk, client: &Client) -> Moved {
    let random = &desk.random;
    let partition = random.below(desk.partitions.unsigned_abs().into()) as i32;
    let mut ids = desk.broker_ids.clone();
    for at in (1..ids.len()).rev() {
        ids.swap(at, random.below(at as u64 + 1) as usize);
    }
    ids.truncate(2 + random.below(2) as usize);
    let replicas = (random.below(6) > 0).then_some(ids);
    let what = format!("{TOPIC}-{partition} to {replicas:?}");
    let topic = ReassignableTopic {
        name: Text::from(TOPIC),
        partitions: vec![ReassignablePartition {
            partition_index: partition,
            replicas,
            ..ReassignablePartition::default()
        }],
        ..ReassignableTopic::default()
    };
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: 2_000,
        topics: vec![topic],
        ..AlterPartitionReassignmentsRequest::default()
    };
    client
        .call(Broker::Controller, Request::from(request))
        .await?;
    Ok(what)
}

/// Lets the first replicas lead again.
async fn elect(client: &Client) -> Moved {
    let request = ElectLeadersRequest {
        topic_partitions: None,
        timeout_ms: 2_000,
        ..ElectLeadersRequest::default()
    };
    client
        .call(Broker::Controller, Request::from(request))
        .await?;
    Ok("preferred leaders are to lead".to_owned())
}

/// Takes a controller its vote; it gets one again when it is restarted.
async fn remove_voter(desk: &Desk, client: &Client) -> Moved {
    let topic = TopicData {
        topic_name: Text::from("__cluster_metadata"),
        partitions: vec![PartitionData::default()],
        ..TopicData::default()
    };
    let request = DescribeQuorumRequest {
        topics: vec![topic],
        ..DescribeQuorumRequest::default()
    };
    let answer = client.call(Broker::Any, Request::from(request)).await?;
    let Response::DescribeQuorum(answer) = answer else {
        return Ok("nobody says who votes".to_owned());
    };
    let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let voters = partitions.next().map(|p| p.current_voters.as_slice());
    let voters = voters.unwrap_or_default();
    if voters.len() <= VOTERS_MIN {
        return Ok(format!("there are only {} voters", voters.len()));
    }
    let voter = &voters[desk.random.below(voters.len() as u64) as usize];
    let request = RemoveRaftVoterRequest {
        cluster_id: None,
        voter_id: voter.replica_id,
        voter_directory_id: voter.replica_directory_id,
        ..RemoveRaftVoterRequest::default()
    };
    client
        .call(Broker::Controller, Request::from(request))
        .await?;
    Ok(format!("{} shall not vote", voter.replica_id))
}
