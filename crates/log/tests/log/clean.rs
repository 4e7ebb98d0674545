//! Compaction.

mod behaviour;
mod crashes;
mod model;
mod random;
mod service;
