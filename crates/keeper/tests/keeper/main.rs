//! Servers of the keeper on real connections, spoken to in ZooKeeper's protocol.

#![allow(clippy::unwrap_used, reason = "tests")]

mod backups;
mod ensembles;
mod harness;
mod sessions;
mod throttles;
mod words;
mod writing;
