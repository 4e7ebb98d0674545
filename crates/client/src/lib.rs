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
mod configs;
mod consumer;
mod coordinator;
mod error;
mod fetch;
mod group_offsets;
mod groups;
mod inspect;
mod link;
mod offsets;
mod options;
mod partitioner;
mod producer;
mod quorum;
mod quotas;
mod reassignments;
mod releases;
mod retry;
mod topic_partitions;
mod transactions;

pub use admin::NewTopic;
pub use client::{Broker, Client};
pub use cluster::PartitionLeader;
pub use configs::{ConfigChange, ConfigResource};
pub use consumer::{ConsumedRecord, Consumer, ConsumerOptions, Reset, Start};
pub use error::Error;
pub use fetch::CommittedBatches;
pub use group_offsets::CommittedOffset;
pub use groups::{Assignment, GroupDescription, GroupListing, GroupMember};
pub use link::Link;
pub use offsets::{FoundOffset, OffsetAt, Produced};
pub use options::{Acks, ClientOptions};
pub use partitioner::{murmur2, partition_of_key};
pub use producer::{Delivery, Producer, ProducerOptions, ProducerRecord, RecordPlace};
pub use quorum::{Quorum, VoterEndpoint};
pub use quotas::{ClientQuotas, QuotaEntity};
pub use reassignments::{Election, OngoingReassignment, PartitionOutcome, Reassignment};
pub use transactions::{
    AbortMarker, ActiveProducer, ProducersOfPartition, TransactionFilter, TransactionListing,
    TransactionListings,
};

#[cfg(test)]
mod tests;
