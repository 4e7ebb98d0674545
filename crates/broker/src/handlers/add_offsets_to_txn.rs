//! AddOffsetsToTxn (key 25): a group's offsets become part of a transaction. What is added is the
//! partition of `__consumer_offsets` that holds the group (KIP-98).

use ottla_model::{
    CONSUMER_OFFSETS_TOPIC, ErrorCode, TopicName, TopicPartition, coordinator_partition,
};
use ottla_txn::{AddPartitionsRequest, ProducerIdAndEpoch, Request, Response, TransactionVersion};
use ottla_wire::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::context::{Answer, Ctx};
use crate::errors;
use crate::groups::shared;

pub(crate) async fn handle(
    ctx: Ctx,
    request: AddOffsetsToTxnRequest,
) -> Answer<AddOffsetsToTxnResponse> {
    Answer::later(async move {
        let code = add(&ctx, &request).await.err().unwrap_or(ErrorCode::None);
        AddOffsetsToTxnResponse {
            error_code: errors::of_fenced_producer(code, ctx.version, 2).code(),
            ..AddOffsetsToTxnResponse::default()
        }
    })
}

async fn add(ctx: &Ctx, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let broker = &ctx.broker;
    broker.groups.ensure_topic(broker).await?;
    let image = broker.image();
    let topic = image
        .topic(CONSUMER_OFFSETS_TOPIC)
        .ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let index = coordinator_partition(&request.group_id, topic.partition_count());
    let name: TopicName = topic.name.clone();
    let id = shared(&request.transactional_id);
    let asked = Request::AddPartitions(AddPartitionsRequest {
        transactional_id: id.clone(),
        producer: ProducerIdAndEpoch {
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
        },
        partitions: [TopicPartition::new(name, index)].into(),
        // Newer clients commit offsets without asking first.
        client_version: TransactionVersion::V0,
        patience_ms: 0,
    });
    let answer = broker.transactions.ask(broker, &id, asked).await;
    match answer.wait().await? {
        Response::AddPartitions(ErrorCode::None) => Ok(()),
        Response::AddPartitions(code) => Err(code),
        _ => Err(ErrorCode::UnknownServerError),
    }
}
