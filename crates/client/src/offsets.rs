//! Batches of one partition, and offsets of partitions.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use ottla_model::ErrorCode;
use ottla_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{InitProducerIdRequest, ListOffsetsRequest, ProduceRequest};
use ottla_wire::{ApiKey, Chunks};

use crate::admin::only;
use crate::{Acks, Broker, Client, Error};

/// Which offset of a partition is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAt {
    /// The first one that is kept.
    Earliest,
    /// The one behind the last record.
    Latest,
    /// That of the record with the highest timestamp (KIP-734).
    MaxTimestamp,
    /// That of the first record with this timestamp or a later one, in milliseconds.
    Timestamp(i64),
}

impl OffsetAt {
    fn code(self) -> i64 {
        match self {
            OffsetAt::Earliest => -2,
            OffsetAt::Latest => -1,
            OffsetAt::MaxTimestamp => -3,
            OffsetAt::Timestamp(ms) => ms.max(0),
        }
    }
}

/// An offset that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset; `None` when no record fits.
    pub offset: Option<i64>,
    /// The record's timestamp, where one was looked for.
    pub timestamp_ms: Option<i64>,
    /// The leader epoch of the record, or -1.
    pub leader_epoch: i32,
}

/// Where a batch is in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// The offset of its first record; -1 when the broker does not say (acks 0, duplicates).
    pub base_offset: i64,
    /// The time that the broker set, with `message.timestamp.type=LogAppendTime`.
    pub log_append_time_ms: Option<i64>,
    /// The first offset that the partition keeps, or -1.
    pub log_start_offset: i64,
}

/// From these versions on, topics have ids instead of names (KIP-516).
const PRODUCE_BY_ID: i16 = 13;
pub(crate) const FETCH_BY_ID: i16 = 13;
pub(crate) const OFFSET_COMMIT_BY_ID: i16 = 10;

/// The versions of an API that can be used: not those that name topics by an id that we do not
/// know.
pub(crate) fn by_name_or_id(api: ApiKey, by_id: i16, ids_known: bool) -> RangeInclusive<i16> {
    let all = api.stable_versions();
    if ids_known {
        return all;
    }
    *all.start()..=(*all.end()).min(by_id - 1)
}

impl Client {
    /// Produces one finished batch, again and again within the deadline. A batch without a
    /// producer id can be there twice when a response gets lost.
    pub async fn produce(
        &self,
        topic: &str,
        partition: i32,
        acks: Acks,
        batch: Bytes,
    ) -> Result<Produced, Error> {
        let mut retry = self.retry();
        loop {
            match self
                .produce_once(topic, partition, acks, batch.clone())
                .await
            {
                Ok(produced) => return Ok(produced),
                Err(error) => {
                    self.forget(topic);
                    retry.after(error).await?;
                }
            }
        }
    }

    async fn produce_once(
        &self,
        topic: &str,
        partition: i32,
        acks: Acks,
        batch: Bytes,
    ) -> Result<Produced, Error> {
        let api = ApiKey::Produce;
        let link = self.link(self.leader(topic, partition).await?).await?;
        let topic_id = self.topic_id(topic);
        let version =
            link.version_within(api, by_name_or_id(api, PRODUCE_BY_ID, topic_id.is_some()))?;
        let request = ProduceRequest {
            acks: acks.code(),
            timeout_ms: self.request_timeout_ms(),
            topic_data: vec![TopicProduceData {
                name: topic.into(),
                topic_id: topic_id.unwrap_or_default(),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(Chunks::from(batch)),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let mut produced = Produced {
            base_offset: -1,
            log_append_time_ms: None,
            log_start_offset: -1,
        };
        if acks == Acks::None {
            link.cast(version, &request.into()).await?;
            return Ok(produced);
        }
        let response = link.call(version, &request.into()).await?;
        let answer = only!(Produce)(response)
            .and_then(|body| body.responses.into_iter().next()?.partition_responses.pop());
        let Some(answer) = answer.filter(|a| a.index == partition) else {
            return Err(Error::bad_response(
                link.address(),
                api,
                "it lacks the partition",
            ));
        };
        if ErrorCode::from_code(answer.error_code) == Some(ErrorCode::DuplicateSequenceNumber) {
            return Ok(produced);
        }
        let subject = format!("{topic}-{partition}");
        Error::check(
            api,
            subject,
            answer.error_code,
            answer.error_message.as_deref(),
        )?;
        produced.base_offset = answer.base_offset;
        produced.log_append_time_ms =
            (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms);
        produced.log_start_offset = answer.log_start_offset;
        Ok(produced)
    }

    /// A fresh producer id with its epoch, for idempotent batches (KIP-98).
    pub async fn init_producer_id(&self) -> Result<(i64, i16), Error> {
        let api = ApiKey::InitProducerId;
        let mut retry = self.retry();
        loop {
            let build = |_| {
                InitProducerIdRequest {
                    transactional_id: None,
                    ..InitProducerIdRequest::default()
                }
                .into()
            };
            let answer = self
                .ask(Broker::Any, api, build, only!(InitProducerId))
                .await;
            let checked = answer.and_then(|answer| {
                Error::check(api, "a producer", answer.error_code, None)?;
                Ok((answer.producer_id, answer.producer_epoch))
            });
            match checked {
                Ok(id) => return Ok(id),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// Looks offsets up; the results are in the order of topics and partitions.
    pub async fn list_offsets(
        &self,
        wanted: &[(&str, i32, OffsetAt)],
    ) -> Result<Vec<FoundOffset>, Error> {
        let mut left = wanted.to_vec();
        let mut found = BTreeMap::new();
        let mut retry = self.retry();
        while !left.is_empty() {
            let failed = self.list_offsets_once(&left, &mut found).await.err();
            left.retain(|(topic, partition, _)| {
                !found.contains_key(&((*topic).into(), *partition))
            });
            if let Some(error) = failed {
                left.iter().for_each(|(topic, ..)| self.forget(topic));
                retry.after(error).await?;
            }
        }
        Ok(found.into_values().collect())
    }

    /// Asks each leader once; the first error is returned when the others have been asked.
    async fn list_offsets_once(
        &self,
        wanted: &[(&str, i32, OffsetAt)],
        found: &mut BTreeMap<(String, i32), FoundOffset>,
    ) -> Result<(), Error> {
        let api = ApiKey::ListOffsets;
        let mut by_leader: BTreeMap<i32, Vec<ListOffsetsTopic>> = BTreeMap::new();
        for (topic, partition, at) in wanted {
            let Broker::Id(leader) = self.leader(topic, *partition).await? else {
                continue;
            };
            by_leader.entry(leader).or_default().push(ListOffsetsTopic {
                name: (*topic).into(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: *partition,
                    timestamp: at.code(),
                    ..ListOffsetsPartition::default()
                }],
                ..ListOffsetsTopic::default()
            });
        }
        let mut failed = Ok(());
        for (leader, topics) in by_leader {
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics,
                ..ListOffsetsRequest::default()
            };
            let (build, asked) = (|_| request.into(), Broker::Id(leader));
            let answer = match self.ask(asked, api, build, only!(ListOffsets)).await {
                Ok(answer) => answer,
                Err(error) => {
                    failed = failed.and(Err(error));
                    continue;
                }
            };
            for topic in answer.topics {
                for p in topic.partitions {
                    let subject = format!("{}-{}", topic.name, p.partition_index);
                    if let Err(error) = Error::check(api, subject, p.error_code, None) {
                        failed = failed.and(Err(error));
                        continue;
                    }
                    let offset = FoundOffset {
                        topic: topic.name.to_string(),
                        partition: p.partition_index,
                        offset: (p.offset >= 0).then_some(p.offset),
                        timestamp_ms: (p.timestamp >= 0).then_some(p.timestamp),
                        leader_epoch: p.leader_epoch,
                    };
                    found.insert((offset.topic.clone(), offset.partition), offset);
                }
            }
        }
        failed
    }
}
