//! ListOffsets (key 2): an offset for a timestamp, or for one of the names that negative
//! timestamps stand for.

use std::collections::HashMap;

use futures_util::future::join_all;
use ottla_log::{Log, TimestampOffset, UpTo};
use ottla_model::ErrorCode;
use ottla_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ottla_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::context::{Answer, Ctx};
use crate::errors;
use crate::partitions::{self, LocalTopic};

/// The end of what can be read: the high watermark, or the last stable offset for who reads what is
/// committed (`IsolationLevel` 1).
const LATEST: i64 = -1;
/// From this version on clients know `OFFSET_NOT_AVAILABLE`.
const KNOWS_NOT_AVAILABLE: i16 = 5;
/// `IsolationLevel`: only what was committed.
const READ_COMMITTED: i8 = 1;
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
        let up_to = match request.isolation_level {
            READ_COMMITTED => UpTo::LastStable,
            _ => UpTo::HighWatermark,
        };
        let topics = request.topics.into_iter();
        let topics = join_all(topics.map(|t| topic(&ctx, t, up_to))).await;
        ListOffsetsResponse {
            topics,
            ..ListOffsetsResponse::default()
        }
    })
}

async fn topic(ctx: &Ctx, topic: ListOffsetsTopic, up_to: UpTo) -> ListOffsetsTopicResponse {
    let local = ctx.broker.partitions.topic_by_name(&topic.name);
    let mut times_named: HashMap<i32, usize> = HashMap::new();
    for wanted in &topic.partitions {
        *times_named.entry(wanted.partition_index).or_default() += 1;
    }
    let mut partitions = Vec::with_capacity(times_named.len());
    for wanted in topic.partitions {
        // A partition that is named several times is refused, once, as by Kafka.
        let answer = match times_named.remove(&wanted.partition_index) {
            None => continue,
            Some(1) => lookup(ctx, local.as_deref(), &wanted, up_to).await,
            Some(_) => Err(ErrorCode::InvalidRequest),
        };
        partitions.push(response(ctx.version, wanted.partition_index, answer));
    }
    ListOffsetsTopicResponse {
        name: topic.name,
        partitions,
        ..ListOffsetsTopicResponse::default()
    }
}

/// Whether the version of the request has what the timestamp stands for.
fn is_supported(timestamp: i64, version: i16) -> bool {
    match timestamp {
        0.. | LATEST | EARLIEST => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        EARLIEST_PENDING_UPLOAD => version >= 11,
        _ => false,
    }
}

/// What was found. `offset` -1 with no error means that no record fits.
struct Found {
    timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

const NOTHING: Found = Found {
    timestamp: -1,
    offset: -1,
    leader_epoch: -1,
};

async fn lookup(
    ctx: &Ctx,
    topic: Option<&LocalTopic>,
    wanted: &ListOffsetsPartition,
    up_to: UpTo,
) -> Result<Found, ErrorCode> {
    if !is_supported(wanted.timestamp, ctx.version) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let partition = partitions::find(topic, wanted.partition_index)?;
    let log = partition.leader_log()?;
    let leader_epoch = partition.leader_epoch();
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    let at = |offset| {
        Ok(Found {
            timestamp: -1,
            offset,
            leader_epoch,
        })
    };
    if wanted.timestamp != EARLIEST && !partition.knows_its_end() {
        // Clients try both again; older ones do not know the better name.
        return Err(match ctx.version {
            KNOWS_NOT_AVAILABLE.. => ErrorCode::OffsetNotAvailable,
            _ => ErrorCode::LeaderNotAvailable,
        });
    }
    match wanted.timestamp {
        LATEST => at(end(log, up_to)),
        EARLIEST | EARLIEST_LOCAL => at(log.log_start_offset()),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(NOTHING),
        MAX_TIMESTAMP => search(ctx, log, None, up_to).await,
        timestamp => search(ctx, log, Some(timestamp), up_to).await,
    }
}

/// The end of what the client can read.
fn end(log: &Log, up_to: UpTo) -> i64 {
    match up_to {
        UpTo::LastStable => log.last_stable_offset(),
        UpTo::HighWatermark | UpTo::LogEnd => log.high_watermark(),
    }
}

/// Looks the time index up and reads the batch that it points at, away from the network's threads.
async fn search(
    ctx: &Ctx,
    log: &Log,
    timestamp: Option<i64>,
    up_to: UpTo,
) -> Result<Found, ErrorCode> {
    let end = end(log, up_to);
    let log = log.clone();
    let limit = ctx.broker.decompress_limit();
    let search = move || match timestamp {
        Some(timestamp) => log.offset_for_timestamp(timestamp, limit),
        None => log.max_timestamp_offset(limit),
    };
    match ctx.broker.runtime.tasks.blocking(search).await {
        Ok(Some(TimestampOffset {
            timestamp,
            offset,
            leader_epoch,
        })) if offset < end => Ok(Found {
            timestamp,
            offset,
            leader_epoch,
        }),
        // Nothing fits, or only what the client cannot read yet.
        Ok(_) => Ok(NOTHING),
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
