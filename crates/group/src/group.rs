//! A classic group: its members, its state, and the rules that hold between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::{ErrorCode, TimestampMs};

use crate::effect::{AppendId, Token};
use crate::member::Member;
use crate::outbox::Outbox;
use crate::request::Protocol;
use crate::response::{JoinResponse, Response, SyncResponse};
use crate::state::GroupState;

/// How much longer an empty group may wait for more members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitialJoin {
    pub(crate) delay_ms: i32,
    pub(crate) remaining_ms: i32,
}

/// One group. The functions here keep its counts and indexes right; when something happens is
/// decided in `join`, `rebalance`, `sync`, `leave` and `static_member`.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: Arc<str>,
    pub(crate) state: GroupState,
    /// The state before, [`GroupState::Dead`] at first. Preparing after Empty is the initial join.
    pub(crate) previous_state: GroupState,
    /// When the state was entered, if known: the retention of an empty group counts from here.
    pub(crate) state_timestamp_ms: Option<TimestampMs>,
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol_name: Option<Arc<str>>,
    pub(crate) generation_id: i32,
    pub(crate) leader: Option<Arc<str>>,
    pub(crate) members: BTreeMap<Arc<str>, Member>,
    /// Static members' names and their present member ids.
    pub(crate) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Members that have been given an id and have not come back with it (KIP-394).
    pub(crate) pending_join: BTreeSet<Arc<str>>,
    /// Members that have not sent SyncGroup in this generation.
    pub(crate) pending_sync: BTreeSet<Arc<str>>,
    /// Whether someone has joined since the initial delay was last extended.
    pub(crate) new_member_added: bool,
    pub(crate) initial_join: Option<InitialJoin>,
    /// The append that carries this generation's assignment.
    pub(crate) assignment_append: Option<AppendId>,
    /// The topics that the members read, when the group is one of consumers and says so legibly.
    pub(crate) subscribed_topics: Option<BTreeSet<Arc<str>>>,
    /// The number of members with a parked JoinGroup.
    awaiting_join: usize,
    /// How many members know each protocol.
    pub(crate) supported: BTreeMap<Arc<str>, usize>,
}

impl Group {
    /// A group without members, as a first join or a commit without membership makes it.
    pub(crate) fn new(id: Arc<str>, now_ms: Option<TimestampMs>) -> Self {
        Group {
            id,
            state: GroupState::Empty,
            previous_state: GroupState::Dead,
            state_timestamp_ms: now_ms,
            protocol_type: None,
            protocol_name: None,
            generation_id: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            new_member_added: false,
            initial_join: None,
            assignment_append: None,
            subscribed_topics: None,
            awaiting_join: 0,
            supported: BTreeMap::new(),
        }
    }

    pub(crate) fn is_in(&self, state: GroupState) -> bool {
        self.state == state
    }

    pub(crate) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(crate) fn transition_to(&mut self, state: GroupState, now_ms: TimestampMs) {
        assert!(
            self.state.may_become(state),
            "group {} cannot go from {} to {}",
            self.id,
            self.state.name(),
            state.name()
        );
        self.previous_state = self.state;
        self.state = state;
        self.state_timestamp_ms = Some(now_ms);
        self.assert_led();
    }

    /// Adds a member. The group's first one sets the protocol type and leads.
    pub(crate) fn insert(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending_join.remove(&member.id);
        self.count_protocols(&member, 1);
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        let replaced = self.members.insert(member.id.clone(), member);
        // A record that names a member twice is the only way to get here.
        if let Some(old) = replaced {
            self.count_protocols(&old, -1);
            self.awaiting_join -= usize::from(old.awaiting_join.is_some());
        }
    }

    /// Removes a member, pending or not, and passes the lead on. Requests that it has parked are
    /// answered: the client, if it still lives, starts anew.
    pub(crate) fn remove(&mut self, out: &mut Outbox, member_id: &str) {
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
        self.answer_join(
            out,
            member_id,
            JoinResponse::error(ErrorCode::UnknownMemberId, "".into()),
        );
        self.answer_sync(
            out,
            member_id,
            SyncResponse::error(ErrorCode::UnknownMemberId),
        );
        if let Some(member) = self.take_member(member_id)
            && let Some(instance_id) = &member.instance_id
        {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        out.cancel_session(&self.id, &member_id.into());
    }

    /// Takes a member out of the map and the counts, and out of nothing else.
    pub(crate) fn take_member(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.count_protocols(&member, -1);
        self.awaiting_join -= usize::from(member.awaiting_join.is_some());
        Some(member)
    }

    fn count_protocols(&mut self, member: &Member, by: isize) {
        for protocol in &member.protocols {
            let count = self.supported.entry(protocol.name.clone()).or_default();
            *count = count.saturating_add_signed(by);
            if *count == 0 {
                self.supported.remove(&protocol.name);
            }
        }
    }

    /// Gives a member what its new JoinGroup says, without parking that.
    pub(crate) fn update_member(
        &mut self,
        member_id: &str,
        protocols: Vec<Protocol>,
        rebalance_timeout_ms: i32,
        session_timeout_ms: i32,
    ) {
        if let Some(mut member) = self.take_member(member_id) {
            member.protocols = protocols;
            member.rebalance_timeout_ms = rebalance_timeout_ms;
            member.session_timeout_ms = session_timeout_ms;
            self.insert(member);
        }
    }

    /// Parks a member's JoinGroup. An earlier one that is still parked was given up by its client
    /// (clients send one at a time); it is answered so that its connection is not stuck.
    pub(crate) fn park_join(&mut self, out: &mut Outbox, member_id: &str, token: Token) {
        self.answer_join(
            out,
            member_id,
            JoinResponse::error(ErrorCode::RebalanceInProgress, member_id.into()),
        );
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_join = Some(token);
            self.awaiting_join += 1;
        }
    }

    /// Parks a member's SyncGroup; an earlier one is answered as in [`Group::park_join`].
    pub(crate) fn park_sync(&mut self, out: &mut Outbox, member_id: &str, token: Token) {
        self.answer_sync(
            out,
            member_id,
            SyncResponse::error(ErrorCode::RebalanceInProgress),
        );
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_sync = Some(token);
        }
    }

    /// Answers a member's parked JoinGroup, if there is one.
    pub(crate) fn answer_join(&mut self, out: &mut Outbox, member_id: &str, answer: JoinResponse) {
        if let Some(member) = self.members.get_mut(member_id)
            && let Some(token) = member.awaiting_join.take()
        {
            self.awaiting_join -= 1;
            out.reply(token, Response::Join(answer));
        }
    }

    /// Answers a member's parked SyncGroup and returns whether there was one.
    pub(crate) fn answer_sync(
        &mut self,
        out: &mut Outbox,
        member_id: &str,
        answer: SyncResponse,
    ) -> bool {
        let token = self
            .members
            .get_mut(member_id)
            .and_then(|m| m.awaiting_sync.take());
        if let Some(token) = token {
            out.reply(token, Response::Sync(answer));
        }
        token.is_some()
    }

    pub(crate) fn awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    pub(crate) fn has_all_joined(&self) -> bool {
        self.awaiting_join == self.members.len() && self.pending_join.is_empty()
    }

    /// The longest time that any member may take to join again.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        let timeouts = self.members.values().map(|m| m.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0).max(0)
    }

    /// Checks that a request comes from a present member and not from one whose static name has
    /// passed to another.
    pub(crate) fn validate_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(present) if &**present != member_id => {
                    return Err(ErrorCode::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    /// What must hold at every change of state: one leader that is a member, and no members in a
    /// group that says it has none.
    fn assert_led(&self) {
        match &self.leader {
            Some(leader) => assert!(
                self.members.contains_key(leader),
                "the leader {leader} of group {} is not a member",
                self.id
            ),
            None => assert!(self.members.is_empty(), "group {} has no leader", self.id),
        }
        assert!(
            !matches!(self.state, GroupState::Empty | GroupState::Dead) || self.members.is_empty(),
            "group {} is {} but has members",
            self.id,
            self.state.name()
        );
    }

    /// What must hold between calls: the above, and that counts and indexes agree with the
    /// members. It looks at every member, so only debug builds call it.
    pub(crate) fn assert_consistent(&self) {
        self.assert_led();
        self.assert_counts();
    }

    fn assert_counts(&self) {
        let parked = |m: &&Member| m.awaiting_join.is_some();
        assert_eq!(
            self.awaiting_join,
            self.members.values().filter(parked).count()
        );
        let statics = self.members.values().filter(|m| m.is_static()).count();
        assert_eq!(self.static_members.len(), statics);
        assert!(
            self.static_members
                .values()
                .all(|id| self.members.contains_key(id))
        );
        assert!(
            self.pending_join
                .iter()
                .all(|id| !self.members.contains_key(id))
        );
        assert!(
            self.pending_sync
                .iter()
                .all(|id| self.members.contains_key(id))
        );
        if self.is_in(GroupState::Stable) {
            assert!(self.members.values().all(|m| m.awaiting_sync.is_none()));
        }
    }
}
