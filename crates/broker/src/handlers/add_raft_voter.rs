//! AddRaftVoter (key 80): a controller gets a vote in the metadata quorum (KIP-853).

use std::sync::Arc;

use ottla_model::ErrorCode;
use ottla_wire::messages::{AddRaftVoterRequest, AddRaftVoterResponse};
use ottla_wire::{Request, Response, Text};

use crate::context::{Answer, Ctx};

pub(crate) async fn handle(ctx: Ctx, request: AddRaftVoterRequest) -> Answer<AddRaftVoterResponse> {
    let broker = Arc::clone(&ctx.broker);
    Answer::later(async move {
        let (code, message) = match broker.ask_quorum(Request::from(request)).await {
            Ok(Response::AddRaftVoter(response)) => return response,
            Ok(_) => (ErrorCode::UnknownServerError, String::new()),
            Err(refusal) => (refusal.code, refusal.message),
        };
        AddRaftVoterResponse {
            error_code: code.code(),
            error_message: Some(Text::from(message.as_str())),
            ..AddRaftVoterResponse::default()
        }
    })
}
