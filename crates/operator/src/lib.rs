//! Runs clusters and ensembles on Kubernetes.
//!
//! Architecture invariant: a cluster is reached only through `ottla-client`, as any client does.

pub mod api;
pub mod install;
pub mod offline;
pub mod render;
pub mod validate;
