//! ListOffsets (key 2): an offset for a timestamp, or for one of the names that negative
//! timestamps stand for.

use futures_util::future::join_all;
use ottla_log::{Log, TimestampOffset};
use ottla_model::ErrorCode;
use ottla_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ottla_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::context::{Answer, Ctx};
use crate::errors;
use crate::partitions::LocalTopic;

/// The end of what can be read: the high watermark.
const LATEST: i64 = -1;
/// The log start offset.
const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
const MAX_TIMESTAMP: i64 = -3;
/// The first offset on the local disk (KIP-405); without tiers it is the log start offset.
const EARLIEST_LOCAL: i64 = -4;
/// The last offset in the remote tier (KIP-1005); without tiers there is none.
const LATEST_TIERED: i64 = -5;
/// The first offset that waits for its upload (KIP-1023); without tiers there is none.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

pub(crate) async fn handle(ctx: Ctx, request: ListOffsetsRequest) -> Answer<ListOffsetsResponse> {
    Answer::later(async move {
        let topics = join_all(request.topics.into_iter().map(|t| topic(&ctx, t))).await;
        ListOffsetsResponse { topics, ..ListOffsetsResponse::default() }
    })
}

async fn topic(ctx: &Ctx, topic: ListOffsetsTopic) -> ListOffsetsTopicResponse {
    let local = ctx.broker.partitions.topic_by_name(&topic.name);
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for wanted in topic.partitions {
        let twice = partitions
            .iter()
            .any(|p: &ListOffsetsPartitionResponse| p.partition_index == wanted.partition_index);
        let answer = match &local {
            _ if twice => Err(ErrorCode::InvalidRequest),
            Some(local) => lookup(ctx, local, &wanted).await,
            None => Err(ErrorCode::UnknownTopicOrPartition),
        };
        partitions.push(response(ctx.version, wanted.partition_index, answer));
    }
    ListOffsetsTopicResponse { name: topic.name, partitions, ..ListOffsetsTopicResponse::default() }
}

/// What was found. `offset` -1 with no error means that no record fits.
struct Found {
    timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

const NOTHING: Found = Found { timestamp: -1, offset: -1, leader_epoch: -1 };

async fn lookup(
    ctx: &Ctx,
    topic: &LocalTopic,
    wanted: &ListOffsetsPartition,
) -> Result<Found, ErrorCode> {
    let partition =
        topic.partition(wanted.partition_index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let log = partition.log().ok_or(ErrorCode::NotLeaderOrFollower)?;
    let leader_epoch = partition.leader_epoch();
    match wanted.current_leader_epoch {
        -1 => {}
        known if known < leader_epoch => return Err(ErrorCode::FencedLeaderEpoch),
        known if known > leader_epoch => return Err(ErrorCode::UnknownLeaderEpoch),
        _ => {}
    }
    let at = |offset| Ok(Found { timestamp: -1, offset, leader_epoch });
    match (wanted.timestamp, ctx.version) {
        (LATEST, _) => at(log.high_watermark()),
        (EARLIEST, _) | (EARLIEST_LOCAL, 8..) => at(log.log_start_offset()),
        (LATEST_TIERED, 9..) | (EARLIEST_PENDING_UPLOAD, 11..) => Ok(NOTHING),
        (MAX_TIMESTAMP, 7..) => search(ctx, log, None).await,
        (timestamp, _) if timestamp >= 0 => search(ctx, log, Some(timestamp)).await,
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// Looks the time index up and reads the batch that it points at, away from the network's threads.
async fn search(
    ctx: &Ctx,
    log: &Log,
    timestamp: Option<i64>,
) -> Result<Found, ErrorCode> {
    let log = log.clone();
    let limit = ctx.broker.decompress_limit();
    let search = move || match timestamp {
        Some(timestamp) => log.offset_for_timestamp(timestamp, limit),
        None => log.max_timestamp_offset(limit),
    };
    match ctx.broker.runtime.tasks.blocking(search).await {
        Ok(Some(TimestampOffset { timestamp, offset, leader_epoch })) => {
            Ok(Found { timestamp, offset, leader_epoch })
        }
        Ok(None) => Ok(NOTHING),
        Err(error) => Err(errors::of_read(&error)),
    }
}

fn response(
    version: i16,
    partition_index: i32,
    answer: Result<Found, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let (code, found) = match answer {
        Ok(found) => (ErrorCode::None, found),
        Err(code) => (code, NOTHING),
    };
    ListOffsetsPartitionResponse {
        partition_index,
        error_code: code.code(),
        timestamp: found.timestamp,
        offset: found.offset,
        leader_epoch: if version >= 4 { found.leader_epoch } else { -1 },
        ..ListOffsetsPartitionResponse::default()
    }
}
