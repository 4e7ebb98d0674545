//! OffsetForLeaderEpoch (key 23): where a leader's term ends, for consumers that look whether the
//! log was cut behind their backs (KIP-101, KIP-320).

use ottla_log::Log;
use ottla_model::{ErrorCode, LeaderEpoch, NO_LEADER_EPOCH, Offset};
use ottla_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use ottla_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use ottla_wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::partitions::{self, LocalTopic};

pub(crate) async fn handle(
    ctx: Ctx,
    request: OffsetForLeaderEpochRequest,
) -> Answer<OffsetForLeaderEpochResponse> {
    let topics = distinct(request.topics, |t| t.topic.clone());
    let topics = topics.into_iter().map(|topic| {
        let local = ctx.broker.partitions.topic_by_name(&topic.topic);
        let wanted = distinct(topic.partitions, |p| p.partition);
        let partitions = wanted.iter().map(|w| response(local.as_deref(), w));
        OffsetForLeaderTopicResult {
            partitions: partitions.collect(),
            topic: topic.topic,
            ..OffsetForLeaderTopicResult::default()
        }
    });
    Answer::Now(OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..OffsetForLeaderEpochResponse::default()
    })
}

fn response(topic: Option<&LocalTopic>, wanted: &OffsetForLeaderPartition) -> EpochEndOffset {
    let (code, end) = match lookup(topic, wanted) {
        Ok(end) => (ErrorCode::None, end),
        Err(code) => (code, None),
    };
    let (leader_epoch, end_offset) = end.unwrap_or((NO_LEADER_EPOCH, -1));
    EpochEndOffset {
        error_code: code.code(),
        partition: wanted.partition,
        leader_epoch,
        end_offset,
        ..EpochEndOffset::default()
    }
}

fn lookup(
    topic: Option<&LocalTopic>,
    wanted: &OffsetForLeaderPartition,
) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    let partition = partitions::find(topic, wanted.partition)?;
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    let log = partition.leader_log()?;
    Ok(end_of(log, partition.leader_epoch(), wanted.leader_epoch))
}

/// The largest term up to `wanted` and where it ends. A log learns of the present term with its
/// first batch; it begins at the log's end until then.
fn end_of(log: &Log, present: LeaderEpoch, wanted: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
    if wanted == NO_LEADER_EPOCH || wanted > present {
        return None;
    }
    if wanted == present {
        return Some((present, log.log_end_offset()));
    }
    log.leader_epoch_end_offset(wanted).or_else(|| {
        let written = log.latest_leader_epoch().unwrap_or(wanted);
        Some((written.min(wanted), log.log_end_offset()))
    })
}
