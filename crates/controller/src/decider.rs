//! The member that decides: it turns commands into entries of the raft log while it is the leader.
//!
//! ```text
//! command ─▶ decide ─▶ propose ─▶ committed and applied ─▶ reply
//!              │ on the speculative image: that of all entries under way
//! ```
//!
//! Decisions are not waited for one by one: the next one is made on the image that those before it
//! lead to. If one of them fails, all that were made on it are void; their entries are skipped by
//! every member (see [`entry`](crate::entry)), and the callers learn that nothing happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use ottla_metadata::{
    BrokerHeartbeat, Command, ConfigRules, Context, Defaults, FenceBroker, Image, Liveness, Record,
    Refusal, Reply, decide,
};
use ottla_model::{BrokerId, ClusterId, ErrorCode, Offset};
use ottla_raft::{NodeId, ProposeError, State};
use ottla_runtime::mailbox::{Inbox, Responder};
use ottla_runtime::published::Published;
use ottla_runtime::{Runtime, Service, Shutdown};
use tokio::sync::mpsc;

use crate::entry::{self, Header};
use crate::machine::APPLIED;
use crate::members::broker_id;
use crate::old;
use crate::suspects::Suspects;

/// How many decisions may be under way.
const UNDER_WAY_MAX: usize = 512;
/// What happened so shortly before an office still counts.
const RECENT_MS: u64 = 1000;
/// The least time between two looks at who is silent.
const LOOK_MS: u64 = 50;

/// When leadership is balanced further, if one decision was not enough.
const BALANCE_ON_MS: i64 = 1000;

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decided {
    /// It was decided; what is to be seen of it, an image of this offset shows.
    Answer(Offset, Result<Reply, Refusal>),
    /// It was not taken: this member is not the leader. Another one may be.
    NotLeader(Option<NodeId>),
    /// The leader lost its office meanwhile: whether the change was made is open.
    Open(String),
}

/// What the decider needs to know.
#[derive(Clone)]
pub(crate) struct Deciding {
    pub(crate) cluster_id: ClusterId,
    pub(crate) rules: Arc<dyn ConfigRules>,
    pub(crate) defaults: Defaults,
    /// Where the metadata of a node from before there was a quorum may lie.
    pub(crate) old: std::path::PathBuf,
    /// `broker.session.timeout.ms`; none when the node is a cluster of its own, where nobody but
    /// itself could be silent.
    pub(crate) session_timeout_ms: Option<u64>,
    /// How often leadership is balanced, if at all.
    pub(crate) balance_every: Option<Duration>,
}

/// The running half of the decider.
pub(crate) struct Decider {
    runtime: Runtime,
    options: Deciding,
    raft: ottla_raft::Handle,
    state: Published<State>,
    image: Published<Image>,
    inbox: Inbox<Command, Decided>,
    refusals: mpsc::Receiver<NodeId>,
    suspects: Suspects,
    liveness: Liveness,
    lead: Option<Lead>,
    under_way: FuturesOrdered<BoxFuture<'static, Settled>>,
    /// Who has refused a connection before this office, and when last.
    early_refusals: BTreeMap<BrokerId, u64>,
    /// Counts the failures: decisions that were made before the last one are void.
    generation: u64,
    balance_at_ms: i64,
    full_told_ms: Option<i64>,
}

/// The office.
struct Lead {
    term: u64,
    /// The image that all entries under way lead to; none after a failure, until they have settled.
    image: Option<Image>,
    /// Whether the quorum answers, so that anything can be decided.
    in_touch: bool,
}

/// A decision that is committed, or is not.
struct Settled {
    generation: u64,
    has_records: bool,
    outcome: Result<bool, ProposeError>,
    answer: Decided,
    to: Option<Responder<Decided>>,
}

/// The ways into and out of a decider.
pub(crate) struct Doors {
    pub(crate) inbox: Inbox<Command, Decided>,
    pub(crate) image: Published<Image>,
    /// Nodes that refuse connections.
    pub(crate) refusals: mpsc::Receiver<NodeId>,
    pub(crate) suspects: Suspects,
}

impl Decider {
    pub(crate) fn new(
        runtime: &Runtime,
        options: Deciding,
        raft: ottla_raft::Handle,
        doors: Doors,
    ) -> Self {
        let timeout_ms = options.session_timeout_ms.unwrap_or(u64::MAX / 4);
        Decider {
            runtime: runtime.clone(),
            state: raft.state(),
            raft,
            image: doors.image,
            inbox: doors.inbox,
            refusals: doors.refusals,
            suspects: doors.suspects,
            liveness: Liveness::new(timeout_ms),
            lead: None,
            under_way: FuturesOrdered::new(),
            early_refusals: BTreeMap::new(),
            generation: 0,
            balance_at_ms: 0,
            full_told_ms: None,
            options,
        }
    }

    /// The time for [`Liveness`].
    fn now_ms(&self) -> u64 {
        u64::try_from(self.runtime.clock.monotonic_ms()).unwrap_or(0)
    }

    fn accepts(&self) -> bool {
        // Whoever asks while nobody is in office must hear so.
        let holding = self.lead.as_ref().is_some_and(|lead| lead.image.is_none());
        !holding && self.under_way.len() < UNDER_WAY_MAX
    }

    /// Takes office, leaves it, or goes on.
    async fn follow_state(&mut self) -> Result<(), String> {
        let state = self.state.get();
        let goes_on = |lead: &Lead| state.is_leader && lead.term == state.term;
        if self.lead.as_ref().is_some_and(|lead| !goes_on(lead)) {
            tracing::info!(term = state.term, leader = ?state.leader, "no longer the controller");
            self.lead = None;
            self.generation += 1;
        }
        if let Some(lead) = &mut self.lead {
            let was_in_touch = std::mem::replace(&mut lead.in_touch, state.ready);
            if state.ready && !was_in_touch {
                // Nobody's heartbeats were taken meanwhile: whoever is silent is so from now on.
                self.liveness.reset(self.now_ms(), &self.image.get());
            }
            return Ok(());
        }
        if !state.ready {
            return Ok(());
        }
        let image = self.image.get();
        self.lead = Some(Lead {
            term: state.term,
            image: Some((*image).clone()),
            in_touch: true,
        });
        self.generation += 1;
        let now_ms = self.now_ms();
        self.liveness.reset(now_ms, &image);
        self.suspects.begin(&image, now_ms);
        for (broker, at_ms) in std::mem::take(&mut self.early_refusals) {
            if now_ms.saturating_sub(at_ms) <= RECENT_MS {
                self.liveness.refused(broker, at_ms);
            }
        }
        self.balance_at_ms = self.runtime.clock.monotonic_ms();
        tracing::info!(
            term = state.term,
            offset = image.metadata_offset(),
            "this node is the controller now"
        );
        self.begin(&image).await
    }

    /// The first words of an office: a new cluster gets its name, or what the node had before. What
    /// an older build has written gets the levels of features with the name.
    async fn begin(&mut self, image: &Image) -> Result<(), String> {
        let (disk, dir) = (Arc::clone(&self.runtime.disk), self.options.old.clone());
        if image.metadata_offset() >= 0 {
            let clean = move || old::remove(&*disk, &dir);
            let cleaned = self.runtime.tasks.blocking(clean).await;
            cleaned.map_err(|error| error.to_string())?;
        } else {
            let load = move || old::load(&*disk, &dir);
            let old = self.runtime.tasks.blocking(load).await;
            if let Some(old) = old.map_err(|error| error.to_string())? {
                tracing::info!(
                    offset = old.metadata_offset(),
                    topics = old.topic_count(),
                    "taking over the metadata that this node had before"
                );
                let records: Vec<Record> = old.to_records().collect();
                let ends_at = old.metadata_offset();
                let answer = Decided::Answer(ends_at, Ok(Reply::Done));
                self.propose(&records, ends_at, old, answer, None).await?;
            }
        }
        let name = Command::NameCluster(self.options.cluster_id.clone());
        self.decide(name, None).await
    }

    /// Decides about a command, or says that somebody else has to.
    async fn decide(
        &mut self,
        command: Command,
        to: Option<Responder<Decided>>,
    ) -> Result<(), String> {
        let state = self.state.get();
        let office = self
            .lead
            .as_mut()
            .filter(|lead| state.ready && lead.term == state.term);
        let Some(image) = office.and_then(|lead| lead.image.as_ref()) else {
            if let Some(to) = to {
                to.send(Decided::NotLeader(
                    state.leader.filter(|_| !state.is_leader),
                ));
            }
            return Ok(());
        };
        let mut image = image.clone();
        let decision = {
            let mut random = || self.runtime.random.bytes16();
            let mut context = Context {
                random: &mut random,
                rules: &*self.options.rules,
                defaults: self.options.defaults,
                active_offset: self.liveness.active_offset(&image),
            };
            decide(&image, &command, &mut context)
        };
        if let (Command::BrokerHeartbeat(heartbeat), Ok(_)) = (&command, &decision) {
            self.heard(heartbeat);
        }
        if let (Ok((_, Reply::BalanceLeaders { more: true, .. })), Some(every)) =
            (&decision, self.options.balance_every)
        {
            // The rest soon: one decision moves so many leaders at most.
            let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
            self.balance_at_ms = self.balance_at_ms.saturating_sub(every_ms - BALANCE_ON_MS);
        }
        let (records, answer) = match decision {
            Ok((records, reply)) => (records, Ok(reply)),
            Err(refusal) => (Vec::new(), Err(refusal)),
        };
        if records.is_empty() {
            let offset = image.metadata_offset();
            self.settle_in_order(Decided::Answer(offset, answer), to);
            return Ok(());
        }
        for record in &records {
            let offset = image.metadata_offset() + 1;
            if let Err(error) = image.apply(record, offset) {
                // The decision contradicts the image that it was made on: a broken invariant, seen
                // before anything was written.
                ottla_runtime::fail_stop(format!("a decision does not fit the metadata: {error}"));
            }
        }
        let ends_at = image.metadata_offset();
        self.propose(
            &records,
            ends_at,
            image,
            Decided::Answer(ends_at, answer),
            to,
        )
        .await
    }

    fn heard(&mut self, heartbeat: &BrokerHeartbeat) {
        let now_ms = self.now_ms();
        self.liveness.touch(
            heartbeat.broker_id,
            heartbeat.broker_epoch,
            heartbeat.metadata_offset,
            now_ms,
        );
        self.suspects.heard(heartbeat.broker_id, now_ms);
    }

    /// Nothing has to be written, but what the answer rests on may still be under way.
    fn settle_in_order(&mut self, answer: Decided, to: Option<Responder<Decided>>) {
        let Some(to) = to else { return };
        if self.under_way.is_empty() {
            to.send(answer);
            return;
        }
        let settled = Settled {
            generation: self.generation,
            has_records: false,
            outcome: Ok(true),
            answer,
            to: Some(to),
        };
        self.under_way
            .push_back(std::future::ready(settled).boxed());
    }

    /// Puts the records on their way; `after` is the image that they lead to.
    async fn propose(
        &mut self,
        records: &[Record],
        ends_at: Offset,
        after: Image,
        answer: Decided,
        to: Option<Responder<Decided>>,
    ) -> Result<(), String> {
        let Some(lead) = self.lead.as_mut() else {
            return Ok(());
        };
        let before = lead.image.as_ref().map_or(-1, Image::metadata_offset);
        let header = Header {
            term: lead.term,
            decided_at: before,
            ends_at,
        };
        let entry = entry::encode(header, records, self.runtime.clock.now_ms());
        let entry = entry.map_err(|error| error.to_string())?;
        let generation = self.generation;
        let proposed = self.raft.propose(lead.term, entry).await;
        if proposed.is_ok() {
            lead.image = Some(after);
        }
        let state = self.state.clone();
        let settling = async move {
            let outcome = match proposed {
                Ok(proposal) => tokio::select! {
                    biased;
                    done = proposal.wait() => done.map(|(_, reply)| *reply == *APPLIED),
                    // The entry that found the disk full waits for room; its caller does not.
                    () = disk_is_full(state) => Err(ProposeError::DiskFull),
                },
                Err(error) => Err(error),
            };
            Settled {
                generation,
                has_records: true,
                outcome,
                answer,
                to,
            }
        };
        self.under_way.push_back(settling.boxed());
        Ok(())
    }

    /// A decision has come to its end.
    fn settle(&mut self, settled: Settled) {
        let Settled {
            generation,
            has_records,
            outcome,
            answer,
            to,
        } = settled;
        let current = generation == self.generation;
        let answer = match outcome {
            // What was applied was applied, whatever happened to the office since. An answer without
            // records rests on those before it.
            Ok(true) if current || has_records => answer,
            Ok(_) => Decided::NotLeader(None),
            Err(ProposeError::NotLeader(leader)) => Decided::NotLeader(leader.map(|(id, _)| id)),
            Err(ProposeError::DiskFull) => {
                self.tell_full();
                Decided::Answer(-1, Err(disk_full()))
            }
            Err(error @ ProposeError::TooLarge { .. }) => {
                let message = format!("The change is too large: {error}. Ask for less at a time.");
                Decided::Answer(-1, Err(Refusal::new(ErrorCode::PolicyViolation, message)))
            }
            Err(error @ (ProposeError::Lost | ProposeError::Stopped)) => {
                Decided::Open(error.to_string())
            }
        };
        let failed = !matches!(&answer, Decided::Answer(offset, _) if *offset >= 0);
        if failed && current && has_records {
            self.generation += 1;
            if let Some(lead) = &mut self.lead {
                lead.image = None;
            }
        }
        if let Some(to) = to {
            to.send(answer);
        }
    }

    /// After a failure: goes on from what is committed, once nothing is under way.
    fn recover(&mut self) {
        if !self.under_way.is_empty() {
            return;
        }
        if let Some(lead) = self.lead.as_mut().filter(|lead| lead.image.is_none()) {
            lead.image = Some((*self.image.get()).clone());
        }
    }

    /// Once a minute at most, however often clients try again.
    fn tell_full(&mut self) {
        let now_ms = self.runtime.clock.monotonic_ms();
        if self.full_told_ms.is_some_and(|at| now_ms - at < 60_000) {
            return;
        }
        self.full_told_ms = Some(now_ms);
        tracing::error!(
            "no room for changes of the metadata; they are refused until space is freed"
        );
    }

    /// Fences who is silent, looks after those who may be gone, and balances leadership.
    async fn look(&mut self) -> Result<(), String> {
        let now_ms = self.now_ms();
        let office = self.lead.as_ref().filter(|lead| lead.in_touch);
        let Some(image) = office.and_then(|lead| lead.image.clone()) else {
            return Ok(());
        };
        if self.options.session_timeout_ms.is_some() {
            for (broker_id, broker_epoch) in self.liveness.stale(now_ms) {
                // What is under way may have fenced it already.
                let known = image.broker(broker_id);
                if known.is_some_and(|b| !b.fenced && b.epoch == broker_epoch) {
                    tracing::warn!(broker = broker_id.0, broker_epoch, "a broker is silent");
                    let fence = FenceBroker {
                        broker_id,
                        broker_epoch,
                    };
                    self.decide(Command::FenceBroker(fence), None).await?;
                }
            }
            self.suspects.look(&image, now_ms);
        }
        let now_ms = self.runtime.clock.monotonic_ms();
        if let Some(every) = self.options.balance_every
            && now_ms - self.balance_at_ms >= i64::try_from(every.as_millis()).unwrap_or(i64::MAX)
        {
            self.balance_at_ms = now_ms;
            self.decide(Command::BalanceLeaders, None).await?;
        }
        Ok(())
    }

    /// How long nothing has to be looked at, if nothing happens.
    fn rest(&self) -> Duration {
        let now_ms = self.now_ms();
        if self.lead.is_none() {
            return Duration::from_secs(3600);
        }
        let mut rest_ms = 60_000;
        if self.options.session_timeout_ms.is_some() {
            let deadlines = [
                self.liveness.next_deadline_ms(),
                self.suspects.next_look_ms(),
            ];
            for at_ms in deadlines.into_iter().flatten() {
                rest_ms = rest_ms.min(at_ms.saturating_sub(now_ms));
            }
        }
        if let Some(every) = self.options.balance_every {
            let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
            let left_ms = self
                .balance_at_ms
                .saturating_add(every_ms)
                .saturating_sub(self.runtime.clock.monotonic_ms());
            rest_ms = rest_ms.min(u64::try_from(left_ms).unwrap_or(0));
        }
        Duration::from_millis(rest_ms.max(LOOK_MS))
    }
}

impl Service for Decider {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let mut look_at = self.runtime.clock.instant();
        self.follow_state().await?;
        loop {
            let accepts = self.accepts();
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                alive = self.state.changed() => {
                    if !alive {
                        return Ok(());
                    }
                    self.follow_state().await?;
                }
                Some(settled) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.settle(settled);
                }
                Some(node) = self.refusals.recv() => {
                    let now_ms = self.now_ms();
                    let broker = broker_id(node);
                    if self.lead.is_none() {
                        self.early_refusals.insert(broker, now_ms);
                    } else if self.liveness.refused(broker, now_ms) {
                        self.look().await?;
                    } else {
                        self.suspects.refused(broker, now_ms);
                    }
                }
                alive = self.image.changed() => {
                    if !alive {
                        // Nobody applies anything any more: the member has ended.
                        return Ok(());
                    }
                    let now_ms = self.now_ms();
                    if self.lead.is_some() {
                        let image = self.image.get();
                        self.liveness.follow(&image, now_ms);
                        self.suspects.follow(&image, now_ms);
                    }
                }
                () = self.runtime.clock.sleep_until(look_at) => self.look().await?,
                Some((command, to)) = self.inbox.recv(), if accepts => {
                    self.decide(command, Some(to)).await?;
                }
            }
            self.recover();
            let (now, rest) = (self.runtime.clock.instant(), self.rest());
            look_at = match look_at > now {
                true => look_at.min(now + rest),
                false => now + rest,
            };
        }
    }
}

/// Waits until the disk is known to have no room.
async fn disk_is_full(mut state: Published<State>) {
    while !state.get().disk_full {
        if !state.changed().await {
            return std::future::pending().await;
        }
    }
}

fn disk_full() -> Refusal {
    let message = "The controller's disk is full; free some space and try again. A change that \
                   found it full may still be made then.";
    Refusal::new(ErrorCode::KafkaStorageError, message)
}
