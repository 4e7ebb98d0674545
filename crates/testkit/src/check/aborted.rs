//! Transactions are there as a whole, or not at all; aborted ones are read by nobody who asked for
//! committed records.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Client, Event, History, Place, Role};

/// The last thing that is known of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its client was told that it is committed.
    Committed,
    /// Its client aborted it, and never asked for a commit.
    Aborted,
    /// Its client never asked for a commit.
    Open,
    /// A commit was asked for, and no answer came.
    Unknown,
}

/// One transaction of one client.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) name: String,
    pub(super) fate: Fate,
    pub(super) sends: Vec<(Place, String)>,
}

/// A client's transactions, in their order.
pub(super) fn transactions(client: &Client) -> Vec<Transaction> {
    let mut found: BTreeMap<u64, Transaction> = BTreeMap::new();
    let begin = |number: u64| Transaction {
        name: format!("transaction {number} of {}", client.name),
        fate: Fate::Open,
        sends: Vec::new(),
    };
    for event in client.events() {
        match event {
            Event::Begin { number } => {
                found.insert(*number, begin(*number));
            }
            Event::Send { number, at, value } if *number > 0 => {
                let transaction = found.entry(*number).or_insert_with(|| begin(*number));
                transaction.sends.push((at.clone(), value.clone()));
            }
            Event::Commit { number } | Event::Committed { number } | Event::Abort { number } => {
                let transaction = found.entry(*number).or_insert_with(|| begin(*number));
                transaction.fate = match (event, transaction.fate) {
                    (Event::Committed { .. }, _) => Fate::Committed,
                    (Event::Commit { .. }, _) => Fate::Unknown,
                    // An abort after a commit that failed decides nothing by itself.
                    (_, Fate::Unknown) => Fate::Unknown,
                    _ => Fate::Aborted,
                };
            }
            // Only the answer tells what became of a commit that was followed by an abort.
            Event::Aborted { number } => {
                if let Some(transaction) = found.get_mut(number) {
                    transaction.fate = Fate::Aborted;
                }
            }
            _ => {}
        }
    }
    found.into_values().collect()
}

/// Values of aborted transactions and of those that nobody committed, where readers of committed
/// records saw them, and where they are in the end. A moved value is sent by several transactions:
/// one that a committed or unknown transaction sent as well is excused.
pub(super) fn aborted_reads(history: &History) -> Vec<String> {
    let all: Vec<Transaction> = history.producers().flat_map(transactions).collect();
    let may_be_there: BTreeSet<(&Place, &str)> = all
        .iter()
        .filter(|t| matches!(t.fate, Fate::Committed | Fate::Unknown))
        .flat_map(|t| t.sends.iter().map(|(at, value)| (at, value.as_str())))
        .collect();
    let mut forbidden: BTreeMap<(&Place, &str), &Transaction> = BTreeMap::new();
    for transaction in &all {
        for (at, value) in &transaction.sends {
            if !may_be_there.contains(&(at, value.as_str())) {
                forbidden.insert((at, value), transaction);
            }
        }
    }
    let mut found = Vec::new();
    for client in &history.clients {
        if client.role != (Role::Reader { committed: true }) {
            continue;
        }
        for event in client.events() {
            if let Event::Read { at, offset, value } = event
                && let Some(transaction) = forbidden.get(&(at, value.as_str()))
            {
                let (name, fate) = (&transaction.name, transaction.fate);
                found.push(format!(
                    "{} read {value} at {at}@{offset}; {name} is {fate:?}",
                    client.name
                ));
            }
        }
    }
    for (place, stored) in &history.stored {
        for (offset, value) in &stored.committed {
            if let Some(transaction) = forbidden.get(&(place, value.as_str())) {
                let (name, fate) = (&transaction.name, transaction.fate);
                found.push(format!(
                    "{value} counts as committed at {place}@{offset}; {name} is {fate:?}"
                ));
            }
        }
    }
    found
}

/// Transactions of which only a part is there. (Of those that are known to be committed, see `lost`.)
pub(super) fn torn(history: &History) -> Vec<String> {
    let committed = history.committed_values();
    let mut senders: BTreeMap<(Place, String), usize> = BTreeMap::new();
    let all: Vec<Transaction> = history.producers().flat_map(transactions).collect();
    for transaction in &all {
        for send in &transaction.sends {
            *senders.entry(send.clone()).or_default() += 1;
        }
    }
    let mut found = Vec::new();
    for transaction in all.iter().filter(|t| t.fate == Fate::Unknown) {
        // What others sent, too, tells nothing of this one.
        let own: Vec<_> = transaction
            .sends
            .iter()
            .filter(|send| senders.get(*send) == Some(&1))
            .collect();
        let there = own
            .iter()
            .filter(|(at, value)| committed.contains(&(at, value)));
        let count = there.count();
        if count > 0 && count < own.len() {
            let (name, all) = (&transaction.name, own.len());
            found.push(format!("of {name} {count} of {all} records are there"));
        }
    }
    found
}
