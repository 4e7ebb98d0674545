//! Runs clusters and ensembles on Kubernetes.
//!
//! Architecture invariant: a cluster is reached only through `ottla-client`, as any client does.

pub mod api;
pub mod render;

mod apply;
mod cluster;
mod conditions;
mod context;
mod election;
mod error;
mod kafka;
mod metrics;
mod nodes;
mod observed;
mod quantity;
mod run;
pub mod validate;

pub use error::Error;
pub use metrics::Metrics;
pub use run::{Options, run};
