//! The return of a static member under a new id (KIP-345).

use std::sync::Arc;

use ottla_model::ErrorCode;

use crate::effect::Token;
use crate::error::append_error;
use crate::group::Group;
use crate::member::own_protocols;
use crate::outbox::{Held, Outbox, StaticSwap};
use crate::request::JoinRequest;
use crate::response::{JoinResponse, SyncResponse};
use crate::state::GroupState;

impl Group {
    /// A process has started again and takes its place back. In a stable group that costs no
    /// rebalance, unless it changes which protocol would be elected.
    pub(crate) fn replace_static(
        &mut self,
        out: &mut Outbox,
        token: Token,
        request: &JoinRequest,
        old_id: &Arc<str>,
        new_id: &Arc<str>,
    ) {
        let old_leader = self.leader.clone();
        let Some(old) = self.members.get(old_id).cloned() else {
            return;
        };
        let swap = StaticSwap {
            token,
            instance_id: old.instance_id.unwrap_or_else(|| "".into()),
            new_id: new_id.clone(),
            old_id: old_id.clone(),
            old_protocols: old.protocols,
            old_rebalance_timeout_ms: old.rebalance_timeout_ms,
            old_session_timeout_ms: old.session_timeout_ms,
            old_leader,
            supports_skip_assignment: request.supports_skip_assignment,
        };
        self.rename_static(out, old_id, new_id);
        self.update_member(
            new_id,
            own_protocols(&request.protocols),
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
        );
        self.park_join(out, new_id, token);
        match self.state {
            GroupState::Stable if self.elect_protocol() == self.protocol_name => {
                let record = self.to_record(|m| m.assignment.clone());
                out.append(&self.id, &[record], Held::StaticMember(Box::new(swap)));
            }
            GroupState::Stable => {
                let what = " and changes the elected protocol";
                let reason = Group::static_reason(request, new_id, what);
                self.rebalance_or_complete_join(out, reason);
            }
            GroupState::CompletingRebalance => {
                // The leader may already be assigning to the old id.
                let reason = Group::static_reason(request, new_id, " during a rebalance");
                self.prepare_rebalance(out, reason);
            }
            _ => {
                self.maybe_complete_join(out);
            }
        }
    }

    /// Puts a static member under another id, keeping all else. Whoever waits under the old id is
    /// a process that has been replaced, and is told so.
    fn rename_static(&mut self, out: &mut Outbox, old_id: &Arc<str>, new_id: &Arc<str>) {
        let fenced = ErrorCode::FencedInstanceId;
        self.answer_join(out, old_id, JoinResponse::error(fenced, old_id.clone()));
        self.answer_sync(out, old_id, SyncResponse::error(fenced));
        out.cancel_session(&self.id, old_id);
        let Some(mut member) = self.take_member(old_id) else {
            return;
        };
        member.id = new_id.clone();
        member.is_new = false;
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(new_id.clone());
        }
        self.insert(member);
        self.renew_session(out, new_id);
    }

    /// The new id is durable: the member goes on with its assignment. If the group has begun to
    /// rebalance meanwhile, the JoinGroup stays parked and is answered with the new generation.
    pub(crate) fn static_member_durable(&mut self, out: &mut Outbox, swap: &StaticSwap) {
        let waits = self
            .members
            .get(&swap.new_id)
            .is_some_and(|m| m.awaiting_join == Some(swap.token));
        if !waits || !self.is_in(GroupState::Stable) {
            return;
        }
        let mut answer = self.join_answer(&swap.new_id);
        if swap.supports_skip_assignment {
            answer.skip_assignment = self.is_leader(&swap.new_id);
        } else {
            // An older client that learned that it leads would compute an assignment which nobody
            // awaits. It is told the id that led before.
            answer.members = Vec::new();
            answer.leader = swap.old_leader.clone().unwrap_or_else(|| "".into());
        }
        self.answer_join(out, &swap.new_id, answer);
        self.renew_session(out, &swap.new_id);
    }

    /// The new id could not be written: the old one, which the log knows, stays.
    pub(crate) fn static_member_failed(
        &mut self,
        out: &mut Outbox,
        swap: StaticSwap,
        error: ErrorCode,
    ) {
        let waits = self
            .members
            .get(&swap.new_id)
            .is_some_and(|m| m.awaiting_join == Some(swap.token));
        if !waits {
            return;
        }
        let mut answer = self.join_answer(&swap.new_id);
        answer.error = append_error(error);
        answer.member_id = "".into();
        answer.members = Vec::new();
        answer.leader = swap.old_leader.unwrap_or_else(|| "".into());
        self.answer_join(out, &swap.new_id, answer);
        debug_assert!(self.static_members.contains_key(&swap.instance_id));
        self.update_member(
            &swap.new_id,
            swap.old_protocols,
            swap.old_rebalance_timeout_ms,
            swap.old_session_timeout_ms,
        );
        self.rename_static(out, &swap.new_id, &swap.old_id);
    }
}
