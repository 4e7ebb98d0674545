//! Configuration overrides of topics, brokers, groups and client-metrics subscriptions.

use std::collections::BTreeMap;

use ottla_model::{ErrorCode, TopicName};

use super::draft::{Draft, MIN_INSYNC_REPLICAS, UNCLEAN_LEADER_ELECTION};
use super::{ConfigRules, Context};
use crate::command::{AlterConfig, AlterConfigResult, AlterConfigs, ConfigChange, ConfigOp};
use crate::command::{Refusal, Reply};
use crate::features::ELIGIBLE_LEADER_REPLICAS_VERSION;
use crate::image::{Image, Overrides};
use crate::record::{ConfigRecord, ConfigResource, Record};

/// The longest value of an override, in bytes, as in Kafka.
const VALUE_BYTES_MAX: usize = i16::MAX as usize;
/// The most overrides that one command may change; Kafka's own bound.
const CHANGES_MAX: usize = 10_000;

pub(super) fn decide(
    image: &Image,
    command: &AlterConfigs,
    context: &mut Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let changes: usize = command.resources.iter().map(|r| r.change.len()).sum();
    if changes > CHANGES_MAX {
        let message = format!(
            "The request changes {changes} configs; {CHANGES_MAX} are allowed in one request."
        );
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    let mut records = Vec::new();
    let decided = super::each_once(
        &command.resources,
        |change| &change.resource,
        "Each resource must appear at most once.",
        |change| alter(image, change, context.rules).map(|mut new| records.append(&mut new)),
    );
    let results = decided
        .into_iter()
        .map(|(change, outcome)| AlterConfigResult {
            resource: change.resource.clone(),
            outcome,
        });
    let results = results.collect();
    if command.validate_only {
        records.clear();
    }
    let records = with_consequences(image, records, context)?;
    Ok((records, Reply::AlterConfigs(results)))
}

/// What the overrides change for partitions: with a smaller `min.insync.replicas` an ISR may
/// commit what eligible replicas lack, and `unclean.leader.election.enable` lets somebody lead
/// where nobody does.
fn with_consequences(
    image: &Image,
    records: Vec<Record>,
    context: &Context<'_>,
) -> Result<Vec<Record>, Refusal> {
    let matters = |record: &Record| {
        matches!(record, Record::Config(config)
            if config.key == MIN_INSYNC_REPLICAS || config.key == UNCLEAN_LEADER_ELECTION)
    };
    if !records.iter().any(matters) {
        return Ok(records);
    }
    let mut draft = Draft::new(image, context.defaults);
    for record in records {
        draft.push(record)?;
    }
    draft.settle()?;
    Ok(draft.into_records())
}

impl ConfigChange {
    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            ConfigChange::Replace(entries) => Box::new(entries.iter().map(|(key, _)| key.as_str())),
            ConfigChange::Incremental(ops) => Box::new(ops.iter().map(|(key, _)| key.as_str())),
        }
    }

    fn len(&self) -> usize {
        match self {
            ConfigChange::Replace(entries) => entries.len(),
            ConfigChange::Incremental(ops) => ops.len(),
        }
    }
}

fn alter(
    image: &Image,
    change: &AlterConfig,
    rules: &dyn ConfigRules,
) -> Result<Vec<Record>, Refusal> {
    let resource = &change.resource;
    if let Some(key) = super::duplicates(change.change.keys()).first() {
        let message = format!("The request changes '{key}' more than once.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    check_name(resource)?;
    check_min_insync_replicas(image, change)?;
    let none = Overrides::new();
    let current = image.configs(resource).unwrap_or(&none);
    let wanted = wanted(current, change, rules)?;
    // As in Kafka, what is wrong with the values is told before that the resource is not there.
    rules.check(image, resource, &wanted)?;
    check_exists(image, resource)?;
    // A value that stays as it is needs no record.
    let set = wanted
        .iter()
        .filter(|(key, value)| current.get(*key) != Some(value))
        .map(|(key, value)| record(resource, key, Some(value.clone())));
    let taken_away = current
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .map(|key| record(resource, key, None));
    Ok(set.chain(taken_away).collect())
}

/// All overrides that the resource would have.
fn wanted(
    current: &Overrides,
    change: &AlterConfig,
    rules: &dyn ConfigRules,
) -> Result<Overrides, Refusal> {
    let ops = match &change.change {
        ConfigChange::Replace(entries) => {
            for (key, value) in entries {
                check_len(key, value)?;
            }
            return Ok(entries.iter().cloned().collect());
        }
        ConfigChange::Incremental(ops) => ops,
    };
    let mut wanted = current.clone();
    for (key, op) in ops {
        let value = match op {
            ConfigOp::Delete => {
                wanted.remove(key);
                continue;
            }
            ConfigOp::Set(value) => value.clone(),
            ConfigOp::Append(entries) | ConfigOp::Subtract(entries) => {
                let Some(default) = rules.list_default(&change.resource, key) else {
                    let verb = if matches!(op, ConfigOp::Append(_)) {
                        "APPEND"
                    } else {
                        "SUBTRACT"
                    };
                    let message =
                        format!("Can't {verb} to key {key} because its type is not LIST.");
                    return Err(Refusal::new(ErrorCode::InvalidConfig, message));
                };
                let list = current.get(key).map_or(default, String::as_str);
                altered_list(list, entries, matches!(op, ConfigOp::Append(_)))
            }
        };
        check_len(key, &value)?;
        wanted.insert(key.clone(), value);
    }
    Ok(wanted)
}

/// The list with these entries appended, or subtracted from it.
fn altered_list(list: &str, entries: &str, append: bool) -> String {
    let split = |text: &'_ str| -> Vec<String> {
        let entries = text.split(',').map(str::trim);
        entries
            .filter(|e| !e.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut list = split(list);
    for entry in split(entries) {
        if !append {
            list.retain(|known| *known != entry);
        } else if !list.contains(&entry) {
            list.push(entry);
        }
    }
    list.join(",")
}

fn check_len(key: &str, value: &str) -> Result<(), Refusal> {
    if value.len() <= VALUE_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "The configuration value of {key} cannot be added because it exceeds the maximum value \
         size of {VALUE_BYTES_MAX} bytes."
    );
    Err(Refusal::new(ErrorCode::InvalidConfig, message))
}

/// Who is eligible follows from `min.insync.replicas`: one broker cannot have another than those
/// that may lead the partition after it (KIP-966).
fn check_min_insync_replicas(image: &Image, change: &AlterConfig) -> Result<(), Refusal> {
    let of_one_broker = matches!(change.resource, ConfigResource::Broker(_));
    let elr_enabled = image.feature_level(ELIGIBLE_LEADER_REPLICAS_VERSION) > 0;
    let mut keys = change.change.keys();
    if !(of_one_broker && elr_enabled && keys.any(|key| key == MIN_INSYNC_REPLICAS)) {
        return Ok(());
    }
    let message = "Broker-level min.insync.replicas cannot be altered while ELR is enabled. Set \
                   it for all brokers, or for the topic.";
    Err(Refusal::new(ErrorCode::InvalidConfig, message))
}

fn check_name(resource: &ConfigResource) -> Result<(), Refusal> {
    let empty = match resource {
        ConfigResource::Group(name) => name
            .is_empty()
            .then_some("Default group resources are not allowed."),
        ConfigResource::ClientMetrics(name) => name
            .is_empty()
            .then_some("Subscription name can't be empty"),
        ConfigResource::Topic(_) | ConfigResource::Broker(_) | ConfigResource::DefaultBroker => {
            None
        }
    };
    match empty {
        Some(message) => Err(Refusal::new(ErrorCode::InvalidRequest, message)),
        None => Ok(()),
    }
}

fn check_exists(image: &Image, resource: &ConfigResource) -> Result<(), Refusal> {
    match resource {
        ConfigResource::Topic(name) if image.topic(name.as_str()).is_none() => {
            let message = format!("The topic '{name}' does not exist.");
            Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message))
        }
        ConfigResource::Broker(id) if image.broker(*id).is_none() => {
            let message = format!("Broker {id} is not registered.");
            Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message))
        }
        _ => Ok(()),
    }
}

/// The overrides of a new topic, or why they are refused.
pub(super) fn of_new_topic(
    image: &Image,
    name: &TopicName,
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
    for (key, value) in &overrides {
        check_len(key, value)?;
    }
    rules.check(image, &ConfigResource::Topic(name.clone()), &overrides)?;
    Ok(overrides)
}

pub(super) fn record(resource: &ConfigResource, key: &str, value: Option<String>) -> Record {
    Record::Config(ConfigRecord {
        resource: resource.clone(),
        key: key.to_owned(),
        value,
    })
}
