//! What a group's decisions need besides the group: options, the time, timers, effects, and the
//! changes that wait for the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::TimestampMs;

use crate::effect::{AppendId, Effect, Notice, Token};
use crate::offsets::CommittedOffset;
use crate::options::Options;
use crate::records::{self, Record};
use crate::request::Protocol;
use crate::response::Response;
use crate::timers::{TimerKey, Timers};

/// A change that happens when its records are durable.
#[derive(Debug)]
pub(crate) enum Held {
    /// A group was created. Its record says nothing that the next generation's would not.
    NewGroup,
    /// A generation without members. The members are gone whatever the log says; a LeaveGroup
    /// waits for it.
    Empty { leave: Option<(Token, Response)> },
    /// The leader's assignment.
    Assignment {
        generation_id: i32,
        assignments: BTreeMap<Arc<str>, Bytes>,
    },
    /// A static member has come back under a new id.
    StaticMember(Box<StaticSwap>),
    /// Offsets of a commit.
    Commit {
        token: Token,
        response: Response,
        offsets: Vec<(Arc<str>, i32, CommittedOffset)>,
    },
    /// Offsets that expire or whose topic is gone, and maybe the group with them.
    Deletion {
        offsets: Vec<(Arc<str>, i32)>,
        removes_group: bool,
    },
}

/// What is needed to finish, or to undo, the return of a static member.
#[derive(Debug)]
pub(crate) struct StaticSwap {
    pub(crate) token: Token,
    pub(crate) instance_id: Arc<str>,
    pub(crate) new_id: Arc<str>,
    pub(crate) old_id: Arc<str>,
    pub(crate) old_protocols: Vec<Protocol>,
    pub(crate) old_rebalance_timeout_ms: i32,
    pub(crate) old_session_timeout_ms: i32,
    pub(crate) old_leader: Option<Arc<str>>,
    pub(crate) supports_skip_assignment: bool,
}

/// A change on its way to the log.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) group_id: Arc<str>,
    pub(crate) held: Held,
}

/// Collects one call's effects.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) options: Options,
    pub(crate) now_ms: TimestampMs,
    pub(crate) timers: Timers,
    pub(crate) pending: BTreeMap<AppendId, Pending>,
    /// How many pending appends each group has.
    in_flight: BTreeMap<Arc<str>, usize>,
    last_append_id: AppendId,
    effects: Vec<Effect>,
}

impl Outbox {
    pub(crate) fn new(options: Options) -> Self {
        Outbox {
            options,
            now_ms: 0,
            timers: Timers::default(),
            pending: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            last_append_id: 0,
            effects: Vec::new(),
        }
    }

    /// Starts a call.
    pub(crate) fn begin(&mut self, now_ms: TimestampMs) {
        debug_assert!(self.effects.is_empty(), "every call takes its effects away");
        self.now_ms = now_ms;
    }

    /// Ends a call.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn reply(&mut self, token: Token, response: Response) {
        self.effects.push(Effect::Reply { token, response });
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.effects.push(Effect::Notice(notice));
    }

    /// Sends records to the log and keeps what depends on them.
    pub(crate) fn append(&mut self, group_id: &Arc<str>, of: &[Record], held: Held) -> AppendId {
        assert!(!of.is_empty(), "an append has records");
        self.last_append_id += 1;
        let append_id = self.last_append_id;
        let pending = Pending {
            group_id: group_id.clone(),
            held,
        };
        self.pending.insert(append_id, pending);
        *self.in_flight.entry(group_id.clone()).or_default() += 1;
        let records = of.iter().map(records::encode).collect();
        self.effects.push(Effect::Append { append_id, records });
        append_id
    }

    /// Takes a settled append out, or `None` when it is not known (any more).
    pub(crate) fn settle(&mut self, append_id: AppendId) -> Option<Pending> {
        let pending = self.pending.remove(&append_id)?;
        if let Some(count) = self.in_flight.get_mut(&pending.group_id) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&pending.group_id);
            }
        }
        Some(pending)
    }

    /// Whether records of the group are on their way to the log.
    pub(crate) fn has_in_flight(&self, group_id: &str) -> bool {
        self.in_flight.contains_key(group_id)
    }

    /// The newest append so far, settled or not.
    pub(crate) fn last_append_id(&self) -> AppendId {
        self.last_append_id
    }

    pub(crate) fn forget_in_flight(&mut self) {
        self.in_flight.clear();
    }

    pub(crate) fn set_session(&mut self, group: &Arc<str>, member: &Arc<str>, timeout_ms: i32) {
        let key = TimerKey::Session {
            group: group.clone(),
            member: member.clone(),
        };
        self.set_timer(key, i64::from(timeout_ms));
    }

    pub(crate) fn cancel_session(&mut self, group: &Arc<str>, member: &Arc<str>) {
        self.timers.cancel(&TimerKey::Session {
            group: group.clone(),
            member: member.clone(),
        });
    }

    pub(crate) fn set_timer(&mut self, key: TimerKey, delay_ms: i64) {
        self.timers
            .set(key, self.now_ms.saturating_add(delay_ms.max(0)));
    }
}
