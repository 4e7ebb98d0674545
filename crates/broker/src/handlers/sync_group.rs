//! SyncGroup (key 14): the leader brings the assignment, every member fetches its part.

use ottla_group::{Request, Response, SyncRequest, SyncResponse};
use ottla_model::ErrorCode;
use ottla_wire::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option, text_option};

pub(crate) async fn handle(ctx: Ctx, request: SyncGroupRequest) -> Answer<SyncGroupResponse> {
    // From version 5 on the member says which protocol it expects (KIP-559); it must.
    let lacks_protocol = request.protocol_type.is_none() || request.protocol_name.is_none();
    if ctx.version >= 5 && lacks_protocol {
        let refused = SyncResponse::error(ErrorCode::InconsistentGroupProtocol);
        return Answer::Now(response(refused, ctx.version));
    }
    let sync = Request::Sync(SyncRequest {
        group_id: shared(&request.group_id),
        generation_id: request.generation_id,
        member_id: shared(&request.member_id),
        group_instance_id: shared_option(request.group_instance_id.as_ref()),
        protocol_type: shared_option(request.protocol_type.as_ref()),
        protocol_name: shared_option(request.protocol_name.as_ref()),
        assignments: request
            .assignments
            .into_iter()
            .map(|a| (shared(&a.member_id), a.assignment))
            .collect(),
    });
    let version = ctx.version;
    let answer = ctx
        .broker
        .groups
        .ask(&ctx.broker, &request.group_id, sync)
        .await;
    Answer::later(async move {
        let synced = match answer.wait().await {
            Ok(Response::Sync(synced)) => synced,
            Ok(_) => SyncResponse::error(ErrorCode::UnknownServerError),
            Err(code) => SyncResponse::error(code),
        };
        response(synced, version)
    })
}

fn response(synced: SyncResponse, version: i16) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code: synced.error.code(),
        protocol_type: text_option(synced.protocol_type.as_ref()).filter(|_| version >= 5),
        protocol_name: text_option(synced.protocol_name.as_ref()).filter(|_| version >= 5),
        assignment: synced.assignment,
        ..SyncGroupResponse::default()
    }
}
