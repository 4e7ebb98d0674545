//! DescribeConfigs (key 32): the properties of topics, brokers, groups and client-metrics
//! subscriptions, with where each value comes from; and the levels of the log.

use ottla_config::{
    ConfigEntry, ConfigSource, describe_all_brokers, describe_broker, describe_client_metrics,
    describe_group, describe_topic,
};
use ottla_metadata::{ConfigResource, Overrides, Refusal};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::config_resources::{self, BROKER, BROKER_LOGGER};
use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::log_levels;

/// Groups and client-metrics subscriptions need not exist to be described. A request may name so
/// many of those: else a small one would have an answer many hundred times its own size.
const UNSET_MAX: usize = 1_000;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeConfigsRequest,
) -> Answer<DescribeConfigsResponse> {
    let detail = Detail {
        synonyms: request.include_synonyms,
        docs: request.include_documentation,
    };
    let mut unset = UNSET_MAX;
    let results = distinct(request.resources, identity)
        .into_iter()
        .map(|r| resource(&ctx, r, detail, &mut unset))
        .collect();
    Answer::Now(DescribeConfigsResponse {
        results,
        ..DescribeConfigsResponse::default()
    })
}

/// What a resource is, however it is spelled: `01` is broker 1.
fn identity(asked: &DescribeConfigsResource) -> (i8, Text) {
    let name = &asked.resource_name;
    let name = match name.parse::<i32>() {
        Ok(id) if asked.resource_type == BROKER => Text::from(id.to_string().as_str()),
        _ => name.clone(),
    };
    (asked.resource_type, name)
}

#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    docs: bool,
}

fn resource(
    ctx: &Ctx,
    asked: DescribeConfigsResource,
    detail: Detail,
    unset: &mut usize,
) -> DescribeConfigsResult {
    let described = match asked.resource_type {
        BROKER_LOGGER => log_levels(ctx, &asked),
        _ => described(ctx, &asked, unset).map(|entries| {
            let entries = entries.into_iter().filter(|e| is_wanted(&asked, e.name));
            entries.map(|e| property(ctx.version, e, detail)).collect()
        }),
    };
    let (code, message, configs) = match described {
        Ok(configs) => (ErrorCode::None, None, configs),
        Err(refusal) => {
            let message = Text::from(refusal.message.as_str());
            (refusal.code, Some(message), Vec::new())
        }
    };
    DescribeConfigsResult {
        error_code: code.code(),
        error_message: message,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name,
        configs,
        ..DescribeConfigsResult::default()
    }
}

fn is_wanted(asked: &DescribeConfigsResource, name: &str) -> bool {
    match &asked.configuration_keys {
        // An empty list has meant all properties since before version 1.
        None => true,
        Some(keys) => keys.is_empty() || keys.iter().any(|key| **key == *name),
    }
}

/// The parts of the log with their levels (KIP-412).
fn log_levels(
    ctx: &Ctx,
    asked: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let levels = log_levels::describe(&ctx.broker, &asked.resource_name)?;
    let levels = levels
        .into_iter()
        .filter(|(part, _)| is_wanted(asked, part));
    let described = levels.map(|(part, level)| DescribeConfigsResourceResult {
        name: Text::from(part.as_str()),
        value: Some(Text::from(level)),
        config_source: ConfigSource::DynamicBrokerLoggerConfig.id(),
        ..DescribeConfigsResourceResult::default()
    });
    Ok(described.collect())
}

/// Describes a resource. `unset` is how many more may be described that nobody has set anything of.
fn described(
    ctx: &Ctx,
    asked: &DescribeConfigsResource,
    unset: &mut usize,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let broker = &ctx.broker;
    let name = &asked.resource_name;
    let resource = config_resources::resource(broker, asked.resource_type, name)?;
    let (image, config) = (broker.image(), broker.config());
    let none = Overrides::new();
    let overrides = image.configs(&resource);
    if overrides.is_none() {
        *unset = unset.checked_sub(1).ok_or_else(|| {
            config_resources::invalid(format!(
                "The request describes more than {UNSET_MAX} resources that have no settings; ask \
                 for fewer at a time"
            ))
        })?;
    }
    match &resource {
        ConfigResource::Topic(name) => match overrides {
            Some(overrides) => Ok(describe_topic(&config, overrides)),
            None => Err(Refusal::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("The topic '{name}' does not exist."),
            )),
        },
        ConfigResource::Broker(id) => Ok(describe_broker(&config, id.0)),
        ConfigResource::DefaultBroker => Ok(describe_all_brokers(&config)),
        ConfigResource::Group(name) if name.is_empty() => {
            Err(config_resources::invalid("Group name must not be empty"))
        }
        ConfigResource::Group(_) => Ok(describe_group(&config, overrides.unwrap_or(&none))),
        ConfigResource::ClientMetrics(name) if name.is_empty() => Err(config_resources::invalid(
            "Client metrics subscription name must not be empty",
        )),
        ConfigResource::ClientMetrics(_) => Ok(describe_client_metrics(overrides.unwrap_or(&none))),
    }
}

fn property(version: i16, entry: ConfigEntry, detail: Detail) -> DescribeConfigsResourceResult {
    let synonyms =
        entry
            .synonyms
            .iter()
            .filter(|_| detail.synonyms)
            .map(|s| DescribeConfigsSynonym {
                name: Text::from(s.name),
                value: s.value.as_deref().map(Text::from),
                source: s.source.id(),
                ..DescribeConfigsSynonym::default()
            });
    DescribeConfigsResourceResult {
        name: Text::from(entry.name),
        value: entry.value.as_deref().map(Text::from),
        read_only: entry.read_only,
        config_source: entry.source.id(),
        is_sensitive: entry.sensitive,
        synonyms: synonyms.collect(),
        config_type: if version >= 3 {
            entry.value_type.id()
        } else {
            0
        },
        documentation: (detail.docs && version >= 3).then(|| Text::from(entry.documentation)),
        ..DescribeConfigsResourceResult::default()
    }
}
