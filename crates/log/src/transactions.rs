//! The transactions of one partition: which are open, and which are decided but not yet visible.
//!
//! ```text
//! offset  0   1   2   3   4    5   6    7
//!         a   B   c   D   B↓   e   D    │        B: decided by the marker at 4; D is open
//!             └────────────────┘        end
//! ```
//!
//! The *last stable offset* is the first offset that is not decided, at most the high watermark:
//! here 1 while the high watermark is at most 4 (the marker may still be lost), and 3 from then on.

use std::collections::BTreeMap;

use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};

/// The end of a transaction in one partition, as its coordinator decided it (KIP-98, KIP-890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionMarker {
    /// The producer whose transaction ends.
    pub producer_id: ProducerId,
    /// The epoch of the marker. From transaction version 2 on it is one more than that of the
    /// transaction's records, which fences whatever is still under way.
    pub producer_epoch: ProducerEpoch,
    /// The epoch of the coordinator that decided; older coordinators are fenced.
    pub coordinator_epoch: i32,
    /// Committed, or aborted.
    pub commit: bool,
    /// The transaction version of the producer: 0, 1, or 2 (KIP-890).
    pub transaction_version: i16,
}

/// A transaction without an end, for people and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The producer.
    pub producer_id: ProducerId,
    /// The offset of its first record in this partition.
    pub first_offset: Offset,
    /// The max timestamp of the producer's last batch: how long it is silent.
    pub last_timestamp: TimestampMs,
}

/// A transaction whose records consumers of committed records must not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: ProducerId,
    /// The offset of its first record in this partition.
    pub first_offset: Offset,
}

/// What a batch changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Begin {
        producer_id: ProducerId,
        first_offset: Offset,
    },
    End {
        producer_id: ProducerId,
        first_offset: Offset,
        /// Where the marker is.
        last_offset: Offset,
        aborted: bool,
    },
}

/// An entry of the transaction index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedEntry {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    /// Where the marker is.
    pub(crate) last_offset: Offset,
    /// The first offset that was open once the transaction was decided: no later entry begins
    /// before it.
    pub(crate) last_stable_offset: Offset,
}

/// The transactions that keep the last stable offset back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    /// By first offset.
    open: BTreeMap<Offset, ProducerId>,
    /// From the first offset to the marker's, until the marker is below the high watermark.
    decided: BTreeMap<Offset, Offset>,
}

impl Transactions {
    /// Takes note of a change; the entry for the transaction index when it is an abort.
    pub(crate) fn apply(&mut self, change: Change) -> Option<AbortedEntry> {
        match change {
            Change::Begin {
                producer_id,
                first_offset,
            } => {
                self.open.insert(first_offset, producer_id);
                None
            }
            Change::End {
                producer_id,
                first_offset,
                last_offset,
                aborted,
            } => {
                self.open.remove(&first_offset);
                self.decided.insert(first_offset, last_offset);
                let next = self.open.keys().next().copied();
                aborted.then_some(AbortedEntry {
                    producer_id,
                    first_offset,
                    last_offset,
                    last_stable_offset: next.unwrap_or(last_offset + 1),
                })
            }
        }
    }

    /// Forgets decided transactions whose markers cannot be lost any more.
    pub(crate) fn settle(&mut self, high_watermark: Offset) {
        self.decided.retain(|_, marker| *marker >= high_watermark);
    }

    /// Up to where everything is decided.
    pub(crate) fn last_stable_offset(&self, log_start: Offset, high_watermark: Offset) -> Offset {
        let mut unsettled = self.decided.iter();
        let decided = unsettled.find_map(|(first, marker)| {
            // A marker at or above the high watermark may still be lost.
            (*marker >= high_watermark).then_some(*first)
        });
        let open = self.open.keys().next().copied();
        let first = [decided, open].into_iter().flatten().min();
        // Records of an open transaction may have been deleted.
        first.map_or(high_watermark, |first| {
            first.max(log_start).min(high_watermark)
        })
    }

    /// The oldest open transaction.
    pub(crate) fn oldest(&self) -> Option<(Offset, ProducerId)> {
        self.open.first_key_value().map(|(&at, &id)| (at, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(producer_id: ProducerId, first_offset: Offset) -> Change {
        Change::Begin {
            producer_id,
            first_offset,
        }
    }

    fn end(
        producer_id: ProducerId,
        first_offset: Offset,
        last_offset: Offset,
        aborted: bool,
    ) -> Change {
        Change::End {
            producer_id,
            first_offset,
            last_offset,
            aborted,
        }
    }

    #[test]
    fn the_first_undecided_offset_is_open_or_decided_above_the_high_watermark() {
        let mut transactions = Transactions::default();
        assert_eq!(transactions.last_stable_offset(0, 9), 9);
        transactions.apply(begin(2, 1));
        transactions.apply(begin(4, 3));
        assert_eq!(transactions.last_stable_offset(0, 7), 1);
        assert_eq!(transactions.apply(end(2, 1, 4, false)), None);
        assert_eq!(transactions.last_stable_offset(0, 4), 1);
        assert_eq!(transactions.last_stable_offset(0, 5), 3);
        assert_eq!(transactions.last_stable_offset(5, 7), 5);
        assert_eq!(transactions.last_stable_offset(0, 0), 0);
        transactions.settle(5);
        assert_eq!(transactions.last_stable_offset(0, 4), 3);
        assert_eq!(transactions.oldest(), Some((3, 4)));
    }

    #[test]
    fn an_abort_is_indexed_with_the_oldest_transaction_that_is_still_open() {
        let mut transactions = Transactions::default();
        for (id, first) in [(1, 0), (2, 1), (3, 2)] {
            transactions.apply(begin(id, first));
        }
        let entry = |change, transactions: &mut Transactions| {
            let entry = transactions.apply(change).unwrap();
            (
                entry.first_offset,
                entry.last_offset,
                entry.last_stable_offset,
            )
        };
        assert_eq!(entry(end(2, 1, 3, true), &mut transactions), (1, 3, 0));
        assert_eq!(entry(end(1, 0, 4, true), &mut transactions), (0, 4, 2));
        assert_eq!(entry(end(3, 2, 5, true), &mut transactions), (2, 5, 6));
        assert_eq!(transactions.oldest(), None);
    }
}
