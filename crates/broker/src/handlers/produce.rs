//! Produce (key 0): records for partitions.
//!
//! ```text
//! ordered stage    lookup → record::validate → (a transaction: admission) → Log::append puts the
//!                  batch into the log's queue
//! awaiting stage   the log's owner writes and flushes a group of batches; with acks=all all
//!                  replicas in sync have it; then the answer goes out
//! ```
//!
//! With `acks=1` the answer means that the records are on the leader's disk, with `acks=all` that
//! they are on the disks of all replicas in sync, unless the topic is configured not to wait for
//! disks. With `acks=0` there is no answer; a refused batch closes the
//! connection, which is the only way to make such a client look again.

mod admission;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_config::TopicConfig;
use ottla_log::{Append, AppendFuture, Appended, Log, UNKNOWN_OFFSET};
use ottla_model::{ErrorCode, LeaderEpoch, TopicPartition, Uuid, is_internal_topic};
use ottla_record::validate::{self, Invalid, Rules};
use ottla_record::{Compression, TimestampType};
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use ottla_wire::messages::{ProduceRequest, ProduceResponse};
use ottla_wire::{Chunks, Text};

use crate::context::{Answer, Ctx, Topic, is_about_leader};
use crate::errors::{self, refusal};
use crate::partitions::{self, Commit, LocalTopic, Partition};

/// Before this version topics are named by name, from it on by id.
const BY_ID: i16 = 13;
/// From this version on the answer says who leads instead.
const KNOWS_LEADERS: i16 = 10;
/// `acks`: all replicas in sync.
const ACKS_ALL: i16 = -1;
/// Kafka's own tools may write internal topics under this client id.
const ADMIN_CLIENT_ID: &str = "__admin_client";

pub(crate) async fn handle(ctx: Ctx, request: ProduceRequest) -> Answer<ProduceResponse> {
    let acks = request.acks;
    let mut topics: Vec<_> = request
        .topic_data
        .into_iter()
        .map(|t| check(&ctx, t, acks))
        .collect();
    if topics.iter().any(Checked::is_transactional) {
        let transactional_id = request.transactional_id.as_ref();
        admission::admit(&ctx, transactional_id, &mut topics).await;
    }
    let timeout_ms = u64::try_from(request.timeout_ms).unwrap_or(0);
    let timeout = (acks == ACKS_ALL).then(|| Duration::from_millis(timeout_ms));
    let topics: Vec<_> = topics
        .into_iter()
        .map(|t| t.enqueue(&ctx, timeout))
        .collect();
    if acks == 0 {
        return unacknowledged(topics);
    }
    let version = ctx.version;
    Answer::later(async move {
        let waiting = topics.into_iter().map(|t| t.wait(&ctx, version));
        let responses = join_all(waiting).await;
        let mut response = ProduceResponse {
            responses,
            ..ProduceResponse::default()
        };
        name_leaders(&ctx, &mut response);
        response
    })
}

/// Tells who leads the partitions that do not lead here (KIP-951).
fn name_leaders(ctx: &Ctx, response: &mut ProduceResponse) {
    if ctx.version < KNOWS_LEADERS {
        return;
    }
    let image = ctx.broker.image();
    let mut leaders = BTreeSet::new();
    for topic in &mut response.responses {
        let named = match ctx.version {
            BY_ID.. => Topic::Id(topic.topic_id),
            _ => Topic::Name(&topic.name),
        };
        let partitions = topic.partition_responses.iter_mut();
        for partition in partitions.filter(|p| is_about_leader(p.error_code)) {
            if let Some((id, epoch)) = ctx.leader_of(&image, named, partition.index) {
                partition.current_leader.leader_id = id.0;
                partition.current_leader.leader_epoch = epoch;
                leaders.insert(id);
            }
        }
    }
    let endpoints = ctx.endpoints_of(&image, &leaders).into_iter();
    response.node_endpoints = endpoints
        .map(|b| NodeEndpoint {
            node_id: b.id,
            host: Text::from(b.host.as_str()),
            port: b.port,
            rack: b.rack.as_deref().map(Text::from),
            ..NodeEndpoint::default()
        })
        .collect();
}

/// The batches of one topic that have been looked at.
struct Checked {
    name: Text,
    topic_id: Uuid,
    partitions: Vec<(i32, Result<Ready, Invalid>)>,
}

/// A batch that may enter its log.
struct Ready {
    at: TopicPartition,
    partition: Arc<Partition>,
    log: Log,
    append: Append,
    records: i32,
}

/// The batches of one topic on their way.
struct TopicOnItsWay {
    name: Text,
    topic_id: Uuid,
    partitions: Vec<(i32, Queued)>,
}

/// The batch of one partition: in the log's queue, or refused at the door.
type Queued = Result<Appending, Invalid>;

/// A batch in its log's queue.
struct Appending {
    partition: Arc<Partition>,
    append: AppendFuture,
    /// How long all replicas in sync are waited for, if they are.
    commit: Option<Commit>,
}

impl Appending {
    /// Waits until the batch is where its producer wants it.
    async fn finish(self) -> Result<Appended, Invalid> {
        let appended = self.append.await;
        let appended = appended.map_err(|error| errors::of_append(&error))?;
        if let Some(commit) = self.commit {
            let committed = self.partition.committed(appended.last_offset, commit).await;
            committed.map_err(refusal)?;
        }
        Ok(appended)
    }
}

/// Looks up the partitions of one topic, and checks what is sent to them.
fn check(ctx: &Ctx, topic: TopicProduceData, acks: i16) -> Checked {
    let by_id = ctx.version >= BY_ID;
    let local = if by_id {
        ctx.broker.partitions.topic(topic.topic_id)
    } else {
        ctx.broker.partitions.topic_by_name(&topic.name)
    };
    let check = |partition: PartitionProduceData| {
        let checked = match &local {
            Some(local) => check_partition(ctx, local, partition.index, partition.records, acks),
            None if by_id => Err(refusal(ErrorCode::UnknownTopicId)),
            None => Err(refusal(ErrorCode::UnknownTopicOrPartition)),
        };
        (partition.index, checked)
    };
    let partitions = topic.partition_data.into_iter().map(check).collect();
    Checked {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions,
    }
}

impl Checked {
    fn is_transactional(&self) -> bool {
        let ready = self.partitions.iter().filter_map(|(_, r)| r.as_ref().ok());
        let mut headers = ready.flat_map(|r| r.append.batches.iter().map(|b| b.header()));
        headers.any(|header| header.attributes.is_transactional())
    }

    /// Puts the batches into the queues of their logs.
    fn enqueue(self, ctx: &Ctx, timeout: Option<Duration>) -> TopicOnItsWay {
        let enqueue = |(index, checked): (i32, Result<Ready, Invalid>)| {
            let queued = checked.map(|ready| {
                ctx.broker.probe.count_records_in(ready.records);
                let commit = timeout.map(|limit| Commit {
                    leader_epoch: ready.append.leader_epoch,
                    timeout: Some(limit),
                });
                Appending {
                    append: ready.log.append(ready.append),
                    partition: ready.partition,
                    commit,
                }
            });
            (index, queued)
        };
        TopicOnItsWay {
            name: self.name,
            topic_id: self.topic_id,
            partitions: self.partitions.into_iter().map(enqueue).collect(),
        }
    }
}

fn check_partition(
    ctx: &Ctx,
    topic: &LocalTopic,
    index: i32,
    records: Option<Chunks>,
    acks: i16,
) -> Result<Ready, Invalid> {
    if !(-1..=1).contains(&acks) {
        return Err(refusal(ErrorCode::InvalidRequiredAcks));
    }
    if is_internal_topic(topic.name.as_str()) && &*ctx.client_id != ADMIN_CLIENT_ID {
        return Err(refusal(ErrorCode::InvalidTopicException));
    }
    let partition = partitions::find(Some(topic), index).map_err(refusal)?;
    // The term first: a batch that is checked for one term must not enter the log in the next one.
    let leader_epoch = partition.leader_epoch();
    let log = partition.leader_log().map_err(refusal)?;
    let config = partition.config();
    if acks == ACKS_ALL && !partition.has_enough_in_sync() {
        return Err(refusal(ErrorCode::NotEnoughReplicas));
    }
    check_records(ctx, (partition, leader_epoch), log, &config, records)
}

fn check_records(
    ctx: &Ctx,
    (partition, leader_epoch): (&Arc<Partition>, LeaderEpoch),
    log: &Log,
    config: &TopicConfig,
    records: Option<Chunks>,
) -> Result<Ready, Invalid> {
    let records = records.unwrap_or_default().into_contiguous();
    let validated = validate::produce(records, &rules(ctx, config))?;
    Ok(Ready {
        at: TopicPartition::new(partition.topic.clone(), partition.index),
        partition: Arc::clone(partition),
        log: log.clone(),
        append: Append {
            log_append_time: validated.log_append_time,
            ..Append::from_client(validated.batches, leader_epoch)
        },
        records: validated.record_count,
    })
}

/// What the topic asks of the records.
fn rules(ctx: &Ctx, config: &TopicConfig) -> Rules {
    Rules {
        api_version: ctx.version,
        max_message_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
        segment_bytes: usize::try_from(config.segment_bytes).unwrap_or(0),
        now_ms: ctx.broker.runtime.clock.now_ms(),
        timestamp_type: match config.message_timestamp_type {
            ottla_config::TimestampType::CreateTime => TimestampType::CreateTime,
            ottla_config::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        before_max_ms: config.message_timestamp_before_max_ms,
        after_max_ms: config.message_timestamp_after_max_ms,
        compacted: config.cleanup_policy.compact,
        compression: target_compression(config),
        look_into_compressed: false,
        decompress_limit: ctx.broker.decompress_limit(),
    }
}

/// The compression that the topic insists on, with its level.
fn target_compression(config: &TopicConfig) -> Option<(Compression, Option<i32>)> {
    use ottla_config::CompressionType;
    match config.compression_type {
        CompressionType::Producer => None,
        CompressionType::Uncompressed => Some((Compression::None, None)),
        CompressionType::Gzip => Some((Compression::Gzip, Some(config.compression_gzip_level))),
        CompressionType::Snappy => Some((Compression::Snappy, None)),
        CompressionType::Lz4 => Some((Compression::Lz4, Some(config.compression_lz4_level))),
        CompressionType::Zstd => Some((Compression::Zstd, Some(config.compression_zstd_level))),
    }
}

/// `acks=0`: nobody is told, but a batch that is refused at the door ends the connection.
fn unacknowledged(topics: Vec<TopicOnItsWay>) -> Answer<ProduceResponse> {
    let mut waiting = Vec::new();
    for (partition, queued) in topics.into_iter().flat_map(|t| t.partitions) {
        match queued {
            Ok(appending) => waiting.push(appending),
            Err(refused) => {
                return Answer::Close(format!(
                    "a batch for partition {partition} was produced with acks=0 and refused: {refused}"
                ));
            }
        }
    }
    Answer::Silent(Box::pin(async move {
        let outcomes = join_all(waiting.into_iter().map(Appending::finish)).await;
        match outcomes.into_iter().find_map(Result::err) {
            Some(invalid) => Err(format!(
                "a batch that was produced with acks=0 is lost: {}",
                invalid.message
            )),
            None => Ok(()),
        }
    }))
}

impl TopicOnItsWay {
    /// The awaiting stage.
    async fn wait(self, ctx: &Ctx, version: i16) -> TopicProduceResponse {
        let partitions = self
            .partitions
            .into_iter()
            .map(|(index, queued)| async move {
                match queued {
                    Ok(appending) => match appending.finish().await {
                        // Producers take this error for a success without an offset.
                        Ok(Appended {
                            base_offset: UNKNOWN_OFFSET,
                            ..
                        }) => refused(index, refusal(ErrorCode::DuplicateSequenceNumber), version),
                        Ok(appended) => acknowledged(index, &appended),
                        Err(invalid) => refused(index, if_leader(ctx, invalid), version),
                    },
                    Err(invalid) => refused(index, invalid, version),
                }
            });
        TopicProduceResponse {
            name: self.name,
            topic_id: self.topic_id,
            partition_responses: join_all(partitions).await,
            ..TopicProduceResponse::default()
        }
    }
}

/// What a producer takes for final, only a leader may say: one that has lost the controller may long
/// have a successor, with more of the producer's records.
fn if_leader(ctx: &Ctx, invalid: Invalid) -> Invalid {
    let is_final = matches!(
        invalid.code,
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::InvalidProducerEpoch
    );
    if is_final && ctx.broker.has_lost_contact() {
        return Invalid {
            code: ErrorCode::NotLeaderOrFollower,
            message: format!(
                "This broker has not heard from the controller for long, and may lead the partition \
                 no more; ask for the leader and try again. ({})",
                invalid.message
            ),
            record_errors: invalid.record_errors,
        };
    }
    invalid
}

fn acknowledged(index: i32, appended: &Appended) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time,
        log_start_offset: appended.log_start_offset,
        ..PartitionProduceResponse::default()
    }
}

fn refused(index: i32, invalid: Invalid, version: i16) -> PartitionProduceResponse {
    let mut response = PartitionProduceResponse {
        index,
        error_code: invalid.code.code(),
        base_offset: -1,
        ..PartitionProduceResponse::default()
    };
    if version >= 8 {
        response.error_message = Some(Text::from(invalid.message.as_str()));
        let record_errors = invalid.record_errors.into_iter();
        response.record_errors = record_errors
            .map(|r| BatchIndexAndErrorMessage {
                batch_index: r.batch_index,
                batch_index_error_message: Some(Text::from(r.message.as_str())),
                ..BatchIndexAndErrorMessage::default()
            })
            .collect();
    }
    response
}
