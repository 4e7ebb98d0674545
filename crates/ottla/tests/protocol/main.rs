//! What a node answers to frames of Kafka's protocol: every API that it advertises, in every
//! version, and Kafka's own errors.
#![allow(clippy::unwrap_used, reason = "tests")]

mod admin;
mod cluster;
mod compaction;
mod configs;
mod configuration;
mod consumer_groups;
mod deleting;
mod fetching;
mod groups;
mod harness;
mod hostile;
mod offsets;
mod pipelining;
mod producing;
mod quotas;
mod reading;
mod telemetry;
mod topics;
mod transactional_offsets;
mod transactions;
mod versions;
