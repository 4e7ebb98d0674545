//! IncrementalAlterConfigs (key 44): single properties of resources are set, deleted, or have entries
//! added to their list or taken out of it (KIP-339).

use ottla_metadata::{ConfigChange, ConfigOp, Refusal};
use ottla_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use ottla_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use ottla_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::config_resources::{self, Altered, Asked};
use crate::context::{Answer, Ctx};

/// Kafka's numbers of operations.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) async fn handle(
    ctx: Ctx,
    request: IncrementalAlterConfigsRequest,
) -> Answer<IncrementalAlterConfigsResponse> {
    Answer::later(async move {
        let asked = request.resources.into_iter().map(|resource| Asked {
            resource_type: resource.resource_type,
            name: resource.resource_name.clone(),
            change: change(&resource),
        });
        let asked = asked.collect();
        let altered = config_resources::alter(&ctx.broker, asked, request.validate_only).await;
        IncrementalAlterConfigsResponse {
            responses: altered.into_iter().map(response).collect(),
            ..IncrementalAlterConfigsResponse::default()
        }
    })
}

fn change(resource: &AlterConfigsResource) -> Result<ConfigChange, Refusal> {
    let needs_value = |c: &&AlterableConfig| c.config_operation != DELETE && c.value.is_none();
    let without_value = resource.configs.iter().filter(needs_value);
    let without_value: Vec<&str> = without_value.map(|c| &*c.name).collect();
    if !without_value.is_empty() {
        return Err(config_resources::no_value(&without_value));
    }
    let ops: Result<Vec<_>, Refusal> = resource
        .configs
        .iter()
        .map(|config| Ok((config.name.to_string(), operation(config)?)))
        .collect();
    ops.map(ConfigChange::Incremental)
}

fn operation(config: &AlterableConfig) -> Result<ConfigOp, Refusal> {
    let value = || config.value.as_deref().unwrap_or_default().to_owned();
    match config.config_operation {
        SET => Ok(ConfigOp::Set(value())),
        DELETE => Ok(ConfigOp::Delete),
        APPEND => Ok(ConfigOp::Append(value())),
        SUBTRACT => Ok(ConfigOp::Subtract(value())),
        other => Err(config_resources::invalid(format!(
            "Unknown operations type {other} for {}",
            config.name
        ))),
    }
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
