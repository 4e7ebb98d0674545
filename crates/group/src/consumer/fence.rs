//! Members that go: by their own will, because their time is over, or because they are removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_model::ErrorCode;

use super::edit::Refusal;
use super::heartbeat::Operation;
use super::member::{Current, LEAVE_STATIC_EPOCH, Partitions};
use super::membership::unknown_instance;
use super::records::{ConsumerRecord, TargetEpoch};
use super::request::{ConsumerHeartbeatRequest, ConsumerHeartbeatResponse};
use crate::effect::Notice;
use crate::request::{LeaveRequest, LeavingMember};
use crate::response::{LeaveResponse, LeftMember};
use crate::timers::TimerKey;

impl Operation<'_> {
    /// A heartbeat of a member that leaves.
    pub(super) fn leave(
        &mut self,
        request: &ConsumerHeartbeatRequest,
    ) -> Result<ConsumerHeartbeatResponse, Refusal> {
        let instance_id = request.instance_id.as_ref();
        self.present_member(&request.member_id, instance_id)?;
        if request.member_epoch == LEAVE_STATIC_EPOCH {
            self.leave_for_a_while(&request.member_id);
        } else {
            let leaving = BTreeSet::from([request.member_id.clone()]);
            self.fence(&leaving, "it has left");
        }
        Ok(ConsumerHeartbeatResponse {
            member_id: Some(request.member_id.clone()),
            member_epoch: request.member_epoch,
            ..ConsumerHeartbeatResponse::error(ErrorCode::None, None)
        })
    }

    /// A static member keeps its place until its session ends; whoever comes back under its name
    /// has had its partitions since epoch 0.
    fn leave_for_a_while(&mut self, member_id: &Arc<str>) {
        let Some(member) = self.group.members.get(member_id) else {
            return;
        };
        let mut assigned: Partitions = member.current.assigned.clone();
        assigned
            .values_mut()
            .flat_map(|p| p.values_mut())
            .for_each(|epoch| *epoch = 0);
        let current = Current {
            epoch: LEAVE_STATIC_EPOCH,
            assigned,
            revoking: Partitions::new(),
            ..member.current
        };
        self.put(ConsumerRecord::Current(member_id.clone(), Some(current)));
    }

    /// Removes members. If nobody is left that speaks the new protocol, the group goes back to the
    /// classic one.
    pub(super) fn fence(&mut self, leaving: &BTreeSet<Arc<str>>, reason: &str) {
        if leaving.is_empty() {
            return;
        }
        self.out.notice(Notice::MembersRemoved {
            group_id: self.group.id.clone(),
            member_ids: leaving.iter().cloned().collect(),
            reason: reason.into(),
        });
        for member_id in leaving {
            self.cancel_timers(member_id);
        }
        let regexes: BTreeSet<Arc<str>> = leaving
            .iter()
            .filter_map(|id| self.group.members.get(id)?.metadata.regex.clone())
            .collect();
        for member_id in leaving {
            self.remove(member_id);
        }
        if self.may_downgrade() {
            let reason = format!(
                "Downgrade group {} from consumer to classic for member leaving.",
                self.group.id
            );
            // Members whose protocols cannot be read stay with the new one: they have joined it.
            if self.downgrade(Some(reason)).is_ok() {
                return;
            }
        }
        self.drop_unused_regexes(regexes);
        self.refresh_epoch(true, reason);
        if self.group.members.is_empty() {
            // There is nothing to assign, and whoever comes next shall not wait for an interval.
            self.put(ConsumerRecord::TargetEpoch(Some(TargetEpoch {
                epoch: self.group.epoch(),
                timestamp_ms: 0,
            })));
        }
    }

    pub(super) fn cancel_classic_timers(&mut self, member_id: &Arc<str>) {
        for key in [TimerKey::MemberJoin, TimerKey::MemberSync] {
            let (group, member) = (self.group.id.clone(), member_id.clone());
            self.out.timers.cancel(&key(group, member));
        }
    }

    pub(super) fn cancel_timers(&mut self, member_id: &Arc<str>) {
        self.out.cancel_session(&self.group.id, member_id);
        self.cancel_classic_timers(member_id);
        self.out.timers.cancel(&TimerKey::Revocation {
            group: self.group.id.clone(),
            member: member_id.clone(),
        });
    }

    /// LeaveGroup, by members of the classic protocol or by an administrator.
    pub(super) fn classic_leave(&mut self, request: &LeaveRequest) -> LeaveResponse {
        let mut gone = BTreeSet::new();
        let mut members = Vec::with_capacity(request.members.len());
        for leaving in &request.members {
            let error = match self.leaving_id(leaving) {
                Ok(member_id) => {
                    gone.insert(member_id);
                    ErrorCode::None
                }
                Err(refusal) => refusal.error,
            };
            members.push(LeftMember {
                member_id: leaving.member_id.clone(),
                group_instance_id: leaving.group_instance_id.clone(),
                error,
            });
        }
        self.fence(&gone, "it was removed with LeaveGroup");
        LeaveResponse {
            error: ErrorCode::None,
            members,
        }
    }

    fn leaving_id(&self, leaving: &LeavingMember) -> Result<Arc<str>, Refusal> {
        let instance_id = leaving.group_instance_id.as_ref();
        match instance_id {
            // An administrator removes a static member by its name alone.
            Some(name) if leaving.member_id.is_empty() => {
                let member_id = self.group.static_member(name);
                member_id.cloned().ok_or_else(|| unknown_instance(name))
            }
            _ => {
                self.present_member(&leaving.member_id, instance_id)?;
                Ok(leaving.member_id.clone())
            }
        }
    }
}
