//! Which transactional batches may enter (KIP-890): those whose transaction has the partition.
//!
//! ```text
//! the transaction has records in the partition already     the log knows: go on
//! Produce before v12                                       ask the coordinator, refuse if not
//! Produce v12 and newer                                    have the coordinator add the partition
//! ```
//! All of that happens in the ordered stage: the next batch of the producer must not overtake this
//! one. It costs a round to the coordinator once for each transaction and partition.

use std::collections::{BTreeMap, BTreeSet};

use ottla_log::{Log, Verification};
use ottla_model::{ErrorCode, TopicPartition};
use ottla_record::validate::Invalid;
use ottla_txn::ProducerIdAndEpoch;
use ottla_wire::Text;

use super::{Checked, Ready};
use crate::context::Ctx;
use crate::errors::{self, refusal};
use crate::transactions::Verify;

/// From this version on a batch adds its partition to the transaction.
const ADDS_PARTITION: i16 = 12;
/// From this version on clients know that a transaction can be aborted and repeated.
const KNOWS_ABORTABLE: i16 = 11;

/// Refuses what must not enter.
pub(super) async fn admit(ctx: &Ctx, transactional_id: Option<&Text>, topics: &mut [Checked]) {
    let producers: BTreeSet<(i64, i16)> = ready(topics)
        .filter_map(|ready| producer(ready))
        .map(|p| (p.producer_id, p.producer_epoch))
        .collect();
    let Some((producer_id, producer_epoch)) = producers.first().copied() else {
        return;
    };
    let Some(transactional_id) = transactional_id else {
        refuse_all(topics, ErrorCode::TransactionalIdAuthorizationFailed);
        return;
    };
    if producers.len() > 1 {
        refuse_all(topics, ErrorCode::InvalidProducerIdMapping);
        return;
    }
    let how = if ctx.version >= ADDS_PARTITION {
        Verify::AddIfMissing
    } else {
        Verify::Only
    };
    let wanted = begin(topics, how);
    if wanted.is_empty() {
        return;
    }
    let producer = ProducerIdAndEpoch {
        producer_id,
        producer_epoch,
    };
    let answers = ctx
        .broker
        .transactions
        .verify_all(&ctx.broker, transactional_id, producer, wanted, how)
        .await;
    settle(ctx.version, topics, &answers);
}

fn ready(topics: &mut [Checked]) -> impl Iterator<Item = &mut Ready> {
    let partitions = topics.iter_mut().flat_map(|t| &mut t.partitions);
    partitions.filter_map(|(_, ready)| ready.as_mut().ok())
}

/// Whose transaction a batch is part of.
fn producer(ready: &Ready) -> Option<ProducerIdAndEpoch> {
    let headers = ready.append.batches.iter().map(|b| b.header());
    let mut transactional = headers.filter(|h| h.attributes.is_transactional());
    transactional.next().map(|header| ProducerIdAndEpoch {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
    })
}

fn refuse_all(topics: &mut [Checked], code: ErrorCode) {
    for (_, partition) in topics.iter_mut().flat_map(|t| &mut t.partitions) {
        *partition = Err(refusal(code));
    }
}

/// Asks the logs, and returns the partitions that the coordinator must be asked about.
fn begin(topics: &mut [Checked], how: Verify) -> BTreeSet<TopicPartition> {
    let mut wanted = BTreeSet::new();
    for (_, partition) in topics.iter_mut().flat_map(|t| &mut t.partitions) {
        let Ok(ready) = partition else { continue };
        let Some(producer) = producer(ready) else {
            continue;
        };
        match verification(&ready.log, ready, producer, how) {
            Ok(Verification::Ongoing) => {}
            Ok(Verification::Needed(guard)) => {
                ready.append.guard = Some(guard);
                wanted.insert(ready.at.clone());
            }
            Err(invalid) => *partition = Err(invalid),
        }
    }
    wanted
}

fn verification(
    log: &Log,
    ready: &Ready,
    producer: ProducerIdAndEpoch,
    how: Verify,
) -> Result<Verification, Invalid> {
    let first = ready.append.batches.first();
    let base_sequence = first.map_or(-1, |b| b.header().base_sequence);
    let (id, epoch) = (producer.producer_id, producer.producer_epoch);
    log.verification(id, epoch, base_sequence, how == Verify::AddIfMissing)
        .map_err(|error| errors::of_append(&error))
}

/// Refuses the batches that the coordinator does not vouch for.
fn settle(version: i16, topics: &mut [Checked], answers: &BTreeMap<TopicPartition, ErrorCode>) {
    for (_, partition) in topics.iter_mut().flat_map(|t| &mut t.partitions) {
        let Ok(ready) = partition else { continue };
        let code = match (ready.append.guard, answers.get(&ready.at)) {
            (None, _) | (_, Some(ErrorCode::None)) => continue,
            (_, Some(code)) => *code,
            (_, None) => ErrorCode::UnknownServerError,
        };
        *partition = Err(refusal(of_verification(code, version)));
    }
}

/// What a producer of that version is told when its coordinator does not vouch for it.
fn of_verification(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::TransactionAbortable if version < KNOWS_ABORTABLE => ErrorCode::InvalidTxnState,
        // Older producers do not try these again, but this one, and without new metadata.
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        ErrorCode::ConcurrentTransactions if version < ADDS_PARTITION => {
            ErrorCode::NotEnoughReplicas
        }
        other => other,
    }
}
