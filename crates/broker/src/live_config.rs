//! The node's configuration as it counts now: the one place that follows what is set while the node
//! runs, and that gives it to whoever needs it.
//!
//! ```text
//! image: overrides of all brokers, of this one ──▶ NodeConfig::with_dynamic ──▶ Broker::config()
//!                                                        ├──▶ net: how many connections
//!                                                        ├──▶ logs: how producers are treated, compaction
//!                                                        └──▶ reconcile: topics' defaults to all logs
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::{Dynamic, NodeConfig};
use ottla_log::{CleanerHandle, CleanerOptions, LogDir};
use ottla_metadata::{ClientQuotas, Image, Overrides};
use ottla_model::{BrokerId, ClientQuotaEntity, EntityName, QuotaKey};
use ottla_net::{ConnectionLimits, IpCreationRates};
use ottla_runtime::published::Publisher;

/// Follows the node's properties.
pub(crate) struct LiveConfig {
    node_id: BrokerId,
    at_start: Arc<NodeConfig>,
    publisher: Publisher<NodeConfig>,
    net: ottla_net::Handle,
    log_dir: LogDir,
    cleaner: CleanerHandle,
    limits: Limits,
}

/// What the machine allows, whatever is configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The connections that the process has file descriptors for.
    pub(crate) connections_max: usize,
    /// The memory that compaction may take for its maps of keys.
    pub(crate) dedupe_buffer_bytes_max: u64,
}

impl LiveConfig {
    pub(crate) fn new(
        node_id: BrokerId,
        at_start: Arc<NodeConfig>,
        publisher: Publisher<NodeConfig>,
        net: ottla_net::Handle,
        log_dir: LogDir,
        cleaner: CleanerHandle,
        limits: Limits,
    ) -> Self {
        LiveConfig {
            node_id,
            at_start,
            publisher,
            net,
            log_dir,
            cleaner,
            limits,
        }
    }

    /// Takes over the quotas of addresses.
    pub(crate) fn follow_quotas(&self, quotas: &ClientQuotas) {
        self.net.set_ip_creation_rates(ip_creation_rates(quotas));
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
        let limits = connection_limits(&config, self.limits.connections_max);
        self.net.set_connection_limits(limits);
        self.cleaner
            .reconfigure(cleaner_options(&config, self.limits));
        let broker = &config.broker;
        self.log_dir.update_producer_rules(
            broker.producer_id_expiration_ms.into(),
            broker.transaction_partition_verification_enable,
        );
        self.publisher.publish(config);
    }
}

/// How fast addresses may make connections, as the quotas of an image say.
fn ip_creation_rates(quotas: &ClientQuotas) -> IpCreationRates {
    let mut rates = IpCreationRates::default();
    for (entity, limits) in quotas.iter() {
        let limit = limits.get(&QuotaKey::ConnectionCreationRate);
        let (ClientQuotaEntity::Ip(ip), Some(limit)) = (entity, limit) else {
            continue;
        };
        // Quotas of addresses are whole numbers, which the metadata has checked.
        let rate = limit.0 as u32;
        match ip {
            EntityName::Default => rates.default = Some(rate),
            EntityName::Named(ip) => {
                if let Ok(ip) = ip.parse::<IpAddr>() {
                    rates.by_ip.insert(ip.to_canonical(), rate);
                }
            }
        }
    }
    rates
}

/// How logs are compacted (`log.cleaner.*`).
pub(crate) fn cleaner_options(config: &NodeConfig, limits: Limits) -> CleanerOptions {
    let broker = &config.broker;
    let dedupe = u64::try_from(broker.log_cleaner_dedupe_buffer_size).unwrap_or(0);
    let backoff_ms = u64::try_from(broker.log_cleaner_backoff_ms).unwrap_or(0);
    CleanerOptions {
        enabled: broker.log_cleaner_enable,
        threads: usize::try_from(broker.log_cleaner_threads).unwrap_or(1),
        dedupe_buffer_bytes: dedupe.min(limits.dedupe_buffer_bytes_max),
        load_factor: broker.log_cleaner_io_buffer_load_factor,
        io_buffer_bytes: usize::try_from(broker.log_cleaner_io_buffer_size).unwrap_or(0),
        io_max_bytes_per_second: broker.log_cleaner_io_max_bytes_per_second,
        backoff: Duration::from_millis(backoff_ms),
        decompressed_bytes_max: usize::try_from(broker.socket_request_max_bytes).unwrap_or(0),
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
        // Kafka's default says that there is no limit.
        creation_rate: match config.broker.max_connection_creation_rate {
            i32::MAX => None,
            rate => Some(rate.unsigned_abs()),
        },
    }
}
