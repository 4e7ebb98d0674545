//! Members of the classic protocol in a consumer group, while it is being migrated: the group
//! assigns to them as to all others, and JoinGroup and SyncGroup bring them what it has assigned.
//!
//! ```text
//!   Heartbeat ◀── REBALANCE_IN_PROGRESS when the member's epoch is behind, or it can get more
//!   JoinGroup ──▶ says what it has, and is answered at once with its new epoch as generation
//!   SyncGroup ──▶ is answered at once with what it has by now
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_model::ErrorCode;

use super::edit::Refusal;
use super::embedded::{self, CONSUMER};
use super::heartbeat::Operation;
use super::member::{ClassicMember, ConsumerMember, MemberMetadata, MemberState, without_epochs};
use super::membership::{Sender, unknown_member};
use super::options::MigrationPolicy;
use crate::effect::Token;
use crate::member::own_protocols;
use crate::request::{HeartbeatRequest, JoinRequest, Protocol, SyncRequest};
use crate::response::{JoinResponse, Response, SyncResponse};
use crate::timers::TimerKey;

impl Operation<'_> {
    /// JoinGroup.
    pub(super) fn classic_join(
        &mut self,
        token: Token,
        request: &JoinRequest,
        member_id: &Arc<str>,
    ) -> Result<(), Refusal> {
        let refused = |why: &str| Err(Refusal::new(ErrorCode::InconsistentGroupProtocol, why));
        if self.out.options.consumer.migration_policy == MigrationPolicy::Disabled {
            return refused("the group's migration is disabled");
        }
        let instance_id = request.group_instance_id.as_ref();
        self.check_room(member_id, instance_id)?;
        if !self.supports(&request.protocol_type, &request.protocols) {
            return refused("the member has no protocol in common with the others");
        }
        let is_new = request.member_id.is_empty();
        if is_new && instance_id.is_none() && request.requires_known_member_id {
            let error = ErrorCode::MemberIdRequired;
            let response = JoinResponse::error(error, member_id.clone());
            self.batch.reply(token, Response::Join(response));
            return Ok(());
        }
        let Some(subscription) = embedded::subscription(&request.protocols, self.cluster) else {
            return refused("the member's subscription cannot be read");
        };
        let replaces = instance_id
            .and_then(|name| self.group.static_member(name))
            .cloned();
        let replaces_new = replaces.is_some_and(|id| !self.group.members[&id].is_classic());
        let before = self.find_or_add(&Sender {
            member_id,
            instance_id,
            epoch: None,
            owned: None,
            joins: is_new || instance_id.is_none(),
        })?;
        let metadata = MemberMetadata {
            instance_id: instance_id.cloned().or(before.metadata.instance_id.clone()),
            rack_id: subscription.rack_id.or(before.metadata.rack_id.clone()),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            topics: subscription.topics.into_iter().collect(),
            regex: None,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            assignor: before.metadata.assignor.clone(),
            classic: Some(ClassicMember {
                session_timeout_ms: request.session_timeout_ms,
                protocols: own_protocols(&request.protocols),
            }),
        };
        let changed = self.update_member(member_id, &before.metadata, metadata)?;
        let downgrades = replaces_new && self.may_downgrade();
        let stale = self.group.assignment_epoch() < self.group.epoch();
        if !downgrades {
            self.update_target();
        }
        if !(downgrades && stale) {
            self.reconcile(member_id, changed, Some(&subscription.owned))?;
        }
        let response = self.join_answer(member_id);
        if downgrades {
            let reason = format!(
                "Downgrade group {} from consumer to classic with stale assignment.",
                self.group.id
            );
            self.downgrade(stale.then_some(reason))?;
        } else {
            self.after_join(request, member_id);
        }
        self.batch.reply(token, Response::Join(response));
        Ok(())
    }

    fn join_answer(&self, member_id: &Arc<str>) -> JoinResponse {
        let member = &self.group.members[member_id];
        JoinResponse {
            generation_id: member.current.epoch,
            protocol_type: Some(CONSUMER.into()),
            protocol_name: protocol_of(member).map(|p| p.name.clone()),
            ..JoinResponse::error(ErrorCode::None, member_id.clone())
        }
    }

    fn after_join(&mut self, request: &JoinRequest, member_id: &Arc<str>) {
        let group = self.group.id.clone();
        self.cancel_timers(member_id);
        self.out
            .set_session(&group, member_id, request.session_timeout_ms);
        let key = TimerKey::MemberSync(group, member_id.clone());
        self.out
            .set_timer(key, i64::from(request.rebalance_timeout_ms));
    }

    /// Whether someone with these protocols may be a member beside the classic ones.
    fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        let classic: Vec<_> = self
            .group
            .members
            .values()
            .filter_map(|m| m.metadata.classic.as_ref())
            .collect();
        let known_to_all = |name: &Arc<str>| {
            let knows = |c: &&ClassicMember| c.protocols.iter().any(|p| p.name == *name);
            classic.iter().all(knows)
        };
        protocol_type == CONSUMER && protocols.iter().any(|p| known_to_all(&p.name))
    }

    /// A member of the classic protocol, in the generation that it believes to be in.
    fn classic_member(
        &self,
        member_id: &Arc<str>,
        instance_id: Option<&Arc<str>>,
        generation_id: i32,
    ) -> Result<&ConsumerMember, Refusal> {
        let member = self.present_member(member_id, instance_id)?;
        if !member.is_classic() {
            return Err(unknown_member(member_id, &self.group.id));
        }
        if member.current.epoch != generation_id {
            let known = member.current.epoch;
            return Err(Refusal::new(
                ErrorCode::IllegalGeneration,
                format!("the member is in generation {known}, not in {generation_id}"),
            ));
        }
        Ok(member)
    }

    /// SyncGroup.
    pub(super) fn classic_sync(&mut self, request: &SyncRequest) -> Result<SyncResponse, Refusal> {
        let (member_id, instance_id) = (&request.member_id, request.group_instance_id.as_ref());
        let member = self.classic_member(member_id, instance_id, request.generation_id)?;
        let protocol = protocol_of(member).cloned();
        let name = protocol.as_ref().map(|p| &p.name);
        let differs = |asked: &Option<Arc<str>>, ours: Option<&str>| {
            asked.as_deref().is_some_and(|asked| Some(asked) != ours)
        };
        if differs(&request.protocol_type, Some(CONSUMER))
            || differs(&request.protocol_name, name.map(|n| &**n))
        {
            let error = ErrorCode::InconsistentGroupProtocol;
            return Err(Refusal::new(error, "the group's protocol is another one"));
        }
        // One that is giving partitions up has to finish that first; it will be called again.
        let is_behind = self.group.assignment_epoch() > member.current.epoch;
        if is_behind && member.current.state != MemberState::UnrevokedPartitions {
            let timeout_ms = member.metadata.rebalance_timeout_ms;
            self.await_join(member_id, timeout_ms);
            let error = ErrorCode::RebalanceInProgress;
            return Err(Refusal::new(error, "a new rebalance has begun"));
        }
        let assignment = without_epochs(&member.current.assigned);
        let metadata = protocol.map(|p| p.metadata).unwrap_or_default();
        let bytes = embedded::encode_assignment(&assignment, &metadata, self.cluster);
        self.renew_classic_session(member_id);
        let key = TimerKey::MemberSync(self.group.id.clone(), member_id.clone());
        self.out.timers.cancel(&key);
        Ok(SyncResponse {
            error: ErrorCode::None,
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment: bytes,
        })
    }

    /// Heartbeat.
    pub(super) fn classic_heartbeat(
        &mut self,
        request: &HeartbeatRequest,
    ) -> Result<ErrorCode, Refusal> {
        let (member_id, instance_id) = (&request.member_id, request.group_instance_id.as_ref());
        let member = self.classic_member(member_id, instance_id, request.generation_id)?;
        let current = &member.current;
        let must_join = current.epoch < self.group.assignment_epoch()
            || current.state == MemberState::UnrevokedPartitions
            || (current.state == MemberState::UnreleasedPartitions && self.can_get_all(member_id));
        let timeout_ms = member.metadata.rebalance_timeout_ms;
        self.renew_classic_session(member_id);
        if !must_join {
            return Ok(ErrorCode::None);
        }
        self.await_join(member_id, timeout_ms);
        Ok(ErrorCode::RebalanceInProgress)
    }

    /// Whether nobody else has any of what the member shall have.
    fn can_get_all(&self, member_id: &Arc<str>) -> bool {
        let Some(target) = self.group.targets.get(member_id) else {
            return true;
        };
        target.iter().all(|(&topic, partitions)| {
            let mut owners = partitions
                .iter()
                .filter_map(|&p| self.group.owner(topic, p));
            owners.all(|owner| owner == member_id)
        })
    }

    fn renew_classic_session(&mut self, member_id: &Arc<str>) {
        let member = self.group.members.get(member_id);
        if let Some(classic) = member.and_then(|m| m.metadata.classic.as_ref()) {
            let timeout_ms = classic.session_timeout_ms;
            self.out.set_session(&self.group.id, member_id, timeout_ms);
        }
    }

    /// The member has been told to join again, and has so long for it. Being told again does not
    /// give it more time.
    fn await_join(&mut self, member_id: &Arc<str>, timeout_ms: i32) {
        let key = TimerKey::MemberJoin(self.group.id.clone(), member_id.clone());
        if !self.out.timers.is_set(&key) {
            self.out.set_timer(key, i64::from(timeout_ms));
        }
    }

    /// What is due for a member: the reason to remove it, if there is one.
    pub(super) fn overdue(&self, key: &TimerKey) -> Option<(BTreeSet<Arc<str>>, &'static str)> {
        let (member, reason) = match key {
            TimerKey::Session { member, .. } => (member, "its session has expired"),
            TimerKey::Revocation { member, .. } => {
                let known = self.group.members.get(member)?;
                if known.current.state != MemberState::UnrevokedPartitions {
                    return None;
                }
                let reason = "it has not given up its partitions within the rebalance timeout";
                (member, reason)
            }
            TimerKey::MemberJoin(_, member) => {
                (member, "it has not joined within the rebalance timeout")
            }
            TimerKey::MemberSync(_, member) => {
                (member, "it has not synced within the rebalance timeout")
            }
            TimerKey::Join { .. } | TimerKey::Sync { .. } | TimerKey::Expiry => return None,
        };
        let is_member = self.group.members.contains_key(member);
        is_member.then(|| (BTreeSet::from([member.clone()]), reason))
    }
}

/// The protocol in which the group speaks to a classic member: its first, whatever the others have.
fn protocol_of(member: &ConsumerMember) -> Option<&Protocol> {
    member.metadata.classic.as_ref()?.protocols.first()
}
