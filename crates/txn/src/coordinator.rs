//! The coordinator of one partition of `__transaction_state`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ottla_model::{ErrorCode, ProducerId, TimestampMs};

use crate::effect::{AppendId, Effect, MarkingId, Notice, Token};
use crate::options::Options;
use crate::records;
use crate::request::{AddPartitionsRequest, Request};
use crate::response::Response;
use crate::state::TransactionState;
use crate::transaction::Transaction;

/// All transactional ids of one partition of `__transaction_state`.
///
/// It decides and remembers; a driver carries out the [`Effect`]s. No IO, no clock, no randomness:
/// the same calls give the same effects.
///
/// ```text
///   log ──apply()*── loaded() ──▶ ┐
///   request ──handle()──────────▶ │             ┌─▶ Reply
///   time ─────tick()────────────▶ │ Coordinator ├─▶ Append ───────────▶ log ──appended()──┐
///                                 │             ├─▶ WriteMarkers ▶ partitions ──marked()──┤
///                                 │             └─▶ AllocateProducerId ▶ controller ──────┤
///                                 └────────────◀──────────────────────────────────────────┘
/// ```
///
/// A transactional id does one thing at a time: while its record or its markers are on their way,
/// others are told `CONCURRENT_TRANSACTIONS`. A change happens when its record is durable; until
/// then nobody sees it, and if it cannot be written it does not happen.
#[derive(Debug)]
pub struct Coordinator {
    pub(crate) options: Options,
    pub(crate) now_ms: TimestampMs,
    pub(crate) entries: BTreeMap<Arc<str>, Entry>,
    pub(crate) pending: BTreeMap<AppendId, Held>,
    /// Open transactions, by the time when they began.
    open: BTreeSet<(TimestampMs, Arc<str>)>,
    /// Open transactions that can time out, by the time when they do.
    pub(crate) timeouts: BTreeSet<(TimestampMs, Arc<str>)>,
    /// Prepared transactions whose markers or whose completion must be tried again.
    pub(crate) retries: BTreeSet<(TimestampMs, Arc<str>)>,
    /// When timed-out transactions may be looked for again.
    pub(crate) next_abort_ms: TimestampMs,
    /// When unused transactional ids are looked for; `None` before the partition is loaded.
    pub(crate) next_expiry_ms: Option<TimestampMs>,
    /// Requests that wait until their transactional id has nothing under way.
    pub(crate) parked: BTreeMap<Arc<str>, Vec<Parked>>,
    /// When each of them gives up.
    pub(crate) patience: BTreeSet<(TimestampMs, Token, Arc<str>)>,
    /// Producer ids that nobody has been given.
    spare_producer_ids: Vec<ProducerId>,
    /// What waits for a producer id, first come, first served.
    pub(crate) wants_producer_id: VecDeque<Wants>,
    last_append_id: AppendId,
    last_marking_id: MarkingId,
    pub(crate) skipped_records: u64,
    effects: Vec<Effect>,
}

/// What is known of one transactional id, and what is under way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) transaction: Transaction,
    pub(crate) busy: Busy,
}

/// What a transactional id is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// Nothing: the next request may change it.
    No,
    /// Its record is on its way to the log.
    Appending,
    /// Markers are on their way to partitions.
    Marking {
        marking_id: MarkingId,
        /// How often markers or completion have failed before.
        failures: u32,
    },
    /// Markers or the completion failed; they are tried again later.
    Waiting { failures: u32 },
}

/// What happens when an append is durable.
#[derive(Debug)]
pub(crate) enum Held {
    /// A transactional id takes a step.
    Step {
        transactional_id: Arc<str>,
        next: Transaction,
        then: Then,
    },
    /// Transactional ids are forgotten.
    Expired { transactional_ids: Vec<Arc<str>> },
}

/// Who waits for a step.
#[derive(Debug)]
pub(crate) enum Then {
    Init {
        token: Token,
    },
    AddPartitions {
        token: Token,
    },
    End {
        token: Token,
    },
    /// InitProducerId found an open transaction: the client comes again when it is aborted.
    FencedBy {
        token: Token,
    },
    TimedOut,
    /// The end of a transaction; `failures` are those of its markers and of earlier attempts.
    Complete {
        failures: u32,
    },
}

/// A request that waits until its transactional id has nothing under way.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) token: Token,
    pub(crate) request: AddPartitionsRequest,
    pub(crate) until_ms: TimestampMs,
}

/// What cannot go on without a producer id.
#[derive(Debug)]
pub(crate) enum Wants {
    Request {
        token: Token,
        request: Request,
    },
    /// The abort of a transaction that is open for too long; the next look for such sees to it.
    TimedOut,
}

/// Numbers for metrics, see [`Coordinator::counts`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of transactional ids in each state, by Kafka's name of the state.
    pub transactional_ids_by_state: BTreeMap<&'static str, usize>,
    /// Appends whose outcome is awaited.
    pub pending_appends: usize,
}

impl Coordinator {
    /// A coordinator that knows nothing yet: give it the partition's records with
    /// [`Coordinator::apply`], then call [`Coordinator::loaded`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        Coordinator {
            options,
            now_ms: 0,
            entries: BTreeMap::new(),
            pending: BTreeMap::new(),
            open: BTreeSet::new(),
            timeouts: BTreeSet::new(),
            retries: BTreeSet::new(),
            next_abort_ms: TimestampMs::MIN,
            next_expiry_ms: None,
            parked: BTreeMap::new(),
            patience: BTreeSet::new(),
            spare_producer_ids: Vec::new(),
            wants_producer_id: VecDeque::new(),
            last_append_id: 0,
            last_marking_id: 0,
            skipped_records: 0,
            effects: Vec::new(),
        }
    }

    /// Handles a request that came at `now_ms`. Its answer is a [`Effect::Reply`] with this token,
    /// now or later.
    pub fn handle(&mut self, now_ms: TimestampMs, token: Token, request: Request) -> Vec<Effect> {
        self.begin(now_ms);
        self.dispatch(token, request);
        self.take_effects()
    }

    fn dispatch(&mut self, token: Token, request: Request) {
        match request {
            Request::Init(request) => self.init(token, request),
            Request::AddPartitions(request) => self.add_partitions(token, request),
            Request::Verify(request) => {
                let response = Response::Verify(self.verify(&request));
                self.reply(token, response);
            }
            Request::End(request) => self.end(token, request),
            Request::Describe(transactional_id) => {
                let response = Response::Describe(self.describe(&transactional_id));
                self.reply(token, response);
            }
            Request::List(request) => {
                let response = Response::List(self.list(&request));
                self.reply(token, response);
            }
        }
    }

    /// Takes the outcome of an [`Effect::AllocateProducerId`].
    pub fn producer_id_allocated(
        &mut self,
        now_ms: TimestampMs,
        outcome: Result<ProducerId, ErrorCode>,
    ) -> Vec<Effect> {
        self.begin(now_ms);
        let wants = self.wants_producer_id.pop_front();
        match outcome {
            Ok(producer_id) => {
                self.spare_producer_ids.push(producer_id);
                match wants {
                    // Whatever has happened meanwhile, the request is as good as one that comes now.
                    Some(Wants::Request { token, request }) => self.dispatch(token, request),
                    Some(Wants::TimedOut) => self.next_abort_ms = now_ms,
                    None => {}
                }
            }
            Err(error) => match wants {
                Some(Wants::Request { token, request }) => {
                    let response = request.refused(error);
                    self.reply(token, response);
                }
                Some(Wants::TimedOut) | None => {}
            },
        }
        self.take_effects()
    }

    /// The open transaction that began first.
    #[must_use]
    pub fn oldest_open_start_ms(&self) -> Option<TimestampMs> {
        self.open.first().map(|(start_ms, _)| *start_ms)
    }

    /// How many transactions are open: ongoing, or with markers on their way.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.open.len()
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
            pending_appends: self.pending.len(),
            ..Counts::default()
        };
        for entry in self.entries.values() {
            let name = entry.transaction.state.name();
            *counts.transactional_ids_by_state.entry(name).or_default() += 1;
        }
        counts
    }

    /// Starts a call.
    pub(crate) fn begin(&mut self, now_ms: TimestampMs) {
        debug_assert!(self.effects.is_empty(), "every call takes its effects away");
        self.now_ms = now_ms;
        // A clock that was set back must not hold up what is due.
        let abort_ms = now_ms.saturating_add(self.options.abort_timed_out_interval_ms);
        self.next_abort_ms = self.next_abort_ms.min(abort_ms);
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

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn new_marking_id(&mut self) -> MarkingId {
        self.last_marking_id += 1;
        self.last_marking_id
    }

    /// A producer id that nobody has been given, if there is one.
    pub(crate) fn take_producer_id(&mut self) -> Option<ProducerId> {
        self.spare_producer_ids.pop()
    }

    /// Has the work done again once there is a producer id.
    pub(crate) fn want_producer_id(&mut self, wants: Wants) {
        self.wants_producer_id.push_back(wants);
        self.effects.push(Effect::AllocateProducerId);
    }

    /// Sends a step to the log. Until that has answered, the id is busy.
    pub(crate) fn step(&mut self, transactional_id: &Arc<str>, next: Transaction, then: Then) {
        let entry = self
            .entries
            .get_mut(transactional_id)
            .expect("a step is taken by a transactional id that is known");
        entry.transaction.assert_may_become(&next);
        entry.busy = Busy::Appending;
        let record = records::encode(transactional_id, Some(&next));
        let held = Held::Step {
            transactional_id: transactional_id.clone(),
            next,
            then,
        };
        self.append(vec![record], held);
    }

    pub(crate) fn append(&mut self, records: Vec<crate::KeyValue>, held: Held) {
        assert!(!records.is_empty(), "an append has records");
        self.last_append_id += 1;
        let append_id = self.last_append_id;
        self.pending.insert(append_id, held);
        self.effects.push(Effect::Append { append_id, records });
    }

    /// Puts what is known of a transactional id in place, and its deadlines with it.
    pub(crate) fn put(&mut self, transactional_id: &Arc<str>, transaction: Transaction) {
        self.remove(transactional_id);
        if transaction.state.is_open() {
            self.open
                .insert((transaction.start_ms, transactional_id.clone()));
        }
        if let Some(at_ms) = transaction.timeout_at_ms() {
            self.timeouts.insert((at_ms, transactional_id.clone()));
        }
        let busy = Busy::No;
        self.entries
            .insert(transactional_id.clone(), Entry { transaction, busy });
    }

    /// Forgets a transactional id.
    pub(crate) fn remove(&mut self, transactional_id: &Arc<str>) {
        let Some(Entry { transaction, .. }) = self.entries.remove(transactional_id) else {
            return;
        };
        self.open
            .remove(&(transaction.start_ms, transactional_id.clone()));
        if let Some(at_ms) = transaction.timeout_at_ms() {
            self.timeouts.remove(&(at_ms, transactional_id.clone()));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.open.clear();
        self.timeouts.clear();
        self.retries.clear();
        self.parked.clear();
        self.patience.clear();
        self.next_expiry_ms = None;
    }
}

impl Request {
    /// The answer that refuses the request.
    pub(crate) fn refused(&self, error: ErrorCode) -> Response {
        match self {
            Request::Init(_) => Response::Init(Err(error)),
            Request::AddPartitions(_) => Response::AddPartitions(error),
            Request::Verify(_) => Response::Verify(Err(error)),
            Request::End(_) => Response::End(Err(error)),
            Request::Describe(_) => Response::Describe(Err(error)),
            Request::List(_) => Response::List(Vec::new()),
        }
    }
}

impl Then {
    /// The answer that says that the step did not happen, if anyone waits for it.
    pub(crate) fn refused(&self, error: ErrorCode) -> Option<(Token, Response)> {
        match self {
            Then::Init { token } | Then::FencedBy { token } => {
                Some((*token, Response::Init(Err(error))))
            }
            Then::AddPartitions { token } => Some((*token, Response::AddPartitions(error))),
            Then::End { token } => Some((*token, Response::End(Err(error)))),
            Then::TimedOut | Then::Complete { .. } => None,
        }
    }
}

impl Entry {
    /// Whether a request has to come again later. A prepared transaction always has something
    /// under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy != Busy::No || self.transaction.state.is_prepared()
    }

    pub(crate) fn is_ongoing(&self) -> bool {
        self.transaction.state == TransactionState::Ongoing
    }
}
