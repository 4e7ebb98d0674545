//! An idempotent producer's records are there once, and the acknowledged ones in their order.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Entry, Event, Reader, id_of};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let acknowledged: BTreeSet<_> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Acknowledged { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    let mut first = BTreeMap::new();
    let mut newest = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { event, .. } in entries {
        let Event::Read {
            reader: Reader::Audit,
            place,
            offset,
            value,
        } = event
        else {
            continue;
        };
        let Some(id) = id_of(value) else { continue };
        if let Some(earlier) = first.insert(id, *offset) {
            found.push(format!(
                "record {}:{} of {place} is at {earlier} and again at {offset}",
                id.writer, id.number
            ));
        } else if acknowledged.contains(&id) {
            let newest = newest.entry((id.writer, place)).or_insert(id.number);
            if id.number < *newest {
                found.push(format!(
                    "record {}:{} of {place} at {offset} comes behind its writer's record {newest}",
                    id.writer, id.number
                ));
            }
            *newest = id.number.max(*newest);
        }
    }
    found
}
