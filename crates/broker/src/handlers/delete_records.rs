//! DeleteRecords (key 21): moves the start of logs (KIP-107).

use std::collections::BTreeMap;

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use ottla_model::{ErrorCode, Offset, PartitionIndex, is_internal_topic};
use ottla_wire::Text;
use ottla_wire::messages::delete_records_request::DeleteRecordsTopic;
use ottla_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ottla_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::context::{Answer, Ctx};
use crate::errors;
use crate::partitions::{self, LocalTopic, Partition};

/// Stands for the high watermark: everything that can be read.
const HIGH_WATERMARK: Offset = -1;
/// The low watermark beside an error.
const NO_LOW_WATERMARK: Offset = -1;
/// How often followers are looked at while they are waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Logs whose start is moved at the same time; each move flushes a checkpoint.
const AT_ONCE: usize = 16;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DeleteRecordsRequest,
) -> Answer<DeleteRecordsResponse> {
    Answer::later(async move {
        let timeout_ms = u64::try_from(request.timeout_ms).unwrap_or(0);
        let timeout = Duration::from_millis(timeout_ms);
        let mut topics = Vec::new();
        for (name, wanted) in by_topic(request.topics) {
            topics.push(topic(&ctx, name, wanted, timeout).await);
        }
        DeleteRecordsResponse {
            topics,
            ..DeleteRecordsResponse::default()
        }
    })
}

/// Of a partition that is named several times, the last offset holds.
fn by_topic(topics: Vec<DeleteRecordsTopic>) -> BTreeMap<Text, BTreeMap<PartitionIndex, Offset>> {
    let mut wanted: BTreeMap<Text, BTreeMap<PartitionIndex, Offset>> = BTreeMap::new();
    for topic in topics {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|p| (p.partition_index, p.offset));
        wanted.entry(topic.name).or_default().extend(partitions);
    }
    wanted
}

async fn topic(
    ctx: &Ctx,
    name: Text,
    wanted: BTreeMap<PartitionIndex, Offset>,
    timeout: Duration,
) -> DeleteRecordsTopicResult {
    let local = ctx.broker.partitions.topic_by_name(&name);
    let local = local.as_deref();
    let deletions = stream::iter(wanted).map(|(index, offset)| async move {
        let deleted = delete(ctx, local, index, offset, timeout).await;
        let code = deleted.err().unwrap_or(ErrorCode::None);
        DeleteRecordsPartitionResult {
            partition_index: index,
            low_watermark: deleted.unwrap_or(NO_LOW_WATERMARK),
            error_code: code.code(),
            ..DeleteRecordsPartitionResult::default()
        }
    });
    DeleteRecordsTopicResult {
        partitions: deletions.buffered(AT_ONCE).collect().await,
        name,
        ..DeleteRecordsTopicResult::default()
    }
}

async fn delete(
    ctx: &Ctx,
    topic: Option<&LocalTopic>,
    index: PartitionIndex,
    offset: Offset,
    timeout: Duration,
) -> Result<Offset, ErrorCode> {
    let partition = partitions::find(topic, index)?;
    if is_internal_topic(partition.topic.as_str()) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let log = partition.leader_log()?;
    let config = log.config();
    if config.compact && !config.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let before = match offset {
        HIGH_WATERMARK => log.high_watermark(),
        offset => offset,
    };
    let deleted = ctx.broker.log_dir.delete_records_before(log, before).await;
    let log_start = deleted.map_err(|error| errors::of_read(&error))?;
    let clock = &ctx.broker.runtime.clock;
    let everywhere = deleted_everywhere(ctx, partition, log_start);
    let waited = clock.timeout(timeout, everywhere).await;
    waited.unwrap_or(Err(ErrorCode::RequestTimedOut))
}

/// Waits until all live replicas have followed, and says from which offset on records are left.
async fn deleted_everywhere(
    ctx: &Ctx,
    partition: &Partition,
    log_start: Offset,
) -> Result<Offset, ErrorCode> {
    loop {
        let image = ctx.broker.image();
        let is_live = |id| image.is_live(id);
        let low = partition.with_leader(|state| state.low_watermark(log_start, is_live));
        let low = low.ok_or(ErrorCode::NotLeaderOrFollower)?;
        if low >= log_start {
            return Ok(low);
        }
        ctx.broker.runtime.clock.sleep(LOOK_AGAIN).await;
    }
}
