//! Configuration in Kafka's own words.

mod broker;
mod declare;
mod environment;
mod error;
mod field;
mod listeners;
mod load;
mod node;
mod others;
mod properties_file;
mod property;
mod sources;
mod suggest;
mod template;
mod topic;

pub use broker::BrokerProperties;
pub use error::{ConfigError, ConfigErrors, InvalidConfig};
pub use field::{CleanupPolicy, CompressionType, TimestampType};
pub use listeners::{Listener, SecurityProtocol};
pub use node::{HttpListener, Loaded, NodeConfig, NodeIdSource};
pub use property::{Area, Bounds, Change, Effect, Fallback, Property, Unit, ValueType};
pub use sources::{Level, Notice, Origin, Setting, Sources};
pub use topic::TopicConfig;
