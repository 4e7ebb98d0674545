//! The states of a classic group.

/// Where a group stands.
///
/// ```text
///            first member joins              all joined             assignment durable
///   Empty ───────────────────▶ Preparing ──────────────▶ Completing ───────────────▶ Stable
///     ▲                        │  ▲  ▲                       │                          │
///     └── nobody has joined ───┘  │  └───────────────────────┘                          │
///                                 └───── a member comes, goes, or changes ──────────────┘
///   Empty ── no offsets left ──▶ Dead ── tombstone durable ──▶ forgotten
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupState {
    /// No members; the group lives on for its offsets.
    Empty,
    /// Members are called to join; those who have are parked.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited.
    CompletingRebalance,
    /// All members have their assignment.
    Stable,
    /// The group's tombstone is on its way to the log.
    Dead,
}

impl GroupState {
    /// Kafka's name of the state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
            GroupState::Dead => "Dead",
        }
    }

    /// Whether a group may go from this state to the other. Dead goes back to Empty when its
    /// tombstone could not be written.
    pub(crate) const fn may_become(self, next: GroupState) -> bool {
        use GroupState::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};
        matches!(
            (self, next),
            (PreparingRebalance | Dead, Empty)
                | (Stable | CompletingRebalance | Empty, PreparingRebalance)
                | (PreparingRebalance, CompletingRebalance)
                | (CompletingRebalance, Stable)
                | (Empty, Dead)
        )
    }
}
