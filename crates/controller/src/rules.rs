//! Which configuration overrides are allowed: what the declaration of the properties says.

use std::sync::Arc;

use ottla_config::{
    BrokerScope, ClientMetricsConfig, Dynamic, GroupConfig, InvalidConfig, NodeConfig, TopicConfig,
    broker_list_default, check_dynamic, client_metrics_list_default, group_list_default,
    topic_list_default,
};
use ottla_metadata::{ConfigResource, ConfigRules, Image, Overrides, Refusal};
use ottla_model::ErrorCode;
use parking_lot::Mutex;

/// Judges overrides by the declared properties, on top of a node's own configuration.
#[derive(Debug)]
pub struct DeclaredRules {
    node: Arc<NodeConfig>,
    /// The configuration with what is set for all brokers, kept for the next command.
    effective: Mutex<Arc<NodeConfig>>,
}

impl DeclaredRules {
    /// Rules on top of this node's configuration.
    #[must_use]
    pub fn new(node: Arc<NodeConfig>) -> Self {
        DeclaredRules {
            effective: Mutex::new(Arc::clone(&node)),
            node,
        }
    }

    /// The configuration with what the image has for all brokers. What no longer holds is left
    /// out: brokers do the same, and say so.
    fn effective(&self, image: &Image) -> Arc<NodeConfig> {
        let none = Overrides::new();
        let all_brokers = image.default_broker_configs().unwrap_or(&none);
        let mut effective = self.effective.lock();
        if effective.dynamic().all_brokers != *all_brokers {
            let dynamic = Dynamic {
                all_brokers: all_brokers.clone(),
                this_broker: Overrides::new(),
            };
            *effective = Arc::new(self.node.with_valid_dynamic(dynamic).0);
        }
        Arc::clone(&effective)
    }

    fn check_broker(
        &self,
        image: &Image,
        scope: BrokerScope,
        overrides: &Overrides,
    ) -> Result<(), InvalidConfig> {
        check_dynamic(overrides, scope)?;
        // What is set must hold together with what the node has besides.
        let dynamic = match scope {
            BrokerScope::All => Dynamic {
                all_brokers: overrides.clone(),
                this_broker: Overrides::new(),
            },
            BrokerScope::One => Dynamic {
                all_brokers: self.effective(image).dynamic().all_brokers.clone(),
                this_broker: overrides.clone(),
            },
        };
        self.node.with_dynamic(dynamic).map(drop)
    }
}

impl ConfigRules for DeclaredRules {
    fn check(
        &self,
        image: &Image,
        resource: &ConfigResource,
        overrides: &Overrides,
    ) -> Result<(), Refusal> {
        let verdict = match resource {
            ConfigResource::Topic(_) => {
                TopicConfig::resolve(&self.effective(image), overrides).map(drop)
            }
            ConfigResource::Broker(_) => self.check_broker(image, BrokerScope::One, overrides),
            ConfigResource::DefaultBroker => self.check_broker(image, BrokerScope::All, overrides),
            ConfigResource::Group(_) => GroupConfig::check(&self.effective(image), overrides),
            ConfigResource::ClientMetrics(_) => ClientMetricsConfig::resolve(overrides).map(drop),
        };
        verdict.map_err(|error| Refusal::new(code(resource, &error), error.to_string()))
    }

    fn list_default(&self, resource: &ConfigResource, key: &str) -> Option<&'static str> {
        match resource {
            ConfigResource::Topic(_) => topic_list_default(key),
            ConfigResource::Broker(_) | ConfigResource::DefaultBroker => broker_list_default(key),
            ConfigResource::Group(_) => group_list_default(key),
            ConfigResource::ClientMetrics(_) => client_metrics_list_default(key),
        }
    }
}

/// Kafka's code for it: brokers and client-metrics subscriptions have most of their refusals as
/// `INVALID_REQUEST`.
fn code(resource: &ConfigResource, error: &InvalidConfig) -> ErrorCode {
    match (resource, error) {
        (
            ConfigResource::Broker(_) | ConfigResource::DefaultBroker,
            InvalidConfig::UnknownName { .. } | InvalidConfig::NotSupported { .. },
        ) => ErrorCode::InvalidConfig,
        (ConfigResource::Broker(_) | ConfigResource::DefaultBroker, _) => ErrorCode::InvalidRequest,
        (ConfigResource::ClientMetrics(_), InvalidConfig::UnknownName { .. }) => {
            ErrorCode::InvalidRequest
        }
        (ConfigResource::ClientMetrics(_), InvalidConfig::InvalidValue { reason, .. })
            if reason.starts_with("Value must be") =>
        {
            ErrorCode::InvalidRequest
        }
        _ => ErrorCode::InvalidConfig,
    }
}

#[cfg(test)]
mod tests;
