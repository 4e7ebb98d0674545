//! OffsetCommit: who may commit, and what becomes of it.

use ottla_model::ErrorCode;

use crate::coordinator::Coordinator;
use crate::effect::Token;
use crate::error::append_error;
use crate::group::Group;
use crate::offsets::CommittedOffset;
use crate::outbox::Held;
use crate::records::{Record, fits};
use crate::request::OffsetCommitRequest;
use crate::response::{CommittedTopic, OffsetCommitResponse, Response};
use crate::state::GroupState;

impl Coordinator {
    pub(crate) fn commit(&mut self, token: Token, request: &OffsetCommitRequest) {
        if let Err(error) = self.validate_commit(request) {
            let response = error_response(request, error);
            self.out.reply(token, Response::OffsetCommit(response));
            return;
        }
        let now_ms = self.out.now_ms;
        let expire_timestamp_ms = request
            .retention_time_ms
            .filter(|&retention_ms| retention_ms >= 0)
            .map(|retention_ms| now_ms.saturating_add(retention_ms));
        let len_max = self.out.options.offset_metadata_len_max;
        let mut offsets = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
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
        let response = Response::OffsetCommit(OffsetCommitResponse { topics });
        if offsets.is_empty() {
            self.out.reply(token, response);
            return;
        }
        let records: Vec<Record> = offsets
            .iter()
            .map(|(topic, partition, offset)| Record::Offset {
                group_id: request.group_id.clone(),
                topic: topic.clone(),
                partition: *partition,
                value: Some(offset.clone()),
            })
            .collect();
        let held = Held::Commit {
            token,
            response,
            offsets,
        };
        self.out.append(&request.group_id, &records, held);
    }

    fn validate_commit(&mut self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        if !fits(&request.group_id) {
            return Err(ErrorCode::InvalidGroupId);
        }
        if !request.topics.iter().all(|t| fits(&t.topic)) {
            return Err(ErrorCode::InvalidRequest);
        }
        let Some(group) = self.groups.get(&request.group_id) else {
            // A consumer that only stores offsets needs no group; the durable commit makes one.
            return if request.generation_id < 0 {
                Ok(())
            } else if request.reports_unknown_group {
                Err(ErrorCode::GroupIdNotFound)
            } else {
                Err(ErrorCode::IllegalGeneration)
            };
        };
        group.validate_commit(request)?;
        if matches!(
            group.state,
            GroupState::Stable | GroupState::PreparingRebalance
        ) {
            group.renew_session(&mut self.out, &request.member_id);
        }
        Ok(())
    }
}

impl Group {
    fn validate_commit(&self, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        if self.is_in(GroupState::Dead) {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        if self.is_in(GroupState::Empty) && request.generation_id < 0 {
            return Ok(());
        }
        let instance_id = request.group_instance_id.as_deref();
        if request.generation_id < 0 && request.member_id.is_empty() && instance_id.is_none() {
            // Someone outside the group, which has members.
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(&request.member_id, instance_id)?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        if self.is_in(GroupState::CompletingRebalance) {
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

fn error_response(request: &OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| CommittedTopic {
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
