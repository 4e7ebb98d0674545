//! EndTxn (key 26): a producer commits or aborts (KIP-98, 890).

use ottla_model::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use ottla_txn::{EndRequest, ProducerIdAndEpoch, Request, Response, TransactionVersion};
use ottla_wire::messages::{EndTxnRequest, EndTxnResponse};

use crate::context::{Answer, Ctx};
use crate::errors;
use crate::groups::shared;

/// From this version on the client gets a new epoch with each end of a transaction.
const BUMPS_EPOCH: i16 = 5;

pub(crate) async fn handle(ctx: Ctx, request: EndTxnRequest) -> Answer<EndTxnResponse> {
    Answer::later(async move {
        let id = shared(&request.transactional_id);
        let asked = Request::End(EndRequest {
            transactional_id: id.clone(),
            producer: ProducerIdAndEpoch {
                producer_id: request.producer_id,
                producer_epoch: request.producer_epoch,
            },
            commit: request.committed,
            client_version: if ctx.version >= BUMPS_EPOCH {
                TransactionVersion::V2
            } else {
                TransactionVersion::V0
            },
        });
        let answer = ctx.broker.transactions.ask(&ctx.broker, &id, asked).await;
        let outcome = match answer.wait().await {
            Ok(Response::End(outcome)) => outcome,
            Ok(_) => Err(ErrorCode::UnknownServerError),
            Err(code) => Err(code),
        };
        let (code, identity) = match outcome {
            Ok(identity) => (ErrorCode::None, identity),
            Err(code) => (errors::of_fenced_producer(code, ctx.version, 2), None),
        };
        EndTxnResponse {
            error_code: code.code(),
            producer_id: identity.map_or(NO_PRODUCER_ID, |i| i.producer_id),
            producer_epoch: identity.map_or(NO_PRODUCER_EPOCH, |i| i.producer_epoch),
            ..EndTxnResponse::default()
        }
    })
}
