//! DescribeTopicPartitions (key 75): topics page by page (KIP-966).

use ottla_metadata::{Image, TopicImage};
use ottla_model::{ErrorCode, TopicName};
use ottla_wire::Text;
use ottla_wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_wire::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use crate::authorized_operations;
use crate::context::{Answer, Ctx};

/// A page has at most this many partitions (`max.request.partition.size.limit`).
const PAGE_MAX: usize = 2000;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeTopicPartitionsRequest,
) -> Answer<DescribeTopicPartitionsResponse> {
    let image = ctx.broker.image();
    let mut names: Vec<String> = if request.topics.is_empty() {
        image.topics().map(|t| t.name.to_string()).collect()
    } else {
        request.topics.iter().map(|t| t.name.to_string()).collect()
    };
    names.sort_unstable();
    names.dedup();
    let (start_topic, mut start_partition) = match &request.cursor {
        Some(cursor) => (
            cursor.topic_name.to_string(),
            cursor.partition_index.max(0) as usize,
        ),
        None => (String::new(), 0),
    };
    let mut room = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .clamp(1, PAGE_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|n| *n >= start_topic) {
        let first = if name == start_topic {
            std::mem::take(&mut start_partition)
        } else {
            0
        };
        let Some(topic) = image.topic(&name) else {
            // All topics were asked for, and this one went away meanwhile, or it never was.
            response.topics.push(unknown(&name));
            continue;
        };
        if room == 0 {
            response.next_cursor = Some(cursor(&name, first));
            break;
        }
        let described = describe(&image, topic, first, room);
        let reached = first + described.partitions.len();
        room -= described.partitions.len();
        response.topics.push(described);
        if reached < topic.partitions.len() {
            response.next_cursor = Some(cursor(&name, reached));
            break;
        }
    }
    Answer::Now(response)
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    Cursor {
        topic_name: Text::from(topic),
        partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
        ..Cursor::default()
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match TopicName::new(name) {
        Ok(_) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(Text::from(name)),
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn describe(
    image: &Image,
    topic: &TopicImage,
    first: usize,
    room: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let page = topic.partitions.iter().enumerate().skip(first).take(room);
    let partitions = page.map(|(index, p)| DescribeTopicPartitionsResponsePartition {
        error_code: match p.leader {
            Some(_) => ErrorCode::None.code(),
            None => ErrorCode::LeaderNotAvailable.code(),
        },
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        leader_id: p.leader.map_or(-1, |id| id.0),
        leader_epoch: p.leader_epoch,
        replica_nodes: p.replicas.iter().map(|id| id.0).collect(),
        isr_nodes: p.isr.iter().map(|id| id.0).collect(),
        eligible_leader_replicas: Some(p.elr.iter().map(|id| id.0).collect()),
        last_known_elr: Some(p.last_known_elr.iter().map(|id| id.0).collect()),
        offline_replicas: p
            .replicas
            .iter()
            .filter(|&&id| !image.is_live(id))
            .map(|id| id.0)
            .collect(),
        ..DescribeTopicPartitionsResponsePartition::default()
    });
    DescribeTopicPartitionsResponseTopic {
        name: Some(Text::from(topic.name.as_str())),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        topic_authorized_operations: authorized_operations::TOPIC,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}
