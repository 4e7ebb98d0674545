//! Ids, offsets, epochs, topic names and error codes: the values that every layer speaks of.
//!
//! Architecture invariant: this crate does no IO, knows no time and no randomness, and depends on
//! nothing of ours.

mod client_quota;
mod coordinator_partition;
mod digest_algorithm;
mod error_code;
mod ids;
mod sabotage;
mod secret;
mod tls;
mod topic;
mod uuid;

pub use client_quota::{ClientQuotaEntity, EntityName, InvalidEntity, QuotaKey, QuotaValue};
pub use coordinator_partition::coordinator_partition;
pub use digest_algorithm::DigestAlgorithm;
pub use error_code::ErrorCode;
pub use ids::{BrokerId, ClusterId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
pub use ids::{NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP};
pub use sabotage::Sabotage;
pub use secret::Secret;
pub use tls::{ClientAuth, StoreFile, StoreFormat, TlsOptions, TlsVersion};
pub use topic::{CONSUMER_OFFSETS_TOPIC, MAX_TOPIC_NAME_LEN, TRANSACTION_STATE_TOPIC};
pub use topic::{
    InvalidTopicName, PartitionIndex, TopicId, TopicName, TopicPartition, is_internal_topic,
};
pub use uuid::{InvalidId, Uuid};
