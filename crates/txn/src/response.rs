//! The answers of a transaction coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{ErrorCode, ProducerId, TimestampMs, TopicPartition};

use crate::request::ProducerIdAndEpoch;
use crate::state::TransactionState;

/// The answer to a [`Request`](crate::Request), of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::Init`](crate::Request::Init).
    Init(InitResponse),
    /// To [`Request::AddPartitions`](crate::Request::AddPartitions): all were added, or none.
    AddPartitions(ErrorCode),
    /// To [`Request::Verify`](crate::Request::Verify).
    Verify(VerifyResponse),
    /// To [`Request::End`](crate::Request::End).
    End(EndResponse),
    /// To [`Request::Describe`](crate::Request::Describe).
    Describe(Result<Described, ErrorCode>),
    /// To [`Request::List`](crate::Request::List).
    List(ListResponse),
}

/// The producer's identity from now on.
pub type InitResponse = Result<ProducerIdAndEpoch, ErrorCode>;

/// What to say of each partition, or of all of them.
pub type VerifyResponse = Result<BTreeMap<TopicPartition, ErrorCode>, ErrorCode>;

/// The producer's identity for its next transaction; `None` to a client whose epoch stays.
pub type EndResponse = Result<Option<ProducerIdAndEpoch>, ErrorCode>;

/// One transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its state.
    pub state: TransactionState,
    /// Its producer.
    pub producer: ProducerIdAndEpoch,
    /// The timeout that the producer has asked for.
    pub transaction_timeout_ms: i32,
    /// When the transaction began, -1 for none.
    pub start_ms: TimestampMs,
    /// The partitions of the transaction; once its fate is sealed, those without their marker.
    pub partitions: Vec<TopicPartition>,
}

/// The transactional ids of one partition of `__transaction_state` that pass the filter, by name.
pub type ListResponse = Vec<Listed>;

/// One transactional id of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub transactional_id: Arc<str>,
    /// Its producer.
    pub producer_id: ProducerId,
    /// Its state.
    pub state: TransactionState,
}
