//! RemoveRaftVoter (key 81): a controller loses its vote in the metadata quorum (KIP-853).

use std::sync::Arc;

use ottla_model::ErrorCode;
use ottla_wire::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use ottla_wire::{Request, Response, Text};

use crate::context::{Answer, Ctx};

pub(crate) async fn handle(
    ctx: Ctx,
    request: RemoveRaftVoterRequest,
) -> Answer<RemoveRaftVoterResponse> {
    let broker = Arc::clone(&ctx.broker);
    Answer::later(async move {
        let (code, message) = match broker.ask_quorum(Request::from(request)).await {
            Ok(Response::RemoveRaftVoter(response)) => return response,
            Ok(_) => (ErrorCode::UnknownServerError, String::new()),
            Err(refusal) => (refusal.code, refusal.message),
        };
        RemoveRaftVoterResponse {
            error_code: code.code(),
            error_message: Some(Text::from(message.as_str())),
            ..RemoveRaftVoterResponse::default()
        }
    })
}
