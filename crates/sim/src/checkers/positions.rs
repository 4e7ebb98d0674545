//! A reader gets every offset from where it began, one after the other (nothing is deleted,
//! compacted, or part of a transaction here).

use std::collections::BTreeMap;

use crate::history::{Entry, Event, Reader};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut due = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        match event {
            Event::Positioned { place, offset } => {
                due.insert(place, *offset);
            }
            Event::Read {
                reader: Reader::Tail,
                place,
                offset,
                ..
            } => {
                let Some(due) = due.get_mut(place) else {
                    continue;
                };
                if offset != due {
                    found.push(format!(
                        "the reader of {place} got offset {offset} at {at_ms} ms, where {due} was \
                         due"
                    ));
                }
                *due = offset + 1;
            }
            _ => {}
        }
    }
    found
}
