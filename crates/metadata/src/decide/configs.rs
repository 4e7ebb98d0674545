//! Configuration overrides of topics and brokers.

use std::collections::BTreeMap;

use ottla_model::ErrorCode;

use super::{ConfigRules, Context};
use crate::command::{AlterConfig, AlterConfigResult, AlterConfigs, Refusal, Reply};
use crate::image::{Image, Overrides};
use crate::record::{ConfigRecord, ConfigResource, Record};

pub(super) fn decide(
    image: &Image,
    command: &AlterConfigs,
    context: &mut Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let twice = super::duplicates(command.resources.iter().map(|change| &change.resource));
    let mut records = Vec::new();
    let mut results: Vec<AlterConfigResult> = Vec::new();
    for change in &command.resources {
        let outcome = if twice.contains(&change.resource) {
            if results
                .iter()
                .any(|result| result.resource == change.resource)
            {
                continue;
            }
            Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "The request names this resource more than once.",
            ))
        } else {
            alter(image, change, context.rules).map(|mut new| records.append(&mut new))
        };
        results.push(AlterConfigResult {
            resource: change.resource.clone(),
            outcome,
        });
    }
    if command.validate_only {
        records.clear();
    }
    Ok((records, Reply::AlterConfigs(results)))
}

fn alter(
    image: &Image,
    change: &AlterConfig,
    rules: &dyn ConfigRules,
) -> Result<Vec<Record>, Refusal> {
    let none = Overrides::new();
    let current = match &change.resource {
        ConfigResource::Topic(name) => match image.topic(name.as_str()) {
            Some(topic) => &topic.configs,
            None => {
                let message = format!("The topic '{name}' does not exist.");
                return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
            }
        },
        ConfigResource::Broker(id) if image.broker(*id).is_none() => {
            let message = format!("Broker {id} is not registered.");
            return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
        }
        ConfigResource::Broker(id) => image.broker_configs(*id).unwrap_or(&none),
        ConfigResource::DefaultBroker => image.default_broker_configs().unwrap_or(&none),
    };
    let keys = change.entries.iter().map(|(key, _)| key.as_str());
    if let Some(key) = super::duplicates(keys).first() {
        let message = format!("The request changes '{key}' more than once.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let mut wanted = current.clone();
    for (key, value) in &change.entries {
        match value {
            Some(value) => wanted.insert(key.clone(), value.clone()),
            None => wanted.remove(key),
        };
    }
    let verdict = match &change.resource {
        ConfigResource::Topic(_) => rules.check_topic(&wanted),
        ConfigResource::Broker(id) => rules.check_broker(Some(*id), &wanted),
        ConfigResource::DefaultBroker => rules.check_broker(None, &wanted),
    };
    verdict.map_err(|message| Refusal::new(ErrorCode::InvalidConfig, message))?;
    // A value that stays as it is needs no record.
    let changed = change
        .entries
        .iter()
        .filter(|(key, value)| current.get(key) != value.as_ref());
    Ok(changed
        .map(|(key, value)| record(&change.resource, key, value.clone()))
        .collect())
}

/// The overrides of a new topic, or why they are refused.
pub(super) fn of_new_topic(
    configs: &[(String, Option<String>)],
    rules: &dyn ConfigRules,
) -> Result<Overrides, Refusal> {
    let without_value: Vec<_> = configs
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| key.as_str())
        .collect();
    if !without_value.is_empty() {
        let message = format!("These configs have no value: {}", without_value.join(", "));
        return Err(Refusal::new(ErrorCode::InvalidConfig, message));
    }
    // As in Kafka, the last of several values for one key counts.
    let overrides: BTreeMap<_, _> = configs
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
        .collect();
    rules
        .check_topic(&overrides)
        .map_err(|message| Refusal::new(ErrorCode::InvalidConfig, message))?;
    Ok(overrides)
}

pub(super) fn record(resource: &ConfigResource, key: &str, value: Option<String>) -> Record {
    Record::Config(ConfigRecord {
        resource: resource.clone(),
        key: key.to_owned(),
        value,
    })
}
