//! The metadata quorum node, for now a quorum of one.
//!
//! ```text
//! command ─▶ decide ─▶ append (durable) ─▶ apply ─▶ publish ─▶ reply
//!             │ on the image that earlier commands of the same round lead to
//!
//! <log dir>/meta.properties                         whose volume this is (identity)
//! <log dir>/__cluster_metadata-0/*.log              the records, one batch a command
//! <log dir>/__cluster_metadata-0/N-E.checkpoint     the image of all records below offset N
//! ```
//!
//! Commands that wait together are decided one after the other and share one append. A command's
//! records stand in one batch, so that after a crash all of them are there or none.
//!
//! After so many records or bytes the image is written as a snapshot, and the segments and
//! snapshots that it replaces are deleted: the time to start stays bounded.
//!
//! Architecture invariant: brokers do not know this crate. They hold the two ends that
//! [`Handle::caller`] and [`Handle::published`] give.

mod batch;
mod error;
#[cfg(test)]
mod fixture;
mod handle;
mod identity;
mod rules;
mod service;
mod snapshot;
mod store;

pub use error::Error;
pub use handle::{Commands, Handle};
pub use identity::{DEFAULT_NODE_ID, Identity, IdentityOptions, META_PROPERTIES};
pub use rules::DeclaredRules;
pub use service::{Controller, Options, Service};
