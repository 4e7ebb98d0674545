//! What the leader of one term knows of the others.

use std::collections::BTreeSet;

use ottla_raft::{NodeId, State};

/// A server that has answered within this time is alive.
const ALIVE_MS: i64 = 2_000;
/// A learner that lacks no more than so many entries has caught up.
const BEHIND_MAX: u64 = 1_000;
/// A change that was made for `reconfig` holds for so long although the replicated configuration
/// does not say so yet.
const GRANTED_FOR_MS: i64 = 30_000;

/// The leader's office in one term.
pub(super) struct Office {
    term: u64,
    /// Before it has led for a while, a leader cannot know who is dead.
    since_ms: i64,
    /// Participants of a `reconfig` whose configuration is still on its way, and until when.
    granted: Option<(BTreeSet<NodeId>, i64)>,
}

impl Office {
    /// Begins or ends an office, as the state says.
    pub(super) fn update(office: &mut Option<Office>, state: &State, now_ms: i64) {
        if !state.is_leader {
            *office = None;
        } else if office
            .as_ref()
            .is_none_or(|office| office.term != state.term)
        {
            *office = Some(Office {
                term: state.term,
                since_ms: now_ms,
                granted: None,
            });
        }
    }

    /// For how long a server is known to have been silent.
    pub(super) fn silent_ms(&self, state: &State, id: NodeId, now_ms: i64) -> i64 {
        if id == state.id {
            return 0;
        }
        let heard_ms = state.peers.get(&id).and_then(|peer| peer.last_contact_ms);
        now_ms - heard_ms.map_or(self.since_ms, |heard_ms| heard_ms.max(self.since_ms))
    }

    /// Whether a server is not known to be dead.
    pub(super) fn may_be_alive(&self, state: &State, id: NodeId, now_ms: i64) -> bool {
        self.silent_ms(state, id, now_ms) < ALIVE_MS
    }

    /// Whether a server has answered lately.
    pub(super) fn is_alive(state: &State, id: NodeId, now_ms: i64) -> bool {
        let heard_ms = state.peers.get(&id).and_then(|peer| peer.last_contact_ms);
        id == state.id || heard_ms.is_some_and(|heard_ms| now_ms - heard_ms < ALIVE_MS)
    }

    /// Whether a majority of these servers has answered lately.
    pub(super) fn majority_is_alive(state: &State, ids: &BTreeSet<NodeId>, now_ms: i64) -> bool {
        let alive = ids
            .iter()
            .filter(|id| Office::is_alive(state, **id, now_ms));
        alive.count() > ids.len() / 2
    }

    /// Whether a server has (nearly) all that is in the log.
    pub(super) fn has_caught_up(state: &State, id: NodeId) -> bool {
        let last = state.last_log.unwrap_or(0);
        let matched = state.peers.get(&id).and_then(|peer| peer.matched);
        id == state.id || matched.is_some_and(|at| last.saturating_sub(at.index) <= BEHIND_MAX)
    }

    /// A `reconfig` has given these the vote.
    pub(super) fn grant(&mut self, participants: BTreeSet<NodeId>, now_ms: i64) {
        self.granted = Some((participants, now_ms + GRANTED_FOR_MS));
    }

    /// Who should have a vote, where the replicated configuration lists these.
    pub(super) fn wanted(&mut self, listed: &BTreeSet<NodeId>, now_ms: i64) -> BTreeSet<NodeId> {
        self.granted = self
            .granted
            .take()
            .filter(|(granted, until_ms)| granted != listed && now_ms < *until_ms);
        let granted = self.granted.as_ref().map(|(granted, _)| granted);
        granted.unwrap_or(listed).clone()
    }
}
