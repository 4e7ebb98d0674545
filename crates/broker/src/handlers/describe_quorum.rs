//! DescribeQuorum (key 55): the metadata quorum (KIP-595, KIP-836, KIP-853).
//!
//! Only the quorum's leader knows how far the others are; it is asked, wherever it is.

use std::sync::Arc;

use ottla_metadata::CLUSTER_METADATA_TOPIC;
use ottla_model::{ErrorCode, Uuid};
use ottla_wire::messages::describe_quorum_response::{PartitionData, TopicData};
use ottla_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use ottla_wire::{Request, Response, Text};

use crate::Broker;
use crate::context::{Answer, Ctx};
use crate::distinct::distinct;

/// Since this version replicas have directory ids and nodes have listeners (KIP-853).
const WITH_NODES: i16 = 2;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeQuorumRequest,
) -> Answer<DescribeQuorumResponse> {
    let metadata_alone = match request.topics.as_slice() {
        [topic] if &*topic.topic_name == CLUSTER_METADATA_TOPIC => {
            matches!(topic.partitions.as_slice(), [p] if p.partition_index == 0)
        }
        _ => false,
    };
    if !metadata_alone {
        return Answer::Now(unknown(request));
    }
    let (broker, version) = (Arc::clone(&ctx.broker), ctx.version);
    Answer::later(async move { in_version(ask(&broker, request).await, version) })
}

async fn ask(broker: &Broker, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let (code, message) = match broker.ask_quorum(Request::from(request)).await {
        Ok(Response::DescribeQuorum(response)) => return response,
        Ok(_) => (ErrorCode::UnknownServerError, String::new()),
        Err(refusal) => (refusal.code, refusal.message),
    };
    let message = Text::from(message.as_str());
    DescribeQuorumResponse {
        error_code: code.code(),
        error_message: Some(message),
        topics: vec![TopicData {
            topic_name: Text::from(CLUSTER_METADATA_TOPIC),
            partitions: vec![failed(0, code)],
            ..TopicData::default()
        }],
        ..DescribeQuorumResponse::default()
    }
}

/// The leader has answered in the newest version.
fn in_version(mut response: DescribeQuorumResponse, version: i16) -> DescribeQuorumResponse {
    if version >= WITH_NODES {
        return response;
    }
    response.nodes.clear();
    for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        let voters = partition.current_voters.iter_mut();
        for replica in voters.chain(&mut partition.observers) {
            replica.replica_directory_id = Uuid::ZERO;
        }
    }
    response
}

/// There is no quorum but that of the metadata.
fn unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = distinct(request.topics, |t| t.topic_name.clone());
    let topics = topics.into_iter().map(|topic| {
        let partitions = distinct(topic.partitions, |p| p.partition_index);
        let partitions = partitions.iter();
        let partitions =
            partitions.map(|p| failed(p.partition_index, ErrorCode::UnknownTopicOrPartition));
        TopicData {
            partitions: partitions.collect(),
            topic_name: topic.topic_name,
            ..TopicData::default()
        }
    });
    DescribeQuorumResponse {
        topics: topics.collect(),
        ..DescribeQuorumResponse::default()
    }
}

fn failed(partition_index: i32, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: code.code(),
        ..PartitionData::default()
    }
}
