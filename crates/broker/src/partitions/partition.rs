//! One partition: its log, and this broker's part in its replication.
//!
//! ```text
//! image ── follow ──▶ Role ◀── ready ── log
//!                      │
//!      Leader: appends, followers' fetches ─▶ replicated offset ─▶ high watermark ─▶ commits
//!      Follower: what the leader sends
//! ```

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ottla_config::TopicConfig;
use ottla_log::{Append, AppendFuture, Appended, Log};
use ottla_metadata::PartitionImage;
use ottla_model::{
    BrokerId, ErrorCode, LeaderEpoch, NO_LEADER_EPOCH, Offset, PartitionIndex, Sabotage, TopicId,
    TopicName,
};
use ottla_replica::{InSync, LeaderState, Membership, Proposal, ProposalOutcome};
use ottla_runtime::Clock;
use ottla_runtime::watch;
use parking_lot::{Mutex, RwLock};

use crate::errors;

/// Who leads, and in which term; whoever waits for a commit watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) leader: Option<BrokerId>,
    /// Whether this broker leads and its log is open.
    pub(crate) leads_here: bool,
}

/// This broker's part.
pub(crate) enum Role {
    /// It takes appends and serves followers.
    Leader(LeaderState),
    /// It follows the leader, if there is one.
    Follower,
}

/// What a new word of the controller means for this broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing but perhaps the replicas in sync has changed.
    Same,
    /// It leads from now on, or leads in a new term.
    Leads(LeaderEpoch),
    /// It follows this leader in this term.
    Follows(BrokerId, LeaderEpoch),
    /// It has nobody to follow.
    Waits,
}

/// How an append is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commit {
    /// The term in which it was appended.
    pub(crate) leader_epoch: LeaderEpoch,
    /// How long to wait, if not for ever.
    pub(crate) timeout: Option<Duration>,
}

/// One partition that this broker holds.
pub(crate) struct Partition {
    pub(crate) topic: TopicName,
    pub(crate) topic_id: TopicId,
    pub(crate) index: PartitionIndex,
    me: BrokerId,
    clock: Clock,
    /// Set once the log is recovered; until then clients are told to come back.
    log: OnceLock<Log>,
    config: RwLock<Arc<TopicConfig>>,
    replica: Mutex<Replica>,
    term: watch::Sender<Term>,
}

struct Replica {
    /// The controller's newest word.
    image: Arc<PartitionImage>,
    role: Role,
    /// What this broker was last told to do.
    turn: Turn,
}

impl Partition {
    /// A partition whose log is not open yet.
    pub(crate) fn new(
        (topic, topic_id, index): (TopicName, TopicId, PartitionIndex),
        me: BrokerId,
        clock: Clock,
        image: Arc<PartitionImage>,
        config: Arc<TopicConfig>,
    ) -> Self {
        let term = watch::Sender::new(Term {
            leader_epoch: image.leader_epoch,
            leader: image.leader,
            leads_here: false,
        });
        Partition {
            topic,
            topic_id,
            index,
            me,
            clock,
            log: OnceLock::new(),
            config: RwLock::new(config),
            replica: Mutex::new(Replica {
                image,
                role: Role::Follower,
                turn: Turn::Waits,
            }),
            term,
        }
    }

    /// The partition's log, once it is recovered.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.log.get()
    }

    /// The log, where this broker leads; else what a client is told that must look elsewhere.
    pub(crate) fn leader_log(&self) -> Result<&Log, ErrorCode> {
        let leads = self.term.borrow().leads_here;
        self.log()
            .filter(|_| leads)
            .ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// The log for a reader: the leader's, and with `from_follower` any replica's that has a leader.
    pub(crate) fn readable_log(&self, from_follower: bool) -> Result<&Log, ErrorCode> {
        let term = *self.term.borrow();
        let may_read = term.leads_here || from_follower && term.leader.is_some();
        self.log()
            .filter(|_| may_read)
            .ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Makes the recovered log known. A partition gets its log once.
    pub(crate) fn ready(&self, log: Log) {
        if self.log.set(log).is_err() {
            ottla_runtime::fail_stop(format!(
                "the log of {}-{} was opened twice; two owners would write into each other's data",
                self.topic, self.index
            ));
        }
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.term.borrow().leader_epoch
    }

    /// Who leads, and in which term.
    pub(crate) fn term(&self) -> Term {
        *self.term.borrow()
    }

    /// The controller's newest word.
    pub(crate) fn image(&self) -> Arc<PartitionImage> {
        Arc::clone(&self.replica.lock().image)
    }

    /// Compares the leader's term with the one that a client knows, if it says so (KIP-320).
    pub(crate) fn check_leader_epoch(&self, known: LeaderEpoch) -> Result<(), ErrorCode> {
        match known.cmp(&self.leader_epoch()) {
            _ if known == NO_LEADER_EPOCH => Ok(()),
            Ordering::Less => Err(ErrorCode::FencedLeaderEpoch),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
        }
    }

    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.read())
    }

    pub(crate) fn set_config(&self, config: Arc<TopicConfig>) {
        *self.config.write() = config;
        let replica = self.replica.lock();
        self.move_high_watermark(&replica);
    }

    /// Takes over the controller's word, as far as the log is open; `image` is none when only the
    /// log has become ready. Says what this broker has to do now.
    pub(crate) fn follow(&self, image: Option<&Arc<PartitionImage>>, broker_epoch: i64) -> Turn {
        let now_ms = self.clock.monotonic_ms();
        let mut replica = self.replica.lock();
        if let Some(image) = image {
            replica.image = Arc::clone(image);
        }
        let image = Arc::clone(&replica.image);
        let turn = match (self.log(), image.leader) {
            (None, _) | (Some(_), None) => Turn::Waits,
            (Some(_), Some(leader)) if leader == self.me => Turn::Leads(image.leader_epoch),
            (Some(_), Some(leader)) => Turn::Follows(leader, image.leader_epoch),
        };
        let before = std::mem::replace(&mut replica.turn, turn);
        match turn {
            Turn::Leads(_) if turn == before => {
                if let Role::Leader(state) = &mut replica.role {
                    state.update(membership(&image), now_ms);
                }
            }
            Turn::Leads(_) => {
                let me = InSync {
                    broker_id: self.me,
                    broker_epoch,
                };
                // Until the log's owner has begun the term nobody can say where it starts.
                let state = LeaderState::new(me, membership(&image), Offset::MAX, now_ms);
                replica.role = Role::Leader(state);
            }
            Turn::Same | Turn::Follows(..) | Turn::Waits => {
                replica.role = Role::Follower;
                if let (Turn::Leads(_), Some(log)) = (before, self.log()) {
                    // What was committed stays so; nothing more is, until the new leader says so.
                    log.set_replicated_offset(log.high_watermark());
                }
            }
        }
        self.move_high_watermark(&replica);
        self.set_term(&image, matches!(turn, Turn::Leads(_)));
        if turn == before { Turn::Same } else { turn }
    }

    /// Ends this broker's part: the partition is gone, or has moved away.
    pub(crate) fn retire(&self) {
        let mut replica = self.replica.lock();
        replica.role = Role::Follower;
        replica.turn = Turn::Waits;
        self.term.send_modify(|term| {
            term.leads_here = false;
            term.leader = None;
        });
    }

    fn set_term(&self, image: &PartitionImage, leads_here: bool) {
        let term = Term {
            leader_epoch: image.leader_epoch,
            leader: image.leader,
            leads_here,
        };
        self.term.send_if_modified(|now| {
            let changed = *now != term;
            *now = term;
            changed
        });
    }

    /// Says where the term begins in the log; from now on followers can join the replicas in sync.
    pub(crate) fn term_began(&self, leader_epoch: LeaderEpoch, start: Offset) {
        let mut replica = self.replica.lock();
        if let Role::Leader(state) = &mut replica.role
            && state.leader_epoch() == leader_epoch
        {
            state.set_epoch_start(start);
        }
    }

    /// Lets the high watermark follow what is in sync. The lock is held, so that an older value
    /// does not overtake a newer one.
    fn move_high_watermark(&self, replica: &Replica) {
        let (Role::Leader(state), Some(log)) = (&replica.role, self.log()) else {
            return;
        };
        let min_isr = usize::try_from(self.config.read().min_insync_replicas).unwrap_or(1);
        let replicated = state.replicated_offset(min_isr);
        log.set_replicated_offset(replicated.unwrap_or_else(|| log.high_watermark()));
    }

    /// Takes note of a follower's fetch; `true` when it might join those in sync.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` where this broker does not lead, `UNKNOWN_LEADER_EPOCH` when the
    /// broker that fetches is no replica, as far as is known here.
    pub(crate) fn fetched(
        &self,
        broker_id: BrokerId,
        broker_epoch: i64,
        fetch_offset: Offset,
        log_start: Offset,
    ) -> Result<bool, ErrorCode> {
        let log = self.leader_log()?;
        let now_ms = self.clock.monotonic_ms();
        let mut replica = self.replica.lock();
        let Role::Leader(state) = &mut replica.role else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        let end = log.log_end_offset();
        let fetch_offset = match Sabotage::CountsSent.is_on() {
            true => end,
            false => fetch_offset,
        };
        let known = state.fetched(
            broker_id,
            broker_epoch,
            fetch_offset,
            log_start,
            end,
            now_ms,
        );
        if !known {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        let may_join = !state.isr().contains(&broker_id);
        self.move_high_watermark(&replica);
        Ok(may_join)
    }

    /// Who should be in sync by now, if it is time to ask the controller for it.
    pub(crate) fn propose(
        &self,
        lag_max_ms: i64,
        may_join: impl Fn(BrokerId, i64) -> bool,
    ) -> Option<Proposal> {
        let log = self.leader_log().ok()?;
        let now_ms = self.clock.monotonic_ms();
        let offsets = log.offsets();
        let mut replica = self.replica.lock();
        let Role::Leader(state) = &mut replica.role else {
            return None;
        };
        let (high_watermark, end) = (offsets.high_watermark, offsets.log_end_offset);
        let proposal = state.propose(high_watermark, end, now_ms, lag_max_ms, may_join)?;
        // Who is proposed counts from now on.
        self.move_high_watermark(&replica);
        Some(proposal)
    }

    /// Takes note of what became of a proposal.
    pub(crate) fn proposal_answered(&self, proposal: &Proposal, outcome: ProposalOutcome) {
        let mut replica = self.replica.lock();
        if let Role::Leader(state) = &mut replica.role
            && state.leader_epoch() == proposal.leader_epoch
        {
            state.answered(proposal.partition_epoch, outcome);
            self.move_high_watermark(&replica);
        }
    }

    /// Whether the end of what is committed can be told: a new leader may not know yet how far its
    /// predecessor was, and must not let it go back (KIP-207).
    pub(crate) fn knows_its_end(&self) -> bool {
        let Some(log) = self.log() else { return false };
        let offsets = log.offsets();
        let start = self.with_leader(LeaderState::epoch_start);
        let start = start.map_or(offsets.log_end_offset, |s| s.min(offsets.log_end_offset));
        offsets.high_watermark >= start
    }

    /// Looks at the leader's state, where this broker leads.
    pub(crate) fn with_leader<T>(&self, look: impl FnOnce(&LeaderState) -> T) -> Option<T> {
        match &self.replica.lock().role {
            Role::Leader(state) => Some(look(state)),
            Role::Follower => None,
        }
    }

    /// Does something with the log as a follower in this very term; none when that is over. The log
    /// takes up its work in order, so that a later term as leader begins behind it.
    pub(crate) fn as_follower<T>(
        &self,
        leader_epoch: LeaderEpoch,
        work: impl FnOnce(&Log) -> T,
    ) -> Option<T> {
        let replica = self.replica.lock();
        let follows =
            matches!(replica.role, Role::Follower) && replica.image.leader_epoch == leader_epoch;
        self.log().filter(|_| follows).map(work)
    }

    /// Appends, and waits until all replicas in sync have it: what coordinators do.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` where this broker does not lead in the append's term any more: what
    /// became of the records is open then. `NOT_ENOUGH_REPLICAS` when too few are in sync.
    pub(crate) fn append_committed(
        self: &Arc<Self>,
        append: Append,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<Appended, ErrorCode>> + Send + 'static + use<> {
        let appending = self.begin_append(append, true);
        let partition = Arc::clone(self);
        async move {
            let (appending, leader_epoch) = appending?;
            let appended = appending.await;
            let appended = appended.map_err(|error| errors::of_append(&error).code)?;
            let commit = Commit {
                leader_epoch,
                timeout,
            };
            partition.committed(appended.last_offset, commit).await?;
            Ok(appended)
        }
    }

    /// Puts an append into the log's queue, where this broker leads in its term.
    fn begin_append(
        &self,
        append: Append,
        for_all: bool,
    ) -> Result<(AppendFuture, LeaderEpoch), ErrorCode> {
        let log = self.leader_log()?;
        let epoch = append.leader_epoch;
        if epoch != self.leader_epoch() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if for_all && !self.has_enough_in_sync() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        Ok((log.append(append), epoch))
    }

    /// Whether a record for all replicas in sync may be taken (`min.insync.replicas`).
    pub(crate) fn has_enough_in_sync(&self) -> bool {
        let replica = self.replica.lock();
        let Role::Leader(state) = &replica.role else {
            return false;
        };
        let min_isr = usize::try_from(self.config.read().min_insync_replicas).unwrap_or(1);
        state.in_sync_count() >= min_isr.min(replica.image.replicas.len())
    }

    /// Waits until everything up to `last_offset` is on all replicas in sync.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` when the term ends before, `REQUEST_TIMED_OUT` when the time does.
    pub(crate) async fn committed(
        &self,
        last_offset: Offset,
        commit: Commit,
    ) -> Result<(), ErrorCode> {
        let log = self.log().ok_or(ErrorCode::NotLeaderOrFollower)?;
        if log.high_watermark() > last_offset || Sabotage::AcknowledgesEarly.is_on() {
            return self.still_leads(commit.leader_epoch);
        }
        let wait = async {
            let (mut offsets, mut term) = (log.watch(), self.term.subscribe());
            loop {
                self.still_leads(commit.leader_epoch)?;
                // The term is looked at again behind this: as a follower the high watermark moves
                // over records that others have written in this place.
                tokio::select! {
                    biased;
                    reached = offsets.high_watermark_past(last_offset) => {
                        return match reached {
                            true => self.still_leads(commit.leader_epoch),
                            false => Err(ErrorCode::NotLeaderOrFollower),
                        };
                    }
                    changed = term.changed() => if changed.is_err() {
                        return Err(ErrorCode::NotLeaderOrFollower);
                    },
                }
            }
        };
        match commit.timeout {
            None => wait.await,
            Some(limit) => {
                let waited = self.clock.timeout(limit, wait).await;
                waited.unwrap_or(Err(ErrorCode::RequestTimedOut))
            }
        }
    }

    /// Waits until this broker does not lead in this term any more.
    pub(crate) async fn term_ended(&self, leader_epoch: LeaderEpoch) {
        let goes_on = |term: &Term| term.leads_here && term.leader_epoch == leader_epoch;
        let mut term = self.term.subscribe();
        // The sender lives as long as this partition.
        term.wait_for(|term| !goes_on(term)).await.ok();
    }

    fn still_leads(&self, leader_epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        let term = *self.term.borrow();
        let leads = term.leads_here && term.leader_epoch == leader_epoch;
        leads.then_some(()).ok_or(ErrorCode::NotLeaderOrFollower)
    }
}

fn membership(image: &PartitionImage) -> Membership {
    Membership {
        leader_epoch: image.leader_epoch,
        partition_epoch: image.partition_epoch,
        replicas: image.replicas.clone(),
        isr: image.isr.clone(),
        recovering: image.recovering,
    }
}
