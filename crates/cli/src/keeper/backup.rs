//! Backups: `ottla keeper snapshot`, `restore` and `import`, over AdminServer's HTTP.
//!
//! ```text
//!   snapshot  GET  ─▶ a snapshot of ZooKeeper's ─▶ FILE
//!   restore   FILE ─▶ POST
//!   import    a ZooKeeper's directory ─▶ its newest snapshot, and the log behind it ─▶ State
//!                                     ─▶ a snapshot of ZooKeeper's ─▶ POST, onto nothing
//! ```
//!
//! The servers may as well be Apache ZooKeeper's from 3.9 on, which restore one server at a time.

mod admin;
mod directory;
mod http;
mod import;
mod restore;
mod snapshot;
mod source;

pub(super) use import::{ImportArgs, run as import};
pub(super) use restore::{RestoreArgs, run as restore};
pub(super) use snapshot::{SnapshotArgs, run as snapshot};

use ottla_runtime::Runtime;

use super::connection::Target;
use crate::Streams;
use crate::globals::Globals;

/// What these commands work with.
pub(super) struct Context<'a> {
    pub(super) target: &'a Target,
    pub(super) globals: &'a Globals,
    pub(super) runtime: &'a Runtime,
    pub(super) streams: &'a mut Streams,
}
