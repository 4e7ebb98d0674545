//! From one generation to the next: calling the members, waiting for them, and what happens when
//! the wait is over.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::ErrorCode;

use crate::effect::{AppendId, Notice};
use crate::group::{Group, InitialJoin};
use crate::outbox::{Held, Outbox};
use crate::response::{JoinResponse, JoinedMember, SyncResponse};
use crate::state::GroupState;
use crate::timers::TimerKey;

/// When nobody has joined by the rebalance timeout, the group waits again; a hostile timeout of
/// zero must not turn that into a busy loop.
const REJOIN_WAIT_MS_MIN: i32 = 100;

/// The functions that may end a join phase return the append of an empty generation, if that is
/// how it ended.
impl Group {
    pub(crate) fn rebalance_or_complete_join(
        &mut self,
        out: &mut Outbox,
        reason: String,
    ) -> Option<AppendId> {
        if self.state.may_become(GroupState::PreparingRebalance) {
            self.prepare_rebalance(out, reason)
        } else {
            self.maybe_complete_join(out)
        }
    }

    /// Ends the join phase if everyone is here, except the initial one: that always waits out its
    /// delay for more members.
    pub(crate) fn maybe_complete_join(&mut self, out: &mut Outbox) -> Option<AppendId> {
        let waiting =
            self.is_in(GroupState::PreparingRebalance) && self.previous_state != GroupState::Empty;
        if waiting && self.has_all_joined() {
            self.complete_join(out)
        } else {
            None
        }
    }

    /// Calls all members to join again.
    pub(crate) fn prepare_rebalance(
        &mut self,
        out: &mut Outbox,
        reason: String,
    ) -> Option<AppendId> {
        if self.is_in(GroupState::CompletingRebalance) {
            self.fail_sync(out, ErrorCode::RebalanceInProgress);
        }
        self.pending_sync.clear();
        self.assignment_append = None;
        let group = self.id.clone();
        out.timers.cancel(&TimerKey::Sync {
            group: group.clone(),
        });
        let is_initial = self.is_in(GroupState::Empty);
        if is_initial {
            let delay_ms = out.options.initial_rebalance_delay_ms.max(0);
            self.initial_join = Some(InitialJoin {
                delay_ms,
                remaining_ms: self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0),
            });
            out.set_timer(
                TimerKey::Join {
                    group: group.clone(),
                },
                i64::from(delay_ms),
            );
        }
        self.transition_to(GroupState::PreparingRebalance, out.now_ms);
        out.notice(Notice::Rebalancing {
            group_id: group.clone(),
            generation_id: self.generation_id,
            reason,
        });
        if is_initial {
            None
        } else if self.has_all_joined() {
            self.complete_join(out)
        } else {
            let timeout_ms = i64::from(self.rebalance_timeout_ms());
            out.set_timer(TimerKey::Join { group }, timeout_ms);
            None
        }
    }

    /// The time to join is over.
    pub(crate) fn on_join_timer(&mut self, out: &mut Outbox) {
        if !self.is_in(GroupState::PreparingRebalance) {
            return;
        }
        if let Some(initial) = self.initial_join
            && self.new_member_added
            && initial.remaining_ms > 0
        {
            // Someone has joined during the delay: wait once more, within the rebalance timeout.
            self.new_member_added = false;
            let delay_ms = out
                .options
                .initial_rebalance_delay_ms
                .min(initial.remaining_ms);
            self.initial_join = Some(InitialJoin {
                delay_ms,
                remaining_ms: (initial.remaining_ms - initial.delay_ms).max(0),
            });
            let group = self.id.clone();
            out.set_timer(TimerKey::Join { group }, i64::from(delay_ms));
        } else {
            self.complete_join(out);
        }
    }

    /// Ends the join phase with whoever has joined. Dynamic members that have not are dropped;
    /// static ones keep their place until their session ends (KIP-345).
    pub(crate) fn complete_join(&mut self, out: &mut Outbox) -> Option<AppendId> {
        let group = self.id.clone();
        out.timers.cancel(&TimerKey::Join {
            group: group.clone(),
        });
        let late: Vec<Arc<str>> = self
            .members
            .values()
            .filter(|m| m.awaiting_join.is_none() && !m.is_static())
            .map(|m| m.id.clone())
            .collect();
        for member_id in &late {
            self.remove(out, member_id);
        }
        if !late.is_empty() {
            out.notice(Notice::MembersRemoved {
                group_id: group.clone(),
                member_ids: late,
                reason: "they have not joined within the rebalance timeout".into(),
            });
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Only static members are left, and none has come: wait for one, or for their
            // sessions to end.
            let wait_ms = self.rebalance_timeout_ms().max(REJOIN_WAIT_MS_MIN);
            out.set_timer(TimerKey::Join { group }, i64::from(wait_ms));
            return None;
        }
        self.initial_join = None;
        self.new_member_added = false;
        self.pending_sync.clear();
        self.assignment_append = None;
        // 2³¹ rebalances of one group take longer than anything lasts; a record may say anything.
        self.generation_id = self.generation_id.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            Some(self.begin_empty_generation(out))
        } else {
            self.begin_generation(out);
            None
        }
    }

    fn begin_empty_generation(&mut self, out: &mut Outbox) -> AppendId {
        self.protocol_name = None;
        self.subscribed_topics = self.compute_subscribed_topics();
        self.transition_to(GroupState::Empty, out.now_ms);
        out.notice(Notice::Emptied {
            group_id: self.id.clone(),
            generation_id: self.generation_id,
        });
        let record = self.to_record(|_| Bytes::new());
        out.append(&self.id, &[record], Held::Empty { leave: None })
    }

    fn begin_generation(&mut self, out: &mut Outbox) {
        self.protocol_name = self.elect_protocol();
        assert!(
            self.protocol_name.is_some(),
            "the members of group {} have no protocol in common, yet each was checked when it joined",
            self.id
        );
        self.subscribed_topics = self.compute_subscribed_topics();
        self.transition_to(GroupState::CompletingRebalance, out.now_ms);
        out.notice(Notice::Joined {
            group_id: self.id.clone(),
            generation_id: self.generation_id,
            members: self.members.len(),
        });
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            let answer = self.join_answer(&member_id);
            self.answer_join(out, &member_id, answer);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
                out.set_session(&self.id, &member_id, member.session_timeout_ms);
            }
            self.pending_sync.insert(member_id);
        }
        let group = self.id.clone();
        let timeout_ms = i64::from(self.rebalance_timeout_ms());
        out.set_timer(TimerKey::Sync { group }, timeout_ms);
    }

    /// The present generation, as a JoinGroup of this member is answered.
    pub(crate) fn join_answer(&self, member_id: &str) -> JoinResponse {
        let members = if self.is_leader(member_id) {
            self.joined_members()
        } else {
            Vec::new()
        };
        JoinResponse {
            error: ErrorCode::None,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_else(|| "".into()),
            skip_assignment: false,
            member_id: member_id.into(),
            members,
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or("");
        let joined = self.members.values().map(|m| JoinedMember {
            member_id: m.id.clone(),
            group_instance_id: m.instance_id.clone(),
            metadata: m.metadata(protocol).cloned().unwrap_or_default(),
        });
        joined.collect()
    }

    /// Makes sure that the leader has joined. Returns false when nobody has.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &Arc<str>| {
            let member = self.members.get(id);
            member.is_some_and(|m| m.awaiting_join.is_some())
        };
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.values().find(|m| m.awaiting_join.is_some());
        match joined {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// Takes all assignments back and answers all parked SyncGroups with an error.
    pub(crate) fn fail_sync(&mut self, out: &mut Outbox, error: ErrorCode) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            if let Some(member) = self.members.get_mut(&member_id) {
                member.assignment = Bytes::new();
            }
            if self.answer_sync(out, &member_id, SyncResponse::error(error)) {
                self.renew_session(out, &member_id);
            }
        }
    }

    /// A member has shown that it lives.
    pub(crate) fn renew_session(&self, out: &mut Outbox, member_id: &str) {
        if let Some(member) = self.members.get(member_id) {
            out.set_session(&self.id, &member.id, member.session_timeout_ms);
        }
    }

    /// A member's session has ended, or a pending member has not come back.
    pub(crate) fn on_session_timer(&mut self, out: &mut Outbox, member_id: &str) {
        if self.pending_join.contains(member_id) {
            self.remove(out, member_id);
            self.after_removal_while_joining(out);
            return;
        }
        let expired = self
            .members
            .get(member_id)
            .is_some_and(|m| !m.has_satisfied_heartbeat());
        if !expired {
            return;
        }
        self.remove(out, member_id);
        let reason = format!("the session of member {member_id} has expired");
        out.notice(Notice::MembersRemoved {
            group_id: self.id.clone(),
            member_ids: vec![member_id.into()],
            reason: reason.clone(),
        });
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => {
                self.prepare_rebalance(out, reason);
            }
            _ => self.after_removal_while_joining(out),
        }
    }

    /// Perhaps the one that is gone was the last one that the others waited for.
    fn after_removal_while_joining(&mut self, out: &mut Outbox) {
        if self.is_in(GroupState::PreparingRebalance) && self.has_all_joined() {
            self.complete_join(out);
        }
    }
}
