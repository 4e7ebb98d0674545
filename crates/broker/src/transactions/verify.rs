//! Whether partitions belong to a transaction, asked before records or offsets are taken (KIP-890).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{ErrorCode, TopicPartition};
use ottla_txn::{
    AddPartitionsRequest, ProducerIdAndEpoch, Request, Response, TransactionVersion, VerifyRequest,
};

use super::Transactions;
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
        let outcome = match how {
            Verify::Only
                if !broker
                    .config()
                    .broker
                    .transaction_partition_verification_enable =>
            {
                Err(ErrorCode::None)
            }
            Verify::Only => {
                let request = Request::Verify(VerifyRequest {
                    transactional_id: transactional_id.into(),
                    producer,
                    partitions: partitions.clone(),
                });
                match self
                    .ask(broker, transactional_id, request)
                    .await
                    .wait()
                    .await
                {
                    Ok(Response::Verify(answers)) => answers,
                    Ok(_) => Err(ErrorCode::UnknownServerError),
                    Err(code) => Err(code),
                }
            }
            Verify::AddIfMissing => {
                let added = self
                    .add(broker, transactional_id, producer, &partitions)
                    .await;
                Err(added)
            }
        };
        let mut answers = outcome.unwrap_or_else(|code| {
            let all = partitions.into_iter();
            all.map(|partition| (partition, code)).collect()
        });
        for code in answers.values_mut() {
            // Those who produce know fenced producers by this code.
            if *code == ErrorCode::ProducerFenced {
                *code = ErrorCode::InvalidProducerEpoch;
            }
        }
        answers
    }

    /// Adds partitions. The transaction before may still have markers under way: that is over so
    /// soon that the producer need not hear of it.
    async fn add(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: &BTreeSet<TopicPartition>,
    ) -> ErrorCode {
        let patience_ms = broker
            .config()
            .broker
            .add_partitions_to_txn_retry_backoff_max_ms;
        let request = Request::AddPartitions(AddPartitionsRequest {
            transactional_id: transactional_id.into(),
            producer,
            partitions: partitions.clone(),
            client_version: TransactionVersion::V2,
            patience_ms: patience_ms.into(),
        });
        let answer = self.ask(broker, transactional_id, request).await;
        match answer.wait().await {
            Ok(Response::AddPartitions(code)) | Err(code) => code,
            Ok(_) => ErrorCode::UnknownServerError,
        }
    }
}
