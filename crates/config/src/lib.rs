//! Configuration in Kafka's own words, and in ZooKeeper's for the keeper: every property of a node,
//! of a topic and of the keeper is declared once, with its type, default, bounds, unit, whether it can
//! change while the node runs, what setting it does, and one line of prose. The typed structs, the
//! checks, the errors, the reference and `DescribeConfigs` all come from that declaration.
//!
//! ```text
//! flags  environment  server.properties  zoo.cfg
//!     \       |       /                 /
//!      NodeConfig::load ──► every problem at once, or NodeConfig and notices for the log
//!                                                        │
//!        NodeConfig::with_dynamic(what is set while it runs)
//!                                                        │
//!                       TopicConfig::resolve(node, the topic's own settings)
//!                       GroupConfig::resolve(node, the group's own settings)
//! ```
//!
//! Architecture invariant: this crate reads no file, no environment and no clock; it is given
//! their texts.

mod broker;
mod client_metrics;
mod declare;
mod describe;
mod dynamic;
mod environment;
mod error;
mod field;
mod found;
mod group;
mod judge;
mod keeper;
mod listeners;
mod load;
mod node;
mod others;
mod overrides;
mod properties_file;
mod property;
mod quorum;
mod reference;
mod sources;
mod suggest;
mod template;
mod topic;

pub use broker::BrokerProperties;
pub use client_metrics::{
    ClientMatch, ClientMetricsConfig, ClientParameter, client_metrics_list_default,
};
pub use describe::{
    ConfigEntry, ConfigSource, ConfigSynonym, describe_all_brokers, describe_broker,
    describe_client_metrics, describe_group, describe_topic,
};
pub use dynamic::{BrokerScope, broker_list_default, check_dynamic};
pub use error::{ConfigError, ConfigErrors, InvalidConfig};
pub use field::{CleanupPolicy, CompressionType, TimestampType};
pub use group::{GroupConfig, group_list_default};
pub use keeper::{
    ConfFacts, ConnectionThrottle, FourLetterWords, HostnameId, KeeperAddress, KeeperAdmin,
    KeeperAuth, KeeperConfig, KeeperContainers, KeeperLimits, KeeperListener, KeeperPeerType,
    KeeperServer, KeeperStorage, RequestThrottle, config_text,
};
pub use listeners::{Listener, SecurityProtocol};
pub use node::{Dynamic, HttpListener, Loaded, NodeConfig, NodeIdSource, Roles};
pub use property::{Area, Bounds, Change, Effect, Fallback, Property, Unit, ValueType};
pub use quorum::{QuorumConfig, QuorumServer, QuorumVoter};
pub use reference::{keeper_properties, node_properties, reference_markdown, topic_properties};
pub use sources::{Level, Notice, Origin, Setting, Sources};
pub use topic::{TopicConfig, topic_list_default};
