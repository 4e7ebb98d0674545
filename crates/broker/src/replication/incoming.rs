//! What a leader sent of one partition, taken into the follower's log.

use std::sync::Arc;

use ottla_log::{AppendError, Log};
use ottla_model::{BrokerId, ErrorCode, Offset};
use ottla_record::{Batch, split_batches};
use ottla_replica::{EpochEnd, truncation_offset};
use ottla_wire::messages::OffsetForLeaderEpochRequest;
use ottla_wire::messages::fetch_response::PartitionData;
use ottla_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_wire::{Chunks, Request, Response, Text};

use super::session::Asked;
use super::throttle::Side;
use crate::Broker;
use crate::partitions::Partition;

/// Whether the partition can be fetched again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    GoOn,
    Rest,
}

/// One partition's part of an answer.
pub(super) struct Incoming {
    pub(super) broker: Arc<Broker>,
    pub(super) leader: BrokerId,
    pub(super) partition: Arc<Partition>,
    pub(super) asked: Asked,
    pub(super) data: PartitionData,
}

impl Incoming {
    pub(super) async fn take_in(mut self) -> Outcome {
        let code = ErrorCode::from_code(self.data.error_code);
        match code {
            Some(ErrorCode::None) if self.data.diverging_epoch.end_offset >= 0 => {
                self.cut_to_common().await
            }
            Some(ErrorCode::None) => self.append().await,
            Some(ErrorCode::OffsetOutOfRange) => self.out_of_range().await,
            _ => {
                let code = code.map_or("an unknown error", ErrorCode::name);
                tracing::debug!(partition = %self.name(), leader = %self.leader, code, "a partition could not be fetched");
                Outcome::Rest
            }
        }
    }

    fn name(&self) -> String {
        format!("{}-{}", self.partition.topic, self.partition.index)
    }

    /// Appends what came, and lets the high watermark follow the leader's.
    async fn append(&mut self) -> Outcome {
        let records = self.data.records.take().map(Chunks::into_contiguous);
        let records = records.unwrap_or_default();
        let bytes = records.len();
        if self
            .broker
            .throttle
            .applies(Side::Follower, &self.partition)
        {
            let now_ms = self.broker.runtime.clock.monotonic_ms();
            self.broker.throttle.record(Side::Follower, bytes, now_ms);
        }
        let batches: Result<Vec<Batch>, _> = split_batches(records).collect();
        let batches = match batches {
            Ok(batches) => batches,
            Err(error) => {
                tracing::warn!(partition = %self.name(), leader = %self.leader, %error, "what a leader sent cannot be read; it is fetched again");
                return Outcome::Rest;
            }
        };
        let (high_watermark, log_start) = (self.data.high_watermark, self.data.log_start_offset);
        let (epoch, asked_from) = (self.asked.leader_epoch, self.asked.fetch_offset);
        let appending = self.partition.as_follower(epoch, |log| {
            // What the follower had when it asked is the leader's, too: the leader has compared. What has
            // come since may be its own, from when it led, and on its way to the disk ever since.
            log.set_replicated_offset(high_watermark.min(asked_from));
            // Records were deleted, by someone or by retention.
            log.advance_log_start(log_start);
            (!batches.is_empty()).then(|| log.append_as_follower(batches))
        });
        let Some(appending) = appending else {
            return Outcome::GoOn;
        };
        if let Some(appending) = appending {
            match appending.await {
                Ok(_) => {
                    self.broker.probe.count_replicated(bytes);
                    // Now the log ends with what the leader has sent.
                    self.partition
                        .as_follower(epoch, |log| log.set_replicated_offset(high_watermark));
                }
                Err(AppendError::Closed) => return Outcome::Rest,
                Err(error) => {
                    tracing::warn!(partition = %self.name(), %error, "records of the leader are not appended; they are fetched again");
                    return Outcome::Rest;
                }
            }
        }
        Outcome::GoOn
    }

    /// Cuts off what the leader does not have (KIP-595).
    async fn cut_to_common(&self) -> Outcome {
        let theirs = EpochEnd {
            epoch: self.data.diverging_epoch.epoch,
            end_offset: self.data.diverging_epoch.end_offset,
        };
        let Some(log) = self.partition.log() else {
            return Outcome::Rest;
        };
        let own = log.leader_epoch_end_offset(theirs.epoch);
        let own = own.map(|(epoch, end_offset)| EpochEnd { epoch, end_offset });
        let cut = truncation_offset(theirs, own, log.log_end_offset());
        self.cut(cut).await
    }

    async fn cut(&self, cut: Offset) -> Outcome {
        let epoch = self.asked.leader_epoch;
        let cutting = self.partition.as_follower(epoch, |log| {
            let offsets = log.offsets();
            tracing::info!(
                partition = %self.name(),
                leader = %self.leader,
                leader_epoch = epoch,
                from = offsets.log_end_offset,
                to = cut,
                high_watermark = offsets.high_watermark,
                "cutting off what the leader does not have"
            );
            log.truncate_to(cut)
        });
        let Some(cutting) = cutting else {
            return Outcome::GoOn;
        };
        match cutting.await {
            Ok(()) => Outcome::GoOn,
            Err(error) => {
                tracing::warn!(partition = %self.name(), %error, "the log cannot be cut; trying again");
                Outcome::Rest
            }
        }
    }

    /// The leader's log begins behind this one's end, or ends before it.
    async fn out_of_range(&self) -> Outcome {
        let Some(log) = self.partition.log() else {
            return Outcome::Rest;
        };
        let leader_start = self.data.log_start_offset;
        if self.asked.fetch_offset < leader_start {
            return self.start_anew(log, leader_start).await;
        }
        match self.leader_end().await {
            Some(end) if end < self.asked.fetch_offset => self.cut(end).await,
            _ => Outcome::Rest,
        }
    }

    async fn start_anew(&self, log: &Log, offset: Offset) -> Outcome {
        tracing::warn!(
            partition = %self.name(),
            leader = %self.leader,
            end = log.log_end_offset(),
            offset,
            "the leader's log begins behind this one: starting anew there"
        );
        let epoch = self.asked.leader_epoch;
        let starting = self
            .partition
            .as_follower(epoch, |log| log.truncate_fully_and_start_at(offset));
        match starting {
            None => Outcome::GoOn,
            Some(starting) => match starting.await {
                Ok(()) => Outcome::GoOn,
                Err(error) => {
                    tracing::warn!(partition = %self.name(), %error, "the log cannot start anew; trying again");
                    Outcome::Rest
                }
            },
        }
    }

    /// Where the leader's log ends in its present term.
    async fn leader_end(&self) -> Option<Offset> {
        let epoch = self.asked.leader_epoch;
        let partition = OffsetForLeaderPartition {
            partition: self.partition.index,
            current_leader_epoch: epoch,
            leader_epoch: epoch,
            ..OffsetForLeaderPartition::default()
        };
        let request = OffsetForLeaderEpochRequest {
            replica_id: self.broker.node_id.0,
            topics: vec![OffsetForLeaderTopic {
                topic: Text::from(self.partition.topic.as_str()),
                partitions: vec![partition],
                ..OffsetForLeaderTopic::default()
            }],
            ..OffsetForLeaderEpochRequest::default()
        };
        let image = self.broker.image();
        let peers = &self.broker.peers;
        let answer = peers
            .call(&image, self.leader, Request::from(request))
            .await;
        let Ok(Response::OffsetForLeaderEpoch(answer)) = answer else {
            return None;
        };
        let found = answer.topics.first()?.partitions.first()?;
        (found.error_code == ErrorCode::None.code()).then_some(found.end_offset)
    }
}
