//! JoinGroup: becoming a member, and coming back to one's group.

use std::sync::Arc;

use ottla_model::ErrorCode;

use crate::effect::Token;
use crate::group::Group;
use crate::member::{MEMBER_ID_SUFFIX_LEN, Member, new_member_id, own_protocols};
use crate::outbox::Outbox;
use crate::records::fits;
use crate::request::JoinRequest;
use crate::response::{JoinResponse, Response};
use crate::state::GroupState;

/// The part of a client's reason that is kept, as in Kafka.
const REASON_CHARS_MAX: usize = 255;

impl JoinRequest {
    fn reason(&self) -> String {
        client_reason(self.reason.as_deref())
    }

    /// Whether everything that a group's record repeats can stand in it, the id that is made of
    /// the client's or the static member's name included.
    pub(crate) fn fits_records(&self) -> bool {
        let instance_id = self.group_instance_id.as_deref().unwrap_or("");
        let longest_id = self.client_id.len().max(instance_id.len()) + MEMBER_ID_SUFFIX_LEN;
        longest_id <= i16::MAX as usize
            && fits(&self.client_host)
            && fits(&self.protocol_type)
            && self.protocols.iter().all(|p| fits(&p.name))
    }
}

/// A client's reason as logs show it (KIP-800).
pub(crate) fn client_reason(reason: Option<&str>) -> String {
    match reason {
        None | Some("") => "not provided".into(),
        Some(reason) => reason.chars().take(REASON_CHARS_MAX).collect(),
    }
}

impl Group {
    /// Handles JoinGroup of a group that exists. The request has passed
    /// [`check`](crate::coordinator).
    pub(crate) fn join(
        &mut self,
        out: &mut Outbox,
        token: Token,
        request: &JoinRequest,
        random: [u8; 16],
    ) {
        let member_id = &request.member_id;
        if self.is_in(GroupState::Dead) {
            // The group is about to be forgotten; a retry finds it gone and starts a new one.
            reply_error(out, token, ErrorCode::CoordinatorNotAvailable, member_id);
        } else if !self.accepts(member_id, out.options.group_size_max) {
            self.remove(out, member_id);
            reply_error(out, token, ErrorCode::GroupMaxSizeReached, "");
            // It may have been the last one that the others waited for.
            self.maybe_complete_join(out);
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            reply_error(out, token, ErrorCode::InconsistentGroupProtocol, member_id);
        } else if !member_id.is_empty() {
            self.join_known(out, token, request);
        } else if request.group_instance_id.is_some() {
            self.join_static(out, token, request, random);
        } else {
            self.join_new(out, token, request, random);
        }
    }

    /// Whether the group has room. While it rebalances, those who have joined count, so that of a
    /// group that is too large (its limit was lowered) the last ones to come back are turned away.
    fn accepts(&self, member_id: &str, group_size_max: usize) -> bool {
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            GroupState::PreparingRebalance => {
                let member = self.members.get(member_id);
                member.is_some_and(|m| m.awaiting_join.is_some())
                    || self.awaiting_join() < group_size_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.members.contains_key(member_id) || self.members.len() < group_size_max
            }
        }
    }

    fn join_new(
        &mut self,
        out: &mut Outbox,
        token: Token,
        request: &JoinRequest,
        random: [u8; 16],
    ) {
        let member_id = new_member_id(&request.client_id, None, random);
        if request.requires_known_member_id {
            // The client is given its id first, so that a JoinGroup that it retries does not make
            // a second member (KIP-394).
            self.pending_join.insert(member_id.clone());
            out.set_session(&self.id, &member_id, request.session_timeout_ms);
            reply_error(out, token, ErrorCode::MemberIdRequired, &member_id);
        } else {
            self.add_member(out, token, request, member_id);
        }
    }

    fn join_static(
        &mut self,
        out: &mut Outbox,
        token: Token,
        request: &JoinRequest,
        random: [u8; 16],
    ) {
        let Some(instance_id) = &request.group_instance_id else {
            return;
        };
        let new_id = new_member_id(&request.client_id, Some(instance_id), random);
        match self.static_members.get(instance_id).cloned() {
            Some(old_id) => self.replace_static(out, token, request, &old_id, &new_id),
            None => self.add_member(out, token, request, new_id),
        }
    }

    fn join_known(&mut self, out: &mut Outbox, token: Token, request: &JoinRequest) {
        let member_id = &request.member_id;
        let instance_id = request.group_instance_id.as_deref();
        if self.pending_join.contains(member_id) && instance_id.is_none() {
            self.add_member(out, token, request, member_id.clone());
            return;
        }
        if let Err(error) = self.validate_member(member_id, instance_id) {
            reply_error(out, token, error, member_id);
            return;
        }
        let unchanged = self
            .members
            .get(member_id)
            .is_some_and(|m| m.protocols == own_protocols(&request.protocols));
        let reason = match self.state {
            GroupState::PreparingRebalance => format!("member {member_id} is joining"),
            // It has most likely missed the answer to its first JoinGroup.
            GroupState::CompletingRebalance if unchanged => String::new(),
            // A leader may ask for a rebalance that no metadata shows, for example when a topic
            // has got new partitions.
            GroupState::Stable if self.is_leader(member_id) => {
                format!("leader {member_id} is joining again")
            }
            GroupState::Stable if unchanged => String::new(),
            GroupState::CompletingRebalance | GroupState::Stable => {
                format!("member {member_id} has changed its metadata")
            }
            GroupState::Empty | GroupState::Dead => {
                reply_error(out, token, ErrorCode::UnknownMemberId, member_id);
                return;
            }
        };
        if reason.is_empty() {
            let answer = self.join_answer(member_id);
            out.reply(token, Response::Join(answer));
            return;
        }
        self.update_member(
            member_id,
            own_protocols(&request.protocols),
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
        );
        self.park_join(out, member_id, token);
        let reason = format!("{reason}; client reason: {}", request.reason());
        self.rebalance_or_complete_join(out, reason);
    }

    /// Adds a member and parks its JoinGroup.
    fn add_member(
        &mut self,
        out: &mut Outbox,
        token: Token,
        request: &JoinRequest,
        member_id: Arc<str>,
    ) {
        if self.is_in(GroupState::PreparingRebalance) && self.previous_state == GroupState::Empty {
            self.new_member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        let mut member = Member::new(member_id.clone(), request);
        member.protocols = own_protocols(&request.protocols);
        self.insert(member);
        self.park_join(out, &member_id, token);
        // A new member does not know its id yet and cannot heartbeat; should its client be gone,
        // this clears it away.
        let timeout_ms = out.options.new_member_join_timeout_ms;
        out.set_session(&self.id, &member_id, timeout_ms);
        let instance = match &request.group_instance_id {
            Some(instance_id) => format!(" with group instance id {instance_id}"),
            None => String::new(),
        };
        let reason = format!(
            "new member {member_id}{instance}; client reason: {}",
            request.reason()
        );
        self.rebalance_or_complete_join(out, reason);
    }

    /// Why the group rebalances when a static member has come back.
    pub(crate) fn static_reason(request: &JoinRequest, new_id: &str, what: &str) -> String {
        format!(
            "static member {new_id} has come back{what}; client reason: {}",
            request.reason()
        )
    }
}

pub(crate) fn reply_error(out: &mut Outbox, token: Token, error: ErrorCode, member_id: &str) {
    out.reply(
        token,
        Response::Join(JoinResponse::error(error, member_id.into())),
    );
}
