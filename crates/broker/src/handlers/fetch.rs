//! Fetch (key 1): records from partitions, as soon as enough of them are there.
//!
//! ```text
//! ordered stage    the session learns what changed (KIP-227)
//! awaiting stage   read what is there; not enough yet and time left? wait for a high watermark (or
//!                  a last stable offset, who reads what is committed) to move and read again
//! ```
//!
//! The newest batches come from memory; others are read from disk away from the network's threads.
//!
//! Followers fetch, too: what they ask for next tells the leader what they have on disk. They read
//! beyond the high watermark; consumers may read from them what is committed (KIP-392).

mod reader;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use ottla_log::{Log, OffsetWatch, ReadResult, UpTo};
use ottla_model::{ErrorCode, Offset, Sabotage, Uuid};
use ottla_wire::Text;
use ottla_wire::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, NodeEndpoint, PartitionData,
};
use ottla_wire::messages::{FetchRequest, FetchResponse};

use crate::context::{Answer, Ctx, Topic, is_about_leader};
use crate::errors;
use crate::fetch_sessions::{FetchContext, SessionRequest, TopicKey, Wanted};
use crate::partitions::{self, Partition};
use crate::replication::Side;

use self::reader::Reader;

/// From this version on topics are named by id (KIP-516).
const BY_ID: i16 = 13;
/// From this version on the answer says who leads instead.
const KNOWS_LEADERS: i16 = 16;
/// A client of this version or older does not know `KAFKA_STORAGE_ERROR`.
const NO_STORAGE_ERROR: i16 = 5;
/// `IsolationLevel`: only what was committed. Such a client hears which transactions were aborted.
const READ_COMMITTED: i8 = 1;

pub(crate) async fn handle(ctx: Ctx, request: FetchRequest) -> Answer<FetchResponse> {
    let limits = Limits::of(&ctx, &request);
    let reader = Reader::of(&ctx, &request);
    let by_id = ctx.version >= BY_ID;
    let read_committed = request.isolation_level == READ_COMMITTED;
    let now_ms = ctx.broker.runtime.clock.monotonic_ms();
    let context = match ctx
        .broker
        .sessions
        .begin(session_request(request, by_id), now_ms)
    {
        Ok(context) => context,
        Err(code) => {
            // The session is no longer the client's: the answer names none.
            return Answer::Now(FetchResponse {
                error_code: code.code(),
                ..FetchResponse::default()
            });
        }
    };
    Answer::later(async move {
        let results = serve(&ctx, context.wanted(), &reader, &limits).await;
        if let Some(charge) = &ctx.charge
            && reader.is_consumer()
            && charge.fetched(response_bytes(&results))
        {
            // The session has not moved on: the client asks the same again after its pause.
            return FetchResponse {
                session_id: context.session_id(),
                ..FetchResponse::default()
            };
        }
        respond(&ctx, context, results, read_committed)
    })
}

/// What bounds one fetch.
struct Limits {
    max_wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    up_to: UpTo,
}

impl Limits {
    fn of(ctx: &Ctx, request: &FetchRequest) -> Self {
        let broker_max = usize::try_from(ctx.broker.config().broker.fetch_max_bytes).unwrap_or(0);
        let max_bytes = usize::try_from(request.max_bytes)
            .unwrap_or(0)
            .min(broker_max);
        // More than the quota allows in all its windows would never be sent.
        let quota_max = ctx
            .charge
            .as_ref()
            .and_then(|charge| charge.fetch_bytes_max());
        let max_bytes = max_bytes.min(quota_max.unwrap_or(usize::MAX));
        Limits {
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
            min_bytes: usize::try_from(request.min_bytes)
                .unwrap_or(0)
                .min(max_bytes),
            max_bytes,
            up_to: match request.isolation_level {
                _ if Reader::replica_of(request).is_some() => UpTo::LogEnd,
                _ if Sabotage::ServesUncommitted.is_on() => UpTo::LogEnd,
                READ_COMMITTED => UpTo::LastStable,
                _ => UpTo::HighWatermark,
            },
        }
    }
}

/// The length of the answer, for quotas: the records, and about what a partition takes beside them.
fn response_bytes(results: &[(Wanted, PartitionData)]) -> usize {
    const PARTITION: usize = 48;
    let records = |data: &PartitionData| data.records.as_ref().map_or(0, ottla_wire::Chunks::len);
    let partitions = results.iter();
    partitions.map(|(_, data)| PARTITION + records(data)).sum()
}

fn session_request(request: FetchRequest, by_id: bool) -> SessionRequest {
    let key = |name: Text, id: Uuid| {
        if by_id {
            TopicKey::Id(id)
        } else {
            TopicKey::Name(name)
        }
    };
    let mut wanted = Vec::new();
    for topic in request.topics {
        let key = key(topic.topic, topic.topic_id);
        wanted.extend(topic.partitions.into_iter().map(|p| Wanted {
            topic: key.clone(),
            partition: p.partition,
            fetch_offset: p.fetch_offset,
            current_leader_epoch: p.current_leader_epoch,
            last_fetched_epoch: p.last_fetched_epoch,
            max_bytes: p.partition_max_bytes,
            log_start_offset: p.log_start_offset,
            high_watermark: p.high_watermark,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let key = key(topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.into_iter().map(|p| (key.clone(), p)));
    }
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        by_id,
        wanted,
        forgotten,
    }
}

/// Reads until there is enough, an error to tell, or no time left.
async fn serve(
    ctx: &Ctx,
    wanted: &[Wanted],
    reader: &Reader,
    limits: &Limits,
) -> Vec<(Wanted, PartitionData)> {
    let clock = &ctx.broker.runtime.clock;
    let deadline = clock.instant() + limits.max_wait;
    let mut is_first = true;
    loop {
        // Looked up anew each time: a topic may be deleted while its readers wait.
        let partitions: Vec<_> = wanted.iter().map(|w| find(ctx, w, reader)).collect();
        if std::mem::take(&mut is_first) {
            reader.announce(ctx, wanted, &partitions);
        }
        // Marks are taken before the read, so that nothing appended meanwhile is slept through.
        let logs = partitions.iter().flatten().filter_map(|p| p.log());
        let mut marks: Vec<_> = logs.map(Mark::new).collect();
        let pass = Pass::read(ctx, wanted, &partitions, reader, limits).await;
        let enough = pass.bytes >= limits.min_bytes || pass.failed || marks.is_empty();
        let left = deadline.saturating_duration_since(clock.instant());
        if enough || left.is_zero() || ctx.broker.runtime.shutdown().is_announced() {
            return pass.results;
        }
        drop(pass);
        drop(partitions);
        let ends_only =
            limits.up_to == UpTo::LogEnd && wanted.iter().all(|w| w.high_watermark == Offset::MAX);
        let moved = select_all(marks.iter_mut().map(|m| Box::pin(m.moved(ends_only))));
        tokio::select! {
            biased;
            // The node does not wait for those who wait.
            () = ctx.broker.runtime.shutdown().announced() => {}
            _ = clock.timeout(left, moved) => {}
        }
    }
}

/// A log's state at one moment, to wait for newer ones.
struct Mark {
    watch: OffsetWatch,
    log_end: Offset,
}

impl Mark {
    fn new(log: &Log) -> Self {
        let mut watch = log.watch();
        let log_end = watch.offsets().log_end_offset;
        Mark { watch, log_end }
    }

    /// Waits for news: of the log's end alone, for a follower that cares for nothing else.
    async fn moved(&mut self, ends_only: bool) -> bool {
        if ends_only {
            self.watch.log_end_past(self.log_end).await
        } else {
            self.watch.changed().await
        }
    }
}

/// The partition, if it can be read here, or why not.
fn find(ctx: &Ctx, wanted: &Wanted, reader: &Reader) -> Result<Arc<Partition>, ErrorCode> {
    let (topic, missing) = match &wanted.topic {
        TopicKey::Id(id) => (ctx.broker.partitions.topic(*id), ErrorCode::UnknownTopicId),
        TopicKey::Name(name) => (
            ctx.broker.partitions.topic_by_name(name),
            ErrorCode::UnknownTopicOrPartition,
        ),
    };
    let topic = topic.ok_or(missing)?;
    let partition = partitions::find(Some(&topic), wanted.partition)?;
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    partition.readable_log(reader.may_ask_followers())?;
    Ok(Arc::clone(partition))
}

/// One reading of all partitions.
struct Pass {
    results: Vec<(Wanted, PartitionData)>,
    bytes: usize,
    failed: bool,
}

impl Pass {
    async fn read(
        ctx: &Ctx,
        wanted: &[Wanted],
        partitions: &[Result<Arc<Partition>, ErrorCode>],
        reader: &Reader,
        limits: &Limits,
    ) -> Pass {
        let mut pass = Pass {
            results: Vec::with_capacity(wanted.len()),
            bytes: 0,
            failed: false,
        };
        for (wanted, partition) in wanted.iter().zip(partitions) {
            let data = match partition {
                Ok(partition) => {
                    let room = limits.max_bytes.saturating_sub(pass.bytes);
                    let is_first = pass.bytes == 0;
                    read_partition(
                        ctx,
                        wanted,
                        partition,
                        reader,
                        (room, is_first),
                        limits.up_to,
                    )
                    .await
                }
                Err(code) => failed(wanted, *code, None),
            };
            pass.bytes += data.records.as_ref().map_or(0, ottla_wire::Chunks::len);
            let diverges = data.diverging_epoch.end_offset >= 0;
            // A follower hears at once of a higher watermark, if it asks for that, and of deletions.
            let is_late = data.high_watermark > wanted.high_watermark
                || !reader.is_consumer() && data.log_start_offset > wanted.log_start_offset;
            let is_sent_away = data.preferred_read_replica >= 0;
            pass.failed |=
                data.error_code != ErrorCode::None.code() || diverges || is_late || is_sent_away;
            pass.results.push((wanted.clone(), data));
        }
        pass
    }
}

/// Reads one partition, at most `room` bytes; when it is the first that has some, one batch that is
/// larger than all limits is allowed (KIP-74).
async fn read_partition(
    ctx: &Ctx,
    wanted: &Wanted,
    partition: &Partition,
    reader: &Reader,
    (room, is_first): (usize, bool),
    up_to: UpTo,
) -> PartitionData {
    let Some(log) = partition.log() else {
        return failed(wanted, ErrorCode::NotLeaderOrFollower, None);
    };
    if wanted.last_fetched_epoch >= 0
        && let Some(diverging) = diverging_epoch(wanted, log)
    {
        return diverging;
    }
    if let Some(replica) = reader.preferred_replica(ctx, partition, wanted.fetch_offset) {
        return PartitionData {
            preferred_read_replica: replica.0,
            ..state(wanted, log)
        };
    }
    let throttle = &ctx.broker.throttle;
    let is_throttled = !reader.is_consumer() && throttle.applies(Side::Leader, partition);
    let now_ms = ctx.broker.runtime.clock.monotonic_ms();
    if is_throttled && throttle.is_exceeded(Side::Leader, now_ms) {
        return state(wanted, log);
    }
    let grant = ctx
        .broker
        .read_budget
        .take(usize::try_from(wanted.max_bytes).unwrap_or(0).min(room));
    let (offset, max_bytes) = (wanted.fetch_offset, grant.bytes());
    let result = match log.try_read_cached(offset, max_bytes, is_first, up_to) {
        Some(result) => result,
        None => {
            let log = log.clone();
            let read = move || log.read_blocking(offset, max_bytes, is_first, up_to);
            ctx.broker.runtime.tasks.blocking(read).await
        }
    };
    match result {
        Ok(mut read) => {
            if is_throttled {
                throttle.record(Side::Leader, read.bytes, now_ms);
            }
            read.chunks = grant.bind(read.chunks);
            records(wanted, log, read)
        }
        Err(error) => failed(wanted, errors::of_read(&error), Some(log)),
    }
}

/// A consumer whose last record is not in this log (anymore) is told where the logs part (KIP-595).
fn diverging_epoch(wanted: &Wanted, log: &Log) -> Option<PartitionData> {
    let (epoch, end_offset) = log.leader_epoch_end_offset(wanted.last_fetched_epoch)?;
    if epoch == wanted.last_fetched_epoch && end_offset >= wanted.fetch_offset {
        return None;
    }
    let mut data = state(wanted, log);
    data.diverging_epoch.epoch = epoch;
    data.diverging_epoch.end_offset = end_offset;
    Some(data)
}

/// A partition's state with no records. Empty and not null: null breaks librdkafka.
fn state(wanted: &Wanted, log: &Log) -> PartitionData {
    let offsets = log.offsets();
    PartitionData {
        partition_index: wanted.partition,
        high_watermark: offsets.high_watermark,
        last_stable_offset: offsets.last_stable_offset,
        log_start_offset: offsets.log_start_offset,
        records: Some(ottla_wire::Chunks::new()),
        ..PartitionData::default()
    }
}

fn records(wanted: &Wanted, log: &Log, read: ReadResult) -> PartitionData {
    let aborted = read.aborted.iter().map(|a| AbortedTransaction {
        producer_id: a.producer_id,
        first_offset: a.first_offset,
        ..AbortedTransaction::default()
    });
    PartitionData {
        aborted_transactions: Some(aborted.collect()),
        high_watermark: read.high_watermark,
        last_stable_offset: read.last_stable_offset,
        log_start_offset: read.log_start_offset,
        records: Some(read.chunks.into()),
        ..state(wanted, log)
    }
}

fn failed(wanted: &Wanted, code: ErrorCode, log: Option<&Log>) -> PartitionData {
    let known = log.filter(|_| code == ErrorCode::OffsetOutOfRange);
    PartitionData {
        partition_index: wanted.partition,
        error_code: code.code(),
        high_watermark: -1,
        log_start_offset: known.map_or(-1, Log::log_start_offset),
        records: Some(ottla_wire::Chunks::new()),
        ..PartitionData::default()
    }
}

fn respond(
    ctx: &Ctx,
    context: FetchContext,
    results: Vec<(Wanted, PartitionData)>,
    read_committed: bool,
) -> FetchResponse {
    let by_id = ctx.version >= BY_ID;
    let random = ctx.broker.runtime.random.next_u64();
    let now_ms = ctx.broker.runtime.clock.monotonic_ms();
    let sessions = &ctx.broker.sessions;
    let (session_id, told) = context.finish(sessions, by_id, results, random, now_ms);
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut last: Option<Arc<TopicKey>> = None;
    for (wanted, mut data) in told {
        if data.error_code == ErrorCode::KafkaStorageError.code() && ctx.version <= NO_STORAGE_ERROR
        {
            data.error_code = ErrorCode::NotLeaderOrFollower.code();
        }
        let aborted = data.aborted_transactions.take();
        data.aborted_transactions = read_committed.then(|| aborted.unwrap_or_default());
        // Neighbouring partitions of one topic share its entry.
        if last.as_deref() != Some(&wanted.topic) {
            responses.push(topic_entry(&wanted.topic));
            last = Some(Arc::new(wanted.topic));
        }
        if let Some(topic) = responses.last_mut() {
            topic.partitions.push(data);
        }
    }
    let mut response = FetchResponse {
        session_id,
        responses,
        ..FetchResponse::default()
    };
    name_leaders(ctx, &mut response);
    response
}

/// Tells who leads the partitions that do not lead here (KIP-951).
fn name_leaders(ctx: &Ctx, response: &mut FetchResponse) {
    if ctx.version < KNOWS_LEADERS {
        return;
    }
    let image = ctx.broker.image();
    let mut leaders = BTreeSet::new();
    for topic in &mut response.responses {
        let named = Topic::Id(topic.topic_id);
        let partitions = topic.partitions.iter_mut();
        for partition in partitions.filter(|p| is_about_leader(p.error_code)) {
            if let Some((id, epoch)) = ctx.leader_of(&image, named, partition.partition_index) {
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

fn topic_entry(key: &TopicKey) -> FetchableTopicResponse {
    let mut entry = FetchableTopicResponse::default();
    match key {
        TopicKey::Name(name) => entry.topic = name.clone(),
        TopicKey::Id(id) => entry.topic_id = *id,
    }
    entry
}
