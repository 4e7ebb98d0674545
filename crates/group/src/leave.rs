//! LeaveGroup: members that go, or that an administrator removes by their static names.

use std::sync::Arc;

use ottla_model::ErrorCode;

use crate::effect::{AppendId, Notice, Token};
use crate::group::Group;
use crate::join::client_reason;
use crate::outbox::{Held, Outbox, Pending};
use crate::request::{LeaveRequest, LeavingMember};
use crate::response::{LeaveResponse, LeftMember, Response};
use crate::state::GroupState;

impl Group {
    pub(crate) fn leave(&mut self, out: &mut Outbox, token: Token, request: &LeaveRequest) {
        if self.is_in(GroupState::Dead) {
            let error = ErrorCode::CoordinatorNotAvailable;
            let members = Vec::new();
            out.reply(token, Response::Leave(LeaveResponse { error, members }));
            return;
        }
        let mut gone: Vec<Arc<str>> = Vec::new();
        let mut members = Vec::with_capacity(request.members.len());
        for leaving in &request.members {
            let error = match self.leaving_id(leaving) {
                Ok(member_id) => {
                    self.remove(out, &member_id);
                    out.notice(Notice::MembersRemoved {
                        group_id: self.id.clone(),
                        member_ids: vec![member_id.clone()],
                        reason: format!("left: {}", client_reason(leaving.reason.as_deref())),
                    });
                    gone.push(member_id);
                    ErrorCode::None
                }
                Err(error) => error,
            };
            members.push(LeftMember {
                member_id: leaving.member_id.clone(),
                group_instance_id: leaving.group_instance_id.clone(),
                error,
            });
        }
        let emptied = if gone.is_empty() {
            None
        } else {
            self.after_leave(out, &gone)
        };
        let response = Response::Leave(LeaveResponse {
            error: ErrorCode::None,
            members,
        });
        // When the last member leaves, its answer waits until the log knows.
        match emptied.and_then(|append_id| out.pending.get_mut(&append_id)) {
            Some(Pending::Change { held, .. }) => {
                *held = Held::Empty {
                    leave: Some((token, response)),
                };
            }
            _ => out.reply(token, response),
        }
    }

    /// Who leaves: a member or a pending one by its id, or a static one by its name alone.
    fn leaving_id(&self, leaving: &LeavingMember) -> Result<Arc<str>, ErrorCode> {
        let instance_id = leaving.group_instance_id.as_deref();
        if leaving.member_id.is_empty() {
            return instance_id
                .and_then(|name| self.static_members.get(name))
                .cloned()
                .ok_or(ErrorCode::UnknownMemberId);
        }
        if !self.pending_join.contains(&leaving.member_id) {
            self.validate_member(&leaving.member_id, instance_id)?;
        }
        Ok(leaving.member_id.clone())
    }

    fn after_leave(&mut self, out: &mut Outbox, gone: &[Arc<str>]) -> Option<AppendId> {
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => {
                let reason = format!("LeaveGroup of {}", gone.join(", "));
                self.prepare_rebalance(out, reason)
            }
            GroupState::PreparingRebalance => self.maybe_complete_join(out),
            GroupState::Empty | GroupState::Dead => None,
        }
    }
}
