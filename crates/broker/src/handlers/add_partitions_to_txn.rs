//! AddPartitionsToTxn (key 24): partitions become part of a transaction.
//!
//! Up to version 3 it comes from a producer and has one transaction; from version 4 on it comes
//! from a broker that is produced to, has several, and may only ask (KIP-890).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use ottla_model::{ErrorCode, TopicName, TopicPartition};
use ottla_txn::{AddPartitionsRequest, ProducerIdAndEpoch, Request, Response};
use ottla_txn::{TransactionVersion, VerifyRequest};
use ottla_wire::Text;
use ottla_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_wire::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use ottla_wire::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::errors;
use crate::groups::shared;

/// From this version on the request comes from brokers and has several transactions.
const BATCHED: i16 = 4;

pub(crate) async fn handle(
    ctx: Ctx,
    request: AddPartitionsToTxnRequest,
) -> Answer<AddPartitionsToTxnResponse> {
    Answer::later(async move {
        if ctx.version >= BATCHED {
            let transactions = distinct(request.transactions, |t| t.transactional_id.clone());
            let asked = transactions.into_iter().map(|t| transaction(&ctx, t));
            return AddPartitionsToTxnResponse {
                results_by_transaction: join_all(asked).await,
                ..AddPartitionsToTxnResponse::default()
            };
        }
        let only = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            topics: request.v3_and_below_topics,
            ..AddPartitionsToTxnTransaction::default()
        };
        AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: transaction(&ctx, only).await.topic_results,
            ..AddPartitionsToTxnResponse::default()
        }
    })
}

/// What is said of each partition, by topic in the order of the request.
type Codes = Vec<(Text, BTreeMap<i32, ErrorCode>)>;

async fn transaction(
    ctx: &Ctx,
    transaction: AddPartitionsToTxnTransaction,
) -> AddPartitionsToTxnResult {
    let id = shared(&transaction.transactional_id);
    let mut codes = named(transaction.topics);
    if let Some(partitions) = existing(ctx, &mut codes) {
        let producer = ProducerIdAndEpoch {
            producer_id: transaction.producer_id,
            producer_epoch: transaction.producer_epoch,
        };
        let answers = ask(ctx, id, producer, partitions, transaction.verify_only).await;
        for (topic, partitions) in &mut codes {
            for (&partition, code) in partitions {
                let at = (topic.to_string(), partition);
                let answer = answers.get(&at).copied();
                let answer = answer.unwrap_or(ErrorCode::UnknownServerError);
                *code = errors::of_fenced_producer(answer, ctx.version, 2);
            }
        }
    }
    AddPartitionsToTxnResult {
        transactional_id: transaction.transactional_id,
        topic_results: codes.into_iter().map(topic_result).collect(),
        ..AddPartitionsToTxnResult::default()
    }
}

/// The partitions of a request, each once.
fn named(topics: Vec<AddPartitionsToTxnTopic>) -> Codes {
    let topics = distinct(topics, |t| t.name.clone());
    let named = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter();
        let codes = partitions.map(|p| (p, ErrorCode::None)).collect();
        (topic.name, codes)
    });
    named.collect()
}

/// The partitions to add. When one of them does not exist, none is added, and each is told why.
fn existing(ctx: &Ctx, codes: &mut Codes) -> Option<BTreeSet<TopicPartition>> {
    let image = ctx.broker.image();
    let mut found = BTreeSet::new();
    let mut all = true;
    for (topic, partitions) in codes.iter_mut() {
        let name = TopicName::new(topic).ok();
        for (&partition, code) in partitions {
            match &name {
                Some(name) if image.partition(topic, partition).is_some() => {
                    found.insert(TopicPartition::new(name.clone(), partition));
                    *code = ErrorCode::OperationNotAttempted;
                }
                _ => {
                    *code = ErrorCode::UnknownTopicOrPartition;
                    all = false;
                }
            }
        }
    }
    all.then_some(found)
}

async fn ask(
    ctx: &Ctx,
    transactional_id: Arc<str>,
    producer: ProducerIdAndEpoch,
    partitions: BTreeSet<TopicPartition>,
    verify_only: bool,
) -> BTreeMap<(String, i32), ErrorCode> {
    let key = |at: &TopicPartition| (at.topic.to_string(), at.partition);
    let all: Vec<_> = partitions.iter().map(key).collect();
    let request = if verify_only {
        Request::Verify(VerifyRequest {
            transactional_id: transactional_id.clone(),
            producer,
            partitions,
        })
    } else {
        Request::AddPartitions(AddPartitionsRequest {
            transactional_id: transactional_id.clone(),
            producer,
            partitions,
            client_version: if ctx.version >= BATCHED {
                TransactionVersion::V2
            } else {
                TransactionVersion::V0
            },
            patience_ms: 0,
        })
    };
    let transactions = &ctx.broker.transactions;
    let answer = transactions
        .ask(&ctx.broker, &transactional_id, request)
        .await;
    let code = match answer.wait().await {
        Ok(Response::Verify(Ok(answers))) => {
            return answers.iter().map(|(at, code)| (key(at), *code)).collect();
        }
        Ok(Response::AddPartitions(code) | Response::Verify(Err(code))) | Err(code) => code,
        Ok(_) => ErrorCode::UnknownServerError,
    };
    all.into_iter().map(|at| (at, code)).collect()
}

fn topic_result((name, codes): (Text, BTreeMap<i32, ErrorCode>)) -> AddPartitionsToTxnTopicResult {
    let results = codes.into_iter();
    let results = results.map(
        |(partition_index, code)| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: code.code(),
            ..AddPartitionsToTxnPartitionResult::default()
        },
    );
    AddPartitionsToTxnTopicResult {
        name,
        results_by_partition: results.collect(),
        ..AddPartitionsToTxnTopicResult::default()
    }
}
