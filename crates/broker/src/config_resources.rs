//! Resources that have configurations, as requests name them; AlterConfigs, IncrementalAlterConfigs
//! and DescribeConfigs share this.

use std::collections::{BTreeMap, BTreeSet};

use ottla_metadata::{AlterConfig, AlterConfigs, Command, ConfigChange, ConfigResource};
use ottla_metadata::{Refusal, Reply};
use ottla_model::{BrokerId, ErrorCode, TopicName};
use ottla_wire::Text;

use crate::Broker;
use crate::log_levels;

/// Kafka's numbers of resource types.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const BROKER_LOGGER: i8 = 8;
pub(crate) const CLIENT_METRICS: i8 = 16;
pub(crate) const GROUP: i8 = 32;

/// A resource of a request: its type, its name, and what shall happen to it.
pub(crate) struct Asked<T> {
    pub(crate) resource_type: i8,
    pub(crate) name: Text,
    pub(crate) change: T,
}

/// What became of it.
pub(crate) struct Altered {
    pub(crate) resource_type: i8,
    pub(crate) name: Text,
    pub(crate) outcome: Result<(), Refusal>,
}

impl Altered {
    pub(crate) fn error(&self) -> (i16, Option<Text>) {
        match &self.outcome {
            Ok(()) => (ErrorCode::None.code(), None),
            Err(refusal) => (
                refusal.code.code(),
                Some(Text::from(refusal.message.as_str())),
            ),
        }
    }
}

/// The resource that is meant, or why there can be none like it.
pub(crate) fn resource(
    broker: &Broker,
    resource_type: i8,
    name: &str,
) -> Result<ConfigResource, Refusal> {
    match resource_type {
        TOPIC if name.is_empty() => Err(invalid("Default topic resources are not allowed.")),
        TOPIC => match TopicName::new(name) {
            Ok(name) => Ok(ConfigResource::Topic(name)),
            Err(error) => Err(Refusal::new(
                ErrorCode::InvalidTopicException,
                error.to_string(),
            )),
        },
        BROKER if name.is_empty() => Ok(ConfigResource::DefaultBroker),
        BROKER => own_id(broker, name).map(ConfigResource::Broker),
        CLIENT_METRICS => Ok(ConfigResource::ClientMetrics(name.to_owned())),
        GROUP => Ok(ConfigResource::Group(name.to_owned())),
        other => Err(invalid(format!("Unknown resource type {other}"))),
    }
}

/// The broker that is meant, which must be this one.
pub(crate) fn own_id(broker: &Broker, name: &str) -> Result<BrokerId, Refusal> {
    let own = broker.node_id;
    match name.parse::<i32>() {
        Ok(id) if id == own.0 => Ok(own),
        Ok(_) => Err(invalid(format!(
            "Unexpected broker id, expected {own} or empty string, but received {name}"
        ))),
        Err(_) => Err(invalid(format!(
            "Broker id must be an integer, but it is: {name}"
        ))),
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

/// Refuses properties that have no value.
pub(crate) fn no_value(names: &[&str]) -> Refusal {
    invalid(format!(
        "Null value not supported for : {}",
        names.join(", ")
    ))
}

/// Has the controller make the changes. A resource that is named twice is refused and answered
/// once.
pub(crate) async fn alter(
    broker: &Broker,
    asked: Vec<Asked<Result<ConfigChange, Refusal>>>,
    validate_only: bool,
) -> Vec<Altered> {
    let mut loggers = Vec::new();
    let mut resources = Vec::new();
    let mut answers = Vec::with_capacity(asked.len());
    let mut seen = BTreeSet::new();
    for one in asked {
        if one.resource_type == BROKER_LOGGER {
            loggers.push(one);
            continue;
        }
        let found = resource(broker, one.resource_type, &one.name);
        let meant = match found.and_then(|resource| Ok((resource, one.change?))) {
            Ok((resource, change)) => {
                resources.push(AlterConfig {
                    resource: resource.clone(),
                    change,
                });
                Ok(resource)
            }
            Err(refusal) => Err(refusal),
        };
        if seen.insert((one.resource_type, one.name.clone())) {
            answers.push((one.resource_type, one.name, meant));
        }
    }
    let outcomes = submit(broker, resources, validate_only).await;
    let answer = |(resource_type, name, meant): (i8, Text, Result<ConfigResource, Refusal>)| {
        let outcome = meant.and_then(|resource| match &outcomes {
            Ok(outcomes) => match outcomes.get(&resource) {
                Some(outcome) => outcome.clone(),
                None => Err(Refusal::new(ErrorCode::UnknownServerError, "")),
            },
            Err(refusal) => Err(refusal.clone()),
        });
        Altered {
            resource_type,
            name,
            outcome,
        }
    };
    let altered = answers.into_iter().map(answer);
    let loggers = alter_log_levels(broker, loggers, validate_only);
    altered.chain(loggers).collect()
}

/// Log levels are the node's own: the controller has no part in them.
fn alter_log_levels(
    broker: &Broker,
    asked: Vec<Asked<Result<ConfigChange, Refusal>>>,
    validate_only: bool,
) -> Vec<Altered> {
    let mut times: BTreeMap<Text, usize> = BTreeMap::new();
    for one in &asked {
        *times.entry(one.name.clone()).or_default() += 1;
    }
    let mut altered = Vec::new();
    for one in asked {
        // A name that stands more than once is answered the first time.
        let outcome = match times.remove(&one.name) {
            None => continue,
            Some(1) => one
                .change
                .and_then(|change| log_levels::alter(broker, &one.name, &change, validate_only)),
            Some(_) => Err(invalid("Each resource must appear at most once.")),
        };
        altered.push(Altered {
            resource_type: one.resource_type,
            name: one.name,
            outcome,
        });
    }
    altered
}

type Outcomes = BTreeMap<ConfigResource, Result<(), Refusal>>;

async fn submit(
    broker: &Broker,
    resources: Vec<AlterConfig>,
    validate_only: bool,
) -> Result<Outcomes, Refusal> {
    if resources.is_empty() {
        return Ok(BTreeMap::new());
    }
    let command = Command::AlterConfigs(AlterConfigs {
        resources,
        validate_only,
    });
    match broker.submit(command).await? {
        Reply::AlterConfigs(results) => Ok(results
            .into_iter()
            .map(|result| (result.resource, result.outcome))
            .collect()),
        _ => Err(Refusal::new(ErrorCode::UnknownServerError, "")),
    }
}
