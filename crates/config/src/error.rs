//! What can be wrong with a configuration, in the words that its author sees.

use std::fmt;

use crate::sources::Setting;

/// One problem that stops the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is not of its property's type, or out of its bounds.
    #[error("{key} = {} ({}): {reason}. Allowed: {allowed}.", setting.value, setting.origin)]
    Invalid {
        /// The property.
        key: String,
        /// Its value, hidden for a secret, and where it was set.
        setting: Box<Setting>,
        /// What is wrong with it.
        reason: String,
        /// The type and the bounds.
        allowed: String,
    },
    /// The property would change behaviour and is not supported.
    #[error(
        "{key} = {} ({}) is not supported: {reason}. Remove it to start.",
        setting.value, setting.origin
    )]
    Refused {
        /// The property.
        key: String,
        /// Its value, hidden for a secret, and where it was set.
        setting: Box<Setting>,
        /// Why it is refused.
        reason: String,
    },
    /// Two values that cannot both hold.
    #[error("{keys}: {reason}.")]
    Conflict {
        /// The properties and their values.
        keys: String,
        /// Why they cannot both hold.
        reason: String,
    },
    /// A listener or an address that cannot be used.
    #[error("{key}: {entry}: {reason}.")]
    Listener {
        /// The property.
        key: String,
        /// The entry, as it was written.
        entry: String,
        /// What is wrong with it, and what to write instead.
        reason: String,
    },
    /// A template that cannot be filled in.
    #[error("{key}: {reason}.")]
    Template {
        /// The property.
        key: String,
        /// What cannot be filled in, and what can be written.
        reason: String,
    },
    /// An ordinal is needed, and the hostname ends in none.
    #[error("Failed to extract ordinal from hostname {hostname}")]
    NoOrdinal {
        /// The hostname.
        hostname: String,
    },
    /// A line of the properties file that cannot be read.
    #[error("{path}, line {line}: {reason}.")]
    Syntax {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Everything that is wrong with a configuration, at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Why settings of a topic, a group, a client-metrics subscription or a running node are refused, as
/// Kafka words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// There is no such property.
    #[error("Unknown {kind}: {name}")]
    UnknownName {
        /// What the name should be, such as `topic config name`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The value is not of the property's type, or out of its bounds.
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue {
        /// The property.
        name: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The entries of a list cannot stand together.
    #[error("Configuration '{name}' {reason}")]
    InvalidList {
        /// The property.
        name: String,
        /// What is wrong with them.
        reason: String,
    },
    /// Two settings that cannot both hold.
    #[error("conflict topic config setting {first} ({first_value}) > {second} ({second_value})")]
    Conflict {
        /// The property that must not be the larger one.
        first: &'static str,
        /// Its value.
        first_value: i64,
        /// The property that must not be the smaller one.
        second: &'static str,
        /// Its value.
        second_value: i64,
    },
    /// The property cannot change while the node runs.
    #[error(
        "Cannot update these configs dynamically: [{name}]. Set it in the node's configuration and \
         restart the node"
    )]
    NotDynamic {
        /// The property.
        name: String,
    },
    /// The property is one broker's own.
    #[error(
        "Cannot update these configs at default cluster level, broker id must be specified: [{name}]"
    )]
    NotForAllBrokers {
        /// The property.
        name: String,
    },
    /// The property is known and not supported.
    #[error("{name} is not supported: {reason}")]
    NotSupported {
        /// The property.
        name: String,
        /// Why.
        reason: String,
    },
    /// A number is out of the bounds that the node's properties set.
    #[error(
        "{name} must be in the range {} to {} inclusive, and it is {value}; {} and {} set the bounds",
        min.1, max.1, min.0, max.0
    )]
    OutOfRange {
        /// The property.
        name: &'static str,
        /// Its value.
        value: String,
        /// The property that sets the lower bound, and that bound.
        min: (&'static str, i64),
        /// The property that sets the upper bound, and that bound.
        max: (&'static str, i64),
    },
    /// A number that must be above another one is not.
    #[error("{greater} ({greater_value}) must be greater than {smaller} ({smaller_value})")]
    NotGreater {
        /// The property that must be the larger one.
        greater: &'static str,
        /// Its value.
        greater_value: i64,
        /// The property that must be the smaller one.
        smaller: &'static str,
        /// Its value.
        smaller_value: i64,
    },
    /// An entry of `match` is not understood.
    #[error("Illegal client matching pattern: {entry} ({reason})")]
    InvalidMatch {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
}
