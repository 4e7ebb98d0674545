//! The properties of client-metrics subscriptions: resources of the type CLIENT_METRICS (KIP-714).

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::declare::declare_properties;
use crate::error::InvalidConfig;
use crate::overrides;
use crate::property::{
    Bounds::{Between, NoDuplicates},
    Effect::Works,
    Property,
};

/// A compiled pattern takes no more memory than this.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

declare_properties! {
    /// What is asked of the clients that a subscription matches.
    pub struct ClientMetricsConfig { table CLIENT_METRICS_PROPERTIES }

    Resources {
        interval_ms: i32 = "300000", "interval.ms",
            Between(100, 3_600_000), Ms, Live, Works;
            "How often a client pushes its metrics."
        metrics: Vec<String> = "", "metrics",
            NoDuplicates, None, Live, Works;
            "The prefixes of the metrics' names that are asked for, separated by commas; * is all of them, and without any nothing is asked for."
        matches: Vec<String> = "", "match",
            NoDuplicates, None, Live, Works;
            "The clients that are asked: parameter=pattern, separated by commas, all of which must match. The parameters are client_instance_id, client_id, client_software_name, client_software_version, client_source_address and client_source_port; a pattern is a regular expression for the whole value. Without any, every client is asked."
    }
}

/// What a client is matched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientParameter {
    /// The id that the node gave to the client's run.
    InstanceId,
    /// `client.id`.
    ClientId,
    /// The library's name, such as `apache-kafka-java`.
    SoftwareName,
    /// The library's version.
    SoftwareVersion,
    /// The address that it connects from.
    SourceAddress,
    /// The port that it connects from.
    SourcePort,
}

impl ClientParameter {
    const ALL: &'static [ClientParameter] = &[
        ClientParameter::InstanceId,
        ClientParameter::ClientId,
        ClientParameter::SoftwareName,
        ClientParameter::SoftwareVersion,
        ClientParameter::SourceAddress,
        ClientParameter::SourcePort,
    ];

    /// The name in `match`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClientParameter::InstanceId => "client_instance_id",
            ClientParameter::ClientId => "client_id",
            ClientParameter::SoftwareName => "client_software_name",
            ClientParameter::SoftwareVersion => "client_software_version",
            ClientParameter::SourceAddress => "client_source_address",
            ClientParameter::SourcePort => "client_source_port",
        }
    }
}

/// One condition of `match`.
#[derive(Debug, Clone)]
pub struct ClientMatch {
    /// What is looked at.
    pub parameter: ClientParameter,
    pattern: Regex,
}

impl ClientMatch {
    /// Whether the whole value matches.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.pattern.is_match(value)
    }

    fn parse(entry: &str) -> Result<ClientMatch, String> {
        let (name, pattern) = entry
            .split_once('=')
            .filter(|(_, pattern)| !pattern.trim().is_empty() && !pattern.contains('='))
            .ok_or("expected parameter=pattern")?;
        let known = ClientParameter::ALL
            .iter()
            .find(|p| p.name() == name.trim());
        let parameter = *known.ok_or_else(|| {
            let names: Vec<_> = ClientParameter::ALL.iter().map(|p| p.name()).collect();
            format!("the parameter must be one of {}", names.join(", "))
        })?;
        // Kafka matches the whole value.
        let pattern = RegexBuilder::new(&format!("^(?:{})$", pattern.trim()))
            .size_limit(PATTERN_BYTES_MAX)
            .nest_limit(32)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(ClientMatch { parameter, pattern })
    }
}

impl ClientMetricsConfig {
    /// Reads a subscription's settings.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn resolve(overrides: &BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        overrides::check("client metrics configuration", &find, overrides)?;
        let text_of = |property: &Property| match overrides.get(property.name) {
            Some(value) => Some(value.clone()),
            None => property.default.map(str::to_owned),
        };
        let config = ClientMetricsConfig::read(&text_of).map_err(|name| {
            let (name, value) = (name.to_owned(), overrides.get(name).cloned());
            InvalidConfig::InvalidValue {
                name,
                value: value.unwrap_or_default(),
                reason: "The value cannot be read".to_owned(),
            }
        })?;
        config.conditions()?;
        Ok(config)
    }

    /// The conditions of `match`; a client must meet all of them. As in Kafka the last of several
    /// for one parameter counts.
    ///
    /// # Errors
    /// The entry that is none.
    pub fn conditions(&self) -> Result<Vec<ClientMatch>, InvalidConfig> {
        let mut conditions = BTreeMap::new();
        for entry in &self.matches {
            let condition =
                ClientMatch::parse(entry).map_err(|reason| InvalidConfig::InvalidMatch {
                    entry: entry.clone(),
                    reason,
                })?;
            conditions.insert(condition.parameter, condition);
        }
        Ok(conditions.into_values().collect())
    }
}

/// The value that a list of a subscription has by default; `None` when the property is no list.
#[must_use]
pub fn client_metrics_list_default(name: &str) -> Option<&'static str> {
    crate::dynamic::list_default(find(name)?)
}

/// The declaration of a property of client-metrics subscriptions.
pub(crate) fn find(name: &str) -> Option<&'static Property> {
    CLIENT_METRICS_PROPERTIES
        .iter()
        .find(|property| property.name == name)
}

#[cfg(test)]
mod tests;
