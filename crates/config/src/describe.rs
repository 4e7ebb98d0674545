//! What `DescribeConfigs` says.

use std::collections::BTreeMap;

use crate::client_metrics::CLIENT_METRICS_PROPERTIES;
use crate::group::GROUP_PROPERTIES;
use crate::judge::text_of;
use crate::node::NodeConfig;
use crate::others::{self, NODE_PROPERTIES};
use crate::property::{Change, Effect, Property, ValueType, split_list};
use crate::topic::{TOPIC_PROPERTIES, inherited};

/// Where a described value comes from; the number is the one that `DescribeConfigs` sends
/// (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// The topic's own setting.
    DynamicTopicConfig = 1,
    /// Set for this broker while it runs.
    DynamicBrokerConfig = 2,
    /// Set for all brokers while they run.
    DynamicDefaultBrokerConfig = 3,
    /// The node's setting: flag, environment or file.
    StaticBrokerConfig = 4,
    /// Nothing is set.
    DefaultConfig = 5,
    /// The level of a part of the log (KIP-412).
    DynamicBrokerLoggerConfig = 6,
    /// The subscription's own setting (KIP-714).
    ClientMetricsConfig = 7,
    /// The group's own setting (KIP-848).
    GroupConfig = 8,
}

impl ConfigSource {
    /// The number in `DescribeConfigs`.
    #[must_use]
    pub fn id(self) -> i8 {
        self as i8
    }
}

/// One value that a property has somewhere; the first of several is the one that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The property's name there.
    pub name: &'static str,
    /// Its value; `None` for a secret.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// One described property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The property.
    pub name: &'static str,
    /// The value that counts; `None` for a secret, and for what is unset and has no default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// Whether it changes at the next start only.
    pub read_only: bool,
    /// Whether it is a secret.
    pub sensitive: bool,
    /// Its type.
    pub value_type: ValueType,
    /// Every place that gives it a value, the one that counts first.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it is, in a sentence or two.
    pub documentation: String,
}

/// Describes every property of a topic. The overrides are the topic's own settings, checked
/// before.
#[must_use]
pub fn describe_topic(node: &NodeConfig, overrides: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
    let of_topic = ConfigSource::DynamicTopicConfig;
    describe_on_node(node, TOPIC_PROPERTIES, overrides, of_topic)
}

/// Describes every property of a group. The overrides are the group's own settings.
#[must_use]
pub fn describe_group(node: &NodeConfig, overrides: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
    describe_on_node(node, GROUP_PROPERTIES, overrides, ConfigSource::GroupConfig)
}

/// Describes every property of a client-metrics subscription with these settings.
#[must_use]
pub fn describe_client_metrics(overrides: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
    let source = ConfigSource::ClientMetricsConfig;
    CLIENT_METRICS_PROPERTIES
        .iter()
        .map(|property| {
            let own = overrides.get(property.name);
            let synonyms = own.map(|value| synonym(property, value, source));
            let value = own.map(String::as_str).or(property.default);
            let synonyms = synonyms.into_iter().collect();
            entry(property, value.map(str::to_owned), synonyms, false)
        })
        .collect()
}

/// Describes the properties of something that falls back to the node's.
fn describe_on_node(
    node: &NodeConfig,
    properties: &[Property],
    overrides: &BTreeMap<String, String>,
    source: ConfigSource,
) -> Vec<ConfigEntry> {
    let describe = |property: &Property| {
        let own = overrides.get(property.name);
        let mut synonyms: Vec<_> = own
            .map(|v| synonym(property, v, source))
            .into_iter()
            .collect();
        let names = property.fallbacks.iter().map(|fallback| fallback.name);
        synonyms.extend(node_synonyms(node, names));
        let value = own.cloned().or_else(|| inherited(property, &node.settings));
        entry(property, value, synonyms, false)
    };
    properties.iter().map(describe).collect()
}

/// Describes every property of a node, whose id is `node_id`.
#[must_use]
pub fn describe_broker(node: &NodeConfig, node_id: i32) -> Vec<ConfigEntry> {
    NODE_PROPERTIES
        .iter()
        .map(|property| {
            let value = match property.name {
                "node.id" | "broker.id" => Some(node_id.to_string()),
                _ => text_of(property, &node.settings).map(str::to_owned),
            };
            let synonyms = node_synonyms(node, same_meaning(property.name).into_iter());
            let read_only = property.change == Change::Restart;
            entry(property, value, synonyms, read_only)
        })
        .collect()
}

/// Describes what is set for all brokers while they run, and nothing else.
#[must_use]
pub fn describe_all_brokers(node: &NodeConfig) -> Vec<ConfigEntry> {
    let set = node.dynamic.all_brokers.iter();
    set.filter_map(|(name, value)| {
        let property = others::find(name)?;
        let source = ConfigSource::DynamicDefaultBrokerConfig;
        let synonyms = vec![synonym(property, value, source)];
        Some(entry(property, Some(value.clone()), synonyms, false))
    })
    .collect()
}

fn entry(
    property: &Property,
    value: Option<String>,
    synonyms: Vec<ConfigSynonym>,
    read_only: bool,
) -> ConfigEntry {
    let sensitive = property.is_sensitive();
    ConfigEntry {
        name: property.name,
        value: value
            .filter(|_| !sensitive)
            .map(|value| normal(property, &value)),
        source: synonyms
            .first()
            .map_or(ConfigSource::DefaultConfig, |synonym| synonym.source),
        read_only,
        sensitive,
        value_type: property.value_type,
        synonyms,
        documentation: documentation(property),
    }
}

/// The prose of a property, with what setting it does unless it simply works.
pub(crate) fn documentation(property: &Property) -> String {
    match property.effect {
        Effect::Works => property.doc.to_owned(),
        Effect::NoEffect(reason) => {
            format!("{} Setting it has no effect: {reason}.", property.doc)
        }
        Effect::Refused(reason) => {
            format!("{} Only the default is accepted: {reason}.", property.doc)
        }
    }
}

/// The names that set the same thing in different units, the strongest first.
fn same_meaning(name: &'static str) -> Vec<&'static str> {
    TOPIC_PROPERTIES
        .iter()
        .map(|property| property.fallbacks)
        .find(|fallbacks| fallbacks.iter().any(|fallback| fallback.name == name))
        .map_or_else(
            || vec![name],
            |fallbacks| fallbacks.iter().map(|fallback| fallback.name).collect(),
        )
}

/// What the node's properties of these names are set to while it runs and at its start, then what
/// their defaults are.
fn node_synonyms(
    node: &NodeConfig,
    names: impl Iterator<Item = &'static str>,
) -> Vec<ConfigSynonym> {
    let properties: Vec<&'static Property> = names.filter_map(others::find).collect();
    let all = |source, value_of: &dyn Fn(&'static Property) -> Option<String>| {
        let with_value = properties.iter().filter_map(|p| Some((p, value_of(p)?)));
        with_value
            .map(|(property, value)| synonym(property, &value, source))
            .collect::<Vec<_>>()
    };
    let dynamic = &node.dynamic;
    [
        all(ConfigSource::DynamicBrokerConfig, &|p| {
            dynamic.this_broker.get(p.name).cloned()
        }),
        all(ConfigSource::DynamicDefaultBrokerConfig, &|p| {
            dynamic.all_brokers.get(p.name).cloned()
        }),
        all(ConfigSource::StaticBrokerConfig, &|p| {
            Some(node.at_start.get(p.name)?.value.clone())
        }),
        all(ConfigSource::DefaultConfig, &|p| {
            p.default.map(str::to_owned)
        }),
    ]
    .concat()
}

fn synonym(property: &Property, value: &str, source: ConfigSource) -> ConfigSynonym {
    ConfigSynonym {
        name: property.name,
        value: Some(normal(property, value)).filter(|_| !property.is_sensitive()),
        source,
    }
}

/// A value as Kafka prints it: without blanks around it or its entries.
fn normal(property: &Property, value: &str) -> String {
    match property.value_type {
        ValueType::List => split_list(value).join(","),
        ValueType::Boolean => value.trim().to_lowercase(),
        _ => value.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests;
