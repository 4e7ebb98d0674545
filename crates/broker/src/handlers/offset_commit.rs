//! OffsetCommit (key 8): a group remembers how far it has read.

use ottla_group::{CommitPartition, OffsetCommitRequest as Commit, Request, Response};
use ottla_model::ErrorCode;
use ottla_wire::messages::offset_commit_request::OffsetCommitRequestPartition;
use ottla_wire::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_wire::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::commit_plan::{Answered, CommitPlan};
use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option};

/// From this version on topics are named by id (KIP-848, KIP-516).
const BY_ID: i16 = 10;

pub(crate) async fn handle(ctx: Ctx, request: OffsetCommitRequest) -> Answer<OffsetCommitResponse> {
    let image = ctx.broker.image();
    let mut plan = CommitPlan::default();
    for topic in request.topics {
        let name = (ctx.version < BY_ID).then_some(topic.name);
        let wanted = topic.partitions.into_iter().map(wanted).collect();
        plan.add(&image, name, topic.topic_id, wanted);
    }
    let commit = Request::OffsetCommit(Commit {
        group_id: shared(&request.group_id),
        generation_id: request.generation_id_or_member_epoch,
        member_id: shared(&request.member_id),
        group_instance_id: shared_option(request.group_instance_id.as_ref()),
        retention_time_ms: (request.retention_time_ms >= 0).then_some(request.retention_time_ms),
        reports_unknown_group: ctx.version >= 9,
        topics: plan.take_commits(),
    });
    let answer = ctx
        .broker
        .groups
        .ask(&ctx.broker, &request.group_id, commit)
        .await;
    Answer::later(async move {
        let outcome = match answer.wait().await {
            Ok(Response::OffsetCommit(committed)) => Ok(committed),
            Ok(_) => Err(ErrorCode::UnknownServerError),
            Err(code) => Err(code),
        };
        OffsetCommitResponse {
            topics: plan.answer(outcome).map(answered).collect(),
            ..OffsetCommitResponse::default()
        }
    })
}

fn wanted(partition: OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: shared_option(partition.committed_metadata.as_ref()),
    }
}

fn answered(topic: Answered) -> OffsetCommitResponseTopic {
    let partitions =
        topic
            .partitions
            .into_iter()
            .map(|(partition_index, code)| OffsetCommitResponsePartition {
                partition_index,
                error_code: code.code(),
                ..OffsetCommitResponsePartition::default()
            });
    OffsetCommitResponseTopic {
        partitions: partitions.collect(),
        name: topic.name,
        topic_id: topic.topic_id,
        ..OffsetCommitResponseTopic::default()
    }
}
