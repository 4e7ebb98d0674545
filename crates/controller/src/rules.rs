//! Which configuration overrides are allowed: what the declaration of the properties says.

use std::sync::Arc;

use ottla_config::{NodeConfig, TopicConfig};
use ottla_metadata::{ConfigRules, Overrides};
use ottla_model::BrokerId;

/// Judges overrides by the declared properties, on top of a node's own configuration.
#[derive(Debug, Clone)]
pub struct DeclaredRules(Arc<NodeConfig>);

impl DeclaredRules {
    /// Rules for topics on this node.
    #[must_use]
    pub fn new(node: Arc<NodeConfig>) -> Self {
        DeclaredRules(node)
    }
}

impl ConfigRules for DeclaredRules {
    fn check_topic(&self, overrides: &Overrides) -> Result<(), String> {
        match TopicConfig::resolve(&self.0, overrides) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// No property of a broker can change while it runs, so every override is refused: one that is
    /// accepted and does nothing would be worse.
    fn check_broker(&self, _: Option<BrokerId>, overrides: &Overrides) -> Result<(), String> {
        match overrides.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!(
                "{key} cannot change while the broker runs; set it in the broker's configuration \
                 and restart it"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_config::Sources;

    use super::*;

    #[test]
    fn declared_bounds_hold_for_topics_and_brokers_refuse_changes() {
        let loaded = NodeConfig::load(Sources::default()).unwrap();
        let rules = DeclaredRules::new(Arc::new(loaded.config));
        let one = |key: &str, value: &str| Overrides::from([(key.into(), value.into())]);
        assert_eq!(rules.check_topic(&one("retention.ms", "1000")), Ok(()));
        assert!(rules.check_topic(&one("retention.ms", "-7")).is_err());
        assert!(rules.check_topic(&one("retention.ms", "soon")).is_err());
        let error = rules
            .check_topic(&one("no.such.property", "1"))
            .unwrap_err();
        assert!(error.contains("no.such.property"));
        assert_eq!(rules.check_broker(None, &Overrides::new()), Ok(()));
        assert!(
            rules
                .check_broker(Some(BrokerId(1)), &one("num.partitions", "2"))
                .is_err()
        );
    }
}
