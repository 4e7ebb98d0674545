//! Tests of the whole coordinator.

mod ending;
mod exhaustion;
mod harness;
mod initializing;
mod listing;
mod partitions;
mod properties;
mod storage;
mod time;
