//! Which transactional records and markers may go.
//!
//! Records of aborted transactions go at once: nobody may see them. A marker stays as long as its
//! transaction has records in the log, since those who read them need its verdict; after that it
//! waits for its delete horizon, as a tombstone does.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::ProducerId;
use ottla_record::{Batch, BatchHeader, ControlType, DecompressLimit};

use crate::transactions::AbortedEntry;

/// What is known at one place of a log that is read from its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transactions {
    /// Aborted transactions that begin further on; the next one is last.
    to_come: Vec<AbortedEntry>,
    aborted: BTreeMap<ProducerId, Aborted>,
    /// Producers with records in a transaction that was not aborted.
    committed: BTreeSet<ProducerId>,
}

#[derive(Debug, Clone)]
struct Aborted {
    entry: AbortedEntry,
    has_records: bool,
}

/// What to do with a transaction's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    /// No record of its transaction is left.
    pub(crate) is_bare: bool,
    /// The entry for the transaction index of the new segment.
    pub(crate) entry: Option<AbortedEntry>,
}

impl Transactions {
    pub(crate) fn new(mut aborted: Vec<AbortedEntry>) -> Self {
        aborted.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.first_offset));
        Transactions {
            to_come: aborted,
            ..Transactions::default()
        }
    }

    /// Takes note of a batch of records; whether its transaction was aborted.
    pub(crate) fn on_records(&mut self, header: &BatchHeader) -> bool {
        self.move_to(header);
        if !header.attributes.is_transactional() {
            return false;
        }
        if let Some(aborted) = self.aborted.get_mut(&header.producer_id) {
            aborted.has_records = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// Takes note of a control batch.
    pub(crate) fn on_control(&mut self, batch: &Batch) -> Marker {
        let header = batch.header();
        self.move_to(header);
        let producer = header.producer_id;
        let stays = |is_bare| Marker {
            is_bare,
            entry: None,
        };
        match control_type(batch) {
            // Only its producer's epoch was left of it.
            None => stays(true),
            Some(ControlType::Abort) => match self.aborted.remove(&producer) {
                Some(aborted) if aborted.has_records => Marker {
                    is_bare: false,
                    entry: Some(aborted.entry),
                },
                _ => stays(true),
            },
            Some(ControlType::Commit) => stays(!self.committed.remove(&producer)),
            Some(_) => stays(false),
        }
    }

    /// Begins the transactions up to a batch, and ends those whose marker lies before it: it may be
    /// gone already, or before the place where the reading began.
    fn move_to(&mut self, header: &BatchHeader) {
        let is_over = |entry: &AbortedEntry| entry.last_offset < header.base_offset;
        if let Some(aborted) = self.aborted.get(&header.producer_id)
            && is_over(&aborted.entry)
        {
            self.aborted.remove(&header.producer_id);
        }
        let up_to = header.last_offset();
        while let Some(entry) = self.to_come.pop_if(|next| next.first_offset <= up_to) {
            if is_over(&entry) {
                continue;
            }
            let aborted = Aborted {
                entry,
                has_records: false,
            };
            let slot = self.aborted.entry(entry.producer_id);
            slot.and_modify(|known| {
                if is_over(&known.entry) {
                    *known = aborted.clone();
                }
            })
            .or_insert(aborted);
        }
    }
}

/// What the one record of a control batch is about; `None` when it has none any more.
fn control_type(batch: &Batch) -> Option<ControlType> {
    // Control batches are not compressed, so no limit concerns them.
    let mut records = batch.records(DecompressLimit(0)).ok()?;
    let unreadable = ControlType::Unknown(-1);
    let Ok(record) = records.next()? else {
        return Some(unreadable);
    };
    let key = record.key.unwrap_or_default();
    Some(ControlType::parse_key(&key).unwrap_or(unreadable))
}
