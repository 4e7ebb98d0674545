//! DescribeProducers (key 61): who writes to partitions, and which transactions are open (KIP-664).

use futures_util::future::join_all;
use ottla_log::ProducerEntry;
use ottla_model::{ErrorCode, PartitionIndex, ProducerId, TopicName};
use ottla_wire::Text;
use ottla_wire::messages::describe_producers_request::TopicRequest;
use ottla_wire::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use ottla_wire::messages::{DescribeProducersRequest, DescribeProducersResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::errors;
use crate::partitions::{self, LocalTopic};

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeProducersRequest,
) -> Answer<DescribeProducersResponse> {
    Answer::later(async move {
        let topics = distinct(request.topics, |t| t.name.clone());
        let topics = join_all(topics.into_iter().map(|t| topic(&ctx, t))).await;
        DescribeProducersResponse {
            topics,
            ..DescribeProducersResponse::default()
        }
    })
}

async fn topic(ctx: &Ctx, topic: TopicRequest) -> TopicResponse {
    let local = ctx.broker.partitions.topic_by_name(&topic.name);
    let invalid = TopicName::new(&topic.name).err().map(|e| e.to_string());
    let mut partitions = Vec::new();
    for index in distinct(topic.partition_indexes, |p| *p) {
        partitions.push(match &invalid {
            Some(reason) => PartitionResponse {
                partition_index: index,
                error_code: ErrorCode::InvalidTopicException.code(),
                error_message: Some(Text::from(reason.as_str())),
                ..PartitionResponse::default()
            },
            None => partition(local.as_deref(), index).await,
        });
    }
    TopicResponse {
        name: topic.name,
        partitions,
        ..TopicResponse::default()
    }
}

async fn partition(topic: Option<&LocalTopic>, index: PartitionIndex) -> PartitionResponse {
    let (code, producers) = match active(topic, index).await {
        Ok(producers) => (ErrorCode::None, producers),
        Err(code) => (code, Vec::new()),
    };
    PartitionResponse {
        partition_index: index,
        error_code: code.code(),
        active_producers: producers
            .iter()
            .map(|(id, entry)| state(*id, entry))
            .collect(),
        ..PartitionResponse::default()
    }
}

async fn active(
    topic: Option<&LocalTopic>,
    index: PartitionIndex,
) -> Result<Vec<(ProducerId, ProducerEntry)>, ErrorCode> {
    let log = partitions::find(topic, index)?.leader_log()?;
    let producers = log.active_producers().await;
    producers.map_err(|error| errors::of_read(&error))
}

fn state(producer_id: ProducerId, entry: &ProducerEntry) -> ProducerState {
    ProducerState {
        producer_id,
        producer_epoch: entry.epoch.into(),
        last_sequence: entry.last_sequence(),
        last_timestamp: entry.last_timestamp,
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_start_offset: entry.transaction_start.unwrap_or(-1),
        ..ProducerState::default()
    }
}
