//! DeleteGroups (key 42): forgets groups without members, and their offsets.

use futures_util::future::join_all;
use ottla_group::{DeleteGroupRequest, Request, Response};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::delete_groups_response::DeletableGroupResult;
use ottla_wire::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::groups::shared;

pub(crate) async fn handle(ctx: Ctx, request: DeleteGroupsRequest) -> Answer<DeleteGroupsResponse> {
    Answer::later(async move {
        let groups = distinct(request.groups_names, Text::clone);
        let results = join_all(groups.into_iter().map(|id| one(&ctx, id))).await;
        DeleteGroupsResponse {
            results,
            ..DeleteGroupsResponse::default()
        }
    })
}

async fn one(ctx: &Ctx, group_id: Text) -> DeletableGroupResult {
    let delete = Request::DeleteGroup(DeleteGroupRequest {
        group_id: shared(&group_id),
    });
    let answer = ctx.broker.groups.ask(&ctx.broker, &group_id, delete).await;
    let error = match answer.wait().await {
        Ok(Response::DeleteGroup(error)) => error,
        Ok(_) => ErrorCode::UnknownServerError,
        Err(error) => error,
    };
    DeletableGroupResult {
        group_id,
        error_code: error.code(),
        ..DeletableGroupResult::default()
    }
}
