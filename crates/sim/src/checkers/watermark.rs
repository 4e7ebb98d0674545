//! The end of a partition that readers are told never goes back, and its start stays 0 (nothing is
//! deleted here).

use std::collections::BTreeMap;

use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut ends = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        match event {
            Event::EndSeen { place, offset } => {
                let end = ends.entry(place).or_insert(*offset);
                if offset < end {
                    found.push(format!(
                        "{place} ends at {offset} at {at_ms} ms, after {end}"
                    ));
                }
                *end = *offset;
            }
            Event::StartSeen { place, offset } if *offset != 0 => {
                found.push(format!("{place} starts at {offset} at {at_ms} ms"));
            }
            _ => {}
        }
    }
    found
}
