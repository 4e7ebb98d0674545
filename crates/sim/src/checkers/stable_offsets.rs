//! What was once read at an offset is what is read there from then on, and offsets have no gaps
//! (nothing is deleted here, nor compacted).

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Entry, Event, Reader};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut known = BTreeMap::new();
    let mut audited = BTreeSet::new();
    let mut next: BTreeMap<_, i64> = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        let Event::Read {
            reader,
            place,
            offset,
            value,
        } = event
        else {
            continue;
        };
        let (earlier, when) = known.entry((place, *offset)).or_insert((value, *at_ms));
        if *earlier != value {
            found.push(format!(
                "{place} offset {offset} has another record at {at_ms} ms than at {when} ms"
            ));
        }
        if *reader == Reader::Audit {
            audited.insert((place, *offset));
            let next = next.entry(place).or_default();
            if *offset != *next {
                found.push(format!("{place} goes on at {offset} where {next} is due"));
            }
            *next = offset + 1;
        }
    }
    if entries.iter().any(|e| e.event == Event::AuditEnded) {
        for ((place, offset), (_, when)) in &known {
            if !audited.contains(&(*place, *offset)) {
                found.push(format!(
                    "{place} offset {offset}, read at {when} ms, is gone"
                ));
            }
        }
    }
    found
}
