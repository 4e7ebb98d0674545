//! The levels of the log's parts as resources of the type BROKER_LOGGER (KIP-412). They change at
//! once and only for this run of the node; nothing of them is stored.

use std::collections::BTreeMap;

use ottla_metadata::{ConfigChange, ConfigOp, Refusal};
use ottla_model::ErrorCode;

use crate::Broker;
use crate::config_resources::{invalid, own_id};

/// The part that all others inherit from, in Kafka's word.
pub const ROOT_LOGGER: &str = "root";
/// Kafka's names of levels, in the order of its message.
const LEVELS: &[&str] = &["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];

/// Whoever writes the log, and can be told to write more or less.
pub trait LogLevels: Send + Sync {
    /// The parts of the log with their levels; [`ROOT_LOGGER`] among them.
    fn levels(&self) -> BTreeMap<String, &'static str>;

    /// Whether there is, or may be, such a part.
    fn knows(&self, part: &str) -> bool;

    /// Sets the level of each part, one of Kafka's names; none takes the level away that was set.
    fn set(&self, changes: &[(String, Option<String>)]) -> Result<(), String>;
}

/// The levels of this node.
pub(crate) fn describe(
    broker: &Broker,
    name: &str,
) -> Result<BTreeMap<String, &'static str>, Refusal> {
    Ok(of(broker, name)?.levels())
}

/// Changes levels of this node.
pub(crate) fn alter(
    broker: &Broker,
    name: &str,
    change: &ConfigChange,
    validate_only: bool,
) -> Result<(), Refusal> {
    let levels = of(broker, name)?;
    let ConfigChange::Incremental(ops) = change else {
        return Err(invalid(
            "Unknown resource type 8: AlterConfigs does not know log levels",
        ));
    };
    let mut changes = BTreeMap::new();
    for (part, op) in ops {
        let level = level(levels, part, op)?;
        if changes.insert(part.clone(), level).is_some() {
            return Err(invalid("Error due to duplicate config keys"));
        }
    }
    if validate_only {
        return Ok(());
    }
    let changes: Vec<_> = changes.into_iter().collect();
    levels
        .set(&changes)
        .map_err(|message| Refusal::new(ErrorCode::InvalidConfig, message))?;
    tracing::warn!(?changes, "the levels of the log were changed");
    Ok(())
}

fn of<'a>(broker: &'a Broker, name: &str) -> Result<&'a dyn LogLevels, Refusal> {
    own_id(broker, name)?;
    broker
        .log_levels
        .as_deref()
        .ok_or_else(|| invalid("This process does not let its log be changed."))
}

fn level(levels: &dyn LogLevels, part: &str, op: &ConfigOp) -> Result<Option<String>, Refusal> {
    let not_allowed = |op| {
        invalid(format!(
            "{op} operation is not allowed for the BROKER_LOGGER resource"
        ))
    };
    let level = match op {
        ConfigOp::Append(_) => return Err(not_allowed("APPEND")),
        ConfigOp::Subtract(_) => return Err(not_allowed("SUBTRACT")),
        ConfigOp::Set(level) => Some(level.clone()),
        ConfigOp::Delete => None,
    };
    let wrong = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    if !levels.knows(part) {
        let parts: Vec<_> = levels.levels().into_keys().collect();
        return wrong(format!(
            "Logger {part} does not exist! There are {}, and the modules in them, such as \
             ottla_log::recovery",
            parts.join(", ")
        ));
    }
    match level {
        Some(level) if !LEVELS.contains(&level.as_str()) => wrong(format!(
            "Cannot set the log level of {part} to {level} as it is not a supported log level. \
             Valid log levels are {}",
            LEVELS.join(", ")
        )),
        None if part == ROOT_LOGGER => Err(invalid(
            "Removing the log level of the root logger is not allowed",
        )),
        level => Ok(level),
    }
}
