//! Taking a partition over and giving it up.

use std::sync::Arc;

use ottla_model::{ErrorCode, ProducerId, TimestampMs};

use crate::commit::failed_response;
use crate::coordinator::Coordinator;
use crate::delete::failed_offset_delete;
use crate::effect::Effect;
use crate::error::Error;
use crate::group::Group;
use crate::offsets::Offsets;
use crate::outbox::{Held, Pending};
use crate::records::{self, Record};
use crate::response::{JoinResponse, LeaveResponse, OffsetFetchResponse, Response, SyncResponse};

impl Coordinator {
    /// Takes one record while the partition is read, in the order of the offsets. Records of kinds
    /// that are not known (other group types, newer keys) are counted and skipped.
    ///
    /// `producer_id` is that of the record's batch when the batch is transactional: offsets in it
    /// count from [`Coordinator::apply_marker`] on.
    ///
    /// # Errors
    /// When a record of a known kind cannot be understood; the coordinator is as before.
    pub fn apply(
        &mut self,
        producer_id: Option<ProducerId>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Error> {
        match records::decode(key, value)? {
            Some(record) => self.apply_record(producer_id, record),
            None => self.skipped_records += 1,
        }
        Ok(())
    }

    /// Takes the marker of a transaction's end while the partition is read.
    pub fn apply_marker(&mut self, producer_id: ProducerId, commit: bool) {
        self.offsets.end_transaction(producer_id, commit);
    }

    pub(crate) fn apply_record(&mut self, producer_id: Option<ProducerId>, record: Record) {
        match record {
            Record::Offset {
                group_id,
                topic,
                partition,
                value: Some(offset),
            } => {
                // A group that only stores offsets has no record of its own.
                self.groups
                    .entry(group_id.clone())
                    .or_insert_with(|| Group::new(group_id.clone(), None));
                self.offsets
                    .put(producer_id, &group_id, &topic, partition, offset);
            }
            Record::Offset {
                group_id,
                topic,
                partition,
                value: None,
            } => {
                self.offsets.remove(&group_id, &topic, partition);
            }
            Record::Group {
                group_id,
                value: Some(value),
            } => {
                let group = Group::from_record(group_id.clone(), value);
                self.groups.insert(group_id, group);
            }
            Record::Group {
                group_id,
                value: None,
            } => {
                self.groups.remove(&group_id);
            }
        }
    }

    /// Call this once all records are applied, before the first request. Members get a whole
    /// session's time to show up.
    pub fn loaded(&mut self, now_ms: TimestampMs) -> Vec<Effect> {
        self.out.begin(now_ms);
        let size_max = self.out.options.group_size_max;
        let out = &mut self.out;
        for group in self.groups.values_mut() {
            for member in group.members.values() {
                out.set_session(&group.id, &member.id, member.session_timeout_ms);
            }
            if group.members.len() > size_max {
                let members = group.members.len();
                let reason =
                    format!("it has {members} members, more than group.max.size={size_max}");
                group.prepare_rebalance(out, reason);
            }
        }
        self.schedule_expiry();
        self.finish()
    }

    /// Call this when another node takes the partition over. Every request that is still owed an
    /// answer gets `NOT_COORDINATOR`, and everything is forgotten.
    pub fn unloaded(&mut self) -> Vec<Effect> {
        self.out.begin(self.out.now_ms);
        let error = ErrorCode::NotCoordinator;
        for fetch in std::mem::take(&mut self.parked_fetches) {
            let response = OffsetFetchResponse {
                group_id: fetch.request.group_id,
                error,
                topics: Vec::new(),
            };
            self.out.reply(fetch.token, Response::OffsetFetch(response));
        }
        for (_, pending) in std::mem::take(&mut self.out.pending) {
            let held = match pending {
                Pending::Change { held, .. } => held,
                Pending::Marker { token, .. } => {
                    self.out.reply(token, Response::EndTransaction(error));
                    continue;
                }
            };
            match held {
                Held::Commit {
                    token, response, ..
                } => self.out.reply(token, failed_response(response, error)),
                Held::Empty {
                    leave: Some((token, _)),
                } => {
                    let members = Vec::new();
                    let response = Response::Leave(LeaveResponse { error, members });
                    self.out.reply(token, response);
                }
                Held::Deletion {
                    deletion: Some(deletion),
                    ..
                } => self.reply_deleted(deletion.token, error),
                Held::OffsetDeletion { token, .. } => {
                    self.out.reply(token, failed_offset_delete(error));
                }
                Held::NewGroup
                | Held::Empty { leave: None }
                | Held::Assignment { .. }
                | Held::StaticMember(_)
                | Held::Deletion { deletion: None, .. } => {}
            }
        }
        for mut group in std::mem::take(&mut self.groups).into_values() {
            let ids: Vec<Arc<str>> = group.members.keys().cloned().collect();
            for id in ids {
                let answer = JoinResponse::error(error, id.clone());
                group.answer_join(&mut self.out, &id, answer);
                group.answer_sync(&mut self.out, &id, SyncResponse::error(error));
            }
        }
        self.offsets = Offsets::default();
        self.out.timers.clear();
        self.out.forget_in_flight();
        self.out.take_effects()
    }
}
