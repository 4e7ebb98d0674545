//! How raft's messages reach the other members.

use bytes::Bytes;
use ottla_raft::{Member, NodeId, Transport, TransportError};
use ottla_wire::messages::ExchangeRaftRequest;
use ottla_wire::{Request, Response};
use tokio::sync::mpsc;

use crate::peers::{Failure, Lane, Peers, Place};

/// Sends raft's messages over the connections of the node, and tells who refuses them.
pub(crate) struct Wire {
    pub(crate) peers: Peers,
    /// Nodes whose port refuses connections. When nobody reads them, they are no longer told.
    pub(crate) refusals: mpsc::Sender<NodeId>,
}

impl Transport for Wire {
    async fn call(
        &self,
        to: NodeId,
        member: &Member,
        request: Bytes,
    ) -> Result<Bytes, TransportError> {
        let Some(place) = place_of(member) else {
            let reason = format!("member {to} has no endpoint");
            return Err(TransportError::Unreachable(reason));
        };
        let request = Request::from(ExchangeRaftRequest {
            message: request,
            ..ExchangeRaftRequest::default()
        });
        let answer = self.peers.call(to, Lane::Raft, &place, &request).await;
        match answer {
            Ok(Response::ExchangeRaft(answer)) if answer.error_code == 0 => Ok(answer.message),
            Ok(Response::ExchangeRaft(answer)) => Err(TransportError::Other(format!(
                "member {to} at {place}: {}",
                answer.error_message.unwrap_or_default()
            ))),
            Ok(_) => Err(TransportError::Other("another answer".to_owned())),
            Err(Failure::Refused(reason)) => {
                // The reader may be behind: it only counts that there are refusals.
                self.refusals.try_send(to).ok();
                Err(TransportError::Refused(reason))
            }
            Err(Failure::Unreachable(reason)) => Err(TransportError::Unreachable(reason)),
            Err(Failure::Open(reason)) => Err(TransportError::Other(reason)),
        }
    }
}

/// Where a member is called.
pub(crate) fn place_of(member: &Member) -> Option<Place> {
    let endpoint = member.endpoints.first()?;
    Some(Place {
        host: endpoint.host.clone(),
        port: endpoint.port,
    })
}
