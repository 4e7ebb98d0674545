//! DescribeCluster (key 60): the brokers as this listener's clients reach them (KIP-700).

use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_wire::messages::{DescribeClusterRequest, DescribeClusterResponse};

use crate::authorized_operations;
use crate::context::{Answer, Ctx};

/// `EndpointType`: the endpoints of brokers, not of controllers (KIP-919).
const BROKERS: i8 = 1;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeClusterRequest,
) -> Answer<DescribeClusterResponse> {
    if request.endpoint_type != BROKERS {
        return Answer::Now(DescribeClusterResponse {
            error_code: ErrorCode::MismatchedEndpointType.code(),
            error_message: Some(Text::from(
                "This listener serves brokers' endpoints; ask a controller's listener for theirs.",
            )),
            endpoint_type: request.endpoint_type,
            ..DescribeClusterResponse::default()
        });
    }
    let image = ctx.broker.image();
    let brokers = ctx
        .brokers(&image, request.include_fenced_brokers)
        .into_iter()
        .map(|b| DescribeClusterBroker {
            broker_id: b.id,
            host: Text::from(b.host.as_str()),
            port: b.port,
            rack: b.rack.as_deref().map(Text::from),
            is_fenced: b.fenced,
            ..DescribeClusterBroker::default()
        });
    Answer::Now(DescribeClusterResponse {
        cluster_id: image
            .cluster_id()
            .map(|id| Text::from(id.0.as_str()))
            .unwrap_or_default(),
        controller_id: ctx.broker.node_id.0,
        brokers: brokers.collect(),
        cluster_authorized_operations: authorized_operations::if_asked(
            request.include_cluster_authorized_operations,
            authorized_operations::CLUSTER,
        ),
        ..DescribeClusterResponse::default()
    })
}
