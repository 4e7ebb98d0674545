//! JoinGroup (key 11): a consumer joins, and waits until its group has a new generation.

use ottla_group::{JoinRequest, JoinResponse, Protocol, Request, Response};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::join_group_response::JoinGroupResponseMember;
use ottla_wire::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option, text, text_option};

pub(crate) async fn handle(ctx: Ctx, request: JoinGroupRequest) -> Answer<JoinGroupResponse> {
    let member_id = shared(&request.member_id);
    let join = Request::Join(JoinRequest {
        group_id: shared(&request.group_id),
        member_id: member_id.clone(),
        group_instance_id: shared_option(request.group_instance_id.as_ref()),
        client_id: shared(&ctx.client_id),
        client_host: format!("/{}", ctx.peer.address().ip()).into(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match ctx.version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        protocol_type: shared(&request.protocol_type),
        protocols: request
            .protocols
            .into_iter()
            .map(|p| Protocol {
                name: shared(&p.name),
                metadata: p.metadata,
            })
            .collect(),
        reason: request.reason.map(|r| r.to_string()),
        requires_known_member_id: ctx.version >= 4,
        supports_skip_assignment: ctx.version >= 9,
    });
    let (group_id, version) = (request.group_id, ctx.version);
    let answer = ctx.broker.groups.ask(&ctx.broker, &group_id, join).await;
    Answer::later(async move {
        let joined = match answer.wait().await {
            Ok(Response::Join(joined)) => joined,
            Ok(_) => JoinResponse::error(ErrorCode::UnknownServerError, member_id),
            Err(code) => JoinResponse::error(code, member_id),
        };
        response(joined, version)
    })
}

fn response(joined: JoinResponse, version: i16) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|m| JoinGroupResponseMember {
        member_id: text(&m.member_id),
        group_instance_id: text_option(m.group_instance_id.as_ref()).filter(|_| version >= 5),
        metadata: m.metadata,
        ..JoinGroupResponseMember::default()
    });
    JoinGroupResponse {
        error_code: joined.error.code(),
        generation_id: joined.generation_id,
        protocol_type: text_option(joined.protocol_type.as_ref()).filter(|_| version >= 7),
        // Before version 7 there is no null; the empty name stands for it.
        protocol_name: text_option(joined.protocol_name.as_ref())
            .or_else(|| (version < 7).then(Text::default)),
        leader: text(&joined.leader),
        skip_assignment: joined.skip_assignment && version >= 9,
        member_id: text(&joined.member_id),
        members: members.collect(),
        ..JoinGroupResponse::default()
    }
}
