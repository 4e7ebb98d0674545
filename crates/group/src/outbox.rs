//! What a group's decisions need besides the group: options, the time, timers, effects, and the
//! changes that wait for the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::{PartitionIndex, ProducerId, TimestampMs};

use crate::consumer::edit::Batch;
use crate::delete::GroupDeletion;
use crate::effect::{AppendId, Effect, Notice, Producer, Token};
use crate::offsets::CommittedOffset;
use crate::options::Options;
use crate::records::{self, Record};
use crate::request::{EndTransactionRequest, Protocol};
use crate::response::{OffsetDeleteResponse, Response};
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
    /// Offsets of a commit, maybe of one in a transaction.
    Commit {
        token: Token,
        response: Response,
        producer_id: Option<ProducerId>,
        offsets: Vec<(Arc<str>, PartitionIndex, CommittedOffset)>,
    },
    /// Operations of a consumer group.
    Consumer(Box<Batch>),
    /// Offsets that expire or whose topic is gone, and maybe the group with them.
    Deletion {
        offsets: Vec<(Arc<str>, PartitionIndex)>,
        removes_group: bool,
        /// Who has asked for it and what is left to do, when it was asked for.
        deletion: Option<GroupDeletion>,
    },
    /// Offsets that someone has asked to delete.
    OffsetDeletion {
        token: Token,
        response: OffsetDeleteResponse,
        offsets: Vec<(Arc<str>, PartitionIndex)>,
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
pub(crate) enum Pending {
    /// Of one group.
    Change { group_id: Arc<str>, held: Held },
    /// The end of a transaction, which may concern several groups.
    Marker {
        token: Token,
        producer_id: ProducerId,
        commit: bool,
    },
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
    /// How many ends of transactions are pending.
    markers_in_flight: usize,
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
            markers_in_flight: 0,
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
        self.append_of(None, group_id, of, held)
    }

    /// The same for records of a transaction, if there is one.
    pub(crate) fn append_of(
        &mut self,
        producer: Option<Producer>,
        group_id: &Arc<str>,
        of: &[Record],
        held: Held,
    ) -> AppendId {
        assert!(!of.is_empty(), "an append has records");
        let append_id = self.keep(Pending::Change {
            group_id: group_id.clone(),
            held,
        });
        *self.in_flight.entry(group_id.clone()).or_default() += 1;
        let records = of.iter().map(records::encode).collect();
        self.effects.push(Effect::Append {
            append_id,
            records,
            producer,
        });
        append_id
    }

    /// Sends a transaction's marker to the log and keeps what depends on it.
    pub(crate) fn append_marker(&mut self, token: Token, marker: EndTransactionRequest) {
        let append_id = self.keep(Pending::Marker {
            token,
            producer_id: marker.producer.id,
            commit: marker.commit,
        });
        self.markers_in_flight += 1;
        self.effects
            .push(Effect::AppendMarker { append_id, marker });
    }

    fn keep(&mut self, pending: Pending) -> AppendId {
        self.last_append_id += 1;
        self.pending.insert(self.last_append_id, pending);
        self.last_append_id
    }

    /// Takes a settled append out, or `None` when it is not known (any more).
    pub(crate) fn settle(&mut self, append_id: AppendId) -> Option<Pending> {
        let pending = self.pending.remove(&append_id)?;
        match &pending {
            Pending::Marker { .. } => self.markers_in_flight -= 1,
            Pending::Change { group_id, .. } => {
                if let Some(count) = self.in_flight.get_mut(group_id) {
                    *count -= 1;
                    if *count == 0 {
                        self.in_flight.remove(group_id);
                    }
                }
            }
        }
        Some(pending)
    }

    /// Whether records of the group are on their way to the log.
    pub(crate) fn has_in_flight(&self, group_id: &str) -> bool {
        self.in_flight.contains_key(group_id)
    }

    /// Whether the end of a transaction is on its way to the log.
    pub(crate) fn has_marker_in_flight(&self) -> bool {
        self.markers_in_flight > 0
    }

    /// The newest append so far, settled or not.
    pub(crate) fn last_append_id(&self) -> AppendId {
        self.last_append_id
    }

    pub(crate) fn forget_in_flight(&mut self) {
        self.in_flight.clear();
        self.markers_in_flight = 0;
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
