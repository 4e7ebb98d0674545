//! OffsetCommit and TxnOffsetCommit: who may commit, and what becomes of it.

use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex, TimestampMs};

use crate::consumer::commit::CommitScope;
use crate::coordinator::Coordinator;
use crate::effect::{Producer, Token};
use crate::error::append_error;
use crate::group::Group;
use crate::offsets::CommittedOffset;
use crate::outbox::Held;
use crate::records::{Record, fits};
use crate::request::{CommitTopic, OffsetCommitRequest, TxnOffsetCommitRequest};
use crate::response::{CommittedTopic, OffsetCommitResponse, Response};
use crate::state::GroupState;

/// The offsets of a commit that its group has agreed to.
type Offsets = Vec<(Arc<str>, PartitionIndex, CommittedOffset)>;

/// Who commits.
pub(crate) struct Committer<'a> {
    /// The generation, or the epoch of a member of the new protocol.
    pub(crate) generation_id: i32,
    pub(crate) member_id: &'a str,
    pub(crate) group_instance_id: Option<&'a str>,
    pub(crate) is_transactional: bool,
}

impl Coordinator {
    pub(crate) fn commit(&mut self, token: Token, request: &OffsetCommitRequest) {
        let scope = match self.validate_commit(request) {
            Ok(scope) => scope,
            Err(error) => {
                self.refuse_commit(token, &request.topics, error);
                return;
            }
        };
        let now_ms = self.out.now_ms;
        let expire_timestamp_ms = request
            .retention_time_ms
            .filter(|&retention_ms| retention_ms >= 0)
            .map(|retention_ms| now_ms.saturating_add(retention_ms));
        let (response, offsets) = self.take_offsets(&scope, &request.topics, expire_timestamp_ms);
        self.append_commit(token, None, &request.group_id, response, offsets);
    }

    pub(crate) fn commit_in_transaction(&mut self, token: Token, request: &TxnOffsetCommitRequest) {
        let scope = match self.validate_txn_commit(request) {
            Ok(scope) => scope,
            Err(error) => {
                self.refuse_commit(token, &request.topics, error);
                return;
            }
        };
        let (response, offsets) = self.take_offsets(&scope, &request.topics, None);
        let producer = Some(request.producer);
        self.append_commit(token, producer, &request.group_id, response, offsets);
    }

    fn refuse_commit(&mut self, token: Token, topics: &[CommitTopic], error: ErrorCode) {
        let response = error_response(topics, error);
        self.out.reply(token, Response::OffsetCommit(response));
    }

    /// Looks at each partition by itself: what is committed, and what the answer will be once that
    /// is durable.
    fn take_offsets(
        &self,
        scope: &CommitScope,
        asked: &[CommitTopic],
        expire_timestamp_ms: Option<TimestampMs>,
    ) -> (OffsetCommitResponse, Offsets) {
        let now_ms = self.out.now_ms;
        let len_max = self.out.options.offset_metadata_len_max;
        let mut offsets = Vec::new();
        let mut topics = Vec::with_capacity(asked.len());
        for topic in asked {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                if let Err(error) = scope.check(topic.topic_id, partition.partition) {
                    partitions.push((partition.partition, error));
                    continue;
                }
                let metadata = partition.metadata.clone().unwrap_or_else(|| "".into());
                if is_longer(&metadata, len_max) || !fits(&metadata) {
                    partitions.push((partition.partition, ErrorCode::OffsetMetadataTooLarge));
                    continue;
                }
                partitions.push((partition.partition, ErrorCode::None));
                let offset = CommittedOffset {
                    offset: partition.offset,
                    leader_epoch: partition.leader_epoch.max(-1),
                    metadata,
                    commit_timestamp_ms: now_ms,
                    expire_timestamp_ms,
                    topic_id: topic.topic_id,
                    log_order: 0,
                }
                .into_stored();
                offsets.push((topic.topic.clone(), partition.partition, offset));
            }
            topics.push(CommittedTopic {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        (OffsetCommitResponse { topics }, offsets)
    }

    fn append_commit(
        &mut self,
        token: Token,
        producer: Option<Producer>,
        group_id: &Arc<str>,
        response: OffsetCommitResponse,
        offsets: Offsets,
    ) {
        let response = Response::OffsetCommit(response);
        if offsets.is_empty() {
            self.out.reply(token, response);
            return;
        }
        let records: Vec<Record> = offsets
            .iter()
            .map(|(topic, partition, offset)| Record::Offset {
                group_id: group_id.clone(),
                topic: topic.clone(),
                partition: *partition,
                value: Some(offset.clone()),
            })
            .collect();
        let held = Held::Commit {
            token,
            response,
            producer_id: producer.map(|p| p.id),
            offsets,
        };
        self.out.append_of(producer, group_id, &records, held);
    }

    fn validate_commit(&mut self, request: &OffsetCommitRequest) -> Result<CommitScope, ErrorCode> {
        check_fit(&request.group_id, &request.topics)?;
        let committer = Committer {
            generation_id: request.generation_id,
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            is_transactional: false,
        };
        if let Some(group) = self.consumers.get(&request.group_id) {
            return group.check_commit(&committer, request.reports_unknown_group);
        }
        let Some(group) = self.groups.get(&request.group_id) else {
            return unknown_group(request.generation_id, request.reports_unknown_group);
        };
        group.validate_commit(&committer)?;
        if matches!(
            group.state,
            GroupState::Stable | GroupState::PreparingRebalance
        ) {
            group.renew_session(&mut self.out, &request.member_id);
        }
        Ok(CommitScope::All)
    }

    /// As in Kafka, a commit in a transaction keeps no session alive.
    fn validate_txn_commit(
        &self,
        request: &TxnOffsetCommitRequest,
    ) -> Result<CommitScope, ErrorCode> {
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        check_fit(&request.group_id, &request.topics)?;
        let committer = Committer {
            generation_id: request.generation_id,
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            is_transactional: true,
        };
        if let Some(group) = self.consumers.get(&request.group_id) {
            return group.check_commit(&committer, request.reports_unknown_group);
        }
        let Some(group) = self.groups.get(&request.group_id) else {
            return unknown_group(request.generation_id, request.reports_unknown_group);
        };
        group.validate_commit(&committer)?;
        Ok(CommitScope::All)
    }
}

fn check_fit(group_id: &str, topics: &[CommitTopic]) -> Result<(), ErrorCode> {
    if !fits(group_id) {
        return Err(ErrorCode::InvalidGroupId);
    }
    if !topics.iter().all(|t| fits(&t.topic)) {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(())
}

/// A consumer that only stores offsets needs no group; the durable commit makes one.
fn unknown_group(
    generation_id: i32,
    reports_unknown_group: bool,
) -> Result<CommitScope, ErrorCode> {
    if generation_id < 0 {
        Ok(CommitScope::All)
    } else if reports_unknown_group {
        Err(ErrorCode::GroupIdNotFound)
    } else {
        Err(ErrorCode::IllegalGeneration)
    }
}

impl Group {
    fn validate_commit(&self, by: &Committer<'_>) -> Result<(), ErrorCode> {
        if self.is_in(GroupState::Dead) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if self.is_in(GroupState::Empty) && by.generation_id < 0 {
            return Ok(());
        }
        if by.generation_id < 0 && by.member_id.is_empty() && by.group_instance_id.is_none() {
            // Someone outside the group, which has members. Producers of old do not tell for which
            // member they commit (KIP-447): their transactional id is what fences them.
            return if by.is_transactional {
                Ok(())
            } else {
                Err(ErrorCode::UnknownMemberId)
            };
        }
        self.validate_member(by.member_id, by.group_instance_id)?;
        if by.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.is_in(GroupState::CompletingRebalance) && !by.is_transactional {
            // The member has joined the new generation and does not know yet what it may read.
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }
}

/// Whether a text is longer than this many UTF-16 units, as Kafka counts. UTF-8 never has fewer
/// bytes than UTF-16 has units.
fn is_longer(text: &str, len_max: usize) -> bool {
    text.len() > len_max && text.encode_utf16().count() > len_max
}

pub(crate) fn error_response(topics: &[CommitTopic], error: ErrorCode) -> OffsetCommitResponse {
    let topics = topics.iter().map(|topic| CommittedTopic {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|p| (p.partition, error))
            .collect(),
    });
    OffsetCommitResponse {
        topics: topics.collect(),
    }
}

/// The answer to a commit whose records could not be made durable: nothing of it is.
pub(crate) fn failed_response(response: Response, error: ErrorCode) -> Response {
    match response {
        Response::OffsetCommit(mut response) => {
            for (_, code) in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                *code = append_error(error);
            }
            Response::OffsetCommit(response)
        }
        other => other,
    }
}
