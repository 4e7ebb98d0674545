//! OffsetCommit (key 8): a group remembers how far it has read.

use std::sync::Arc;

use ottla_group::{CommitPartition, CommitTopic, OffsetCommitRequest as Commit, Request, Response};
use ottla_model::{ErrorCode, TopicId};
use ottla_wire::Text;
use ottla_wire::messages::offset_commit_request::OffsetCommitRequestTopic;
use ottla_wire::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_wire::messages::{OffsetCommitRequest, OffsetCommitResponse};

use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option};

/// From this version on topics are named by id (KIP-848, KIP-516).
const BY_ID: i16 = 10;

pub(crate) async fn handle(ctx: Ctx, request: OffsetCommitRequest) -> Answer<OffsetCommitResponse> {
    // Each partition's error, in the order of the request; filled in where it is known already.
    let mut plan = Plan::default();
    for topic in request.topics {
        plan.add(&ctx, topic);
    }
    let commit = Request::OffsetCommit(Commit {
        group_id: shared(&request.group_id),
        generation_id: request.generation_id_or_member_epoch,
        member_id: shared(&request.member_id),
        group_instance_id: shared_option(request.group_instance_id.as_ref()),
        retention_time_ms: (request.retention_time_ms >= 0).then_some(request.retention_time_ms),
        reports_unknown_group: ctx.version >= 9,
        topics: std::mem::take(&mut plan.commits),
    });
    let by_id = ctx.version >= BY_ID;
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
        plan.response(outcome, by_id)
    })
}

/// The topics of the response, and which of their partitions the coordinator decides about.
#[derive(Default)]
struct Plan {
    commits: Vec<CommitTopic>,
    topics: Vec<Planned>,
}

struct Planned {
    name: Text,
    topic_id: TopicId,
    /// The partition, and its error when the handler knows it already.
    partitions: Vec<(i32, Option<ErrorCode>)>,
}

impl Plan {
    fn add(&mut self, ctx: &Ctx, topic: OffsetCommitRequestTopic) {
        let image = ctx.broker.image();
        let by_id = ctx.version >= BY_ID;
        let known = match by_id {
            true => image.topic_by_id(topic.topic_id),
            false => image.topic(&topic.name),
        };
        let mut planned = Planned {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: Vec::with_capacity(topic.partitions.len()),
        };
        let mut commits = Vec::new();
        for partition in topic.partitions {
            let error = match known {
                None if by_id => Some(ErrorCode::UnknownTopicId),
                None => Some(ErrorCode::UnknownTopicOrPartition),
                Some(t) if t.partition(partition.partition_index).is_none() => {
                    Some(ErrorCode::UnknownTopicOrPartition)
                }
                Some(_) => None,
            };
            planned.partitions.push((partition.partition_index, error));
            if error.is_none() {
                commits.push(CommitPartition {
                    partition: partition.partition_index,
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: shared_option(partition.committed_metadata.as_ref()),
                });
            }
        }
        if let Some(known) = known.filter(|_| !commits.is_empty()) {
            self.commits.push(CommitTopic {
                topic: Arc::from(known.name.as_str()),
                topic_id: known.id,
                partitions: commits,
            });
        }
        self.topics.push(planned);
    }

    fn response(
        self,
        outcome: Result<ottla_group::OffsetCommitResponse, ErrorCode>,
        by_id: bool,
    ) -> OffsetCommitResponse {
        // The coordinator answers in the order in which it was asked.
        let mut decided = outcome.as_ref().ok().into_iter().flat_map(|committed| {
            committed
                .topics
                .iter()
                .flat_map(|t| t.partitions.iter().map(|(_, code)| *code))
        });
        let refused = outcome.as_ref().err().copied();
        let topics = self
            .topics
            .into_iter()
            .map(|topic| OffsetCommitResponseTopic {
                name: if by_id { Text::default() } else { topic.name },
                topic_id: topic.topic_id,
                partitions: topic
                    .partitions
                    .into_iter()
                    .map(|(partition_index, known)| {
                        let code = known.or(refused).or_else(|| decided.next());
                        OffsetCommitResponsePartition {
                            partition_index,
                            error_code: code.unwrap_or(ErrorCode::UnknownServerError).code(),
                            ..OffsetCommitResponsePartition::default()
                        }
                    })
                    .collect(),
                ..OffsetCommitResponseTopic::default()
            });
        OffsetCommitResponse {
            topics: topics.collect(),
            ..OffsetCommitResponse::default()
        }
    }
}
