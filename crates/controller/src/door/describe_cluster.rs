//! DescribeCluster (key 60), of the controllers (KIP-919).

use std::sync::Arc;

use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_wire::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::Host;
use crate::members::broker_id;

/// `EndpointType`: the endpoints of controllers.
const CONTROLLERS: i8 = 2;

pub(super) fn handle(
    host: &Arc<Host>,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != CONTROLLERS {
        return DescribeClusterResponse {
            error_code: ErrorCode::MismatchedEndpointType.code(),
            error_message: Some(Text::from(
                "This listener serves controllers' endpoints; ask a broker's listener for theirs.",
            )),
            endpoint_type: request.endpoint_type,
            ..DescribeClusterResponse::default()
        };
    }
    let Some(joined) = host.joined.get() else {
        return DescribeClusterResponse {
            error_code: ErrorCode::NotController.code(),
            error_message: Some(Text::from("The node has no cluster yet.")),
            endpoint_type: CONTROLLERS,
            ..DescribeClusterResponse::default()
        };
    };
    let state = joined.state.get();
    let controllers = state.voters.iter().filter_map(|(id, member)| {
        let endpoint = member.endpoints.first()?;
        Some(DescribeClusterBroker {
            broker_id: broker_id(*id).0,
            host: Text::from(endpoint.host.as_str()),
            port: endpoint.port.into(),
            ..DescribeClusterBroker::default()
        })
    });
    DescribeClusterResponse {
        endpoint_type: CONTROLLERS,
        cluster_id: Text::from(joined.identity.cluster_id.0.as_str()),
        controller_id: state.leader.map_or(-1, |id| broker_id(id).0),
        brokers: controllers.collect(),
        ..DescribeClusterResponse::default()
    }
}
