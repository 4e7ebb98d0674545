//! What happens when the log has answered: a change takes place, or it does not.

use std::sync::Arc;

use ottla_model::{ErrorCode, PartitionIndex, TimestampMs};

use crate::commit::failed_response;
use crate::coordinator::Coordinator;
use crate::delete::failed_offset_delete;
use crate::effect::{AppendId, Effect, Notice};
use crate::error::append_error;
use crate::outbox::{Held, Pending};
use crate::records::Record;
use crate::response::{LeaveResponse, Response};

impl Coordinator {
    /// Takes the outcome of an [`Effect::Append`]: `Ok` when the records are durable (and
    /// replicated as the topic demands), else what the log answered. Outcomes come in the order of
    /// their ids; one that is not known is ignored.
    pub fn appended(
        &mut self,
        now_ms: TimestampMs,
        append_id: AppendId,
        outcome: Result<(), ErrorCode>,
    ) -> Vec<Effect> {
        self.out.begin(now_ms);
        let Some(pending) = self.out.settle(append_id) else {
            return self.finish();
        };
        let group_id = match &pending {
            Pending::Change { group_id, .. } => Some(group_id.clone()),
            Pending::Marker { .. } => None,
        };
        if let Err(error) = outcome {
            let group_id = group_id.clone();
            self.out.notice(Notice::AppendFailed { group_id, error });
        }
        match (pending, outcome) {
            (Pending::Change { group_id, held }, Ok(())) => self.durable(append_id, group_id, held),
            (Pending::Change { group_id, held }, Err(error)) => {
                self.failed(append_id, &group_id, held, error);
            }
            (
                Pending::Marker {
                    token,
                    producer_id,
                    commit,
                },
                outcome,
            ) => {
                if outcome.is_ok() {
                    self.offsets.end_transaction(producer_id, commit);
                }
                let error = outcome.err().unwrap_or(ErrorCode::None);
                self.out.reply(token, Response::EndTransaction(error));
            }
        }
        self.answer_parked_fetches();
        // A member of the new protocol may have waited for the classic group to settle.
        if let Some(group_id) = group_id.filter(|id| self.lanes.contains_key(id)) {
            self.run_lane(&group_id);
        }
        self.finish()
    }

    fn durable(&mut self, append_id: AppendId, group_id: Arc<str>, held: Held) {
        let out = &mut self.out;
        let group = self.groups.get_mut(&group_id);
        match held {
            Held::NewGroup => {}
            Held::Empty { leave } => {
                if let Some((token, response)) = leave {
                    out.reply(token, response);
                }
            }
            Held::Assignment {
                generation_id,
                assignments,
            } => {
                if let Some(group) = group {
                    group.assignment_durable(out, append_id, generation_id, assignments);
                }
            }
            Held::StaticMember(swap) => {
                if let Some(group) = group {
                    group.static_member_durable(out, &swap);
                }
            }
            Held::Commit {
                token,
                response,
                producer_id,
                offsets,
            } => {
                for (topic, partition, offset) in offsets {
                    let record = Record::Offset {
                        group_id: group_id.clone(),
                        topic,
                        partition,
                        value: Some(offset),
                    };
                    self.apply_record(producer_id, record);
                }
                self.out.reply(token, response);
            }
            Held::Consumer(batch) => self.batch_durable(&group_id, *batch),
            Held::Deletion {
                offsets,
                removes_group,
                deletion,
            } => {
                self.deleted(&group_id, &offsets, removes_group);
                match deletion {
                    Some(deletion) if removes_group => {
                        self.reply_deleted(deletion.token, ErrorCode::None);
                    }
                    Some(deletion) => self.continue_deletion(&group_id, deletion),
                    None => {}
                }
            }
            Held::OffsetDeletion {
                token,
                response,
                offsets,
            } => {
                self.deleted(&group_id, &offsets, false);
                self.out.reply(token, Response::OffsetDelete(response));
            }
        }
    }

    pub(crate) fn deleted(
        &mut self,
        group_id: &Arc<str>,
        offsets: &[(Arc<str>, PartitionIndex)],
        removes_group: bool,
    ) {
        let removed = offsets
            .iter()
            .filter(|(topic, partition)| self.offsets.remove(group_id, topic, *partition))
            .count();
        if removed > 0 {
            self.out.notice(Notice::OffsetsDeleted {
                group_id: group_id.clone(),
                offsets: removed,
            });
        }
        if removes_group {
            self.groups.remove(group_id);
            self.out.notice(Notice::GroupDeleted {
                group_id: group_id.clone(),
            });
        }
    }

    fn failed(&mut self, append_id: AppendId, group_id: &str, held: Held, error: ErrorCode) {
        let out = &mut self.out;
        let group = self.groups.get_mut(group_id);
        match held {
            // The next generation's record says all that this one would have said.
            Held::NewGroup | Held::Empty { leave: None } => {}
            Held::Empty {
                leave: Some((token, _)),
            } => {
                let (error, members) = (append_error(error), Vec::new());
                out.reply(token, Response::Leave(LeaveResponse { error, members }));
            }
            Held::Assignment { generation_id, .. } => {
                if let Some(group) = group {
                    group.assignment_failed(out, append_id, generation_id, error);
                }
            }
            Held::StaticMember(swap) => {
                if let Some(group) = group {
                    group.static_member_failed(out, *swap, error);
                }
            }
            Held::Commit {
                token, response, ..
            } => out.reply(token, failed_response(response, error)),
            Held::Consumer(batch) => self.batch_failed(&group_id.into(), *batch, error),
            Held::Deletion {
                removes_group,
                deletion,
                ..
            } => {
                if (removes_group || deletion.is_some())
                    && let Some(group) = group
                {
                    group.live_on(out.now_ms);
                }
                if let Some(deletion) = deletion {
                    self.reply_deleted(deletion.token, append_error(error));
                }
            }
            Held::OffsetDeletion { token, .. } => out.reply(token, failed_offset_delete(error)),
        }
    }
}
