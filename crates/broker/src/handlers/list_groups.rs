//! ListGroups (key 16): the groups that this broker coordinates.

use ottla_group::ListRequest;
use ottla_wire::Text;
use ottla_wire::messages::list_groups_response::ListedGroup;
use ottla_wire::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::context::{Answer, Ctx};
use crate::groups::text;

pub(crate) async fn handle(ctx: Ctx, request: ListGroupsRequest) -> Answer<ListGroupsResponse> {
    let strings = |texts: Vec<Text>| texts.iter().map(Text::to_string).collect::<Vec<_>>();
    let filter = ListRequest {
        states: strings(request.states_filter),
        types: strings(request.types_filter),
    };
    Answer::later(async move {
        let (error, listed) = ctx.broker.groups.list(&ctx.broker, filter).await;
        let version = ctx.version;
        let groups = listed.into_iter().map(|g| ListedGroup {
            group_id: text(&g.group_id),
            protocol_type: text(&g.protocol_type),
            group_state: if version >= 4 {
                Text::from(g.state)
            } else {
                Text::default()
            },
            group_type: if version >= 5 {
                Text::from(g.group_type)
            } else {
                Text::default()
            },
            ..ListedGroup::default()
        });
        ListGroupsResponse {
            error_code: error.code(),
            groups: groups.collect(),
            ..ListGroupsResponse::default()
        }
    })
}
