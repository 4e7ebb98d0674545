//! InitProducerId (key 22): an id under which a producer's sequences are remembered, and the
//! ownership of a transactional id (KIP-98, 360).

use ottla_model::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use ottla_txn::{InitRequest, ProducerIdAndEpoch, Request, Response};
use ottla_wire::Text;
use ottla_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::context::{Answer, Ctx};
use crate::errors;
use crate::groups::shared;

pub(crate) async fn handle(
    ctx: Ctx,
    request: InitProducerIdRequest,
) -> Answer<InitProducerIdResponse> {
    // A producer names both parts of its old identity or neither.
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH) {
        return Answer::Now(refused(ErrorCode::InvalidRequest));
    }
    if request.transactional_id.as_deref() == Some("") {
        return Answer::Now(refused(ErrorCode::InvalidRequest));
    }
    Answer::later(async move {
        let outcome = match &request.transactional_id {
            Some(id) => transactional(&ctx, id, &request).await,
            None => {
                let next = ctx.broker.producer_ids.next(&ctx.broker).await;
                next.map(|producer_id| ProducerIdAndEpoch {
                    producer_id,
                    producer_epoch: 0,
                })
            }
        };
        match outcome {
            Ok(identity) => InitProducerIdResponse {
                producer_id: identity.producer_id,
                producer_epoch: identity.producer_epoch,
                ..InitProducerIdResponse::default()
            },
            Err(code) => refused(errors::of_fenced_producer(code, ctx.version, 4)),
        }
    })
}

async fn transactional(
    ctx: &Ctx,
    id: &Text,
    request: &InitProducerIdRequest,
) -> Result<ProducerIdAndEpoch, ErrorCode> {
    let id = shared(id);
    let expected = ProducerIdAndEpoch {
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
    };
    let asked = Request::Init(InitRequest {
        transactional_id: id.clone(),
        transaction_timeout_ms: request.transaction_timeout_ms,
        enable_two_phase_commit: request.enable_2pc,
        keep_prepared_transaction: request.keep_prepared_txn,
        expected: Some(expected).filter(|e| e.producer_id != NO_PRODUCER_ID),
    });
    let answer = ctx.broker.transactions.ask(&ctx.broker, &id, asked).await;
    match answer.wait().await? {
        Response::Init(outcome) => outcome,
        _ => Err(ErrorCode::UnknownServerError),
    }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: code.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..InitProducerIdResponse::default()
    }
}
