//! Properties of a node that change while it runs (KIP-226).
//!
//! ```text
//! what counts:  this broker's own  >  that for all brokers  >  flags, environment, file  >  default
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::BrokerProperties;
use crate::error::InvalidConfig;
use crate::judge::text_of;
use crate::load::{PER_IP_OVERRIDES_FORM, per_ip_overrides};
use crate::node::{Dynamic, NodeConfig};
use crate::others;
use crate::overrides;
use crate::property::{Change, Effect, Property, ValueType};
use crate::sources::{Origin, Setting};
use crate::suggest::nearest;
use crate::topic::TopicConfig;

/// Whose properties are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerScope {
    /// Those of all brokers.
    All,
    /// Those of one broker.
    One,
}

/// Checks properties that are to be set while brokers run, each by itself.
///
/// # Errors
/// What is wrong, with the property's name: unknown, not to be changed while the node runs, not for
/// all brokers at once, out of its bounds, or not supported.
pub fn check_dynamic(
    overrides: &BTreeMap<String, String>,
    scope: BrokerScope,
) -> Result<(), InvalidConfig> {
    for name in overrides.keys() {
        let Some(property) = others::find(name) else {
            return Err(unknown(name));
        };
        match property.change {
            Change::Live => {}
            Change::PerBroker if scope == BrokerScope::One => {}
            Change::PerBroker => {
                let name = name.clone();
                return Err(InvalidConfig::NotForAllBrokers { name });
            }
            Change::Restart => {
                let name = name.clone();
                return Err(InvalidConfig::NotDynamic { name });
            }
        }
    }
    overrides::check("broker config name", &others::find, overrides)
}

/// The value that a list of a broker has by default; `None` when the property is no list.
#[must_use]
pub fn broker_list_default(name: &str) -> Option<&'static str> {
    list_default(others::find(name)?)
}

/// The value that a list has by default; `None` when the property is no list.
pub(crate) fn list_default(property: &Property) -> Option<&'static str> {
    (property.value_type == ValueType::List).then(|| property.default.unwrap_or(""))
}

fn unknown(name: &str) -> InvalidConfig {
    if let Some(Effect::Refused(reason) | Effect::NoEffect(reason)) = others::family(name) {
        return InvalidConfig::NotSupported {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
    }
    let names = others::NODE_PROPERTIES.iter().map(|property| property.name);
    let hint = nearest(name, names).map(|name| format!(". Did you mean {name}?"));
    InvalidConfig::UnknownName {
        kind: "broker config name",
        name: format!("{name}{}", hint.unwrap_or_default()),
    }
}

impl NodeConfig {
    /// The configuration with these properties set while the node runs, in place of all that were
    /// set so before.
    ///
    /// # Errors
    /// As [`check_dynamic`] says; and values that cannot hold together.
    pub fn with_dynamic(&self, dynamic: Dynamic) -> Result<NodeConfig, InvalidConfig> {
        check_dynamic(&dynamic.all_brokers, BrokerScope::All)?;
        check_dynamic(&dynamic.this_broker, BrokerScope::One)?;
        let mut settings = (*self.at_start).clone();
        for (overrides, origin) in [
            (&dynamic.all_brokers, Origin::AllBrokers),
            (&dynamic.this_broker, Origin::ThisBroker),
        ] {
            for (name, value) in overrides {
                let (value, origin) = (value.clone(), origin.clone());
                settings.insert(name.clone(), Setting { value, origin });
            }
        }
        let unreadable = |name: &str| InvalidConfig::InvalidValue {
            name: name.to_owned(),
            value: String::new(),
            reason: "The value cannot be read".to_owned(),
        };
        let broker = BrokerProperties::read(&|property: &Property| {
            text_of(property, &settings).map(str::to_owned)
        })
        .map_err(unreadable)?;
        let topic_defaults = TopicConfig::from_settings(&settings, &BTreeMap::new())?;
        check_together(&broker, &topic_defaults)?;
        let per_ip = &broker.max_connections_per_ip_overrides;
        let (max_connections_per_ip_overrides, wrong) = per_ip_overrides(per_ip);
        if let Some(entry) = wrong.first() {
            return Err(InvalidConfig::InvalidValue {
                name: "max.connections.per.ip.overrides".to_owned(),
                value: per_ip.clone(),
                reason: format!("{PER_IP_OVERRIDES_FORM}, but there is '{entry}'"),
            });
        }
        Ok(NodeConfig {
            max_connections_per_ip_overrides,
            topic_defaults,
            broker,
            settings,
            at_start: Arc::clone(&self.at_start),
            dynamic,
            ..self.clone()
        })
    }

    /// The same for properties that were checked when they were set: one that no longer holds,
    /// as another version of the node or another start may have it, is left out and named.
    #[must_use]
    pub fn with_valid_dynamic(&self, dynamic: Dynamic) -> (NodeConfig, Vec<InvalidConfig>) {
        let mut problems = Vec::new();
        let mut keep = |overrides: BTreeMap<String, String>, scope| {
            let mut kept = overrides;
            kept.retain(|name, value| {
                let one = BTreeMap::from([(name.clone(), value.clone())]);
                let checked = check_dynamic(&one, scope);
                checked.map_err(|error| problems.push(error)).is_ok()
            });
            kept
        };
        let dynamic = Dynamic {
            all_brokers: keep(dynamic.all_brokers, BrokerScope::All),
            this_broker: keep(dynamic.this_broker, BrokerScope::One),
        };
        match self.with_dynamic(dynamic) {
            Ok(config) => (config, problems),
            Err(error) => {
                problems.push(error);
                let at_start = self.with_dynamic(Dynamic::default());
                (at_start.unwrap_or_else(|_| self.clone()), problems)
            }
        }
    }

    /// What was set while the node runs.
    #[must_use]
    pub fn dynamic(&self) -> &Dynamic {
        &self.dynamic
    }

    /// Those properties among the ones set while the node runs that change nothing, with the
    /// reason.
    #[must_use]
    pub fn dynamic_without_effect(&self) -> Vec<(String, &'static str)> {
        let names = self.dynamic.all_brokers.keys();
        let names = names.chain(self.dynamic.this_broker.keys());
        let found = names.filter_map(|name| match others::find(name)?.effect {
            Effect::NoEffect(reason) => Some((name.clone(), reason)),
            _ => None,
        });
        found.collect()
    }
}

/// What must hold between several properties of a running node.
fn check_together(
    broker: &BrokerProperties,
    topic_defaults: &TopicConfig,
) -> Result<(), InvalidConfig> {
    // The setting would outlive every restart, and nobody could connect to take it back.
    let locked_out = [
        ("max.connections", broker.max_connections == 0),
        (
            "max.connections.per.ip",
            broker.max_connections_per_ip == 0
                && broker.max_connections_per_ip_overrides.is_empty(),
        ),
    ];
    if let Some((name, _)) = locked_out.iter().find(|(_, is_so)| *is_so) {
        return Err(InvalidConfig::InvalidValue {
            name: (*name).to_owned(),
            value: "0".to_owned(),
            reason: "nobody could connect any more, also not to change it back".to_owned(),
        });
    }
    if topic_defaults.retention_ms == 0 {
        return Err(InvalidConfig::InvalidValue {
            name: "log.retention.ms".to_owned(),
            value: "0".to_owned(),
            reason: "Value must be at least 1, or -1 for ever".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
