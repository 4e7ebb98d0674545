//! What a member says about itself and its group.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_runtime::Clock;

use crate::member::{Member, NodeId, Position};

/// A member's view of its group, published whenever it changes.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Who this is.
    pub id: NodeId,
    /// The newest term that this member knows.
    pub term: u64,
    /// The leader of that term, if it is known.
    pub leader: Option<NodeId>,
    /// Whether this member is the leader. A leader that was cut off does not know it for a while:
    /// see [`State::ready`].
    pub is_leader: bool,
    /// Whether this member may decide what to propose: it is the leader, has applied everything
    /// that earlier leaders have committed, and a majority has answered lately. Proposals carry
    /// [`State::term`].
    pub ready: bool,
    /// Whether the group has a membership at all: false until [`Handle::initialize`](crate::Handle::initialize)
    /// was called here, or a leader has written to this member.
    pub initialized: bool,
    /// Who elects and commits. Both the old and the new voters while their change is under way.
    pub voters: Arc<BTreeMap<NodeId, Member>>,
    /// Whether a change of voters is under way.
    pub changing: bool,
    /// Who follows without a vote.
    pub learners: Arc<BTreeMap<NodeId, Member>>,
    /// The last entry of the log here.
    pub last_log: Option<u64>,
    /// The last entry that is known here to be committed.
    pub committed: Option<Position>,
    /// The last entry that was applied here.
    pub applied: Option<Position>,
    /// The last entry that the newest snapshot here holds.
    pub snapshot: Option<Position>,
    /// The other members as the leader sees them; empty elsewhere.
    pub peers: BTreeMap<NodeId, Peer>,
    /// When a majority answered last (the leader alone knows), on [`Clock::monotonic_ms`].
    pub quorum_ms: Option<i64>,
    /// Whether the disk has no room: nothing can be proposed here until it has.
    pub disk_full: bool,
}

/// A member as its leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// The last entry that it is known to have on disk.
    pub matched: Option<Position>,
    /// When it answered last, on [`Clock::monotonic_ms`].
    pub last_contact_ms: Option<i64>,
    /// When it had last caught up with all that was in the leader's log, on the same clock.
    pub caught_up_ms: Option<i64>,
}

impl State {
    /// Whether the member is a voter.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.contains_key(&id)
    }

    /// The member with the id, voter or learner.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.voters.get(&id).or_else(|| self.learners.get(&id))
    }

    /// The voter that has most of the log, if this member leads: the best one to hand over to.
    #[must_use]
    pub fn successor(&self) -> Option<NodeId> {
        let voters = self.peers.iter().filter(|(id, _)| self.is_voter(**id));
        let best = voters.max_by_key(|(id, peer)| (peer.matched, peer.last_contact_ms, **id));
        best.map(|(id, _)| *id)
    }

    /// The leader and where it is.
    #[must_use]
    pub fn leader_member(&self) -> Option<(NodeId, &Member)> {
        let id = self.leader?;
        Some((id, self.member(id)?))
    }
}

impl Peer {
    /// How long ago it answered last.
    #[must_use]
    pub fn silent_ms(&self, clock: &Clock) -> Option<i64> {
        Some(clock.monotonic_ms() - self.last_contact_ms?)
    }
}
