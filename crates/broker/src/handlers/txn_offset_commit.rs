//! TxnOffsetCommit (key 28): how far a group has read, as part of a transaction (KIP-98, KIP-447).

use ottla_group::{
    CommitPartition, OffsetCommitResponse, Producer, TxnOffsetCommitRequest as Commit,
};
use ottla_model::ErrorCode;
use ottla_wire::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use ottla_wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_wire::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::commit_plan::{Answered, CommitPlan};
use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option};
use crate::transactions::Verify;

/// Producers before this version take `COORDINATOR_LOAD_IN_PROGRESS` for fatal.
const KNOWS_LOADING: i16 = 2;
/// From this version on producers know `TRANSACTION_ABORTABLE` (KIP-890).
const KNOWS_ABORTABLE: i16 = 4;
/// From this version on the commit adds the group to the transaction (transaction version 2).
const ADDS_GROUP: i16 = 5;
/// From this version on topics are named by id, and unknown groups by their own error (KIP-1319).
const BY_ID: i16 = 6;

pub(crate) async fn handle(
    ctx: Ctx,
    mut request: TxnOffsetCommitRequest,
) -> Answer<TxnOffsetCommitResponse> {
    let image = ctx.broker.image();
    let mut plan = CommitPlan::default();
    for topic in std::mem::take(&mut request.topics) {
        let name = (ctx.version < BY_ID).then_some(topic.name);
        let wanted = topic.partitions.into_iter().map(wanted).collect();
        plan.add(&image, name, topic.topic_id, wanted);
    }
    let topics = plan.take_commits();
    let version = ctx.version;
    Answer::later(async move {
        let outcome = if topics.is_empty() {
            // Nothing is left that could be part of the transaction.
            Ok(OffsetCommitResponse { topics: Vec::new() })
        } else {
            let commit = Commit {
                group_id: shared(&request.group_id),
                producer: Producer {
                    id: request.producer_id,
                    epoch: request.producer_epoch,
                },
                generation_id: request.generation_id_or_member_epoch,
                member_id: shared(&request.member_id),
                group_instance_id: shared_option(request.group_instance_id.as_ref()),
                reports_unknown_group: version >= BY_ID,
                topics,
            };
            let verify = if version >= ADDS_GROUP {
                Verify::AddIfMissing
            } else {
                Verify::Only
            };
            let groups = &ctx.broker.groups;
            groups
                .commit_in_transaction(&ctx.broker, &request.transactional_id, verify, commit)
                .await
        };
        let answered = plan.answer(outcome).map(|topic| answered(topic, version));
        TxnOffsetCommitResponse {
            topics: answered.collect(),
            ..TxnOffsetCommitResponse::default()
        }
    })
}

fn wanted(partition: TxnOffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: shared_option(partition.committed_metadata.as_ref()),
    }
}

fn answered(topic: Answered, version: i16) -> TxnOffsetCommitResponseTopic {
    let partitions = topic.partitions.into_iter().map(|(partition_index, code)| {
        TxnOffsetCommitResponsePartition {
            partition_index,
            error_code: known(code, version).code(),
            ..TxnOffsetCommitResponsePartition::default()
        }
    });
    TxnOffsetCommitResponseTopic {
        partitions: partitions.collect(),
        name: topic.name,
        topic_id: topic.topic_id,
        ..TxnOffsetCommitResponseTopic::default()
    }
}

/// An error as producers of this version know it.
fn known(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::CoordinatorLoadInProgress if version < KNOWS_LOADING => {
            ErrorCode::CoordinatorNotAvailable
        }
        // Kafka's producers take this one for a reason to try again, whatever their version.
        ErrorCode::NetworkException => ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::TransactionAbortable if version < KNOWS_ABORTABLE => ErrorCode::InvalidTxnState,
        code => code,
    }
}
