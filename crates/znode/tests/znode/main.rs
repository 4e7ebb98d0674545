//! The state as a client sees it, and as members replicate it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod acls;
mod backups;
mod commands;
mod creates;
mod errors;
mod fuzzing;
mod model;
mod multis;
mod quotas;
mod random;
mod reads;
mod recorded;
mod sessions;
mod snapshots;
mod world;
