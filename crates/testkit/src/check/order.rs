//! A producer's records lie in a partition in the order in which it sent them.

use std::collections::BTreeMap;

use crate::history::{Event, History, Place};

/// Records that lie before an earlier one of their producer. What was sent more than once, as records
/// are that an aborted transaction had moved, has no order of its own.
pub(super) fn reordered(history: &History) -> Vec<String> {
    let there = history.offsets_of_values();
    let mut times_sent: BTreeMap<(&Place, &str), usize> = BTreeMap::new();
    for event in history.producers().flat_map(|client| client.events()) {
        if let Event::Send { at, value, .. } = event {
            *times_sent.entry((at, value)).or_default() += 1;
        }
    }
    let mut found = Vec::new();
    for client in history.producers() {
        let mut last: BTreeMap<&Place, (i64, &str)> = BTreeMap::new();
        for event in client.events() {
            let Event::Send { at, value, .. } = event else {
                continue;
            };
            let once = times_sent.get(&(at, value.as_str())) == Some(&1);
            // A value that is there twice is another check's finding.
            let Some(&[offset]) = there.get(&(at, value.as_str())).map(Vec::as_slice) else {
                continue;
            };
            if !once {
                continue;
            }
            if let Some((before, earlier)) = last.get(at)
                && *before > offset
            {
                found.push(format!(
                    "{} sent {earlier} before {value}, and they are at {at}@{before} and {at}@{offset}",
                    client.name
                ));
            }
            last.insert(at, (offset, value));
        }
    }
    found
}
