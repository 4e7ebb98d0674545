//! AlterConfigs (key 33): all properties of resources in place of those that they had. Newer clients
//! use IncrementalAlterConfigs.

use ottla_metadata::{ConfigChange, Refusal};
use ottla_wire::messages::alter_configs_request::AlterConfigsResource;
use ottla_wire::messages::alter_configs_response::AlterConfigsResourceResponse;
use ottla_wire::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::config_resources::{self, Altered, Asked};
use crate::context::{Answer, Ctx};

pub(crate) async fn handle(ctx: Ctx, request: AlterConfigsRequest) -> Answer<AlterConfigsResponse> {
    Answer::later(async move {
        let asked = request.resources.into_iter().map(|resource| Asked {
            resource_type: resource.resource_type,
            name: resource.resource_name.clone(),
            change: change(&resource),
        });
        let asked = asked.collect();
        let altered = config_resources::alter(&ctx.broker, asked, request.validate_only).await;
        AlterConfigsResponse {
            responses: altered.into_iter().map(response).collect(),
            ..AlterConfigsResponse::default()
        }
    })
}

fn change(resource: &AlterConfigsResource) -> Result<ConfigChange, Refusal> {
    let without_value = resource.configs.iter().filter(|c| c.value.is_none());
    let without_value: Vec<&str> = without_value.map(|c| &*c.name).collect();
    if !without_value.is_empty() {
        return Err(config_resources::no_value(&without_value));
    }
    let entries = resource.configs.iter().filter_map(|config| {
        let value = config.value.as_ref()?;
        Some((config.name.to_string(), value.to_string()))
    });
    Ok(ConfigChange::Replace(entries.collect()))
}

fn response(altered: Altered) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = altered.error();
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: altered.resource_type,
        resource_name: altered.name,
        ..AlterConfigsResourceResponse::default()
    }
}
