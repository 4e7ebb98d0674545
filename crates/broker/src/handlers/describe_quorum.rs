//! DescribeQuorum (key 55): the metadata quorum (KIP-595, KIP-836, KIP-853).

use ottla_metadata::{CLUSTER_METADATA_TOPIC, Image, Quorum};
use ottla_model::{BrokerId, ErrorCode};
use ottla_wire::Text;
use ottla_wire::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use ottla_wire::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

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
    // The newest image, and not the one that this broker has followed: the quorum is ahead of it.
    let (quorum, image) = (ctx.broker.quorum(), ctx.broker.newest_image());
    let now_ms = ctx.broker.runtime.clock.now_ms();
    let nodes = quorum.voters.iter().map(|v| node(&image, v.id));
    let with_nodes = ctx.version >= WITH_NODES;
    Answer::Now(DescribeQuorumResponse {
        topics: vec![TopicData {
            topic_name: Text::from(CLUSTER_METADATA_TOPIC),
            partitions: vec![partition(&quorum, &image, now_ms, with_nodes)],
            ..TopicData::default()
        }],
        nodes: nodes.filter(|_| with_nodes).collect(),
        ..DescribeQuorumResponse::default()
    })
}

fn partition(quorum: &Quorum, image: &Image, now_ms: i64, with_nodes: bool) -> PartitionData {
    // What is published is durable with the only voter, and so with a majority of them.
    let end_offset = image.metadata_offset() + 1;
    let voters = quorum.voters.iter().map(|voter| ReplicaState {
        replica_id: voter.id.0,
        replica_directory_id: if with_nodes {
            voter.directory_id
        } else {
            Default::default()
        },
        log_end_offset: end_offset,
        // A leader has always caught up with itself.
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..ReplicaState::default()
    });
    PartitionData {
        partition_index: 0,
        error_code: ErrorCode::None.code(),
        leader_id: quorum.leader_id.0,
        leader_epoch: quorum.leader_epoch,
        high_watermark: end_offset,
        current_voters: voters.collect(),
        ..PartitionData::default()
    }
}

/// A voter has no listeners of its own: it is asked through those of its broker.
fn node(image: &Image, id: BrokerId) -> Node {
    let endpoints = image.broker(id).map(|b| &b.endpoints);
    let listeners = endpoints
        .into_iter()
        .flatten()
        .map(|(name, endpoint)| Listener {
            name: Text::from(name.as_str()),
            host: Text::from(endpoint.host.as_str()),
            port: endpoint.port,
            ..Listener::default()
        });
    Node {
        node_id: id.0,
        listeners: listeners.collect(),
        ..Node::default()
    }
}

/// There is no quorum but that of the metadata.
fn unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = distinct(request.topics, |t| t.topic_name.clone());
    let topics = topics.into_iter().map(|topic| {
        let partitions = distinct(topic.partitions, |p| p.partition_index);
        let partitions = partitions.iter().map(|p| PartitionData {
            partition_index: p.partition_index,
            error_code: ErrorCode::UnknownTopicOrPartition.code(),
            ..PartitionData::default()
        });
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
