//! Heartbeat (key 12): a member says that it lives and hears whether its group rebalances.

use ottla_group::{HeartbeatRequest as Beat, Request, Response};
use ottla_model::ErrorCode;
use ottla_wire::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option};

pub(crate) async fn handle(ctx: Ctx, request: HeartbeatRequest) -> Answer<HeartbeatResponse> {
    let beat = Request::Heartbeat(Beat {
        group_id: shared(&request.group_id),
        generation_id: request.generation_id,
        member_id: shared(&request.member_id),
        group_instance_id: shared_option(request.group_instance_id.as_ref()),
    });
    let answer = ctx
        .broker
        .groups
        .ask(&ctx.broker, &request.group_id, beat)
        .await;
    Answer::later(async move {
        let code = match answer.wait().await {
            Ok(Response::Heartbeat(code)) => code,
            Ok(_) => ErrorCode::UnknownServerError,
            // A client has nothing to do about a coordinator that loads but to beat on.
            Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
            Err(code) => code,
        };
        HeartbeatResponse {
            error_code: code.code(),
            ..HeartbeatResponse::default()
        }
    })
}
