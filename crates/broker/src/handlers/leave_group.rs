//! LeaveGroup (key 13): one member, or from version 3 on several, leave at once.

use ottla_group::{LeaveRequest, LeaveResponse, LeavingMember, Request, Response};
use ottla_model::ErrorCode;
use ottla_wire::messages::leave_group_response::MemberResponse;
use ottla_wire::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option, text, text_option};

pub(crate) async fn handle(ctx: Ctx, request: LeaveGroupRequest) -> Answer<LeaveGroupResponse> {
    let members = if ctx.version < 3 {
        vec![LeavingMember {
            member_id: shared(&request.member_id),
            group_instance_id: None,
            reason: None,
        }]
    } else {
        let leaving = request.members.into_iter().map(|m| LeavingMember {
            member_id: shared(&m.member_id),
            group_instance_id: shared_option(m.group_instance_id.as_ref()),
            reason: m.reason.map(|r| r.to_string()),
        });
        leaving.collect()
    };
    let leave = Request::Leave(LeaveRequest {
        group_id: shared(&request.group_id),
        members,
    });
    let version = ctx.version;
    let answer = ctx
        .broker
        .groups
        .ask(&ctx.broker, &request.group_id, leave)
        .await;
    Answer::later(async move {
        let left = match answer.wait().await {
            Ok(Response::Leave(left)) => left,
            Ok(_) => LeaveResponse {
                error: ErrorCode::UnknownServerError,
                members: Vec::new(),
            },
            Err(error) => LeaveResponse {
                error,
                members: Vec::new(),
            },
        };
        response(left, version)
    })
}

fn response(left: LeaveResponse, version: i16) -> LeaveGroupResponse {
    if version < 3 {
        // The only member's error is the answer's.
        let member = left.members.first().map_or(ErrorCode::None, |m| m.error);
        let error = if left.error.is_none() {
            member
        } else {
            left.error
        };
        return LeaveGroupResponse {
            error_code: error.code(),
            ..LeaveGroupResponse::default()
        };
    }
    let members = left.members.into_iter().map(|m| MemberResponse {
        member_id: text(&m.member_id),
        group_instance_id: text_option(m.group_instance_id.as_ref()),
        error_code: m.error.code(),
        ..MemberResponse::default()
    });
    LeaveGroupResponse {
        error_code: left.error.code(),
        members: members.collect(),
        ..LeaveGroupResponse::default()
    }
}
