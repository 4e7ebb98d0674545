//! A group that has caught up has seen everything.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Event, History, Place, Role};

/// Records below a group's last committed offset that none of its members has read, and records that
/// a reader which came to the end has not read.
pub(super) fn unseen(history: &History) -> Vec<String> {
    let mut seen: BTreeMap<(&str, &Place), BTreeSet<i64>> = BTreeMap::new();
    for client in &history.clients {
        let Role::Member { group } = &client.role else {
            continue;
        };
        for event in client.events() {
            if let Event::Read { at, offset, .. } = event {
                seen.entry((group, at)).or_default().insert(*offset);
            }
        }
    }
    let mut found = Vec::new();
    for ((group, place), committed) in &history.group_offsets {
        if history
            .moves
            .as_ref()
            .is_some_and(|moves| moves.group == *group)
        {
            continue;
        }
        let nothing = BTreeSet::new();
        let seen = seen.get(&(group.as_str(), place)).unwrap_or(&nothing);
        let Some(stored) = history.stored.get(place) else {
            continue;
        };
        for (offset, value) in stored.committed.range(..*committed) {
            if !seen.contains(offset) {
                found.push(format!(
                    "{group} has committed {committed} of {place}, and never read {value} at {offset}"
                ));
            }
        }
    }
    found
}
