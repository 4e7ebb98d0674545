//! ListConfigResources (key 74): what there is to describe (KIP-1142). Version 0 is
//! ListClientMetricsResources (KIP-714).

use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::list_config_resources_response::ConfigResource;
use ottla_wire::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use crate::config_resources::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::context::{Answer, Ctx};

/// The types in the order of Kafka's answers.
const ALL: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];

pub(crate) async fn handle(
    ctx: Ctx,
    request: ListConfigResourcesRequest,
) -> Answer<ListConfigResourcesResponse> {
    let asked = &request.resource_types;
    if asked.iter().any(|asked| !ALL.contains(asked)) {
        return Answer::Now(ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..ListConfigResourcesResponse::default()
        });
    }
    let wanted = |resource_type: &&i8| match ctx.version {
        0 => **resource_type == CLIENT_METRICS,
        _ => asked.is_empty() || asked.contains(resource_type),
    };
    let config_resources = ALL
        .iter()
        .filter(wanted)
        .flat_map(|&resource_type| of_type(&ctx, resource_type))
        .collect();
    Answer::Now(ListConfigResourcesResponse {
        config_resources,
        ..ListConfigResourcesResponse::default()
    })
}

fn of_type(ctx: &Ctx, resource_type: i8) -> Vec<ConfigResource> {
    let image = ctx.broker.image();
    let names: Vec<Text> = match resource_type {
        GROUP => image
            .configured_groups()
            .map(|(name, _)| Text::from(name))
            .collect(),
        CLIENT_METRICS => image
            .client_metrics()
            .map(|(name, _)| Text::from(name))
            .collect(),
        BROKER | BROKER_LOGGER => {
            let brokers = ctx.live_brokers(&image).into_iter();
            brokers
                .map(|broker| Text::from(broker.id.to_string().as_str()))
                .collect()
        }
        _ => image
            .topics()
            .map(|topic| Text::from(topic.name.as_str()))
            .collect(),
    };
    let resource = |resource_name| ConfigResource {
        resource_name,
        resource_type,
        ..ConfigResource::default()
    };
    names.into_iter().map(resource).collect()
}
