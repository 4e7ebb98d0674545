//! Compaction.

mod behaviour;
mod crashes;
mod model;
mod service;
