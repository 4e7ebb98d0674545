//! What clients and brokers ask of a transaction coordinator.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_model::{ProducerEpoch, ProducerId, TimestampMs, TopicPartition};

use crate::state::TransactionState;
use crate::version::TransactionVersion;

/// A request for one partition of `__transaction_state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// InitProducerId (key 22) with a transactional id.
    Init(InitRequest),
    /// AddPartitionsToTxn (key 24), AddOffsetsToTxn (key 25), and what a broker adds by itself
    /// when it is produced to.
    AddPartitions(AddPartitionsRequest),
    /// AddPartitionsToTxn with `verifyOnly`: whether partitions belong to a transaction.
    Verify(VerifyRequest),
    /// EndTxn (key 26).
    End(EndRequest),
    /// DescribeTransactions (key 65), for one transactional id.
    Describe(Arc<str>),
    /// ListTransactions (key 66).
    List(ListRequest),
}

/// A producer's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdAndEpoch {
    /// The id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
}

/// A producer takes a transactional id, or goes on with it after an error (KIP-360).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitRequest {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// `TransactionTimeoutMs`.
    pub transaction_timeout_ms: i32,
    /// `Enable2Pc`; `false` before v6.
    pub enable_two_phase_commit: bool,
    /// `KeepPreparedTxn`; `false` before v6.
    pub keep_prepared_transaction: bool,
    /// `ProducerId` and `ProducerEpoch`: who the producer has been; `None` before v3 and when both
    /// are -1.
    pub expected: Option<ProducerIdAndEpoch>,
}

/// Partitions that a transaction touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddPartitionsRequest {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// Who asks.
    pub producer: ProducerIdAndEpoch,
    /// The partitions. The caller has seen that they exist.
    pub partitions: BTreeSet<TopicPartition>,
    /// Version 2 for AddPartitionsToTxn v4 and newer and for Produce v12 and newer.
    pub client_version: TransactionVersion,
    /// How long the answer may wait for the transaction before to end; 0 for an answer at once.
    pub patience_ms: i64,
}

/// Whether partitions belong to a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRequest {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// Who asks.
    pub producer: ProducerIdAndEpoch,
    /// The partitions.
    pub partitions: BTreeSet<TopicPartition>,
}

/// A producer commits or aborts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndRequest {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// Who asks.
    pub producer: ProducerIdAndEpoch,
    /// `Committed`.
    pub commit: bool,
    /// Version 2 for v5 and newer.
    pub client_version: TransactionVersion,
}

/// Which transactional ids to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListRequest {
    /// Only ids in these states; `None` for all.
    pub states: Option<BTreeSet<TransactionState>>,
    /// Empty for all.
    pub producer_ids: BTreeSet<ProducerId>,
    /// Only transactions that have been open for longer than this.
    pub running_longer_than_ms: Option<TimestampMs>,
}
