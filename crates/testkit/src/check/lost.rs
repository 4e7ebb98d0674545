//! What was acknowledged is there in the end.

use std::collections::BTreeSet;

use super::aborted::{Fate, transactions};
use crate::history::{Event, History};

/// Acknowledged records, and records of committed transactions, that cannot be read in the end.
pub(super) fn lost(history: &History) -> Vec<String> {
    let there = history.offsets_of_values();
    let committed = history.committed_values();
    let mut found = Vec::new();
    for client in history.producers() {
        for event in client.events() {
            if let Event::Acked {
                at, value, offset, ..
            } = event
                && !there.contains_key(&(at, value.as_str()))
            {
                found.push(format!(
                    "{value} was acknowledged at {at}@{offset} and is nowhere in it"
                ));
            }
        }
        for transaction in transactions(client) {
            if transaction.fate != Fate::Committed {
                continue;
            }
            let name = &transaction.name;
            let missing: BTreeSet<String> = transaction
                .sends
                .iter()
                .filter(|(at, value)| !committed.contains(&(at, value)))
                .map(|(at, value)| format!("{value} of {at}"))
                .collect();
            if !missing.is_empty() {
                found.push(format!(
                    "{name} was committed, and {missing:?} cannot be read"
                ));
            }
        }
    }
    found
}
