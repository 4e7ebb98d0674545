//! Taking a partition over and giving it up.

use std::sync::Arc;

use ottla_model::{ErrorCode, ProducerId, TimestampMs};

use crate::commit::{error_response, failed_response};
use crate::consumer::lane::{Work, begin_sessions, failed};
use crate::consumer::request::{ConsumerHeartbeatResponse, DescribedConsumerGroup};
use crate::coordinator::Coordinator;
use crate::delete::failed_offset_delete;
use crate::describe::unknown;
use crate::effect::Effect;
use crate::error::Error;
use crate::group::Group;
use crate::offsets::Offsets;
use crate::outbox::{Held, Pending};
use crate::records::{self, Record};
use crate::request::Request;
use crate::response::{
    DescribedGroup, JoinResponse, LeaveResponse, OffsetFetchResponse, Response, SyncResponse,
};

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
                self.offsets
                    .put(producer_id, &group_id, &topic, partition, offset);
                self.keep_offsets(&group_id);
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
            Record::Consumer(group_id, record) => self.apply_consumer(&group_id, record),
        }
    }

    /// Makes the group that holds offsets and nothing else, if there is no other of this name.
    pub(crate) fn keep_offsets(&mut self, group_id: &Arc<str>) {
        let offsets = &self.offsets;
        let has_some = offsets.group(group_id).is_some() || offsets.pending().has_group(group_id);
        if has_some && !self.consumers.contains_key(group_id) {
            self.groups
                .entry(group_id.clone())
                .or_insert_with(|| Group::new(group_id.clone(), None));
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
        for group in self.consumers.values() {
            begin_sessions(group, &mut self.out, &*self.cluster);
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
                Held::Consumer(batch) => {
                    for (token, response) in batch.replies {
                        self.out.reply(token, failed(response, error));
                    }
                    if let Some((token, request, _)) = batch.retry {
                        self.out.reply(token, refusal(request, error));
                    }
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
        for lane in std::mem::take(&mut self.lanes).into_values() {
            for work in lane.queue {
                if let Work::Request(token, request, _) = work {
                    self.out.reply(token, refusal(request, error));
                }
            }
        }
        self.consumers.clear();
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

/// The answer to a request that has not even begun.
pub(crate) fn refusal(request: Request, error: ErrorCode) -> Response {
    match request {
        Request::Join(r) => Response::Join(JoinResponse::error(error, r.member_id)),
        Request::Sync(_) => Response::Sync(SyncResponse::error(error)),
        Request::Heartbeat(_) => Response::Heartbeat(error),
        Request::Leave(_) => {
            let members = Vec::new();
            Response::Leave(LeaveResponse { error, members })
        }
        Request::OffsetCommit(r) => Response::OffsetCommit(error_response(&r.topics, error)),
        Request::TxnOffsetCommit(r) => Response::OffsetCommit(error_response(&r.topics, error)),
        Request::DeleteGroup(_) => Response::DeleteGroup(error),
        Request::OffsetDelete(_) => failed_offset_delete(error),
        Request::EndTransaction(_) => Response::EndTransaction(error),
        Request::OffsetFetch(r) => Response::OffsetFetch(OffsetFetchResponse {
            group_id: r.group_id,
            error,
            topics: Vec::new(),
        }),
        Request::Describe(r) => Response::Describe(DescribedGroup {
            error,
            ..unknown(&r.group_id)
        }),
        Request::List(_) => Response::List(Vec::new()),
        Request::ConsumerHeartbeat(_) => {
            Response::ConsumerHeartbeat(ConsumerHeartbeatResponse::error(error, None))
        }
        Request::ConsumerDescribe(group_id) => {
            Response::ConsumerDescribe(DescribedConsumerGroup::error(group_id, error, None))
        }
    }
}
