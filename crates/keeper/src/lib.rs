//! The keeper: a coordination service that ZooKeeper's clients use unchanged.
//!
//! ```text
//! clients ─▶ outbox ─▶ forwarder ─▶ the leader's desk ─▶ raft ─▶ machine ─▶ tree, watches ─▶ clients
//! ```

pub mod admin;
mod applying;
pub mod backup;
mod clients;
mod entry;
mod error;
mod forwarder;
mod json;
mod leader;
mod machine;
pub mod members;
pub mod monitor;
mod outbox;
mod reconfig;
mod server;
mod service;
mod throttle;
mod tree;
mod words;

pub use error::Error;
pub use service::{ClientPort, Handle, Options, start};
