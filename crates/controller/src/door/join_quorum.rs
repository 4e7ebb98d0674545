//! JoinQuorum (key 10003): a node wants to be a member of the quorum.

use std::sync::Arc;

use ottla_model::{BrokerId, ErrorCode};
use ottla_raft::{Endpoint, Member};
use ottla_wire::Text;
use ottla_wire::messages::{JoinQuorumRequest, JoinQuorumResponse};

use super::Host;
use crate::members::{broker_id, node_id};
use crate::membership::Join;

pub(super) async fn handle(host: &Arc<Host>, request: JoinQuorumRequest) -> JoinQuorumResponse {
    if let Err(message) = host.check_cluster(Some(&request.cluster_id)) {
        return failed(ErrorCode::InconsistentClusterId, &message);
    }
    let Some(joined) = host.joined.get() else {
        let message = format!("Node {} has no cluster yet.", host.node_id);
        return failed(ErrorCode::NotController, &message);
    };
    let endpoints = request.endpoints.iter().map(|e| Endpoint {
        listener: e.listener.to_string(),
        host: e.host.to_string(),
        port: e.port,
    });
    let join = Join {
        id: node_id(BrokerId(request.node_id)),
        member: Member {
            endpoints: endpoints.collect(),
            directory_id: request.directory_id,
        },
        wants_vote: request.wants_vote,
    };
    let joining = joined.membership.join(join).await;
    match joining {
        Ok(()) => JoinQuorumResponse::default(),
        Err(refusal) => {
            let mut answer = failed(refusal.code, &refusal.message);
            let leader = joined.state.get().leader;
            answer.leader_id = leader.map_or(-1, |id| broker_id(id).0);
            answer
        }
    }
}

fn failed(code: ErrorCode, message: &str) -> JoinQuorumResponse {
    JoinQuorumResponse {
        error_code: code.code(),
        error_message: Some(Text::from(message)),
        ..JoinQuorumResponse::default()
    }
}
