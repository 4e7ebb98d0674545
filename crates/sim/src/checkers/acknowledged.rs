//! An acknowledged record is there, at the offset that was told, with its bytes.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Entry, Event, Reader, RecordId, id_of};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut sent = BTreeMap::new();
    let mut found: BTreeMap<RecordId, i64> = BTreeMap::new();
    let mut places = BTreeSet::new();
    let mut is_whole = false;
    for entry in entries {
        match &entry.event {
            Event::Sent { id, place, value } => {
                sent.insert(*id, (place, value));
            }
            Event::Read {
                reader: Reader::Audit,
                place,
                offset,
                value,
            } => {
                let Some(id) = id_of(value) else { continue };
                if sent.get(&id) == Some(&(place, value)) {
                    found.entry(id).or_insert(*offset);
                    places.insert((id, *offset));
                }
            }
            Event::AuditEnded => is_whole = true,
            _ => {}
        }
    }
    if !is_whole {
        // What was not read is not known to be missing; the answers tell why.
        return Vec::new();
    }
    let missing = |entry: &Entry| {
        let Event::Acknowledged { id, offset } = &entry.event else {
            return None;
        };
        let place = sent
            .get(id)
            .map_or("nowhere".to_owned(), |(p, _)| p.to_string());
        let told = offset.map_or(String::new(), |o| format!(" offset {o}"));
        let there = match offset {
            Some(offset) => places.contains(&(*id, *offset)),
            None => found.contains_key(id),
        };
        let at = found
            .get(id)
            .map_or("missing".to_owned(), |o| format!("at {o}"));
        (!there).then(|| {
            format!(
                "record {}:{} was acknowledged at {} ms for {place}{told}, but is {at}",
                id.writer, id.number, entry.at_ms
            )
        })
    };
    entries.iter().filter_map(missing).collect()
}
