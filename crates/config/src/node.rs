//! A node's configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::BrokerProperties;
use crate::keeper::KeeperConfig;
use crate::listeners::Listener;
use crate::quorum::QuorumConfig;
use crate::sources::{Notice, Setting};
use crate::topic::TopicConfig;

/// Where the node's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeIdSource {
    /// `node.id` or `broker.id` says it.
    Given(i32),
    /// The number at the end of the hostname, plus `ottla.node.id.ordinal.offset`.
    FromOrdinal {
        /// The hostname's number.
        ordinal: i32,
        /// What is added to it.
        offset: i32,
    },
    /// The data directory keeps it; a new one gets 0.
    FromDataOrDefault,
}

impl NodeIdSource {
    /// The id, unless only the data directory knows it.
    #[must_use]
    pub fn configured(self) -> Option<i32> {
        match self {
            NodeIdSource::Given(id) => Some(id),
            NodeIdSource::FromOrdinal { ordinal, offset } => ordinal.checked_add(offset),
            NodeIdSource::FromDataOrDefault => None,
        }
    }
}

/// `process.roles`: one of them at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// It serves clients.
    pub broker: bool,
    /// It votes in the metadata quorum.
    pub controller: bool,
    /// It serves clients of ZooKeeper.
    pub keeper: bool,
}

/// The address of the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpListener {
    /// The host to bind, without brackets; empty is every interface.
    pub host: String,
    /// The port; 0 is any free one.
    pub port: u16,
}

/// A node's configuration: checked, with everything that is put together from several properties.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// Where the node's id comes from.
    pub node_id: NodeIdSource,
    /// What the process does.
    pub roles: Roles,
    /// The keeper, if the process has that role.
    pub keeper: Option<KeeperConfig>,
    /// The controllers and how to find them.
    pub quorum: QuorumConfig,
    /// The listeners of the broker, in the order given; none for a controller alone.
    pub listeners: Vec<Listener>,
    /// The listeners for the metadata quorum; none for a broker alone, and for a node that is a
    /// cluster of its own.
    pub controller_listeners: Vec<Listener>,
    /// The name of the listener that brokers use among themselves.
    pub inter_broker_listener_name: String,
    /// Where health checks and metrics are served, if at all.
    pub http_listener: Option<HttpListener>,
    /// The data directories, at least one.
    pub log_dirs: Vec<String>,
    /// Limits of connections for single addresses, from `max.connections.per.ip.overrides`.
    pub max_connections_per_ip_overrides: BTreeMap<String, i32>,
    /// The properties of a topic without settings of its own.
    pub topic_defaults: TopicConfig,
    /// Every property of the broker.
    pub broker: BrokerProperties,
    /// What counts of all that is set, by property, with its origin.
    pub(crate) settings: BTreeMap<String, Setting>,
    /// What was set at the start.
    pub(crate) at_start: Arc<BTreeMap<String, Setting>>,
    /// What was set since, for all brokers and for this one.
    pub(crate) dynamic: Dynamic,
}

/// What was set while the node runs: property names with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// For all brokers.
    pub all_brokers: BTreeMap<String, String>,
    /// For this broker; these count before those for all.
    pub this_broker: BTreeMap<String, String>,
}

/// A configuration and what to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: NodeConfig,
    /// What to log once.
    pub notices: Vec<Notice>,
}
