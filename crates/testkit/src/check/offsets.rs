//! An offset of a partition has one record, whoever tells of it.

use std::collections::BTreeMap;

use crate::history::{Event, History, Place};

/// Offsets of which acknowledgements, readers, and the log in the end say different things.
pub(super) fn inconsistent(history: &History) -> Vec<String> {
    let mut told: BTreeMap<(&Place, i64), (&str, &str)> = BTreeMap::new();
    let mut found = Vec::new();
    for (place, stored) in &history.stored {
        for (offset, value) in &stored.everything {
            told.insert((place, *offset), (value, "the log in the end"));
        }
    }
    for client in &history.clients {
        for event in client.events() {
            let (Event::Acked {
                at, value, offset, ..
            }
            | Event::Read { at, offset, value }) = event
            else {
                continue;
            };
            // Duplicates of an idempotent producer are acknowledged without an offset.
            if *offset < 0 {
                continue;
            }
            let name = client.name.as_str();
            let (before, who) = told.entry((at, *offset)).or_insert((value, name));
            if before != value {
                found.push(format!(
                    "{at}@{offset} is {before} for {who}, and {value} for {name}"
                ));
            }
        }
    }
    found
}
