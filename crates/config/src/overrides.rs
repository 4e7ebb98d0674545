//! Checks of what is set on top of a node's configuration: for a topic, a group, or a running node.

use std::collections::BTreeMap;

use crate::error::InvalidConfig;
use crate::property::{Effect, Property, ValueType};

/// Checks each setting by itself: its name, its type and bounds, whether it is supported at all.
///
/// `kind` is what an unknown name is called, such as `topic config name`.
pub(crate) fn check(
    kind: &'static str,
    find: &dyn Fn(&str) -> Option<&'static Property>,
    overrides: &BTreeMap<String, String>,
) -> Result<(), InvalidConfig> {
    // As in Kafka, a name that nobody knows is told before a value that is wrong.
    if let Some(name) = overrides.keys().find(|name| find(name).is_none()) {
        let name = name.clone();
        return Err(InvalidConfig::UnknownName { kind, name });
    }
    overrides
        .iter()
        .filter_map(|(name, value)| Some((find(name)?, value)))
        .try_for_each(|(property, value)| check_one(property, value))
}

fn check_one(property: &'static Property, value: &str) -> Result<(), InvalidConfig> {
    let name = property.name.to_owned();
    let shown = if property.is_sensitive() {
        "[hidden]"
    } else {
        value
    };
    if let Err(reason) = property.check(value) {
        if property.value_type == ValueType::List && reason.starts_with("values must not") {
            return Err(InvalidConfig::InvalidList { name, reason });
        }
        let value = shown.to_owned();
        return Err(InvalidConfig::InvalidValue {
            name,
            value,
            reason,
        });
    }
    match property.effect {
        Effect::Refused(reason) if !property.is_default(value) => {
            Err(InvalidConfig::InvalidValue {
                name,
                value: shown.to_owned(),
                reason: reason.to_owned(),
            })
        }
        _ => Ok(()),
    }
}
