//! Reads the records of assigned partitions.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::future::join_all;
use ottla_model::{ErrorCode, Uuid};
use ottla_record::{Batch, DecompressLimit, Record, Records, split_batches};
use ottla_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_wire::messages::fetch_response::PartitionData;
use ottla_wire::messages::{FetchRequest, FetchResponse};
use ottla_wire::{ApiKey, Chunks, Response, Text};

use crate::client::other_response;
use crate::offsets::{FETCH_BY_ID, by_name_or_id};
use crate::retry::Retry;
use crate::{Broker, Client, Error, OffsetAt};

/// Where reading a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first record that is kept.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At this offset.
    Offset(i64),
    /// At the first record with this timestamp or a later one, in milliseconds.
    Timestamp(i64),
}

/// What happens when the wanted offset is no longer, or not yet, there (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// It is an error.
    #[default]
    Error,
    /// Reading goes on at the first record that is kept.
    Earliest,
    /// Reading goes on behind the last record.
    Latest,
}

/// The settings of a [`Consumer`]. Kafka's property in brackets.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// How long a broker waits for data before it answers with none (`fetch.max.wait.ms`).
    pub max_wait: Duration,
    /// How much data a broker waits for (`fetch.min.bytes`).
    pub min_bytes: i32,
    /// How many bytes a response may have (`fetch.max.bytes`); one batch always fits.
    pub max_bytes: i32,
    /// How many of them one partition may take (`max.partition.fetch.bytes`).
    pub partition_max_bytes: i32,
    /// The most bytes that a batch may have when it is decompressed.
    pub decompressed_batch_max_bytes: usize,
    /// What happens with an offset that is not there.
    pub reset: Reset,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        ConsumerOptions {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 16 * 1024 * 1024,
            partition_max_bytes: 1024 * 1024,
            decompressed_batch_max_bytes: 128 * 1024 * 1024,
            reset: Reset::Error,
        }
    }
}

/// A record with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset, timestamp, key, value and headers.
    pub record: Record,
}

/// Where reading a partition stands.
#[derive(Debug, Default)]
struct Position {
    /// The next offset to fetch.
    next: i64,
    /// The next offset that the caller has not got.
    taken: i64,
    /// The offset behind the last record that can be read, as last heard; -1 before that.
    high_watermark: i64,
}

type PartitionName = (String, i32);

/// A fetched batch, from whose records those from an offset on are wanted.
struct Fetched {
    name: PartitionName,
    from: i64,
    batch: Batch,
}

/// The batch whose records are being handed out.
struct Current {
    name: PartitionName,
    from: i64,
    records: Records,
}

/// Reads assigned partitions from wherever the caller wants. It joins no group and reads records
/// of open and aborted transactions, too (`read_uncommitted`).
pub struct Consumer {
    client: Client,
    options: ConsumerOptions,
    positions: BTreeMap<PartitionName, Position>,
    fetched: VecDeque<Fetched>,
    current: Option<Current>,
}

impl Consumer {
    /// A consumer on the client's connections, without partitions yet.
    #[must_use]
    pub fn new(client: Client, options: ConsumerOptions) -> Self {
        Consumer {
            client,
            options,
            positions: BTreeMap::new(),
            fetched: VecDeque::new(),
            current: None,
        }
    }

    /// Adds partitions of a topic (`None`: all that it has now).
    pub async fn assign(
        &mut self,
        topic: &str,
        partitions: Option<&[i32]>,
        start: Start,
    ) -> Result<(), Error> {
        let partitions = match partitions {
            Some(partitions) => partitions.to_vec(),
            None => {
                let all = self.client.partitions(topic).await?;
                all.iter().map(|p| p.partition).collect()
            }
        };
        for (partition, next) in self.begin(topic, &partitions, start).await? {
            let position = Position {
                next,
                taken: next,
                high_watermark: -1,
            };
            self.positions
                .insert((topic.to_owned(), partition), position);
        }
        Ok(())
    }

    async fn begin(
        &self,
        topic: &str,
        partitions: &[i32],
        start: Start,
    ) -> Result<Vec<(i32, i64)>, Error> {
        let at = match start {
            Start::Offset(offset) => return Ok(partitions.iter().map(|p| (*p, offset)).collect()),
            Start::Earliest => OffsetAt::Earliest,
            Start::Latest => OffsetAt::Latest,
            Start::Timestamp(ms) => OffsetAt::Timestamp(ms),
        };
        let look_up = |partitions: &[i32], at| {
            let wanted: Vec<_> = partitions.iter().map(|p| (topic, *p, at)).collect();
            async move { self.client.list_offsets(&wanted).await }
        };
        let (mut begins, mut beyond) = (Vec::new(), Vec::new());
        for found in look_up(partitions, at).await? {
            match found.offset {
                Some(offset) => begins.push((found.partition, offset)),
                None => beyond.push(found.partition),
            }
        }
        // No record is that new: reading begins with the next one that comes.
        for found in look_up(&beyond, OffsetAt::Latest).await? {
            begins.push((found.partition, found.offset.unwrap_or(0)));
        }
        Ok(begins)
    }

    /// The next record, waiting for one as long as `wait`; `None` when none came.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<ConsumedRecord>, Error> {
        let clock = self.client.inner.runtime.clock.clone();
        let until = clock.instant() + wait;
        let mut retry = self.client.retry();
        loop {
            if let Some(record) = self.take()? {
                return Ok(Some(record));
            }
            let left = until.saturating_duration_since(clock.instant());
            if self.positions.is_empty() {
                clock.sleep(left).await;
                return Ok(None);
            }
            self.fetch(left.min(self.options.max_wait), &mut retry)
                .await?;
            if self.fetched.is_empty() && clock.instant() >= until {
                return Ok(None);
            }
        }
    }

    /// Whether the caller has got everything that the brokers last told of.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        let fetched = |p: &Position| p.high_watermark >= 0 && p.next >= p.high_watermark;
        let all_taken = self.current.as_ref().is_none_or(|current| {
            let position = self.positions.get(&current.name);
            position.is_none_or(|p| p.taken >= p.next)
        });
        all_taken && self.fetched.is_empty() && self.positions.values().all(fetched)
    }

    /// The offset of the next record of each partition that the caller has not got yet: what to
    /// commit.
    pub fn positions(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        let all = self.positions.iter();
        all.map(|((topic, partition), at)| (topic.as_str(), *partition, at.taken))
    }

    /// The next record of what was fetched.
    fn take(&mut self) -> Result<Option<ConsumedRecord>, Error> {
        loop {
            if let Some(record) = self.take_current()? {
                return Ok(Some(record));
            }
            let Some(Fetched { name, from, batch }) = self.fetched.pop_front() else {
                return Ok(None);
            };
            let limit = DecompressLimit(self.options.decompressed_batch_max_bytes);
            let checked = batch.verify_crc().and_then(|()| batch.records(limit));
            let records = checked.map_err(|source| Error::Records {
                subject: format!("{}-{}", name.0, name.1),
                source,
            })?;
            self.current = Some(Current {
                name,
                from,
                records,
            });
        }
    }

    fn take_current(&mut self) -> Result<Option<ConsumedRecord>, Error> {
        let Some(Current {
            name,
            from,
            records,
        }) = &mut self.current
        else {
            return Ok(None);
        };
        for record in records {
            let record = record.map_err(|source| Error::Records {
                subject: format!("{}-{}", name.0, name.1),
                source,
            })?;
            if record.offset < *from {
                continue;
            }
            if let Some(position) = self.positions.get_mut(name) {
                position.taken = record.offset.saturating_add(1);
            }
            return Ok(Some(ConsumedRecord {
                topic: name.0.clone(),
                partition: name.1,
                record,
            }));
        }
        self.current = None;
        Ok(None)
    }

    /// Asks every leader once; an error that another try may mend is waited out.
    async fn fetch(&mut self, max_wait: Duration, retry: &mut Retry) -> Result<(), Error> {
        let failed = match self.by_leader().await {
            Ok(by_leader) => {
                let asked = by_leader.into_iter().map(|(leader, topics)| {
                    let request = self.request(topics, max_wait);
                    fetch_from(&self.client, leader, request)
                });
                let mut failed = None;
                for answer in join_all(asked).await {
                    let taken = match answer {
                        Ok((names, answer)) => self.take_in(&names, answer).await,
                        Err(error) => Err(error),
                    };
                    failed = taken.err().or(failed);
                }
                failed
            }
            Err(error) => Some(error),
        };
        match failed {
            None => {
                *retry = self.client.retry();
                Ok(())
            }
            Some(error) => {
                for (topic, _) in self.positions.keys() {
                    self.client.forget(topic);
                }
                retry.after(error).await
            }
        }
    }

    async fn by_leader(&self) -> Result<BTreeMap<i32, Vec<FetchTopic>>, Error> {
        let mut by_leader: BTreeMap<i32, Vec<FetchTopic>> = BTreeMap::new();
        for ((topic, partition), position) in &self.positions {
            let Broker::Id(leader) = self.client.leader(topic, *partition).await? else {
                continue;
            };
            let partition = FetchPartition {
                partition: *partition,
                fetch_offset: position.next,
                partition_max_bytes: self.options.partition_max_bytes,
                ..FetchPartition::default()
            };
            let topics = by_leader.entry(leader).or_default();
            match topics.last_mut() {
                Some(last) if *last.topic == **topic => last.partitions.push(partition),
                _ => topics.push(FetchTopic {
                    topic: topic.into(),
                    topic_id: self.client.topic_id(topic).unwrap_or_default(),
                    partitions: vec![partition],
                    ..FetchTopic::default()
                }),
            }
        }
        Ok(by_leader)
    }

    fn request(&self, topics: Vec<FetchTopic>, max_wait: Duration) -> FetchRequest {
        FetchRequest {
            max_wait_ms: i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.options.min_bytes,
            max_bytes: self.options.max_bytes,
            topics,
            ..FetchRequest::default()
        }
    }

    async fn take_in(&mut self, names: &TopicNames, answer: FetchResponse) -> Result<(), Error> {
        Error::check(ApiKey::Fetch, "all partitions", answer.error_code, None)?;
        let mut failed = Ok(());
        for topic in answer.responses {
            let topic_name = names.get(&topic.topic_id).unwrap_or(&topic.topic);
            for partition in topic.partitions {
                let name = (topic_name.to_string(), partition.partition_index);
                let taken = self.take_in_partition(name, partition).await;
                failed = failed.and(taken);
            }
        }
        failed
    }

    async fn take_in_partition(
        &mut self,
        name: PartitionName,
        data: PartitionData,
    ) -> Result<(), Error> {
        let subject = format!("{}-{}", name.0, name.1);
        let Some(position) = self.positions.get_mut(&name) else {
            return Ok(());
        };
        let out_of_range = ErrorCode::OffsetOutOfRange.code();
        if data.error_code == out_of_range && self.options.reset != Reset::Error {
            let start = match self.options.reset {
                Reset::Latest => Start::Latest,
                _ => Start::Earliest,
            };
            tracing::warn!(
                partition = subject,
                offset = position.next,
                "offset is out of range"
            );
            for (_, next) in self.begin(&name.0, &[name.1], start).await? {
                if let Some(position) = self.positions.get_mut(&name) {
                    position.next = next;
                    position.taken = next;
                }
            }
            return Ok(());
        }
        let at = format!("offset {} of {subject}", position.next);
        Error::check(ApiKey::Fetch, at, data.error_code, None)?;
        position.high_watermark = data.high_watermark;
        let bytes = data
            .records
            .map(Chunks::into_contiguous)
            .unwrap_or_default();
        for batch in split_batches(bytes) {
            let batch = match batch {
                Ok(batch) => batch,
                // The broker cuts off where the response's limit is; the rest comes next time.
                Err(ottla_record::Error::Truncated { .. }) => break,
                Err(source) => return Err(Error::Records { subject, source }),
            };
            let header = batch.header();
            let (next, control) = (
                header.last_offset().saturating_add(1),
                header.attributes.is_control(),
            );
            if next <= position.next {
                continue;
            }
            let from = std::mem::replace(&mut position.next, next);
            // Markers of transactions are not for the caller.
            if !control {
                let name = name.clone();
                self.fetched.push_back(Fetched { name, from, batch });
            }
        }
        Ok(())
    }
}

/// The names behind the ids of a request.
pub(crate) type TopicNames = BTreeMap<Uuid, Text>;

/// Asks one leader, by the ids of topics if all of them are known.
pub(crate) async fn fetch_from(
    client: &Client,
    leader: i32,
    request: FetchRequest,
) -> Result<(TopicNames, FetchResponse), Error> {
    let api = ApiKey::Fetch;
    let topics = request.topics.iter();
    let names: TopicNames = topics.map(|t| (t.topic_id, t.topic.clone())).collect();
    let all_known = !names.contains_key(&Uuid::ZERO);
    let link = client.link(Broker::Id(leader)).await?;
    let version = link.version_within(api, by_name_or_id(api, FETCH_BY_ID, all_known))?;
    let Response::Fetch(answer) = link.call(version, &request.into()).await? else {
        return Err(other_response(&link, api));
    };
    // In older versions there are no ids in the response.
    let by_id = version >= FETCH_BY_ID;
    Ok((if by_id { names } else { TopicNames::new() }, answer))
}
