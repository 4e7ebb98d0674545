//! OffsetDelete (key 47): a group forgets how far it has read some partitions (KIP-496).

use ottla_group::{OffsetDeleteRequest as Delete, OffsetDeleteTopic, Request, Response};
use ottla_model::ErrorCode;
use ottla_wire::messages::offset_delete_request::OffsetDeleteRequestTopic;
use ottla_wire::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_wire::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::groups::shared;

pub(crate) async fn handle(ctx: Ctx, request: OffsetDeleteRequest) -> Answer<OffsetDeleteResponse> {
    let topics = distinct(request.topics, |t| t.name.clone());
    let planned: Vec<Planned> = topics.into_iter().map(|t| plan(&ctx, t)).collect();
    let delete = Request::OffsetDelete(Delete {
        group_id: shared(&request.group_id),
        topics: planned.iter().filter_map(Planned::wanted).collect(),
    });
    let answer = ctx
        .broker
        .groups
        .ask(&ctx.broker, &request.group_id, delete)
        .await;
    Answer::later(async move {
        let error = match answer.wait().await {
            Ok(Response::OffsetDelete(deleted)) if deleted.error.is_none() => {
                return response(planned, deleted);
            }
            Ok(Response::OffsetDelete(refused)) => refused.error,
            Ok(_) => ErrorCode::UnknownServerError,
            Err(error) => error,
        };
        OffsetDeleteResponse {
            error_code: error.code(),
            ..OffsetDeleteResponse::default()
        }
    })
}

/// A topic of the request: each partition, and its error when the handler knows it already.
struct Planned {
    topic: OffsetDeleteRequestTopic,
    partitions: Vec<(i32, Option<ErrorCode>)>,
}

impl Planned {
    /// What the coordinator decides about.
    fn wanted(&self) -> Option<OffsetDeleteTopic> {
        let wanted = self.partitions.iter().filter(|(_, known)| known.is_none());
        let partitions: Vec<i32> = wanted.map(|(partition, _)| *partition).collect();
        (!partitions.is_empty()).then(|| OffsetDeleteTopic {
            topic: shared(&self.topic.name),
            partitions,
        })
    }
}

fn plan(ctx: &Ctx, topic: OffsetDeleteRequestTopic) -> Planned {
    let image = ctx.broker.image();
    let known = image.topic(&topic.name);
    let partitions = distinct(topic.partitions.clone(), |p| p.partition_index);
    let partitions = partitions.iter().map(|p| {
        let exists = known.is_some_and(|t| t.partition(p.partition_index).is_some());
        let error = (!exists).then_some(ErrorCode::UnknownTopicOrPartition);
        (p.partition_index, error)
    });
    Planned {
        partitions: partitions.collect(),
        topic,
    }
}

fn response(
    planned: Vec<Planned>,
    deleted: ottla_group::OffsetDeleteResponse,
) -> OffsetDeleteResponse {
    // The coordinator answers in the order in which it was asked.
    let mut decided = deleted
        .topics
        .into_iter()
        .flat_map(|(_, partitions)| partitions);
    let topics = planned
        .into_iter()
        .map(|planned| OffsetDeleteResponseTopic {
            name: planned.topic.name,
            partitions: planned
                .partitions
                .into_iter()
                .map(|(partition_index, known)| {
                    let error = known.or_else(|| decided.next().map(|(_, error)| error));
                    OffsetDeleteResponsePartition {
                        partition_index,
                        error_code: error.unwrap_or(ErrorCode::UnknownServerError).code(),
                    }
                })
                .collect(),
        });
    OffsetDeleteResponse {
        topics: topics.collect(),
        ..OffsetDeleteResponse::default()
    }
}
