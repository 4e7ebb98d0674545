//! An offset belongs to one record for good: two are never acknowledged for it, and nobody reads
//! another one there, before or after.

use std::collections::BTreeMap;

use crate::history::{Entry, Event, id_of};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut places = BTreeMap::new();
    let mut owners = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        let (place, offset, id, what) = match event {
            Event::Sent { id, place, .. } => {
                places.insert(*id, place);
                continue;
            }
            Event::Acknowledged {
                id,
                offset: Some(offset),
            } => match places.get(id) {
                Some(place) => (*place, *offset, *id, "acknowledged"),
                None => continue,
            },
            Event::Read {
                place,
                offset,
                value,
                ..
            } => match id_of(value) {
                Some(id) => (place, *offset, id, "read"),
                None => continue,
            },
            _ => continue,
        };
        let (owner, how, when) = owners.entry((place, offset)).or_insert((id, what, *at_ms));
        // Two reads that differ are the business of `stable_offsets`.
        if *owner != id && (what, *how) != ("read", "read") {
            found.push(format!(
                "{place} offset {offset}: record {}:{} was {how} at {when} ms, and {}:{} {what} at \
                 {at_ms} ms",
                owner.writer, owner.number, id.writer, id.number
            ));
        }
        if *owner == id && what == "acknowledged" {
            *how = what;
        }
    }
    found
}
