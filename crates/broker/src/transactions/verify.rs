//! Whether partitions belong to a transaction, asked before records or offsets are taken (KIP-890).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_model::{BrokerId, ErrorCode, TopicPartition};
use ottla_txn::{
    AddPartitionsRequest, ProducerIdAndEpoch, Request, Response, TransactionVersion, VerifyRequest,
};

use super::Transactions;
use super::remote::{self, Claim};
use crate::Broker;

/// What to do about a partition that the transaction does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Refuse: the producer has to add it first. For Produce before v12, TxnOffsetCommit before v5.
    Only,
    /// Add it: the producer relies on that.
    AddIfMissing,
}

impl Transactions {
    /// Whether the partition belongs to the producer's transaction.
    ///
    /// # Errors
    /// - `INVALID_PRODUCER_EPOCH`: the producer is fenced;
    /// - `INVALID_PRODUCER_ID_MAPPING`: the transactional id is another producer's;
    /// - `TRANSACTION_ABORTABLE`: the transaction does not have the partition;
    /// - `CONCURRENT_TRANSACTIONS`: the transaction before still ends;
    /// - those of a coordinator that cannot be reached.
    pub(crate) async fn verify(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partition: TopicPartition,
        how: Verify,
    ) -> Result<(), ErrorCode> {
        let wanted = BTreeSet::from([partition.clone()]);
        let answers = self
            .verify_all(broker, transactional_id, producer, wanted, how)
            .await;
        match answers.get(&partition) {
            Some(ErrorCode::None) => Ok(()),
            Some(code) => Err(*code),
            None => Err(ErrorCode::UnknownServerError),
        }
    }

    /// The same for several partitions of one transaction: an answer for each.
    pub(crate) async fn verify_all(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: BTreeSet<TopicPartition>,
        how: Verify,
    ) -> BTreeMap<TopicPartition, ErrorCode> {
        let config = broker.config();
        let is_on = config.broker.transaction_partition_verification_enable;
        let claimed = Claimed {
            broker,
            transactional_id: transactional_id.into(),
            producer,
            partitions,
        };
        let mut answers = match how {
            Verify::Only if !is_on => claimed.all(ErrorCode::None),
            Verify::Only => self.confirm(&claimed).await,
            Verify::AddIfMissing => self.add(&claimed).await,
        };
        for code in answers.values_mut() {
            // Those who produce know fenced producers by this code.
            if *code == ErrorCode::ProducerFenced {
                *code = ErrorCode::InvalidProducerEpoch;
            }
        }
        answers
    }

    /// Asks the coordinator whether the transaction has the partitions.
    async fn confirm(&self, claimed: &Claimed<'_>) -> Answers {
        let coordinator = match self.coordinator_of(claimed) {
            Ok(coordinator) => coordinator,
            Err(code) => return claimed.all(code),
        };
        if coordinator != claimed.broker.node_id {
            return remote::ask(claimed.broker, coordinator, claimed.claim(true)).await;
        }
        let request = Request::Verify(VerifyRequest {
            transactional_id: claimed.transactional_id.clone(),
            producer: claimed.producer,
            partitions: claimed.partitions.clone(),
        });
        match self.ask_here(claimed, request).await {
            Ok(Response::Verify(Ok(answers))) => answers,
            Ok(Response::Verify(Err(code))) | Err(code) => claimed.all(code),
            Ok(_) => claimed.all(ErrorCode::UnknownServerError),
        }
    }

    /// Has the coordinator add the partitions. The transaction before may still have markers under
    /// way: that is over so soon that the producer need not hear of it.
    async fn add(&self, claimed: &Claimed<'_>) -> Answers {
        let broker = claimed.broker;
        let config = broker.config();
        let patience_ms = i64::from(config.broker.add_partitions_to_txn_retry_backoff_max_ms);
        let pause_ms = config.broker.add_partitions_to_txn_retry_backoff_ms.max(1);
        let pause = Duration::from_millis(u64::from(pause_ms.unsigned_abs()));
        let until_ms = broker.runtime.clock.monotonic_ms() + patience_ms;
        loop {
            let coordinator = match self.coordinator_of(claimed) {
                Ok(coordinator) => coordinator,
                Err(code) => return claimed.all(code),
            };
            if coordinator == broker.node_id {
                return self.add_here(claimed, patience_ms).await;
            }
            let answers = remote::ask(broker, coordinator, claimed.claim(false)).await;
            let mut codes = answers.values();
            let is_ending = codes.any(|code| *code == ErrorCode::ConcurrentTransactions);
            if !is_ending || broker.runtime.clock.monotonic_ms() >= until_ms {
                return answers;
            }
            broker.runtime.clock.sleep(pause).await;
        }
    }

    async fn add_here(&self, claimed: &Claimed<'_>, patience_ms: i64) -> Answers {
        let request = Request::AddPartitions(AddPartitionsRequest {
            transactional_id: claimed.transactional_id.clone(),
            producer: claimed.producer,
            partitions: claimed.partitions.clone(),
            client_version: TransactionVersion::V2,
            patience_ms,
        });
        match self.ask_here(claimed, request).await {
            Ok(Response::AddPartitions(code)) | Err(code) => claimed.all(code),
            Ok(_) => claimed.all(ErrorCode::UnknownServerError),
        }
    }

    async fn ask_here(
        &self,
        claimed: &Claimed<'_>,
        request: Request,
    ) -> Result<Response, ErrorCode> {
        let id = &claimed.transactional_id;
        let asked = self.ask(claimed.broker, id, request).await;
        asked.wait().await
    }

    fn coordinator_of(&self, claimed: &Claimed<'_>) -> Result<BrokerId, ErrorCode> {
        let image = claimed.broker.newest_image();
        self.shards.leader_of_key(&image, &claimed.transactional_id)
    }
}

/// What is said of each partition.
type Answers = BTreeMap<TopicPartition, ErrorCode>;

/// Partitions that are said to belong to a transaction.
struct Claimed<'a> {
    broker: &'a Arc<Broker>,
    transactional_id: Arc<str>,
    producer: ProducerIdAndEpoch,
    partitions: BTreeSet<TopicPartition>,
}

impl Claimed<'_> {
    fn all(&self, code: ErrorCode) -> Answers {
        let all = self.partitions.iter().cloned();
        all.map(|partition| (partition, code)).collect()
    }

    fn claim(&self, verify_only: bool) -> Claim {
        Claim {
            transactional_id: self.transactional_id.clone(),
            producer: self.producer,
            verify_only,
            partitions: self.partitions.iter().cloned().collect(),
        }
    }
}
