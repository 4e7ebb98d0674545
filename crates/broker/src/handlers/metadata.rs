//! Metadata (key 3): topics by name or id, their leaders, and where this listener's clients reach
//! the brokers. Unknown topics come into being when both the client and the node allow it.

use ottla_metadata::{Command, CreateTopics, Image, NewTopic, Reply, TopicImage};
use ottla_model::{ErrorCode, TopicName, Uuid};
use ottla_wire::Text;
use ottla_wire::messages::metadata_request::MetadataRequestTopic;
use ottla_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_wire::messages::{MetadataRequest, MetadataResponse};

use crate::authorized_operations;
use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::quotas::MutationQuota;

pub(crate) async fn handle(ctx: Ctx, request: MetadataRequest) -> Answer<MetadataResponse> {
    let image = ctx.broker.image();
    let asked = AskedOperations::of(&request);
    // Version 0 has no null; its empty list means all topics.
    let wants_all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && ctx.version == 0,
    };
    if wants_all {
        let topics = image.topics().map(|t| describe(&ctx, &image, t)).collect();
        return Answer::Now(response(&ctx, &image, topics, asked));
    }
    let wanted = distinct(request.topics.unwrap_or_default(), |t| {
        (t.name.clone(), t.topic_id)
    });
    let creates = request.allow_auto_topic_creation || ctx.version < 4;
    let creates = creates && ctx.broker.config().broker.auto_create_topics_enable;
    let missing = missing_names(&image, &wanted);
    if !creates || missing.is_empty() {
        let topics = wanted
            .iter()
            .map(|t| lookup(&ctx, &image, t, None))
            .collect();
        return Answer::Now(response(&ctx, &image, topics, asked));
    }
    Answer::later(async move {
        let refused = create(&ctx, missing).await;
        let image = ctx.broker.image();
        let find = |name: &str| {
            refused
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, code)| *code)
        };
        let topics = wanted
            .iter()
            .map(|t| lookup(&ctx, &image, t, t.name.as_deref().and_then(find)))
            .collect();
        response(&ctx, &image, topics, asked)
    })
}

/// The names that are asked for, legal, and not there.
fn missing_names(image: &Image, wanted: &[MetadataRequestTopic]) -> Vec<String> {
    wanted
        .iter()
        .filter(|t| t.topic_id.is_zero())
        .filter_map(|t| t.name.as_deref())
        .filter(|name| image.topic(name).is_none() && TopicName::new(name).is_ok())
        .map(str::to_owned)
        .collect()
}

/// Creates topics with default settings; returns the refused ones with their codes.
async fn create(ctx: &Ctx, names: Vec<String>) -> Vec<(String, ErrorCode)> {
    let mut unique = names;
    unique.sort_unstable();
    unique.dedup();
    let topics = unique
        .iter()
        .map(|name| ctx.broker.automatic_topic(name))
        .collect::<Vec<NewTopic>>();
    let default_partitions = ctx.broker.config().broker.num_partitions;
    let asked = topics.len() * usize::try_from(default_partitions).unwrap_or(0);
    let quota = MutationQuota::take(ctx, 0, asked);
    let command = Command::CreateTopics(CreateTopics {
        topics,
        allowance: quota.allowance(),
        ..CreateTopics::default()
    });
    let outcome = ctx.broker.submit(command).await;
    let used = match &outcome {
        Ok(Reply::CreateTopics(results)) => {
            let created = results.iter().filter_map(|r| r.outcome.as_ref().ok());
            let used = created.map(|c| usize::try_from(c.num_partitions).unwrap_or(0));
            used.sum()
        }
        _ => 0,
    };
    quota.settle(used, false);
    match outcome {
        Ok(Reply::CreateTopics(results)) => results
            .into_iter()
            .filter_map(|r| Some((r.name, r.outcome.err()?.code)))
            // A client that asks for metadata knows this code only: it tries again.
            .map(|(name, code)| match code {
                ErrorCode::ThrottlingQuotaExceeded => (name, ErrorCode::UnknownTopicOrPartition),
                code => (name, code),
            })
            // Another client was faster: the topic is there.
            .filter(|(_, code)| *code != ErrorCode::TopicAlreadyExists)
            .collect(),
        Ok(_) => Vec::new(),
        Err(refusal) => unique
            .into_iter()
            .map(|name| (name, refusal.code))
            .collect(),
    }
}

fn lookup(
    ctx: &Ctx,
    image: &Image,
    wanted: &MetadataRequestTopic,
    refused: Option<ErrorCode>,
) -> MetadataResponseTopic {
    let missing = |code: ErrorCode| MetadataResponseTopic {
        error_code: code.code(),
        // Version 12 allows a null name for an unknown id; before that it is empty.
        name: wanted
            .name
            .clone()
            .or_else(|| (ctx.version < 12).then(Text::default)),
        topic_id: wanted.topic_id,
        ..MetadataResponseTopic::default()
    };
    if !wanted.topic_id.is_zero() {
        return match image.topic_by_id(wanted.topic_id) {
            Some(topic) => describe(ctx, image, topic),
            None => missing(ErrorCode::UnknownTopicId),
        };
    }
    let Some(name) = wanted.name.as_deref() else {
        return missing(ErrorCode::InvalidRequest);
    };
    match image.topic(name) {
        Some(topic) => describe(ctx, image, topic),
        None if TopicName::new(name).is_err() => missing(ErrorCode::InvalidTopicException),
        None => missing(refused.unwrap_or(ErrorCode::UnknownTopicOrPartition)),
    }
}

fn describe(ctx: &Ctx, image: &Image, topic: &TopicImage) -> MetadataResponseTopic {
    let ids = |brokers: &[ottla_model::BrokerId]| brokers.iter().map(|b| b.0).collect::<Vec<_>>();
    let local = ctx.broker.partitions.topic(topic.id);
    let partitions = topic
        .partitions
        .iter()
        .enumerate()
        .map(|(index, partition)| {
            // A partition whose log is still being recovered has no leader yet, and one whose leader
            // is gone has none any more.
            let leader = partition.leader.filter(|&id| {
                if id == ctx.broker.node_id {
                    local.as_ref().is_some_and(|t| t.is_ready(index))
                } else {
                    !ctx.broker.is_gone(image, id)
                }
            });
            let offline = partition.replicas.iter().filter(|&&id| !image.is_live(id));
            let code = if leader.is_some() {
                ErrorCode::None
            } else {
                ErrorCode::LeaderNotAvailable
            };
            MetadataResponsePartition {
                error_code: code.code(),
                partition_index: i32::try_from(index).unwrap_or(i32::MAX),
                leader_id: leader.map_or(-1, |id| id.0),
                leader_epoch: partition.leader_epoch,
                replica_nodes: ids(&partition.replicas),
                isr_nodes: ids(&partition.isr),
                offline_replicas: offline.map(|id| id.0).collect(),
                ..MetadataResponsePartition::default()
            }
        });
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(Text::from(topic.name.as_str())),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        ..MetadataResponseTopic::default()
    }
}

/// Whether the client wants to know what it may do.
#[derive(Clone, Copy)]
struct AskedOperations {
    cluster: bool,
    topics: bool,
}

impl AskedOperations {
    fn of(request: &MetadataRequest) -> Self {
        AskedOperations {
            cluster: request.include_cluster_authorized_operations,
            topics: request.include_topic_authorized_operations,
        }
    }
}

fn response(
    ctx: &Ctx,
    image: &Image,
    topics: Vec<MetadataResponseTopic>,
    asked: AskedOperations,
) -> MetadataResponse {
    let brokers = ctx
        .live_brokers(image)
        .into_iter()
        .map(|b| MetadataResponseBroker {
            node_id: b.id,
            host: Text::from(b.host.as_str()),
            port: b.port,
            rack: b.rack.as_deref().map(Text::from),
            ..MetadataResponseBroker::default()
        });
    let cluster_id = image.cluster_id().map(|id| Text::from(id.0.as_str()));
    // Topic ids came with version 10; older versions have no place for them.
    let topics = topics.into_iter().map(|t| MetadataResponseTopic {
        topic_id: if ctx.version < 10 {
            Uuid::ZERO
        } else {
            t.topic_id
        },
        topic_authorized_operations: authorized_operations::if_asked(
            asked.topics && t.error_code == ErrorCode::None.code(),
            authorized_operations::TOPIC,
        ),
        ..t
    });
    MetadataResponse {
        brokers: brokers.collect(),
        cluster_id,
        controller_id: ctx.broker.node_id.0,
        topics: topics.collect(),
        cluster_authorized_operations: authorized_operations::if_asked(
            asked.cluster,
            authorized_operations::CLUSTER,
        ),
        ..MetadataResponse::default()
    }
}
