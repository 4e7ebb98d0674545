//! ListPartitionReassignments (key 46, KIP-455): the moves that are under way.

use ottla_metadata::{PartitionImage, TopicImage};
use ottla_model::BrokerId;
use ottla_wire::Text;
use ottla_wire::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use ottla_wire::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;

pub(crate) async fn handle(
    ctx: Ctx,
    request: ListPartitionReassignmentsRequest,
) -> Answer<ListPartitionReassignmentsResponse> {
    // Who has just begun a move asks for it at once: this broker may not have followed it yet.
    let image = ctx.broker.newest_image();
    let topics: Vec<_> = match request.topics {
        None => image
            .topics()
            .filter_map(|topic| ongoing(topic, 0..topic.partition_count()))
            .collect(),
        Some(topics) => distinct(topics, |topic| topic.name.clone())
            .into_iter()
            .filter_map(|topic| {
                let indexes = distinct(topic.partition_indexes, |index| *index);
                ongoing(image.topic(&topic.name)?, indexes)
            })
            .collect(),
    };
    Answer::Now(ListPartitionReassignmentsResponse {
        topics,
        ..ListPartitionReassignmentsResponse::default()
    })
}

/// None when none of these partitions moves.
fn ongoing(
    topic: &TopicImage,
    indexes: impl IntoIterator<Item = i32>,
) -> Option<OngoingTopicReassignment> {
    let moving = |index: i32| {
        let partition = topic.partition(index)?;
        partition
            .is_reassigning()
            .then(|| describe(index, partition))
    };
    let partitions: Vec<_> = indexes.into_iter().filter_map(moving).collect();
    (!partitions.is_empty()).then(|| OngoingTopicReassignment {
        name: Text::from(topic.name.as_str()),
        partitions,
        ..OngoingTopicReassignment::default()
    })
}

fn describe(index: i32, partition: &PartitionImage) -> OngoingPartitionReassignment {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    OngoingPartitionReassignment {
        partition_index: index,
        replicas: ids(&partition.replicas),
        adding_replicas: ids(&partition.adding_replicas),
        removing_replicas: ids(&partition.removing_replicas),
        ..OngoingPartitionReassignment::default()
    }
}
