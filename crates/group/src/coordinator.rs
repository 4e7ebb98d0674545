//! The coordinator of one partition of `__consumer_offsets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{ErrorCode, TimestampMs};

use crate::consumer::cluster::{Cluster, NoTopics};
use crate::consumer::group::ConsumerGroup;
use crate::consumer::lane::{Lane, Work};
use crate::effect::{Effect, Token};
use crate::fetch_offsets::ParkedFetch;
use crate::group::Group;
use crate::join::reply_error;
use crate::offsets::Offsets;
use crate::options::Options;
use crate::outbox::{Held, Outbox};
use crate::records;
use crate::request::{JoinRequest, LeaveRequest, Request};
use crate::response::{LeaveResponse, LeftMember, Response, SyncResponse};
use crate::timers::TimerKey;

/// All groups of one partition of `__consumer_offsets`, and their offsets.
///
/// It decides and remembers; a driver carries out the [`Effect`]s. No IO, no clock, no randomness:
/// the same calls give the same effects.
///
/// ```text
///   log ──apply()*── loaded() ──▶ ┐
///   request ──handle()──────────▶ │             ┌─▶ Reply
///   time ─────tick()────────────▶ │ Coordinator ├─▶ Append ──▶ log ──appended()─┐
///                                 │             └─▶ Notice                      │
///                                 └────────────◀────────────────────────────────┘
/// ```
///
/// A change that needs the log happens when its records are durable; until then nobody sees it,
/// and if they cannot be written it does not happen.
#[derive(Debug)]
pub struct Coordinator {
    /// The classic groups.
    pub(crate) groups: BTreeMap<Arc<str>, Group>,
    /// The groups of the new protocol (KIP-848); no group is in both.
    pub(crate) consumers: BTreeMap<Arc<str>, ConsumerGroup>,
    pub(crate) lanes: BTreeMap<Arc<str>, Lane>,
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) offsets: Offsets,
    pub(crate) out: Outbox,
    pub(crate) parked_fetches: Vec<ParkedFetch>,
    pub(crate) skipped_records: u64,
}

/// Numbers for metrics, see [`Coordinator::counts`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of groups in each state, by Kafka's name of the state.
    pub groups_by_state: BTreeMap<&'static str, usize>,
    /// Members of all groups.
    pub members: usize,
    /// Committed offsets of all groups.
    pub offsets: usize,
    /// Offsets of open transactions.
    pub pending_offsets: usize,
    /// Appends whose outcome is awaited.
    pub pending_appends: usize,
}

impl Coordinator {
    /// A coordinator that knows nothing yet: give it the partition's records with
    /// [`Coordinator::apply`], then call [`Coordinator::loaded`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        Coordinator {
            groups: BTreeMap::new(),
            consumers: BTreeMap::new(),
            lanes: BTreeMap::new(),
            cluster: Arc::new(NoTopics),
            offsets: Offsets::default(),
            out: Outbox::new(options),
            parked_fetches: Vec::new(),
            skipped_records: 0,
        }
    }

    /// Handles a request that came at `now_ms`. Its answer is a [`Effect::Reply`] with this token,
    /// now or later. `random` makes a new member's id unique.
    pub fn handle(
        &mut self,
        now_ms: TimestampMs,
        token: Token,
        request: Request,
        random: [u8; 16],
    ) -> Vec<Effect> {
        self.out.begin(now_ms);
        match request.group_of_lane() {
            Some(group_id) if request.needs_lane() || self.has_lane(&group_id) => {
                self.enqueue(&group_id, Work::Request(token, request, random));
            }
            _ => self.dispatch(token, request, random),
        }
        self.finish()
    }

    /// Tells what the cluster looks like now. Consumer groups compare it with what they know at
    /// their members' next heartbeats.
    pub fn set_cluster(&mut self, cluster: Arc<dyn Cluster>) {
        self.cluster = cluster;
    }

    /// Handles a request at once.
    pub(crate) fn dispatch(&mut self, token: Token, request: Request, random: [u8; 16]) {
        match request {
            Request::Join(request) => self.join(token, &request, random),
            Request::Sync(request) => {
                let group_id = request.group_id.clone();
                match self.lookup(&group_id) {
                    Ok((group, out)) => group.sync(out, token, &request),
                    Err(error) => {
                        let response = Response::Sync(SyncResponse::error(error));
                        self.out.reply(token, response);
                    }
                }
            }
            Request::Heartbeat(request) => {
                let error = match self.lookup(&request.group_id) {
                    Ok((group, out)) => group.heartbeat(out, &request),
                    Err(error) => error,
                };
                self.out.reply(token, Response::Heartbeat(error));
            }
            Request::Leave(request) => match self.lookup(&request.group_id) {
                Ok((group, out)) => group.leave(out, token, &request),
                Err(error) => {
                    let response = Response::Leave(leave_error(&request, error));
                    self.out.reply(token, response);
                }
            },
            Request::OffsetCommit(request) => self.commit(token, &request),
            Request::TxnOffsetCommit(request) => self.commit_in_transaction(token, &request),
            Request::OffsetFetch(request) => self.fetch_offsets(token, request),
            Request::Describe(request) => {
                let group = self.describe(&request);
                self.out.reply(token, Response::Describe(group));
            }
            Request::List(request) => {
                let groups = self.list(&request);
                self.out.reply(token, Response::List(groups));
            }
            Request::DeleteGroup(request) => self.delete_group(token, &request.group_id),
            Request::OffsetDelete(request) => self.delete_offsets(token, &request),
            // The marker must be there whether or not offsets are pending: the log, too, holds
            // back what lies behind an open transaction.
            Request::EndTransaction(request) => self.out.append_marker(token, request),
            Request::ConsumerDescribe(group_id) => {
                let group = self.describe_consumer_group(&group_id);
                self.out.reply(token, Response::ConsumerDescribe(group));
            }
            Request::ConsumerHeartbeat(request) => {
                let group_id = request.group_id.clone();
                let request = Request::ConsumerHeartbeat(request);
                self.enqueue(&group_id, Work::Request(token, request, random));
            }
        }
    }

    /// Fires what is due at `now_ms`: ended sessions, join and sync deadlines, expired offsets.
    pub fn tick(&mut self, now_ms: TimestampMs) -> Vec<Effect> {
        self.out.begin(now_ms);
        for key in self.out.timers.due(now_ms) {
            if !self.out.timers.take_due(&key, now_ms) {
                continue;
            }
            match key.group().cloned() {
                Some(group_id) if self.has_lane(&group_id) => {
                    self.enqueue(&group_id, Work::Timer(key));
                }
                _ => self.fire(&key),
            }
        }
        self.finish()
    }

    /// Does what falls due for a classic group, or for all.
    pub(crate) fn fire(&mut self, key: &TimerKey) {
        let out = &mut self.out;
        let group = key.group().and_then(|group| self.groups.get_mut(group));
        match (key, group) {
            (TimerKey::Expiry, _) => self.on_expiry_timer(),
            (TimerKey::Join { .. }, Some(group)) => group.on_join_timer(out),
            (TimerKey::Sync { .. }, Some(group)) => group.on_sync_timer(out),
            (TimerKey::Session { member, .. }, Some(group)) => group.on_session_timer(out, member),
            // The others are of consumer groups, and of no one when that is gone.
            _ => {}
        }
    }

    /// The clock has been set forward by so much, or back: sessions and other times that run end no
    /// sooner and no later for that.
    pub fn clock_stepped(&mut self, by_ms: i64) {
        self.out.timers.shift(by_ms);
    }

    /// When [`Coordinator::tick`] has something to do next; a time in the past means now.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<TimestampMs> {
        self.out.timers.next_deadline_ms()
    }

    /// How many records of unknown kinds [`Coordinator::apply`] has skipped.
    #[must_use]
    pub fn skipped_records(&self) -> u64 {
        self.skipped_records
    }

    /// Numbers for metrics. Counts everything anew: ask for it when metrics are read, not more.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            offsets: self.offsets.len(),
            pending_offsets: self.offsets.pending().len(),
            pending_appends: self.out.pending.len(),
            ..Counts::default()
        };
        for group in self.groups.values() {
            *counts
                .groups_by_state
                .entry(group.state.name())
                .or_default() += 1;
            counts.members += group.members.len();
        }
        for group in self.consumers.values() {
            let state = group.state().name();
            *counts.groups_by_state.entry(state).or_default() += 1;
            counts.members += group.members.len();
        }
        counts
    }

    /// A group that a member speaks to. One that does not exist has no such member.
    fn lookup(&mut self, group_id: &str) -> Result<(&mut Group, &mut Outbox), ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        match self.groups.get_mut(group_id) {
            Some(group) => Ok((group, &mut self.out)),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// What is wrong with a JoinGroup whatever the group is.
    pub(crate) fn check_join(&self, request: &JoinRequest) -> Result<(), ErrorCode> {
        let options = &self.out.options;
        let allowed = options.session_timeout_ms_min..=options.session_timeout_ms_max;
        if request.group_id.is_empty() || !records::fits(&request.group_id) {
            Err(ErrorCode::InvalidGroupId)
        } else if !request.fits_records() {
            Err(ErrorCode::InvalidRequest)
        } else if !allowed.contains(&request.session_timeout_ms) {
            Err(ErrorCode::InvalidSessionTimeout)
        } else {
            Ok(())
        }
    }

    fn join(&mut self, token: Token, request: &JoinRequest, random: [u8; 16]) {
        let group_id = &request.group_id;
        let checked = self.check_join(request);
        let out = &mut self.out;
        if let Err(error) = checked {
            reply_error(out, token, error, &request.member_id);
            return;
        }
        if let Some(group) = self.groups.get_mut(group_id) {
            group.join(out, token, request, random);
            return;
        }
        if !request.member_id.is_empty() {
            // A member of a group that is gone starts anew, without its id.
            reply_error(out, token, ErrorCode::UnknownMemberId, &request.member_id);
            return;
        }
        let mut group = Group::new(group_id.clone(), Some(out.now_ms));
        if !group.supports(&request.protocol_type, &request.protocols) {
            // Kafka keeps the group all the same; refused requests shall not fill memory here.
            let error = ErrorCode::InconsistentGroupProtocol;
            reply_error(out, token, error, &request.member_id);
            return;
        }
        let record = group.to_record(|_| bytes::Bytes::new());
        group.join(out, token, request, random);
        out.append(group_id, &[record], Held::NewGroup);
        self.groups.insert(group_id.clone(), group);
    }

    /// Ends a call: what was touched must be consistent before the world hears of it.
    pub(crate) fn finish(&mut self) -> Vec<Effect> {
        if cfg!(debug_assertions) {
            self.groups.values().for_each(Group::assert_consistent);
            let consumers = self.consumers.values();
            consumers.for_each(ConsumerGroup::assert_consistent);
            let in_both = |id| self.groups.contains_key(id);
            assert!(!self.consumers.keys().any(in_both), "a group has two types");
        }
        self.out.take_effects()
    }
}

fn leave_error(request: &LeaveRequest, error: ErrorCode) -> LeaveResponse {
    if error != ErrorCode::UnknownMemberId {
        let members = Vec::new();
        return LeaveResponse { error, members };
    }
    // An unknown group has none of these members, each of whom is told so.
    let members = request.members.iter().map(|leaving| LeftMember {
        member_id: leaving.member_id.clone(),
        group_instance_id: leaving.group_instance_id.clone(),
        error,
    });
    LeaveResponse {
        error: ErrorCode::None,
        members: members.collect(),
    }
}
