//! What happens when the log has answered: a change takes place, or it does not.

use std::sync::Arc;

use ottla_model::{ErrorCode, TimestampMs};

use crate::commit::failed_response;
use crate::coordinator::Coordinator;
use crate::effect::{AppendId, Effect, Notice};
use crate::error::append_error;
use crate::outbox::{Held, Pending};
use crate::records::Record;
use crate::response::{LeaveResponse, Response};
use crate::state::GroupState;

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
        if let Some(pending) = self.out.settle(append_id) {
            if let Err(error) = outcome {
                self.out.notice(Notice::AppendFailed {
                    group_id: pending.group_id.clone(),
                    error,
                });
            }
            match outcome {
                Ok(()) => self.durable(append_id, pending),
                Err(error) => self.failed(append_id, pending, error),
            }
            self.answer_parked_fetches();
        }
        self.finish()
    }

    fn durable(&mut self, append_id: AppendId, Pending { group_id, held }: Pending) {
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
                offsets,
            } => {
                for (topic, partition, offset) in offsets {
                    self.apply_record(Record::Offset {
                        group_id: group_id.clone(),
                        topic,
                        partition,
                        value: Some(offset),
                    });
                }
                self.out.reply(token, response);
            }
            Held::Deletion {
                offsets,
                removes_group,
            } => self.deleted(&group_id, &offsets, removes_group),
        }
    }

    fn deleted(&mut self, group_id: &Arc<str>, offsets: &[(Arc<str>, i32)], removes_group: bool) {
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

    fn failed(&mut self, append_id: AppendId, pending: Pending, error: ErrorCode) {
        let out = &mut self.out;
        let group = self.groups.get_mut(&pending.group_id);
        match pending.held {
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
            Held::Deletion { removes_group, .. } => {
                if removes_group && let Some(group) = group {
                    let timestamp_ms = group.state_timestamp_ms;
                    group.transition_to(GroupState::Empty, out.now_ms);
                    group.state_timestamp_ms = timestamp_ms;
                }
            }
        }
    }
}
