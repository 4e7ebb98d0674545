//! DescribeQuorum (key 55), as the controllers answer it (KIP-595, KIP-836, KIP-853).

use std::sync::Arc;

use ottla_metadata::CLUSTER_METADATA_TOPIC;
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::describe_quorum_response::{PartitionData, TopicData};
use ottla_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::Host;
use crate::quorum;

pub(super) fn handle(
    host: &Arc<Host>,
    request: DescribeQuorumRequest,
    version: i16,
) -> DescribeQuorumResponse {
    let metadata_alone = match request.topics.as_slice() {
        [topic] if &*topic.topic_name == CLUSTER_METADATA_TOPIC => {
            matches!(topic.partitions.as_slice(), [p] if p.partition_index == 0)
        }
        _ => false,
    };
    if !metadata_alone {
        let topics = request.topics.into_iter().map(|topic| TopicData {
            partitions: topic
                .partitions
                .iter()
                .map(|p| failed(p.partition_index, ErrorCode::UnknownTopicOrPartition))
                .collect(),
            topic_name: topic.topic_name,
            ..TopicData::default()
        });
        return DescribeQuorumResponse {
            topics: topics.collect(),
            ..DescribeQuorumResponse::default()
        };
    }
    let leading = host.joined.get().and_then(|joined| {
        let state = joined.state.get();
        state.is_leader.then(|| (state, joined.image.get()))
    });
    match leading {
        Some((state, image)) => quorum::describe(&state, &image, &host.runtime.clock, version),
        None => DescribeQuorumResponse {
            topics: vec![TopicData {
                topic_name: Text::from(CLUSTER_METADATA_TOPIC),
                partitions: vec![failed(0, ErrorCode::NotLeaderOrFollower)],
                ..TopicData::default()
            }],
            ..DescribeQuorumResponse::default()
        },
    }
}

fn failed(partition_index: i32, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code: code.code(),
        ..PartitionData::default()
    }
}
