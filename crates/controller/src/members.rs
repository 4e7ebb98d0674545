//! Members of the quorum, as the messages between nodes and as Kafka's tools speak of them.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, Uuid};
use ottla_raft::{Endpoint, Member, NodeId, State};
use ottla_wire::Text;
use ottla_wire::messages::{join_quorum_request, meet_controller_response};

/// A raft member's id as Kafka writes it.
pub(crate) fn broker_id(id: NodeId) -> BrokerId {
    BrokerId(i32::try_from(id).unwrap_or(i32::MAX))
}

/// A Kafka node's id as raft writes it.
pub(crate) fn node_id(id: BrokerId) -> NodeId {
    NodeId::try_from(id.0).unwrap_or(NodeId::MAX)
}

pub(crate) fn member(
    directory_id: Uuid,
    endpoints: &[meet_controller_response::Endpoint],
) -> Member {
    let endpoints = endpoints.iter().map(|e| Endpoint {
        listener: e.listener.to_string(),
        host: e.host.to_string(),
        port: e.port,
    });
    Member {
        endpoints: endpoints.collect(),
        directory_id,
    }
}

pub(crate) fn endpoints_of(member: &Member) -> Vec<meet_controller_response::Endpoint> {
    let endpoints = member.endpoints.iter();
    let endpoint = |e: &Endpoint| meet_controller_response::Endpoint {
        listener: Text::from(e.listener.as_str()),
        host: Text::from(e.host.as_str()),
        port: e.port,
        ..meet_controller_response::Endpoint::default()
    };
    endpoints.map(endpoint).collect()
}

pub(crate) fn joining_endpoints(member: &Member) -> Vec<join_quorum_request::Endpoint> {
    let endpoints = member.endpoints.iter();
    let endpoint = |e: &Endpoint| join_quorum_request::Endpoint {
        listener: Text::from(e.listener.as_str()),
        host: Text::from(e.host.as_str()),
        port: e.port,
        ..join_quorum_request::Endpoint::default()
    };
    endpoints.map(endpoint).collect()
}

/// The members of the quorum, voters first.
pub(crate) fn all(state: &State) -> Vec<meet_controller_response::Member> {
    let list = |members: &BTreeMap<NodeId, Member>, is_voter| {
        let each = members.iter();
        let each = each.map(|(id, member)| meet_controller_response::Member {
            node_id: broker_id(*id).0,
            directory_id: member.directory_id,
            is_voter,
            endpoints: endpoints_of(member),
            ..meet_controller_response::Member::default()
        });
        each.collect::<Vec<_>>()
    };
    let mut members = list(&state.voters, true);
    members.extend(list(&state.learners, false));
    members
}
