//! Idempotent producers write each record once.

use crate::history::History;

/// Values that a partition holds twice. Records of aborted transactions may be sent again by others,
/// so of those with transactions only what is committed counts.
pub(super) fn duplicates(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for (place, stored) in &history.stored {
        let mut first = std::collections::BTreeMap::new();
        for (offset, value) in &stored.committed {
            if let Some(earlier) = first.insert(value, offset) {
                found.push(format!(
                    "{value} is at {place}@{earlier} and at {place}@{offset}"
                ));
            }
        }
    }
    found
}
