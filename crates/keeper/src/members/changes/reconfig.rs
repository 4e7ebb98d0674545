//! Votes and addresses: as `reconfig` wants them, and as the replicated configuration has them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use ottla_raft::{Member, NodeId, State};

use super::office::Office;
use super::{ChangeError, Changes, Reconfigured};

/// How long `reconfig` waits for a new participant that is there but has not caught up.
const CATCH_UP: Duration = Duration::from_secs(2);
/// A server without a vote is forgotten when it has been silent for so long. If it comes back, it
/// joins anew.
const FORGET_MS: i64 = 300_000;

impl Changes {
    /// Changes the ensemble as `reconfig` wants it.
    pub(super) async fn reconfigure(&mut self, to: Reconfigured) -> Result<(), ChangeError> {
        let state = self.office().ok_or(ChangeError::NotLeader)?;
        if state.changing {
            return Err(ChangeError::InProgress);
        }
        check(&to)?;
        let state = self.await_participants(&to.participants).await?;
        for (id, endpoints) in &to.addresses {
            // Whoever is not there yet says itself where it is, once it joins.
            let Some(known) = state.member(*id) else {
                continue;
            };
            let moved = Member {
                endpoints: endpoints.clone(),
                ..known.clone()
            };
            self.limited(self.raft.update_member(*id, moved)).await?;
        }
        let now_ms = self.runtime.clock.monotonic_ms();
        // Whoever is not there yet gets its vote when it has come and caught up.
        let (add, remove) = votes(&state, &to.participants, now_ms);
        self.change_votes(add, remove).await?;
        let now_ms = self.runtime.clock.monotonic_ms();
        if let Some(office) = &mut self.office {
            office.grant(to.participants.clone(), now_ms);
        }
        self.forget_dead(&to).await;
        Ok(())
    }

    /// Waits a little until the new participants that are there have caught up. A majority of all
    /// participants must be there and have everything, as ZooKeeper wants it: else the new ensemble
    /// could not even agree on the change. The others may come later.
    async fn await_participants(
        &self,
        participants: &BTreeSet<NodeId>,
    ) -> Result<std::sync::Arc<State>, ChangeError> {
        let deadline = self.runtime.clock.instant() + CATCH_UP;
        let mut published = self.state.clone();
        loop {
            let state = published.get();
            if !state.is_leader {
                return Err(ChangeError::NotLeader);
            }
            let now_ms = self.runtime.clock.monotonic_ms();
            let missing = Missing::of(&state, participants, now_ms);
            if missing.late.is_empty() && missing.leaves_majority(participants) {
                return Ok(state);
            }
            tokio::select! {
                biased;
                is_alive = published.changed() => if !is_alive {
                    return Err(ChangeError::NotLeader);
                },
                () = self.runtime.clock.sleep_until(deadline) => {
                    return match missing.leaves_majority(participants) {
                        true => Ok(state),
                        false => Err(ChangeError::NewConfigNoQuorum(missing.to_string())),
                    };
                }
            }
        }
    }

    async fn change_votes(
        &self,
        add: BTreeSet<NodeId>,
        remove: BTreeSet<NodeId>,
    ) -> Result<(), ChangeError> {
        if add.is_empty() && remove.is_empty() {
            return Ok(());
        }
        let changing = self.raft.change_voters(add.clone(), remove.clone(), true);
        self.limited(changing).await?;
        tracing::info!(?add, ?remove, "servers have got or lost their vote");
        Ok(())
    }

    /// Those that the new ensemble does not name are members no more, unless they are alive: then
    /// they go on following without a vote, as in ZooKeeper, and are forgotten later.
    async fn forget_dead(&self, to: &Reconfigured) {
        let state = self.state.get();
        let now_ms = self.runtime.clock.monotonic_ms();
        let Some(office) = &self.office else { return };
        let learners = state.learners.keys().copied();
        let dead: Vec<NodeId> = learners
            .filter(|id| !to.participants.contains(id) && !to.observers.contains(id))
            .filter(|id| !office.may_be_alive(&state, *id, now_ms))
            .collect();
        for id in dead {
            self.forget(id).await;
        }
    }

    async fn forget(&self, id: NodeId) {
        match self.limited(self.raft.remove_learner(id)).await {
            Ok(()) => tracing::info!(server = id, "a server that is gone is no member any more"),
            // It is looked at again later.
            Err(error) => tracing::debug!(server = id, %error, "a server is still a member"),
        }
    }

    /// Compares the members with the replicated configuration, and does one thing that is missing.
    pub(super) async fn look(&mut self) {
        let Some(state) = self.office() else { return };
        let now_ms = self.runtime.clock.monotonic_ms();
        let listed = self.participants.get();
        let Some(office) = &mut self.office else {
            return;
        };
        let wanted = office.wanted(&listed, now_ms);
        if !state.ready || state.changing || wanted.is_empty() {
            return;
        }
        let (add, remove) = votes(&state, &wanted, now_ms);
        if !add.is_empty() || !remove.is_empty() {
            if let Err(error) = self.change_votes(add, remove).await {
                tracing::debug!(%error, "votes could not be changed");
            }
            return;
        }
        let learners = state.learners.keys().copied();
        let gone = learners
            .filter(|id| !wanted.contains(id))
            .find(|id| office.silent_ms(&state, *id, now_ms) >= FORGET_MS);
        if let Some(id) = gone {
            self.forget(id).await;
        }
    }
}

/// Participants of a new ensemble that could not agree on anything now.
#[derive(Debug, Default, PartialEq, Eq)]
struct Missing {
    /// They do not answer, or were never there.
    absent: BTreeSet<NodeId>,
    /// They answer, and do not have everything yet.
    late: BTreeSet<NodeId>,
}

impl Missing {
    fn of(state: &State, participants: &BTreeSet<NodeId>, now_ms: i64) -> Self {
        let mut missing = Missing::default();
        for &id in participants {
            if state.member(id).is_none() || !Office::is_alive(state, id, now_ms) {
                missing.absent.insert(id);
            } else if !state.is_voter(id) && !Office::has_caught_up(state, id) {
                missing.late.insert(id);
            }
        }
        missing
    }

    fn leaves_majority(&self, participants: &BTreeSet<NodeId>) -> bool {
        let missing = self.absent.len() + self.late.len();
        participants.len() - missing > participants.len() / 2
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { absent, late } = self;
        write!(
            f,
            "the servers {absent:?} do not answer, and {late:?} have not caught up yet; start them \
             with lines server.N for the servers of this ensemble, and try again"
        )
    }
}

fn check(to: &Reconfigured) -> Result<(), ChangeError> {
    if to.participants.is_empty() {
        let reason = "an ensemble needs a participant";
        return Err(ChangeError::Refused(reason.to_owned()));
    }
    if let Some(id) = to.participants.intersection(&to.observers).next() {
        let reason = format!("server {id} cannot be both a participant and an observer");
        return Err(ChangeError::Refused(reason));
    }
    let nowhere = to.addresses.iter().find(|(_, at)| at.is_empty());
    if let Some((id, _)) = nowhere {
        return Err(ChangeError::Refused(format!("server {id} has no address")));
    }
    Ok(())
}

/// Who gets a vote and who loses it, so that those who should have one come to have it.
fn votes(
    state: &State,
    wanted: &BTreeSet<NodeId>,
    now_ms: i64,
) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    let learners = state.learners.keys().filter(|id| wanted.contains(id));
    let add: BTreeSet<NodeId> = learners
        .filter(|id| Office::is_alive(state, **id, now_ms) && Office::has_caught_up(state, **id))
        .copied()
        .collect();
    let voters = state.voters.keys().filter(|id| wanted.contains(id));
    let left: BTreeSet<NodeId> = voters.chain(&add).copied().collect();
    // Votes go only when those who stay are most of the wanted ones, and could agree.
    let can_remove =
        left.len() > wanted.len() / 2 && Office::majority_is_alive(state, &left, now_ms);
    let remove = state.voters.keys().filter(|id| !wanted.contains(id));
    let remove = remove.filter(|_| can_remove).copied().collect();
    (add, remove)
}

#[cfg(test)]
mod tests;
