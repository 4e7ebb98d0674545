//! Runs clusters and ensembles on Kubernetes.
//!
//! ```text
//!   api ─▶ validate ─▶ render ─▶ manifests          offline: the same without Kubernetes
//!                         ▲
//!   run ─▶ election ─┬▶ cluster ─▶ apply, observed (Kubernetes), kafka (a client's view), canary
//!                    ├▶ ensemble ─▶ the same, and servers asked in ZooKeeper's protocol
//!                    └▶ topic
//! ```
//!
//! Architecture invariants: a cluster is reached only through `ottla-client`, as any client does.
//! `api`, `validate` and `render` are pure; what they say is told by the same arguments alone.

pub mod api;
pub mod offline;
pub mod render;
pub mod validate;

mod apply;
mod canary;
mod cluster;
mod conditions;
mod context;
mod election;
mod ensemble;
mod error;
mod kafka;
mod metrics;
mod nodes;
mod observed;
mod progress;
mod quantity;
mod roll;
mod run;
#[cfg(test)]
mod testing;
mod topic;
mod volumes;

pub use error::Error;
pub use metrics::Metrics;
pub use run::{Options, run};
