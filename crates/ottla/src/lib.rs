//! A node of Ottla: the roles put together, and what a person and a cluster see of it.
//!
//! Architecture invariant: this is the only place where `controller`, `broker` and `keeper` meet.

mod banner;
pub mod http;
mod kafka;
pub mod late_config;
mod log_levels;
mod metrics;
mod node;
mod own;
pub mod server;

pub use kafka::Kafka;
pub use node::Node;
