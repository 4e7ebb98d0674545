//! UnregisterBroker (key 64, KIP-746): forgets a broker that will not come back.

use ottla_metadata::{Command, Reply};
use ottla_model::{BrokerId, ErrorCode};
use ottla_wire::Text;
use ottla_wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use crate::context::{Answer, Ctx};

pub(crate) async fn handle(
    ctx: Ctx,
    request: UnregisterBrokerRequest,
) -> Answer<UnregisterBrokerResponse> {
    Answer::later(async move {
        let command = Command::UnregisterBroker(BrokerId(request.broker_id));
        let (code, message) = match ctx.broker.submit(command).await {
            Ok(Reply::Done) => (ErrorCode::None, None),
            Ok(_) => (ErrorCode::UnknownServerError, None),
            Err(refusal) => (refusal.code, Some(Text::from(refusal.message.as_str()))),
        };
        UnregisterBrokerResponse {
            error_code: code.code(),
            error_message: message,
            ..UnregisterBrokerResponse::default()
        }
    })
}
