//! How the rest of the node speaks to its member.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{
    ChangeMembershipError, ClientWriteError, ForwardToLeader, InitializeError,
    LinearizableReadError, RaftError,
};
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use openraft::vote::RaftLeaderId;
use openraft::{ChangeMembers, LinearizerOption, ReadPolicy};
use ottla_runtime::TaskKind;
use ottla_runtime::published::Published;
use tokio::sync::oneshot;

use crate::async_runtime::with_random;
use crate::error::{ChangeError, Error, ProposeError};
use crate::member::{Member, NodeId, Position};
use crate::openraft_config::{Command, LeaderId, Types};
use crate::service::Shared;
use crate::state::State;

/// An order to take over that was not followed for so long is given again.
const RESIGN_AGAIN_MS: u64 = 200;
/// How long a successor may take before the leader gives up waiting for it.
const TAKE_BACK_AFTER: Duration = Duration::from_secs(2);

/// A member, seen from the rest of its node. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    state: Published<State>,
}

/// An entry that is on its way.
#[must_use = "what became of the entry is told by `wait`"]
pub struct Proposal(oneshot::Receiver<ClientWriteResult<Types>>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, state: Published<State>) -> Self {
        Handle { shared, state }
    }

    /// What this member says about itself and its group.
    ///
    /// It is published after what [`StateMachine::applied`](crate::StateMachine::applied)
    /// publishes: whoever sees an applied position here sees its effects, too.
    #[must_use]
    pub fn state(&self) -> Published<State> {
        self.state.clone()
    }

    /// Puts an entry into the log, if this member is the leader of `term` ([`State::term`] at a
    /// moment when it was [ready](State::ready)).
    ///
    /// Entries have the order of the calls (of the moments when their futures are polled first).
    /// Any number of them may be under way; those that come together are written and flushed
    /// together.
    pub async fn propose(&self, term: u64, entry: Bytes) -> Result<Proposal, ProposeError> {
        let limit = self.shared.entry_bytes_max;
        if entry.len() > limit {
            let bytes = entry.len();
            return Err(ProposeError::TooLarge { bytes, limit });
        }
        if self.shared.store.is_full() {
            return Err(ProposeError::DiskFull);
        }
        let leader = LeaderId::new(term, self.shared.id).to_committed();
        let (responder, done) = ProgressResponder::complete_only();
        let write = self.shared.raft.write(Command(entry));
        let write = write.with_leader(leader).responder(responder);
        self.scoped(async { write.await })
            .await
            .map_err(|_stopped| ProposeError::Stopped)?;
        Ok(Proposal(done))
    }

    /// Answers a request that another member's [`Transport`](crate::Transport) has brought.
    ///
    /// An error means that the bytes are no request, and their connection should be closed. A
    /// request that is refused (another group, another volume) is answered; the answer says why.
    pub async fn receive(&self, request: Bytes) -> Result<Bytes, Error> {
        self.scoped(self.shared.receive(request)).await
    }

    /// Whether the group was founded, as far as this member's own log knows: what the
    /// [state](Handle::state) says too, but not in the first moments of
    /// [`Service`](crate::Service). Waits until that runs.
    pub async fn is_initialized(&self) -> Result<bool, Error> {
        let initialized = self.shared.raft.is_initialized();
        self.scoped(initialized).await.map_err(|_| Error::Stopped)
    }

    /// Stands for election at once, instead of after a silence: for the only voter of a group, which
    /// has nobody to wait for. Elsewhere it disturbs the leader.
    pub async fn elect(&self) -> Result<(), Error> {
        let trigger = self.shared.raft.trigger();
        let elected = self.scoped(trigger.elect(false));
        elected.await.map_err(|_stopped| Error::Stopped)
    }

    /// Founds the group with these voters. Each of them may be told so, with the same voters, and
    /// then they elect a leader; telling one of them is enough. A member that has a log already
    /// refuses.
    pub async fn initialize(&self, voters: BTreeMap<NodeId, Member>) -> Result<(), ChangeError> {
        let done = self.scoped(self.shared.raft.initialize(voters)).await;
        done.map_err(|error| match error {
            RaftError::APIError(InitializeError::NotAllowed(_)) => {
                ChangeError::Refused("the group was founded already".to_owned())
            }
            RaftError::APIError(InitializeError::NotInMembers(_)) => {
                let id = self.shared.id;
                ChangeError::Refused(format!("member {id} is not among the voters"))
            }
            RaftError::Fatal(_) => ChangeError::Stopped,
        })
    }

    /// Adds a member without a vote, and returns once the membership is committed, be the member
    /// reachable or not. A member that is there already keeps its endpoints and its directory.
    pub async fn add_learner(&self, id: NodeId, member: Member) -> Result<(), ChangeError> {
        if let Some(known) = self.state.get().member(id)
            && known.directory_id != member.directory_id
        {
            return Err(ChangeError::Refused(format!(
                "member {id} is there already, with directory {} instead of {}: remove it first",
                known.directory_id, member.directory_id
            )));
        }
        self.change(
            ChangeMembers::AddNodes(BTreeMap::from([(id, member)])),
            true,
        )
        .await
    }

    /// Gives a member other endpoints. Its directory must be the same.
    pub async fn update_member(&self, id: NodeId, member: Member) -> Result<(), ChangeError> {
        match self.state.get().member(id) {
            None => Err(ChangeError::Refused(format!("there is no member {id}"))),
            Some(known) if known.directory_id != member.directory_id => {
                Err(ChangeError::Refused(format!(
                    "member {id} has directory {} instead of {}: remove it and add it again",
                    known.directory_id, member.directory_id
                )))
            }
            Some(known) if *known == member => Ok(()),
            Some(_) => {
                let nodes = BTreeMap::from([(id, member)]);
                self.change(ChangeMembers::SetNodes(nodes), true).await
            }
        }
    }

    /// Gives votes to learners and takes votes from voters, in one step. Who loses the vote stays
    /// as a learner if `keep` says so.
    pub async fn change_voters(
        &self,
        add: BTreeSet<NodeId>,
        remove: BTreeSet<NodeId>,
        keep: bool,
    ) -> Result<(), ChangeError> {
        let state = self.state.get();
        let mut voters: BTreeSet<NodeId> = state.voters.keys().copied().collect();
        if let Some(stranger) = add.iter().find(|id| state.member(**id).is_none()) {
            return Err(ChangeError::Refused(format!(
                "member {stranger} is no learner: add it first"
            )));
        }
        voters.extend(add.iter().copied());
        voters.retain(|id| !remove.contains(id));
        if voters.is_empty() {
            return Err(ChangeError::Refused("a voter must be left".to_owned()));
        }
        let mut changes = Vec::new();
        if !add.is_empty() {
            changes.push(ChangeMembers::AddVoterIds(add));
        }
        if !remove.is_empty() {
            changes.push(ChangeMembers::RemoveVoters(remove));
        }
        self.change(ChangeMembers::Batch(changes), keep).await
    }

    /// Removes a member that has no vote.
    pub async fn remove_learner(&self, id: NodeId) -> Result<(), ChangeError> {
        if self.state.get().is_voter(id) {
            return Err(ChangeError::Refused(format!(
                "member {id} is a voter: take its vote first"
            )));
        }
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id])), false)
            .await
    }

    async fn change(
        &self,
        changes: ChangeMembers<NodeId, Member>,
        keep: bool,
    ) -> Result<(), ChangeError> {
        let done = self.scoped(self.shared.raft.change_membership(changes, keep));
        match done.await {
            Ok(_) => Ok(()),
            Err(RaftError::Fatal(_)) => Err(ChangeError::Stopped),
            Err(RaftError::APIError(error)) => Err(match error {
                ClientWriteError::ForwardToLeader(forward) => {
                    ChangeError::NotLeader(leader_of(forward))
                }
                ClientWriteError::LogEntryDiscarded(_) => ChangeError::Lost,
                ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => {
                    ChangeError::InProgress
                }
                other => ChangeError::Refused(other.to_string()),
            }),
        }
    }

    /// Hands the leadership to a voter. Returns when the order was given: whether it is followed
    /// is seen in the [state](Handle::state). On a member that is not the leader, or for the leader
    /// itself, nothing happens. When nobody has taken over after a while, the leader stands for
    /// election again.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), ChangeError> {
        let state = self.state.get();
        if !state.is_voter(to) {
            return Err(ChangeError::Refused(format!("member {to} is no voter")));
        }
        if to == self.shared.id {
            return Ok(());
        }
        let trigger = self.shared.raft.trigger();
        self.scoped(trigger.transfer_leader(to))
            .await
            .map_err(|_stopped| ChangeError::Stopped)?;
        if state.is_leader {
            self.take_back_after_a_while(state.term);
        }
        Ok(())
    }

    /// A leader that has given its office away takes no proposals any more, for as long as its term
    /// lasts: if nobody takes over, a new term has to begin.
    fn take_back_after_a_while(&self, term: u64) {
        let handle = self.clone();
        let runtime = self.shared.runtime.clone();
        let tasks = runtime.tasks.clone();
        let watching = async move {
            tokio::select! {
                biased;
                () = runtime.shutdown().announced() => return Ok(()),
                () = runtime.clock.sleep(TAKE_BACK_AFTER) => {}
            }
            let state = handle.state.get();
            if state.is_leader && state.term == term {
                tracing::info!(term, "nobody took over: standing for election again");
                handle.elect().await?;
            }
            Ok::<(), Error>(())
        };
        tasks.spawn(TaskKind::Housekeeping, "a transfer of leadership", watching);
    }

    /// Hands the leadership to whoever is best prepared, and waits until this member leads no more,
    /// which takes a few round trips. False when that did not come about in time; true at once on a
    /// member that does not lead.
    pub async fn resign(&self, limit: Duration) -> bool {
        let clock = &self.shared.runtime.clock;
        let mut state = self.state.clone();
        let resigning = async {
            loop {
                let now = state.get();
                if !now.is_leader {
                    return true;
                }
                let Some(to) = now.successor() else {
                    return false;
                };
                if self.transfer_leader(to).await.is_err() {
                    return false;
                }
                let patience = Duration::from_millis(RESIGN_AGAIN_MS);
                let gone = async { while state.get().is_leader && state.changed().await {} };
                clock.timeout(patience, gone).await;
            }
        };
        clock.timeout(limit, resigning).await.unwrap_or(false)
    }

    /// Makes sure that this member is the leader still (a majority says so after the call), and
    /// that everything that was committed before the call has been applied here. What is read then
    /// is not older than the call. Tells up to where entries were applied.
    pub async fn read_index(&self) -> Result<Option<Position>, ProposeError> {
        let option = LinearizerOption::from(ReadPolicy::ReadIndex);
        match self
            .scoped(self.shared.raft.ensure_linearizable(option))
            .await
        {
            Ok(_) => Ok(self.state.get().applied),
            Err(RaftError::Fatal(_)) => Err(ProposeError::Stopped),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(ProposeError::NotLeader(leader_of(forward)))
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                Err(ProposeError::NotLeader(None))
            }
        }
    }

    async fn scoped<F: Future>(&self, future: F) -> F::Output {
        with_random(self.shared.runtime.random.clone(), future).await
    }
}

impl Proposal {
    /// Waits until the entry is committed and applied here: where it stands in the log, and the
    /// state machine's reply.
    pub async fn wait(self) -> Result<(Position, Bytes), ProposeError> {
        match self.0.await {
            Ok(Ok(done)) => Ok((Position::of(&done.log_id), done.data)),
            Ok(Err(ClientWriteError::ForwardToLeader(forward))) => {
                Err(ProposeError::NotLeader(leader_of(forward)))
            }
            Ok(Err(_)) => Err(ProposeError::Lost),
            Err(_gone) => Err(ProposeError::Stopped),
        }
    }
}

fn leader_of(forward: ForwardToLeader<Types>) -> Option<(NodeId, Member)> {
    Some((forward.leader_id?, forward.leader_node?))
}
