//! A producer's records lie in a partition in the order in which it sent them.

use std::collections::BTreeMap;

use crate::history::{Event, History};

/// Records that lie before an earlier one of their producer.
pub(super) fn reordered(history: &History) -> Vec<String> {
    let there = history.offsets_of_values();
    let mut found = Vec::new();
    for client in history.producers() {
        let mut last: BTreeMap<_, (i64, &str)> = BTreeMap::new();
        for event in client.events() {
            let Event::Send { at, value, .. } = event else {
                continue;
            };
            // A value that is there twice is another check's finding.
            let Some(&[offset]) = there.get(&(at, value.as_str())).map(Vec::as_slice) else {
                continue;
            };
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
