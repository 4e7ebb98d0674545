//! OffsetFetch (key 9): how far groups have read; from version 8 on several groups at once.

use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group::{FetchTopic, OffsetFetchRequest as Fetch, OffsetFetchResponse as Fetched};
use ottla_group::{Request, Response};
use ottla_model::{ErrorCode, TopicId};
use ottla_wire::Text;
use ottla_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ottla_wire::messages::{OffsetFetchRequest, OffsetFetchResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::groups::{shared, shared_option, text};

/// From this version on a request names several groups (KIP-709).
const SEVERAL_GROUPS: i16 = 8;
/// From this version on topics are named by id.
const BY_ID: i16 = 10;

pub(crate) async fn handle(ctx: Ctx, request: OffsetFetchRequest) -> Answer<OffsetFetchResponse> {
    Answer::later(async move {
        if ctx.version >= SEVERAL_GROUPS {
            let stable = request.require_stable;
            let groups = distinct(request.groups, |g| g.group_id.clone());
            let groups = groups.into_iter().map(|g| group(&ctx, g, stable));
            let groups = join_all(groups).await;
            return OffsetFetchResponse {
                groups,
                ..OffsetFetchResponse::default()
            };
        }
        single(&ctx, request).await
    })
}

async fn ask(ctx: &Ctx, fetch: Fetch) -> Result<Fetched, ErrorCode> {
    let group_id = Text::from(&*fetch.group_id);
    let answer = ctx
        .broker
        .groups
        .ask(&ctx.broker, &group_id, Request::OffsetFetch(fetch))
        .await;
    match answer.wait().await? {
        Response::OffsetFetch(fetched) if fetched.error.is_none() => Ok(fetched),
        Response::OffsetFetch(fetched) => Err(fetched.error),
        _ => Err(ErrorCode::UnknownServerError),
    }
}

/// Versions 1 to 7: one group, topics by name.
async fn single(ctx: &Ctx, request: OffsetFetchRequest) -> OffsetFetchResponse {
    // Version 1 has no null list; its empty list asks for nothing.
    let asked = request.topics.clone();
    let fetch = Fetch {
        group_id: shared(&request.group_id),
        member_id: None,
        member_epoch: -1,
        topics: request
            .topics
            .map(|topics| topics.iter().map(|t| by_name(ctx, t)).collect()),
        require_stable: request.require_stable,
    };
    match ask(ctx, fetch).await {
        Ok(fetched) => OffsetFetchResponse {
            topics: fetched
                .topics
                .into_iter()
                .map(|t| old_topic(t, ctx.version))
                .collect(),
            ..OffsetFetchResponse::default()
        },
        // Version 1 has no error of its own: every partition carries it.
        Err(code) if ctx.version < 2 => OffsetFetchResponse {
            topics: asked
                .unwrap_or_default()
                .iter()
                .map(|t| failed_topic(t, code))
                .collect(),
            ..OffsetFetchResponse::default()
        },
        Err(code) => OffsetFetchResponse {
            error_code: code.code(),
            ..OffsetFetchResponse::default()
        },
    }
}

fn by_name(ctx: &Ctx, topic: &OffsetFetchRequestTopic) -> FetchTopic {
    let image = ctx.broker.image();
    FetchTopic {
        topic: shared(&topic.name),
        topic_id: image.topic(&topic.name).map_or(TopicId::ZERO, |t| t.id),
        partitions: topic.partition_indexes.clone(),
    }
}

fn old_topic(topic: ottla_group::FetchedTopic, version: i16) -> OffsetFetchResponseTopic {
    let partitions = topic
        .partitions
        .into_iter()
        .map(|p| OffsetFetchResponsePartition {
            partition_index: p.partition,
            committed_offset: p.offset,
            committed_leader_epoch: if version >= 5 { p.leader_epoch } else { -1 },
            metadata: Some(text(&p.metadata)),
            error_code: p.error.code(),
            ..OffsetFetchResponsePartition::default()
        });
    OffsetFetchResponseTopic {
        name: text(&topic.topic),
        partitions: partitions.collect(),
        ..OffsetFetchResponseTopic::default()
    }
}

fn failed_topic(topic: &OffsetFetchRequestTopic, code: ErrorCode) -> OffsetFetchResponseTopic {
    let partitions = topic
        .partition_indexes
        .iter()
        .map(|&p| OffsetFetchResponsePartition {
            partition_index: p,
            committed_offset: -1,
            metadata: Some(Text::default()),
            error_code: code.code(),
            ..OffsetFetchResponsePartition::default()
        });
    OffsetFetchResponseTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
        ..OffsetFetchResponseTopic::default()
    }
}

/// Version 8 and later: one of several groups.
async fn group(
    ctx: &Ctx,
    group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let mut unknown = Vec::new();
    let topics = group.topics.map(|topics| {
        let known = topics
            .into_iter()
            .filter_map(|t| resolve(ctx, t, &mut unknown));
        known.collect::<Vec<_>>()
    });
    let fetch = Fetch {
        group_id: shared(&group.group_id),
        member_id: shared_option(group.member_id.as_ref()),
        member_epoch: group.member_epoch,
        topics,
        require_stable,
    };
    match ask(ctx, fetch).await {
        Ok(fetched) => {
            let by_id = ctx.version >= BY_ID;
            let known = fetched.topics.into_iter().map(|t| topic(t, by_id));
            OffsetFetchResponseGroup {
                group_id: group.group_id,
                topics: known.chain(unknown).collect(),
                ..OffsetFetchResponseGroup::default()
            }
        }
        Err(code) => OffsetFetchResponseGroup {
            group_id: group.group_id,
            error_code: code.code(),
            ..OffsetFetchResponseGroup::default()
        },
    }
}

/// Finds the topic's name and id. An unknown id goes straight into the answer.
fn resolve(
    ctx: &Ctx,
    topic: OffsetFetchRequestTopics,
    unknown: &mut Vec<OffsetFetchResponseTopics>,
) -> Option<FetchTopic> {
    let image = ctx.broker.image();
    let partitions = topic.partition_indexes;
    if ctx.version < BY_ID {
        return Some(FetchTopic {
            topic: shared(&topic.name),
            topic_id: image.topic(&topic.name).map_or(TopicId::ZERO, |t| t.id),
            partitions,
        });
    }
    if let Some(known) = image.topic_by_id(topic.topic_id) {
        let name = Arc::from(known.name.as_str());
        return Some(FetchTopic {
            topic: name,
            topic_id: known.id,
            partitions,
        });
    }
    let failed = partitions
        .into_iter()
        .map(|p| OffsetFetchResponsePartitions {
            partition_index: p,
            committed_offset: -1,
            metadata: Some(Text::default()),
            error_code: ErrorCode::UnknownTopicId.code(),
            ..OffsetFetchResponsePartitions::default()
        });
    unknown.push(OffsetFetchResponseTopics {
        topic_id: topic.topic_id,
        partitions: failed.collect(),
        ..OffsetFetchResponseTopics::default()
    });
    None
}

fn topic(topic: ottla_group::FetchedTopic, by_id: bool) -> OffsetFetchResponseTopics {
    let partitions = topic
        .partitions
        .into_iter()
        .map(|p| OffsetFetchResponsePartitions {
            partition_index: p.partition,
            committed_offset: p.offset,
            committed_leader_epoch: p.leader_epoch,
            metadata: Some(text(&p.metadata)),
            error_code: p.error.code(),
            ..OffsetFetchResponsePartitions::default()
        });
    OffsetFetchResponseTopics {
        name: if by_id {
            Text::default()
        } else {
            text(&topic.topic)
        },
        topic_id: if by_id { topic.topic_id } else { TopicId::ZERO },
        partitions: partitions.collect(),
        ..OffsetFetchResponseTopics::default()
    }
}
