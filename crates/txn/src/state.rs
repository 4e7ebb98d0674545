//! The states of a transactional id.

/// Where a transactional id stands.
///
/// ```text
///                 AddPartitions              EndTxn                markers everywhere
///   Empty ───────────────▶ Ongoing ─────▶ PrepareCommit ─────────▶ CompleteCommit ──┐
///     ▲                    │  ▲  └──────▶ PrepareAbort  ─────────▶ CompleteAbort ───┤
///     │                    └──┘ AddPartitions   ▲  ▲                                │
///     │                                         │  └─ EndTxn(abort), version 2 ─────┤
///     │                       InitProducerId or timeout, while Ongoing              │
///     ├───────────────────────────── InitProducerId ────────────────────────────────┤
///     │                                                      AddPartitions ▶ Ongoing┘
///   Empty, CompleteCommit, CompleteAbort ── unused for long ──▶ Dead ──▶ forgotten
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransactionState {
    /// A producer has its id, and no transaction.
    Empty,
    /// A transaction has partitions.
    Ongoing,
    /// It will be committed; markers are on their way.
    PrepareCommit,
    /// It will be aborted; markers are on their way.
    PrepareAbort,
    /// It was committed, and every partition knows.
    CompleteCommit,
    /// It was aborted, and every partition knows.
    CompleteAbort,
    /// The id's tombstone is on its way to the log.
    Dead,
    /// Kafka's name for the moment between the fencing of a producer and the abort of its
    /// transaction. Both are one step here; the name remains for filters.
    PrepareEpochFence,
}

use TransactionState::{
    CompleteAbort, CompleteCommit, Dead, Empty, Ongoing, PrepareAbort, PrepareCommit,
    PrepareEpochFence,
};

const ALL: [TransactionState; 8] = [
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    Dead,
    PrepareEpochFence,
];

impl TransactionState {
    /// Kafka's name of the state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Empty => "Empty",
            Ongoing => "Ongoing",
            PrepareCommit => "PrepareCommit",
            PrepareAbort => "PrepareAbort",
            CompleteCommit => "CompleteCommit",
            CompleteAbort => "CompleteAbort",
            Dead => "Dead",
            PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|s| s.name() == name)
    }

    /// Its number in records.
    pub(crate) const fn id(self) -> i8 {
        match self {
            Empty => 0,
            Ongoing => 1,
            PrepareCommit => 2,
            PrepareAbort => 3,
            CompleteCommit => 4,
            CompleteAbort => 5,
            Dead => 6,
            PrepareEpochFence => 7,
        }
    }

    /// The state that a record has. The last two are never written.
    pub(crate) fn from_record(id: i8) -> Option<Self> {
        let written = |s: &TransactionState| !matches!(s, Dead | PrepareEpochFence);
        ALL.into_iter().filter(written).find(|s| s.id() == id)
    }

    /// Whether a transaction in this state holds up readers of committed records.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Ongoing | PrepareCommit | PrepareAbort)
    }

    /// Whether the fate is sealed and markers are on their way.
    pub(crate) const fn is_prepared(self) -> bool {
        matches!(self, PrepareCommit | PrepareAbort)
    }

    /// Whether an id in this state may be forgotten when it is not used.
    pub(crate) const fn expires(self) -> bool {
        matches!(self, Empty | CompleteCommit | CompleteAbort)
    }

    /// Whether an id may go from this state to the other.
    pub(crate) const fn may_become(self, next: TransactionState) -> bool {
        matches!(
            (self, next),
            (
                Empty | CompleteCommit | CompleteAbort,
                Empty | Ongoing | PrepareAbort
            ) | (Ongoing, Ongoing | PrepareCommit | PrepareAbort)
                | (PrepareCommit, CompleteCommit)
                | (PrepareAbort, CompleteAbort)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_found_by_name_and_by_number() {
        for state in ALL {
            assert_eq!(TransactionState::from_name(state.name()), Some(state));
            let written = !matches!(state, Dead | PrepareEpochFence);
            assert_eq!(
                TransactionState::from_record(state.id()),
                written.then_some(state)
            );
        }
        assert_eq!(TransactionState::from_name("ongoing"), None);
        assert_eq!(TransactionState::from_record(8), None);
    }
}
