//! Runs clusters and ensembles on Kubernetes.
//!
//! ```text
//!   api ──┬─▶ validate ─▶ what is wrong with a resource
//!         ├─▶ render ───▶ manifests, and what each pod is told of itself
//!         ├─▶ offline ──▶ ottla operator render, crds
//!         ├─▶ install ──▶ deploy/install.yaml, the Helm chart
//!         └─▶ reference ▶ docs/kubernetes-reference.md
//! ```
//!
//! Architecture invariant: a cluster is reached only through `ottla-client`, as any client does.

pub mod api;
pub mod install;
pub mod offline;
pub mod reference;
pub mod render;
pub mod validate;
