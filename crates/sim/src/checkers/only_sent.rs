//! Whatever is read was sent, to this partition, with these bytes.

use std::collections::BTreeMap;

use crate::history::{Entry, Event, id_of};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut sent = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        match event {
            Event::Sent { id, place, value } => {
                sent.insert(*id, (place, value));
            }
            Event::Read {
                reader,
                place,
                offset,
                value,
            } => {
                let known = id_of(value).and_then(|id| sent.get(&id));
                let wrong = match known {
                    None => "that nobody sent",
                    Some((_, bytes)) if *bytes != value => "with other bytes than were sent",
                    Some((to, _)) if *to != place => "that was sent elsewhere",
                    Some(_) => continue,
                };
                found.push(format!(
                    "{reader:?} got a record {wrong}, from {place} offset {offset} at {at_ms} ms"
                ));
            }
            _ => {}
        }
    }
    found
}
