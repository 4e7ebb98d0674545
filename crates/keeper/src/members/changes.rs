//! Who belongs to the ensemble: servers that join, volumes that were replaced, votes that come and
//! go. The leader makes these changes, one after the other.
//!
//! A server is known by its number and by the id of its volume's directory: one that comes back
//! with an empty volume takes the place of its old self, and is never taken for it.
//!
//! Any server of the right ensemble may follow without a vote, as in ZooKeeper. Votes have those
//! that the replicated configuration lists as participants, as far as they are there and have
//! caught up.

mod office;
mod reconfig;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_raft::{Endpoint, Member, NodeId, State};
use ottla_runtime::mailbox::{Caller, Inbox, mailbox};
use ottla_runtime::published::Published;
use ottla_runtime::{Runtime, Service, Shutdown};

use super::questions::JoinRefusal;
use office::Office;

const MAILBOX_CAPACITY: usize = 64;
/// How often the leader compares votes with the configuration.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A change that takes longer goes on by itself; meanwhile there can be no other one.
const CHANGE_LIMIT: Duration = Duration::from_secs(10);
/// The most servers of an ensemble: their numbers were one byte long once.
const MEMBERS_MAX: usize = 255;

/// A server that wants to be a member.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) id: NodeId,
    pub(crate) member: Member,
    pub(crate) wants_vote: bool,
}

/// Another ensemble, as `reconfig` wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconfigured {
    /// Those who vote.
    pub participants: BTreeSet<NodeId>,
    /// Those who follow without a vote.
    pub observers: BTreeSet<NodeId>,
    /// Where servers are reached, as far as that is said anew.
    pub addresses: BTreeMap<NodeId, Vec<Endpoint>>,
}

/// Why the ensemble was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A majority of the new participants is not there, or one of them has not caught up
    /// (`NEWCONFIGNOQUORUM`).
    #[error("the new ensemble would have no quorum: {0}")]
    NewConfigNoQuorum(String),
    /// An earlier change is still under way (`RECONFIGINPROGRESS`).
    #[error("another change of the ensemble is still under way: wait for it")]
    InProgress,
    /// This server does not lead, or not any more: the fate of the change is open.
    #[error("this server does not lead the ensemble")]
    NotLeader,
    /// The change makes no sense.
    #[error("{0}")]
    Refused(String),
}

/// Where changes are asked for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Membership {
    joins: Caller<Join, Result<(), JoinRefusal>>,
    changes: Caller<Reconfigured, Result<(), ChangeError>>,
    id: NodeId,
}

/// The running half.
pub(crate) struct Changes {
    runtime: Runtime,
    raft: ottla_raft::Handle,
    state: Published<State>,
    joins: Inbox<Join, Result<(), JoinRefusal>>,
    changes: Inbox<Reconfigured, Result<(), ChangeError>>,
    /// Those that the replicated configuration lists as participants; empty while that is unknown.
    participants: Published<BTreeSet<NodeId>>,
    office: Option<Office>,
}

impl Membership {
    /// Both halves.
    pub(crate) fn new(
        runtime: &Runtime,
        raft: &ottla_raft::Handle,
        participants: Published<BTreeSet<NodeId>>,
    ) -> (Changes, Membership) {
        let (joins, joins_inbox) = mailbox(MAILBOX_CAPACITY);
        let (changes, changes_inbox) = mailbox(MAILBOX_CAPACITY);
        let state = raft.state();
        let id = state.get().id;
        let running = Changes {
            runtime: runtime.clone(),
            raft: raft.clone(),
            state,
            joins: joins_inbox,
            changes: changes_inbox,
            participants,
            office: None,
        };
        let membership = Membership { joins, changes, id };
        (running, membership)
    }

    /// Makes a server a member, or takes over where it is now. The leader alone can do that.
    pub(crate) async fn join(&self, join: Join) -> Result<(), JoinRefusal> {
        let answer = self.joins.call(join).await;
        answer.unwrap_or(Err(JoinRefusal::NotLeader(self.id)))
    }

    /// Changes the ensemble.
    pub(crate) async fn change(&self, to: Reconfigured) -> Result<(), ChangeError> {
        let answer = self.changes.call(to).await;
        answer.unwrap_or(Err(ChangeError::NotLeader))
    }
}

impl Service for Changes {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let mut next_look = self.runtime.clock.instant() + LOOK_EVERY;
        loop {
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                () = self.step(&mut next_look) => {}
            }
        }
    }
}

impl Changes {
    /// The next thing to do, from its occasion to its end.
    async fn step(&mut self, next_look: &mut ottla_runtime::Instant) {
        tokio::select! {
            biased;
            Some((join, to)) = self.joins.recv() => to.send(self.join(join).await),
            Some((change, to)) = self.changes.recv() => to.send(self.reconfigure(change).await),
            () = self.runtime.clock.sleep_until(*next_look) => {
                self.look().await;
                *next_look = self.runtime.clock.instant() + LOOK_EVERY;
            }
        }
    }

    /// What this server knows as the leader; nothing when it is not.
    fn office(&mut self) -> Option<std::sync::Arc<State>> {
        let state = self.state.get();
        let now_ms = self.runtime.clock.monotonic_ms();
        Office::update(&mut self.office, &state, now_ms);
        state.is_leader.then_some(state)
    }

    async fn join(&mut self, join: Join) -> Result<(), JoinRefusal> {
        let Some(state) = self.office() else {
            return Err(JoinRefusal::NotLeader(self.state.get().id));
        };
        let Join {
            id,
            member,
            wants_vote,
        } = join;
        let known = state.member(id);
        match known {
            Some(known) if *known == member => return Ok(()),
            Some(known) if known.directory_id == member.directory_id => {
                let moved = self.raft.update_member(id, member);
                self.limited(moved).await.map_err(not_now)?;
            }
            Some(known) => self.replace(&state, id, known, member).await?,
            None => self.add(&state, id, member).await?,
        }
        if wants_vote && known.is_none() && !self.participants.get().contains(&id) {
            tracing::info!(
                server = id,
                "a server has joined without a vote: it is no participant until `reconfig` makes it one"
            );
        }
        Ok(())
    }

    async fn add(&self, state: &State, id: NodeId, member: Member) -> Result<(), JoinRefusal> {
        let count = state.voters.len() + state.learners.len();
        if count >= MEMBERS_MAX {
            let reason = format!("the ensemble has {count} members already, which is the most");
            return Err(JoinRefusal::NotNow(reason));
        }
        tracing::info!(server = id, %member, "a server joins the ensemble");
        let adding = self.raft.add_learner(id, member);
        self.limited(adding).await.map_err(not_now)
    }

    /// Another volume takes the place of one that is gone. Its vote comes back once it has caught
    /// up.
    async fn replace(
        &self,
        state: &State,
        id: NodeId,
        old: &Member,
        member: Member,
    ) -> Result<(), JoinRefusal> {
        let (old, new) = (old.directory_id, member.directory_id);
        let now_ms = self.runtime.clock.monotonic_ms();
        let office = self.office.as_ref();
        if id == state.id || office.is_none_or(|office| office.may_be_alive(state, id, now_ms)) {
            return Err(JoinRefusal::Taken(format!(
                "a living server {id} belongs to the ensemble with directory {old}, and the one \
                 that wants to join has directory {new}: give one of them another myid, or wait \
                 until the old one has been silent for a while"
            )));
        }
        tracing::warn!(server = id, %old, %new, "a server has come back with another volume");
        if state.is_voter(id) {
            let remove = BTreeSet::from([id]);
            let removing = self.raft.change_voters(BTreeSet::new(), remove, false);
            self.limited(removing).await.map_err(not_now)?;
        } else {
            let removing = self.raft.remove_learner(id);
            self.limited(removing).await.map_err(not_now)?;
        }
        let adding = self.raft.add_learner(id, member);
        self.limited(adding).await.map_err(not_now)
    }

    /// Waits for a change of the group, but not for ever: without a majority it would not end.
    fn limited(
        &self,
        changing: impl Future<Output = Result<(), ottla_raft::ChangeError>> + Send,
    ) -> impl Future<Output = Result<(), ChangeError>> + Send {
        // The member's futures are large.
        let changing = Box::pin(changing);
        async {
            let done = self.runtime.clock.timeout(CHANGE_LIMIT, changing).await;
            done.ok_or(ChangeError::InProgress)?
                .map_err(ChangeError::of)
        }
    }
}

impl ChangeError {
    fn of(error: ottla_raft::ChangeError) -> Self {
        match error {
            ottla_raft::ChangeError::InProgress => ChangeError::InProgress,
            ottla_raft::ChangeError::NotLeader(_)
            | ottla_raft::ChangeError::Lost
            | ottla_raft::ChangeError::Stopped => ChangeError::NotLeader,
            ottla_raft::ChangeError::Refused(reason) => ChangeError::Refused(reason),
        }
    }
}

fn not_now(error: ChangeError) -> JoinRefusal {
    JoinRefusal::NotNow(error.to_string())
}
