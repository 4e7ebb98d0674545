//! InitProducerId (key 22): an id under which a producer's sequences are remembered (KIP-98, 360).
//!
//! Transactional producers need the transaction coordinator, which this node does not have yet:
//! they are told so by name instead of being left to retry.

use ottla_model::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use ottla_wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::context::{Answer, Ctx};

pub(crate) async fn handle(
    ctx: Ctx,
    request: InitProducerIdRequest,
) -> Answer<InitProducerIdResponse> {
    match request.transactional_id.as_deref() {
        None => {}
        Some("") => return Answer::Now(refused(ErrorCode::InvalidRequest)),
        Some(_) => return Answer::Now(refused(ErrorCode::UnsupportedVersion)),
    }
    // A producer names both parts of its old identity or neither.
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH) {
        return Answer::Now(refused(ErrorCode::InvalidRequest));
    }
    Answer::later(async move {
        match ctx.broker.producer_ids.next(&ctx.broker).await {
            Ok(producer_id) => InitProducerIdResponse {
                producer_id,
                producer_epoch: 0,
                ..InitProducerIdResponse::default()
            },
            Err(code) => refused(code),
        }
    })
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: code.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..InitProducerIdResponse::default()
    }
}
