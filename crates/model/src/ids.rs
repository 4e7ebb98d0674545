//! Numbers that the protocol speaks of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The position of a record in its partition; the first record has offset 0.
pub type Offset = i64;
/// Milliseconds since the Unix epoch; [`NO_TIMESTAMP`] means none.
pub type TimestampMs = i64;
/// The number of a leader's term in one partition (KIP-101).
pub type LeaderEpoch = i32;
/// The id under which a producer's sequences are remembered (KIP-98).
pub type ProducerId = i64;
/// The term of a producer id; a higher one fences the lower ones (KIP-98).
pub type ProducerEpoch = i16;

/// "No timestamp" in records and requests.
pub const NO_TIMESTAMP: TimestampMs = -1;
/// "No leader epoch is known".
pub const NO_LEADER_EPOCH: LeaderEpoch = -1;
/// "Not an idempotent producer".
pub const NO_PRODUCER_ID: ProducerId = -1;
/// The epoch that goes with [`NO_PRODUCER_ID`].
pub const NO_PRODUCER_EPOCH: ProducerEpoch = -1;
/// The sequence that goes with [`NO_PRODUCER_ID`].
pub const NO_SEQUENCE: i32 = -1;

/// A node's number: `node.id`, unique in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerId(pub i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The cluster's identity: 16 random bytes in base64, as Kafka prints it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub String);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
