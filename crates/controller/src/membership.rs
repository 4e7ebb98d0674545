//! Who belongs to the quorum: nodes that join, volumes that were replaced, voters that come and go.
//!
//! The leader makes these changes one after the other. A node is known by its `node.id` and by the
//! `directory.id` of its volume (KIP-853): one that comes back with an empty volume takes the place
//! of its old self, and is never taken for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_metadata::Refusal;
use ottla_model::{ErrorCode, Uuid};
use ottla_raft::{ChangeError, Member, NodeId, State};
use ottla_runtime::mailbox::{Caller, Inbox, mailbox};
use ottla_runtime::published::Published;
use ottla_runtime::{Runtime, Service, Shutdown};

const MAILBOX_CAPACITY: usize = 256;
/// A member that answered within this time is alive: nobody may take its place.
const ALIVE_MS: i64 = 2000;
/// A learner that lacks no more than so many entries has caught up.
const BEHIND_MAX: u64 = 1000;
/// How long a change waits for a learner to catch up; whoever joins asks again after that.
const CATCH_UP: Duration = Duration::from_millis(1500);

/// A node that wants to be a member.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) id: NodeId,
    pub(crate) member: Member,
    pub(crate) wants_vote: bool,
}

enum Change {
    Join(Join),
    AddVoter { id: NodeId, member: Member },
    RemoveVoter { id: NodeId, directory_id: Uuid },
}

/// Where changes of the quorum are asked for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Membership(Caller<Change, Result<(), Refusal>>);

/// The running half.
pub(crate) struct Changes {
    runtime: Runtime,
    raft: ottla_raft::Handle,
    state: Published<State>,
    inbox: Inbox<Change, Result<(), Refusal>>,
    /// The term in which this node leads, and when that was first seen: before it has led for a
    /// while, it cannot know who is dead.
    office: Option<(u64, i64)>,
    /// Voters whose volume was replaced, with the new one: they get their vote back.
    owed: BTreeMap<NodeId, Uuid>,
}

impl Membership {
    /// Both halves.
    pub(crate) fn new(runtime: &Runtime, raft: &ottla_raft::Handle) -> (Changes, Membership) {
        let (caller, inbox) = mailbox(MAILBOX_CAPACITY);
        let changes = Changes {
            runtime: runtime.clone(),
            state: raft.state(),
            raft: raft.clone(),
            inbox,
            office: None,
            owed: BTreeMap::new(),
        };
        (changes, Membership(caller))
    }

    /// Makes a node a member, or gives it what it lacks. The leader alone can do that.
    pub(crate) async fn join(&self, join: Join) -> Result<(), Refusal> {
        self.ask(Change::Join(join)).await
    }

    /// Gives a vote to a node (KIP-853).
    pub(crate) async fn add_voter(&self, id: NodeId, member: Member) -> Result<(), Refusal> {
        self.ask(Change::AddVoter { id, member }).await
    }

    /// Takes a node's vote (KIP-853). It stays a member, as brokers are.
    pub(crate) async fn remove_voter(&self, id: NodeId, directory_id: Uuid) -> Result<(), Refusal> {
        self.ask(Change::RemoveVoter { id, directory_id }).await
    }

    async fn ask(&self, change: Change) -> Result<(), Refusal> {
        let stopping = |_| Refusal::new(ErrorCode::NotController, "The node is stopping.");
        self.0.call(change).await.map_err(stopping)?
    }
}

impl Service for Changes {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                next = self.inbox.recv() => next,
            };
            let Some((change, to)) = next else {
                return Ok(());
            };
            let done = tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                done = self.change(change) => done,
            };
            to.send(done);
        }
    }
}

impl Changes {
    async fn change(&mut self, change: Change) -> Result<(), Refusal> {
        let state = self.state.get();
        if !state.is_leader {
            self.owed.clear();
            self.office = None;
            return Err(not_leader());
        }
        if self.office.is_none_or(|(term, _)| term != state.term) {
            self.office = Some((state.term, self.runtime.clock.monotonic_ms()));
        }
        match change {
            Change::Join(join) => self.join(&state, join).await,
            Change::AddVoter { id, member } => self.add_voter(&state, id, member).await,
            Change::RemoveVoter { id, directory_id } => {
                self.remove_voter(&state, id, directory_id).await
            }
        }
    }

    async fn join(&mut self, state: &State, join: Join) -> Result<(), Refusal> {
        let Join {
            id,
            member,
            wants_vote,
        } = join;
        let directory_id = member.directory_id;
        match state.member(id) {
            None => self.raft.add_learner(id, member).await.map_err(refusal)?,
            Some(known) if known.directory_id == directory_id => {
                self.raft.update_member(id, member).await.map_err(refusal)?;
            }
            Some(known) => self.replace(state, id, known.directory_id, member).await?,
        }
        let owed = self.owed.get(&id) == Some(&directory_id);
        if (wants_vote || owed) && !self.state.get().is_voter(id) {
            self.promote(id).await?;
            self.owed.remove(&id);
        }
        Ok(())
    }

    /// Another volume takes the place of a member that is dead.
    async fn replace(
        &mut self,
        state: &State,
        id: NodeId,
        old: Uuid,
        member: Member,
    ) -> Result<(), Refusal> {
        let new = member.directory_id;
        if id == state.id || self.is_alive(state, id) {
            let message = format!(
                "node.id {id} is taken: a live node has it with directory.id {old}, and the one \
                 that wants to join with directory.id {new}. Give one of them another node.id."
            );
            return Err(Refusal::new(
                ErrorCode::DuplicateBrokerRegistration,
                message,
            ));
        }
        tracing::warn!(node = id, %old, %new, "a member came back with another volume");
        if state.is_voter(id) {
            let changed = self
                .raft
                .change_voters(BTreeSet::new(), BTreeSet::from([id]), false)
                .await;
            changed.map_err(refusal)?;
            self.owed.insert(id, new);
        } else {
            self.raft.remove_learner(id).await.map_err(refusal)?;
        }
        self.raft.add_learner(id, member).await.map_err(refusal)
    }

    fn is_alive(&self, state: &State, id: NodeId) -> bool {
        let now_ms = self.runtime.clock.monotonic_ms();
        if self
            .office
            .is_none_or(|(_, since_ms)| now_ms - since_ms < ALIVE_MS)
        {
            return true;
        }
        let peer = state.peers.get(&id);
        let silent_ms = peer.and_then(|peer| peer.silent_ms(&self.runtime.clock));
        silent_ms.is_some_and(|ms| ms < ALIVE_MS)
    }

    /// Gives a learner its vote once it has caught up.
    async fn promote(&self, id: NodeId) -> Result<(), Refusal> {
        let deadline = self.runtime.clock.instant() + CATCH_UP;
        let mut state = self.state.clone();
        while !has_caught_up(&state.get(), id) {
            tokio::select! {
                biased;
                alive = state.changed() => if !alive {
                    return Err(not_leader());
                },
                () = self.runtime.clock.sleep_until(deadline) => {
                    let message = format!("Node {id} has not caught up yet; try again later.");
                    return Err(Refusal::new(ErrorCode::RequestTimedOut, message));
                }
            }
        }
        let changed = self
            .raft
            .change_voters(BTreeSet::from([id]), BTreeSet::new(), true)
            .await;
        changed.map_err(refusal)?;
        tracing::info!(node = id, "a controller is a voter of the quorum now");
        Ok(())
    }

    async fn add_voter(
        &mut self,
        state: &State,
        id: NodeId,
        member: Member,
    ) -> Result<(), Refusal> {
        if let Some(voter) = state.voters.get(&id) {
            let message = format!(
                "Node {id} is a voter already, with directory.id {}; the request names {}.",
                voter.directory_id, member.directory_id
            );
            return Err(Refusal::new(ErrorCode::DuplicateVoter, message));
        }
        match state.member(id) {
            // What the node itself has said of its endpoints counts.
            Some(known) if known.directory_id == member.directory_id => {}
            Some(known) => {
                let message = format!(
                    "Node {id} is a member with directory.id {}, not {}; write that one.",
                    known.directory_id, member.directory_id
                );
                return Err(Refusal::new(ErrorCode::InvalidVoterKey, message));
            }
            None => self.raft.add_learner(id, member).await.map_err(refusal)?,
        }
        self.promote(id).await
    }

    async fn remove_voter(
        &mut self,
        state: &State,
        id: NodeId,
        directory_id: Uuid,
    ) -> Result<(), Refusal> {
        match state.voters.get(&id) {
            Some(voter) if voter.directory_id == directory_id => {}
            Some(voter) => {
                let message = format!(
                    "Node {id} is a voter with directory.id {}, not {directory_id}; write that one.",
                    voter.directory_id
                );
                return Err(Refusal::new(ErrorCode::VoterNotFound, message));
            }
            None => {
                let message = format!("Node {id} is no voter.");
                return Err(Refusal::new(ErrorCode::VoterNotFound, message));
            }
        }
        if state.voters.len() == 1 {
            let message = format!(
                "Node {id} is the only voter: without it nobody would keep the metadata. Add \
                 another one first."
            );
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        let changed = self
            .raft
            .change_voters(BTreeSet::new(), BTreeSet::from([id]), true)
            .await;
        changed.map_err(refusal)?;
        tracing::info!(node = id, "a controller is no voter of the quorum any more");
        Ok(())
    }
}

fn has_caught_up(state: &State, id: NodeId) -> bool {
    let last = state.last_log.unwrap_or(0);
    let matched = state.peers.get(&id).and_then(|peer| peer.matched);
    matched.is_some_and(|at| last.saturating_sub(at.index) <= BEHIND_MAX)
}

fn not_leader() -> Refusal {
    let message = "This node does not lead the metadata quorum.";
    Refusal::new(ErrorCode::NotController, message)
}

fn refusal(error: ChangeError) -> Refusal {
    let code = match &error {
        ChangeError::NotLeader(_) | ChangeError::Stopped => ErrorCode::NotController,
        ChangeError::InProgress | ChangeError::Lost => ErrorCode::RequestTimedOut,
        ChangeError::Refused(_) => ErrorCode::InvalidRequest,
    };
    Refusal::new(code, format!("The quorum was not changed: {error}."))
}
