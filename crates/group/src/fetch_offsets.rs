//! OffsetFetch: what is committed, and durably so.

use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex, TopicId};

use crate::coordinator::Coordinator;
use crate::effect::{AppendId, Token};
use crate::offsets::{CommittedOffset, GroupOffsets};
use crate::request::{FetchTopic, OffsetFetchRequest};
use crate::response::{FetchedPartition, FetchedTopic, OffsetFetchResponse, Response};

/// An OffsetFetch that waits for earlier appends to settle.
#[derive(Debug)]
pub(crate) struct ParkedFetch {
    pub(crate) after: AppendId,
    pub(crate) token: Token,
    pub(crate) request: OffsetFetchRequest,
}

impl Coordinator {
    pub(crate) fn fetch_offsets(&mut self, token: Token, request: OffsetFetchRequest) {
        if request.require_stable && self.is_changing(&request.group_id) {
            self.parked_fetches.push(ParkedFetch {
                after: self.out.last_append_id(),
                token,
                request,
            });
            return;
        }
        let response = self.fetched(&request);
        self.out.reply(token, Response::OffsetFetch(response));
    }

    /// Whether something is on its way to the log that may change the group's offsets.
    fn is_changing(&self, group_id: &str) -> bool {
        let ends = self.out.has_marker_in_flight() && self.offsets.pending().has_group(group_id);
        ends || self.out.has_in_flight(group_id)
    }

    /// Answers the parked fetches that no earlier append holds back any more.
    pub(crate) fn answer_parked_fetches(&mut self) {
        let oldest = self.out.pending.keys().next().copied();
        let parked = std::mem::take(&mut self.parked_fetches);
        for fetch in parked {
            if oldest.is_some_and(|oldest| oldest <= fetch.after) {
                self.parked_fetches.push(fetch);
            } else {
                let response = self.fetched(&fetch.request);
                self.out.reply(fetch.token, Response::OffsetFetch(response));
            }
        }
    }

    /// A group that does not exist has no offsets, which is no error.
    fn fetched(&self, request: &OffsetFetchRequest) -> OffsetFetchResponse {
        if let Some(group) = self.consumers.get(&request.group_id) {
            let checked = group.check_fetch(request.member_id.as_ref(), request.member_epoch);
            if let Err(error) = checked {
                return OffsetFetchResponse {
                    group_id: request.group_id.clone(),
                    error,
                    topics: Vec::new(),
                };
            }
        }
        let known = self.groups.contains_key(&request.group_id)
            || self.consumers.contains_key(&request.group_id);
        let offsets = self.offsets.group(&request.group_id).filter(|_| known);
        let mut topics: Vec<FetchedTopic> = match &request.topics {
            Some(topics) => topics.iter().map(|t| fetched_topic(offsets, t)).collect(),
            None => offsets.map(all_topics).unwrap_or_default(),
        };
        if request.require_stable {
            self.hide_unstable(&request.group_id, &mut topics);
        }
        OffsetFetchResponse {
            group_id: request.group_id.clone(),
            error: ErrorCode::None,
            topics,
        }
    }
}

impl Coordinator {
    /// Tells to ask again for the partitions whose offset an open transaction may change.
    fn hide_unstable(&self, group_id: &str, topics: &mut [FetchedTopic]) {
        let pending = self.offsets.pending();
        if !pending.has_group(group_id) {
            return;
        }
        for FetchedTopic {
            topic, partitions, ..
        } in topics
        {
            for partition in partitions {
                if pending.contains(group_id, topic, partition.partition) {
                    *partition = FetchedPartition {
                        error: ErrorCode::UnstableOffsetCommit,
                        ..fetched_partition(partition.partition, None)
                    };
                }
            }
        }
    }
}

fn fetched_topic(offsets: Option<&GroupOffsets>, asked: &FetchTopic) -> FetchedTopic {
    let committed = offsets.and_then(|topics| topics.get(&asked.topic));
    let partitions = asked.partitions.iter().map(|&partition| {
        let offset = committed
            .and_then(|partitions| partitions.get(&partition))
            // The offset may belong to a deleted topic of the same name.
            .filter(|c| {
                c.topic_id.is_zero() || asked.topic_id.is_zero() || c.topic_id == asked.topic_id
            });
        fetched_partition(partition, offset)
    });
    FetchedTopic {
        topic: asked.topic.clone(),
        topic_id: asked.topic_id,
        partitions: partitions.collect(),
    }
}

fn all_topics(offsets: &GroupOffsets) -> Vec<FetchedTopic> {
    let topic =
        |(topic, partitions): (&Arc<str>, &std::collections::BTreeMap<_, _>)| FetchedTopic {
            topic: topic.clone(),
            topic_id: topic_id_of(partitions.values()),
            partitions: partitions
                .iter()
                .map(|(&partition, offset)| fetched_partition(partition, Some(offset)))
                .collect(),
        };
    offsets.iter().map(topic).collect()
}

/// The id that a topic's offsets agree on.
fn topic_id_of<'a>(mut offsets: impl Iterator<Item = &'a CommittedOffset>) -> TopicId {
    let first = offsets.next().map_or(TopicId::ZERO, |o| o.topic_id);
    if offsets.all(|o| o.topic_id == first) {
        first
    } else {
        TopicId::ZERO
    }
}

fn fetched_partition(
    partition: PartitionIndex,
    offset: Option<&CommittedOffset>,
) -> FetchedPartition {
    FetchedPartition {
        partition,
        offset: offset.map_or(-1, |o| o.offset),
        leader_epoch: offset.map_or(-1, |o| o.leader_epoch),
        metadata: offset.map_or_else(|| "".into(), |o| o.metadata.clone()),
        error: ErrorCode::None,
    }
}
