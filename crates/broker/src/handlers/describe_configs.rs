//! DescribeConfigs (key 32): the properties of topics and brokers, with where each value comes from.

use ottla_config::{ConfigEntry, describe_broker, describe_topic};
use ottla_model::{ErrorCode, TopicName};
use ottla_wire::Text;
use ottla_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;

/// `ResourceType`: a topic.
const TOPIC: i8 = 2;
/// `ResourceType`: a broker.
const BROKER: i8 = 4;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeConfigsRequest,
) -> Answer<DescribeConfigsResponse> {
    let detail = Detail {
        synonyms: request.include_synonyms,
        docs: request.include_documentation,
    };
    let results = distinct(request.resources, identity)
        .into_iter()
        .map(|r| resource(&ctx, r, detail))
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

fn resource(ctx: &Ctx, asked: DescribeConfigsResource, detail: Detail) -> DescribeConfigsResult {
    let entries = match asked.resource_type {
        TOPIC => topic(ctx, &asked.resource_name),
        BROKER => broker(ctx, &asked.resource_name),
        other => Err((
            ErrorCode::InvalidRequest,
            format!("Configurations of resource type {other} are not known to this node."),
        )),
    };
    let (code, message, entries) = match entries {
        Ok(entries) => (ErrorCode::None, None, entries),
        Err((code, message)) => (code, Some(Text::from(message.as_str())), Vec::new()),
    };
    let wanted = |entry: &ConfigEntry| match &asked.configuration_keys {
        // An empty list has meant all properties since before version 1.
        None => true,
        Some(keys) => keys.is_empty() || keys.iter().any(|k| **k == *entry.name),
    };
    let configs = entries
        .into_iter()
        .filter(wanted)
        .map(|e| property(ctx.version, e, detail));
    DescribeConfigsResult {
        error_code: code.code(),
        error_message: message,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name,
        configs: configs.collect(),
        ..DescribeConfigsResult::default()
    }
}

type Described = Result<Vec<ConfigEntry>, (ErrorCode, String)>;

fn topic(ctx: &Ctx, name: &str) -> Described {
    if let Err(error) = TopicName::new(name) {
        return Err((ErrorCode::InvalidTopicException, error.to_string()));
    }
    match ctx.broker.image().topic(name) {
        Some(topic) => Ok(describe_topic(&ctx.broker.config, &topic.configs)),
        None => Err((
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{name}' does not exist."),
        )),
    }
}

fn broker(ctx: &Ctx, name: &str) -> Described {
    let own = ctx.broker.node_id;
    // The empty name stands for the dynamic properties of all brokers: there are none yet.
    if name.is_empty() {
        return Ok(Vec::new());
    }
    match name.parse::<i32>() {
        Ok(id) if id == own.0 => Ok(describe_broker(&ctx.broker.config, own.0)),
        Ok(id) => Err((
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {own}, but received {id}."),
        )),
        Err(_) => Err((
            ErrorCode::InvalidRequest,
            format!("Broker id must be an integer, but it is: {name}."),
        )),
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
