//! SyncGroup: the leader's assignment on its way to the members.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::ErrorCode;

use crate::effect::{AppendId, Notice, Token};
use crate::error::append_error;
use crate::group::Group;
use crate::outbox::{Held, Outbox};
use crate::request::SyncRequest;
use crate::response::{Response, SyncResponse};
use crate::state::GroupState;
use crate::timers::TimerKey;

impl Group {
    pub(crate) fn sync(&mut self, out: &mut Outbox, token: Token, request: &SyncRequest) {
        if let Err(error) = self.validate_sync(request) {
            out.reply(token, Response::Sync(SyncResponse::error(error)));
            return;
        }
        self.remove_pending_sync(out, &request.member_id);
        if self.is_in(GroupState::Stable) {
            out.reply(token, Response::Sync(self.sync_answer(&request.member_id)));
            return;
        }
        self.park_sync(out, &request.member_id, token);
        // A leader that repeats itself waits for the assignment that is already on its way: two
        // in the log could differ, and the members get only one.
        if self.is_leader(&request.member_id) && self.assignment_append.is_none() {
            self.persist_assignment(out, request);
        }
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        match self.state {
            GroupState::Dead => return Err(ErrorCode::CoordinatorNotAvailable),
            GroupState::Empty => return Err(ErrorCode::UnknownMemberId),
            _ => {}
        }
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: &Option<Arc<str>>, ours: &Option<Arc<str>>| matches!((asked, ours), (Some(asked), Some(ours)) if asked != ours);
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if self.is_in(GroupState::PreparingRebalance) {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    fn remove_pending_sync(&mut self, out: &mut Outbox, member_id: &str) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            out.timers.cancel(&TimerKey::Sync {
                group: self.id.clone(),
            });
        }
    }

    fn persist_assignment(&mut self, out: &mut Outbox, request: &SyncRequest) {
        let assignments: BTreeMap<Arc<str>, Bytes> = request
            .assignments
            .iter()
            .filter(|(member_id, _)| self.members.contains_key(member_id))
            // Memory of its own, lest the whole request lives as long as the assignment.
            .map(|(member_id, bytes)| (member_id.clone(), Bytes::copy_from_slice(bytes)))
            .collect();
        let record = self.to_record(|m| assignments.get(&m.id).cloned().unwrap_or_default());
        let held = Held::Assignment {
            generation_id: self.generation_id,
            assignments,
        };
        self.assignment_append = Some(out.append(&self.id, &[record], held));
    }

    fn sync_answer(&self, member_id: &str) -> SyncResponse {
        let assignment = self.members.get(member_id).map(|m| m.assignment.clone());
        SyncResponse {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: assignment.unwrap_or_default(),
        }
    }

    /// Whether the outcome of this append still matters: the group may have gone on.
    fn awaits_assignment(&self, append_id: AppendId, generation_id: i32) -> bool {
        self.is_in(GroupState::CompletingRebalance)
            && self.generation_id == generation_id
            && self.assignment_append == Some(append_id)
    }

    /// The assignment is durable: everyone may work.
    pub(crate) fn assignment_durable(
        &mut self,
        out: &mut Outbox,
        append_id: AppendId,
        generation_id: i32,
        mut assignments: BTreeMap<Arc<str>, Bytes>,
    ) {
        if !self.awaits_assignment(append_id, generation_id) {
            return;
        }
        self.assignment_append = None;
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(&member.id).unwrap_or_default();
        }
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            let answer = self.sync_answer(&member_id);
            if self.answer_sync(out, &member_id, answer) {
                self.renew_session(out, &member_id);
            }
        }
        self.transition_to(GroupState::Stable, out.now_ms);
        out.notice(Notice::Stable {
            group_id: self.id.clone(),
            generation_id,
        });
    }

    /// The assignment could not be written: nobody gets it, and the group tries again.
    pub(crate) fn assignment_failed(
        &mut self,
        out: &mut Outbox,
        append_id: AppendId,
        generation_id: i32,
        error: ErrorCode,
    ) {
        if !self.awaits_assignment(append_id, generation_id) {
            return;
        }
        self.assignment_append = None;
        let error = append_error(error);
        self.fail_sync(out, error);
        let reason = format!("the assignment could not be stored: {error}");
        self.rebalance_or_complete_join(out, reason);
    }

    /// The time to send SyncGroup is over: whoever has not is dropped.
    pub(crate) fn on_sync_timer(&mut self, out: &mut Outbox) {
        let syncing = matches!(
            self.state,
            GroupState::CompletingRebalance | GroupState::Stable
        );
        if !syncing || self.pending_sync.is_empty() {
            return;
        }
        let late: Vec<Arc<str>> = self.pending_sync.iter().cloned().collect();
        for member_id in &late {
            self.remove(out, member_id);
        }
        let reason = "members have not sent SyncGroup within the rebalance timeout".to_owned();
        out.notice(Notice::MembersRemoved {
            group_id: self.id.clone(),
            member_ids: late,
            reason: reason.clone(),
        });
        self.prepare_rebalance(out, reason);
    }
}
