//! The node's configuration as it counts now: the one place that follows what is set while the node
//! runs, and that gives it to whoever needs it.
//!
//! ```text
//! image: overrides of all brokers, of this one ──▶ NodeConfig::with_dynamic ──▶ Broker::config()
//!                                                        ├──▶ net: how many connections
//!                                                        ├──▶ logs: how producers are treated
//!                                                        └──▶ reconcile: topics' defaults to all logs
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use ottla_config::{Dynamic, NodeConfig};
use ottla_log::LogDir;
use ottla_metadata::{Image, Overrides};
use ottla_model::BrokerId;
use ottla_net::ConnectionLimits;
use ottla_runtime::published::Publisher;

/// Follows the node's properties.
pub(crate) struct LiveConfig {
    node_id: BrokerId,
    at_start: Arc<NodeConfig>,
    publisher: Publisher<NodeConfig>,
    net: ottla_net::Handle,
    log_dir: LogDir,
    /// The connections that the process has file descriptors for.
    connections_max: usize,
}

impl LiveConfig {
    pub(crate) fn new(
        node_id: BrokerId,
        at_start: Arc<NodeConfig>,
        publisher: Publisher<NodeConfig>,
        net: ottla_net::Handle,
        log_dir: LogDir,
        connections_max: usize,
    ) -> Self {
        LiveConfig {
            node_id,
            at_start,
            publisher,
            net,
            log_dir,
            connections_max,
        }
    }

    /// Takes over what the image has for this broker.
    pub(crate) fn follow(&self, image: &Image) {
        let overrides = |found: Option<&Overrides>| found.cloned().unwrap_or_default();
        let dynamic = Dynamic {
            all_brokers: overrides(image.default_broker_configs()),
            this_broker: overrides(image.broker_configs(self.node_id)),
        };
        let (config, problems) = self.at_start.with_valid_dynamic(dynamic);
        for problem in problems {
            tracing::error!(
                %problem,
                "a property that was set while the node ran does not hold any more; take it away \
                 with kafka-configs"
            );
        }
        for (property, reason) in config.dynamic_without_effect() {
            tracing::info!(property, "has no effect: {reason}");
        }
        tracing::info!(
            all_brokers = ?config.dynamic().all_brokers.keys().collect::<Vec<_>>(),
            this_broker = ?config.dynamic().this_broker.keys().collect::<Vec<_>>(),
            "properties that are set while the node runs"
        );
        let limits = connection_limits(&config, self.connections_max);
        self.net.set_connection_limits(limits);
        let broker = &config.broker;
        self.log_dir.update_producer_rules(
            broker.producer_id_expiration_ms.into(),
            broker.transaction_partition_verification_enable,
        );
        self.publisher.publish(config);
    }
}

/// How many connections there may be; `max` is what the process has file descriptors for.
pub(crate) fn connection_limits(config: &NodeConfig, max: usize) -> ConnectionLimits {
    let count = |n: i32| usize::try_from(n).unwrap_or(0);
    let overrides: HashMap<_, _> = config
        .max_connections_per_ip_overrides
        .iter()
        .filter_map(|(ip, max)| Some((ip.parse().ok()?, count(*max))))
        .collect();
    ConnectionLimits {
        max: count(config.broker.max_connections).min(max),
        max_per_ip: count(config.broker.max_connections_per_ip),
        overrides,
    }
}
