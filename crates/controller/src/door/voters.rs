//! AddRaftVoter and RemoveRaftVoter (keys 80, 81): who votes in the quorum (KIP-853).

use std::sync::Arc;

use ottla_metadata::Refusal;
use ottla_model::{BrokerId, ErrorCode};
use ottla_raft::{Endpoint, Member};
use ottla_wire::Text;
use ottla_wire::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
};

use super::{Host, Joined};
use crate::members::node_id;

pub(super) async fn add(host: &Arc<Host>, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
    let added = async {
        let joined = joined(host, request.cluster_id.as_deref())?;
        if host
            .member
            .get()
            .is_some_and(|own| own.endpoints.is_empty())
        {
            let message = "This node is a cluster of its own, and other controllers could not reach \
                           it: set controller.quorum.bootstrap.servers and give it a controller's \
                           listener first.";
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        if request.voter_id < 0 {
            let message = format!("{} is no node.id.", request.voter_id);
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        if request.listeners.is_empty() {
            let message = "A voter needs an endpoint where the others reach it.";
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        let endpoints = request.listeners.iter().map(|l| Endpoint {
            listener: l.name.to_string(),
            host: l.host.to_string(),
            port: l.port,
        });
        let member = Member {
            endpoints: endpoints.collect(),
            directory_id: request.voter_directory_id,
        };
        let id = node_id(BrokerId(request.voter_id));
        joined.membership.add_voter(id, member).await
    };
    match added.await {
        Ok(()) => AddRaftVoterResponse::default(),
        Err(refusal) => AddRaftVoterResponse {
            error_code: refusal.code.code(),
            error_message: Some(Text::from(refusal.message.as_str())),
            ..AddRaftVoterResponse::default()
        },
    }
}

pub(super) async fn remove(
    host: &Arc<Host>,
    request: RemoveRaftVoterRequest,
) -> RemoveRaftVoterResponse {
    let removed = async {
        let joined = joined(host, request.cluster_id.as_deref())?;
        let id = node_id(BrokerId(request.voter_id));
        let directory_id = request.voter_directory_id;
        joined.membership.remove_voter(id, directory_id).await
    };
    match removed.await {
        Ok(()) => RemoveRaftVoterResponse::default(),
        Err(refusal) => RemoveRaftVoterResponse {
            error_code: refusal.code.code(),
            error_message: Some(Text::from(refusal.message.as_str())),
            ..RemoveRaftVoterResponse::default()
        },
    }
}

fn joined<'a>(host: &'a Arc<Host>, cluster: Option<&str>) -> Result<&'a Joined, Refusal> {
    let foreign = |message| Refusal::new(ErrorCode::InconsistentClusterId, message);
    host.check_cluster(cluster).map_err(foreign)?;
    host.joined.get().ok_or_else(|| {
        let message = format!("Node {} has no cluster yet.", host.node_id);
        Refusal::new(ErrorCode::NotController, message)
    })
}
