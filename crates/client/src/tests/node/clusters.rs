//! What the broker in memory knows of a cluster: what moves, who votes.

use std::collections::BTreeMap;

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_wire::messages::describe_quorum_response::{PartitionData, ReplicaState, TopicData};
use ottla_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_wire::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_wire::messages::*;
use ottla_wire::{Request, Response, Text};

use super::State;

/// So many partitions are described on one page.
const PAGE: usize = 2;

#[derive(Default)]
pub(crate) struct ClusterState {
    /// The new replicas of what moves.
    pub(crate) moving: BTreeMap<(String, i32), Vec<i32>>,
    pub(crate) voters: BTreeMap<i32, Uuid>,
    /// Pages end where they began.
    pub(crate) turns_in_circles: bool,
}

pub(super) fn answer(state: &mut State, request: Request, code: i16) -> Response {
    match request {
        Request::AlterPartitionReassignments(body) => alter(state, body, code).into(),
        Request::ListPartitionReassignments(_) => list(&state.cluster).into(),
        Request::ElectLeaders(body) => elect(state, body, code).into(),
        Request::DescribeTopicPartitions(body) => describe(state, &body).into(),
        Request::DescribeQuorum(_) => quorum(&state.cluster, code).into(),
        Request::AddRaftVoter(body) => {
            let voters = &mut state.cluster.voters;
            let known = voters.insert(body.voter_id, body.voter_directory_id);
            let mut answer = AddRaftVoterResponse::default();
            if known.is_some() {
                answer.error_code = ErrorCode::DuplicateVoter.code();
            }
            answer.into()
        }
        Request::RemoveRaftVoter(body) => {
            let mut answer = RemoveRaftVoterResponse::default();
            if state.cluster.voters.remove(&body.voter_id) != Some(body.voter_directory_id) {
                answer.error_code = ErrorCode::VoterNotFound.code();
                answer.error_message = Some("no such voter".into());
            }
            answer.into()
        }
        other => panic!("{other:?}"),
    }
}

fn alter(
    state: &mut State,
    request: AlterPartitionReassignmentsRequest,
    code: i16,
) -> AlterPartitionReassignmentsResponse {
    let mut answer = AlterPartitionReassignmentsResponse::default();
    answer.error_code = code;
    for topic in request.topics {
        let mut answered = ReassignableTopicResponse::default();
        for wanted in topic.partitions {
            let mut outcome = ReassignablePartitionResponse::default();
            outcome.partition_index = wanted.partition_index;
            let name = (topic.name.to_string(), wanted.partition_index);
            let exists = state.log(&topic.name, wanted.partition_index).is_some();
            let moving = &mut state.cluster.moving;
            let refusal = match wanted.replicas {
                _ if !exists => Some(ErrorCode::UnknownTopicOrPartition),
                Some(replicas) => {
                    moving.insert(name, replicas);
                    None
                }
                None => match moving.remove(&name) {
                    Some(_) => None,
                    None => Some(ErrorCode::NoReassignmentInProgress),
                },
            };
            outcome.error_code = refusal.map_or(0, ErrorCode::code);
            answered.partitions.push(outcome);
        }
        answered.name = topic.name;
        answer.responses.push(answered);
    }
    answer
}

fn list(state: &ClusterState) -> ListPartitionReassignmentsResponse {
    let mut answer = ListPartitionReassignmentsResponse::default();
    for ((topic, partition), replicas) in &state.moving {
        let mut ongoing = OngoingPartitionReassignment::default();
        ongoing.partition_index = *partition;
        // Everything lies on broker 7 before.
        ongoing.replicas = replicas.iter().copied().chain([7]).collect();
        ongoing.adding_replicas = replicas.clone();
        ongoing.removing_replicas = vec![7];
        let mut of_topic = OngoingTopicReassignment::default();
        of_topic.name = topic.into();
        of_topic.partitions = vec![ongoing];
        answer.topics.push(of_topic);
    }
    answer
}

fn elect(state: &mut State, request: ElectLeadersRequest, code: i16) -> ElectLeadersResponse {
    let mut answer = ElectLeadersResponse::default();
    answer.error_code = code;
    for topic in request.topic_partitions.unwrap_or_default() {
        let mut answered = ReplicaElectionResult::default();
        for partition in topic.partitions {
            let mut outcome = PartitionResult::default();
            outcome.partition_id = partition;
            // Even ones are led by the right one already.
            let exists = state.log(&topic.topic, partition).is_some();
            outcome.error_code = match (exists, partition % 2) {
                (false, _) => ErrorCode::UnknownTopicOrPartition.code(),
                (true, 0) => ErrorCode::ElectionNotNeeded.code(),
                (true, _) => 0,
            };
            answered.partition_result.push(outcome);
        }
        answered.topic = topic.topic;
        answer.replica_election_results.push(answered);
    }
    answer
}

fn describe(
    state: &State,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let mut answer = DescribeTopicPartitionsResponse::default();
    let wanted: Vec<Text> = if request.topics.is_empty() {
        state.topics.keys().map(Text::from).collect()
    } else {
        request.topics.iter().map(|t| t.name.clone()).collect()
    };
    let all = wanted.iter().flat_map(|name| {
        let count = state.topics.get(&**name).map_or(0, Vec::len);
        (0..count as i32).map(move |partition| (name.clone(), partition))
    });
    let begin = request
        .cursor
        .as_ref()
        .map(|c| (c.topic_name.clone(), c.partition_index));
    let mut rest = all.filter(|place| begin.as_ref().is_none_or(|begin| place >= begin));
    for (name, index) in rest.by_ref().take(PAGE) {
        let mut partition = DescribeTopicPartitionsResponsePartition::default();
        partition.partition_index = index;
        partition.eligible_leader_replicas = Some(vec![index]);
        match answer.topics.last_mut() {
            Some(last) if last.name.as_ref() == Some(&name) => last.partitions.push(partition),
            _ => {
                let mut topic = DescribeTopicPartitionsResponseTopic::default();
                (topic.name, topic.partitions) = (Some(name), vec![partition]);
                answer.topics.push(topic);
            }
        }
    }
    let next = if state.cluster.turns_in_circles {
        wanted.first().map(|name| (name.clone(), 0))
    } else {
        rest.next()
    };
    answer.next_cursor = next.map(|(topic_name, partition_index)| Cursor {
        topic_name,
        partition_index,
        ..Cursor::default()
    });
    answer
}

fn quorum(state: &ClusterState, code: i16) -> DescribeQuorumResponse {
    let mut partition = PartitionData::default();
    partition.error_code = code;
    for (id, directory) in &state.voters {
        let mut voter = ReplicaState::default();
        (voter.replica_id, voter.replica_directory_id) = (*id, *directory);
        partition.current_voters.push(voter);
    }
    let mut topic = TopicData::default();
    topic.partitions = vec![partition];
    let mut answer = DescribeQuorumResponse::default();
    answer.topics = vec![topic];
    answer
}
