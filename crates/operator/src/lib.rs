//! Runs clusters and ensembles on Kubernetes.
//!
//! ```text
//!   api ──┬─▶ validate ─▶ what is wrong with a resource
//!         ├─▶ render ───▶ manifests, and what each pod is told of itself
//!         ├─▶ offline ──▶ ottla operator render, crds
//!         ├─▶ install ──▶ deploy/install.yaml, the Helm chart
//!         └─▶ reference ▶ docs/kubernetes-reference.md
//!
//!   run ─▶ election ─┬▶ cluster ──▶ render, apply, observed (Kubernetes), kafka (a client's view), canary
//!                    ├▶ ensemble ─▶ the same, and servers asked in ZooKeeper's protocol
//!                    └▶ topic
//! ```
//!
//! Architecture invariants: a cluster is reached only through `ottla-client`, as any client does. All
//! of the first drawing is pure.

pub mod api;
pub mod install;
pub mod offline;
pub mod reference;
pub mod render;
pub mod validate;

mod apply;
mod canary;
mod cluster;
mod conditions;
mod context;
mod disruptions;
mod election;
mod ensemble;
mod error;
mod kafka;
mod lost;
mod metrics;
mod nodes;
mod observed;
mod progress;
mod quantity;
mod roll;
mod run;
mod status;
#[cfg(test)]
mod testing;
mod topic;
mod volumes;
mod watch;

pub use error::Error;
pub use metrics::Metrics;
pub use run::{Options, run};
