//! DeleteGroups and OffsetDelete: what people remove by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex};

use crate::coordinator::Coordinator;
use crate::effect::Token;
use crate::error::append_error;
use crate::expiry::{TOMBSTONES_MAX, tombstones};
use crate::outbox::{Held, Pending};
use crate::records::Record;
use crate::request::{OffsetDeleteRequest, OffsetDeleteTopic};
use crate::response::{OffsetDeleteResponse, Response};
use crate::state::GroupState;

/// The deletion of a group, in as many appends as its offsets need; the group's own tombstone is
/// in the last one.
#[derive(Debug)]
pub(crate) struct GroupDeletion {
    pub(crate) token: Token,
    /// Tombstones that are not on their way yet, last ones first.
    pub(crate) remaining: Vec<(Arc<str>, PartitionIndex)>,
}

impl Coordinator {
    pub(crate) fn delete_group(&mut self, token: Token, group_id: &Arc<str>) {
        let Some(group) = self.groups.get_mut(group_id) else {
            self.reply_deleted(token, ErrorCode::GroupIdNotFound);
            return;
        };
        match group.state {
            GroupState::Empty => {}
            GroupState::Dead => {
                self.reply_deleted(token, ErrorCode::GroupIdNotFound);
                return;
            }
            GroupState::Stable
            | GroupState::PreparingRebalance
            | GroupState::CompletingRebalance => {
                self.reply_deleted(token, ErrorCode::NonEmptyGroup);
                return;
            }
        }
        group.die(self.out.now_ms);
        let mut remaining: Vec<_> = self.offsets_of(group_id).into_iter().collect();
        remaining.reverse();
        self.continue_deletion(group_id, GroupDeletion { token, remaining });
    }

    /// Appends the next tombstones. The group is dead meanwhile and takes no commits.
    pub(crate) fn continue_deletion(&mut self, group_id: &Arc<str>, mut deletion: GroupDeletion) {
        let rest = deletion.remaining.len().saturating_sub(TOMBSTONES_MAX);
        let offsets = deletion.remaining.split_off(rest);
        let mut records = tombstones(group_id, &offsets);
        let removes_group = deletion.remaining.is_empty();
        if removes_group {
            records.push(Record::Group {
                group_id: group_id.clone(),
                value: None,
            });
        }
        let held = Held::Deletion {
            offsets,
            removes_group,
            deletion: Some(deletion),
        };
        self.out.append(group_id, &records, held);
    }

    pub(crate) fn reply_deleted(&mut self, token: Token, error: ErrorCode) {
        self.out.reply(token, Response::DeleteGroup(error));
    }

    /// The partitions for which the group has, or is about to have, an offset.
    pub(crate) fn offsets_of(&self, group_id: &Arc<str>) -> BTreeSet<(Arc<str>, PartitionIndex)> {
        let mut places = BTreeSet::new();
        for (topic, partitions) in self.offsets.group(group_id).into_iter().flatten() {
            places.extend(partitions.keys().map(|p| (topic.clone(), *p)));
        }
        places.extend(self.offsets.pending().partitions(group_id).cloned());
        for pending in self.out.pending.values() {
            if let Pending::Change {
                group_id: id,
                held: Held::Commit { offsets, .. },
            } = pending
                && id == group_id
            {
                places.extend(offsets.iter().map(|(topic, p, _)| (topic.clone(), *p)));
            }
        }
        places
    }

    pub(crate) fn delete_offsets(&mut self, token: Token, request: &OffsetDeleteRequest) {
        let group_id = &request.group_id;
        if let Err(error) = self.validate_offset_delete(group_id) {
            let topics = Vec::new();
            let response = OffsetDeleteResponse { error, topics };
            self.out.reply(token, Response::OffsetDelete(response));
            return;
        }
        let known = self.offsets_of(group_id);
        let mut offsets = BTreeSet::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for OffsetDeleteTopic { topic, partitions } in &request.topics {
            let group = self.groups.get(group_id);
            let consumers = self.consumers.get(group_id);
            let is_read = group.is_some_and(|group| group.is_subscribed_to(topic))
                || consumers.is_some_and(|group| group.subscribed_topics().contains(topic));
            let error = if is_read {
                ErrorCode::GroupSubscribedToTopic
            } else {
                let named = partitions.iter().map(|p| (topic.clone(), *p));
                offsets.extend(named.filter(|place| known.contains(place)));
                ErrorCode::None
            };
            let partitions = partitions.iter().map(|p| (*p, error)).collect();
            topics.push((topic.clone(), partitions));
        }
        let response = OffsetDeleteResponse {
            error: ErrorCode::None,
            topics,
        };
        let offsets: Vec<_> = offsets.into_iter().collect();
        if offsets.is_empty() {
            self.out.reply(token, Response::OffsetDelete(response));
            return;
        }
        let records = tombstones(group_id, &offsets);
        let held = Held::OffsetDeletion {
            token,
            response,
            offsets,
        };
        self.out.append(group_id, &records, held);
    }

    fn validate_offset_delete(&self, group_id: &str) -> Result<(), ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        if self.consumers.contains_key(group_id) {
            return Ok(());
        }
        let group = self.groups.get(group_id);
        let group = group.ok_or(ErrorCode::GroupIdNotFound)?;
        match group.state {
            GroupState::Empty => Ok(()),
            GroupState::Dead => Err(ErrorCode::GroupIdNotFound),
            // Members of other protocols do not tell which topics they read.
            _ if !group.uses_consumer_protocol() => Err(ErrorCode::NonEmptyGroup),
            _ => Ok(()),
        }
    }
}

/// The answer to an OffsetDelete whose tombstones could not be made durable.
pub(crate) fn failed_offset_delete(error: ErrorCode) -> Response {
    Response::OffsetDelete(OffsetDeleteResponse {
        error: append_error(error),
        topics: Vec::new(),
    })
}
