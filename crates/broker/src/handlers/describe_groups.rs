//! DescribeGroups (key 15): groups with their members.

use futures_util::future::join_all;
use ottla_group::{DescribeRequest, DescribedGroup as Described, Request, Response};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use ottla_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use crate::authorized_operations;
use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::groups::{shared, text, text_option};

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeGroupsRequest,
) -> Answer<DescribeGroupsResponse> {
    Answer::later(async move {
        let asked = request.include_authorized_operations;
        let groups = distinct(request.groups, Text::clone);
        let groups = join_all(groups.iter().map(|id| one(&ctx, id, asked))).await;
        DescribeGroupsResponse {
            groups,
            ..DescribeGroupsResponse::default()
        }
    })
}

async fn one(ctx: &Ctx, group_id: &Text, operations: bool) -> DescribedGroup {
    let describe = Request::Describe(DescribeRequest {
        group_id: shared(group_id),
        reports_unknown_group: ctx.version >= 6,
    });
    let answer = ctx.broker.groups.ask(&ctx.broker, group_id, describe).await;
    let code = match answer.wait().await {
        Ok(Response::Describe(described)) => {
            let field = authorized_operations::GROUP;
            return DescribedGroup {
                authorized_operations: authorized_operations::if_asked(operations, field),
                ..group(described, ctx.version)
            };
        }
        Ok(_) => ErrorCode::UnknownServerError,
        Err(code) => code,
    };
    DescribedGroup {
        error_code: code.code(),
        group_id: group_id.clone(),
        ..DescribedGroup::default()
    }
}

fn group(described: Described, version: i16) -> DescribedGroup {
    let members = described.members.into_iter().map(|m| DescribedGroupMember {
        member_id: text(&m.member_id),
        group_instance_id: text_option(m.group_instance_id.as_ref()).filter(|_| version >= 4),
        client_id: text(&m.client_id),
        client_host: text(&m.client_host),
        member_metadata: m.metadata,
        member_assignment: m.assignment,
        ..DescribedGroupMember::default()
    });
    DescribedGroup {
        error_code: described.error.code(),
        error_message: described
            .error_message
            .as_deref()
            .map(Text::from)
            .filter(|_| version >= 6),
        group_id: text(&described.group_id),
        group_state: Text::from(described.state),
        protocol_type: text(&described.protocol_type),
        protocol_data: text(&described.protocol_data),
        members: members.collect(),
        ..DescribedGroup::default()
    }
}
