//! MeetController (key 10002): who are you, and what cluster do you belong to?

use std::sync::Arc;

use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::{MeetControllerRequest, MeetControllerResponse};

use super::Host;
use crate::entry::epoch;
use crate::members;

pub(super) fn handle(host: &Arc<Host>, request: &MeetControllerRequest) -> MeetControllerResponse {
    let mut answer = MeetControllerResponse {
        node_id: host.node_id.0,
        directory_id: host.directory_id,
        ..MeetControllerResponse::default()
    };
    if let Some(member) = host.member.get() {
        answer.endpoints = members::endpoints_of(member);
    }
    if request.node_id == host.node_id.0 && request.directory_id != host.directory_id {
        let message = format!(
            "node.id {} is taken: this node has it with directory.id {}, and the one who asks with \
             directory.id {}. Give one of them another node.id.",
            host.node_id, host.directory_id, request.directory_id
        );
        answer.error_code = ErrorCode::DuplicateBrokerRegistration.code();
        answer.error_message = Some(Text::from(message.as_str()));
        return answer;
    }
    if let Err(message) = host.check_cluster(request.cluster_id.as_deref()) {
        answer.error_code = ErrorCode::InconsistentClusterId.code();
        answer.error_message = Some(Text::from(message.as_str()));
        return answer;
    }
    let Some(joined) = host.joined.get() else {
        return answer;
    };
    let state = joined.state.get();
    answer.cluster_id = Some(Text::from(joined.identity.cluster_id.0.as_str()));
    answer.leader_id = state.leader.map_or(-1, |id| members::broker_id(id).0);
    answer.leader_epoch = epoch(state.term);
    answer.members = members::all(&state);
    answer
}
