//! A Kafka client for our own tools and tests.
//!
//! ```text
//!   Producer ─┐
//!   Consumer ─┼─▶ Client ─▶ leaders by partition ─▶ Link (one connection per broker,
//!   tools ────┘     │         (metadata)             requests pipelined in order)
//!                   └─ retries with backoff within a deadline
//! ```
//!
//! It speaks the newest version that both sides know. Groups are not joined; offsets of a group
//! can be committed and read.

mod admin;
mod client;
mod cluster;
mod consumer;
mod error;
mod link;
mod offsets;
mod options;
mod partitioner;
mod producer;
mod retry;

pub use admin::{ConfigResource, NewTopic};
pub use client::{Broker, Client};
pub use cluster::PartitionLeader;
pub use consumer::{ConsumedRecord, Consumer, ConsumerOptions, Reset, Start};
pub use error::Error;
pub use offsets::{CommittedOffset, FoundOffset, OffsetAt, Produced};
pub use options::{Acks, ClientOptions};
pub use partitioner::{murmur2, partition_of_key};
pub use producer::{Delivery, Producer, ProducerOptions, ProducerRecord, RecordPlace};

#[cfg(test)]
mod tests;
