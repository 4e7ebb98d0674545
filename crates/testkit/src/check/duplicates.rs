//! Idempotent producers write each record once.

use crate::history::History;

/// Values that a partition holds twice. Records of aborted transactions may be sent again by others,
/// so of those with transactions only what is committed counts; and what a client wrote again in a new
/// epoch is its own doing.
pub(super) fn duplicates(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for (place, stored) in &history.stored {
        let mut first = std::collections::BTreeMap::new();
        for (offset, value) in &stored.committed {
            let earlier = first.insert(value, offset);
            if let Some(earlier) = earlier
                && !history
                    .written_again
                    .contains(&(place.clone(), value.clone()))
            {
                found.push(format!(
                    "{value} is at {place}@{earlier} and at {place}@{offset}"
                ));
            }
        }
    }
    found
}
