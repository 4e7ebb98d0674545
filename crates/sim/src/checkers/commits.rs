//! A committed offset that was acknowledged stays, until a later commit.
//!
//! One client commits one offset after the other. A commit without an answer can take effect late,
//! when its request was held back on an old connection; so it is allowed from when it was asked on.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut acknowledged = BTreeMap::new();
    let mut unanswered: BTreeMap<_, BTreeSet<i64>> = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        match event {
            Event::CommitAsked { place, offset } => {
                unanswered.entry(place).or_default().insert(*offset);
            }
            Event::CommitAcknowledged { place, offset } => {
                unanswered.entry(place).or_default().remove(offset);
                acknowledged.insert(place, *offset);
            }
            Event::CommitSeen { place, offset } => {
                let last = acknowledged.get(place).copied();
                let may_be = offset.is_some_and(|o| {
                    unanswered
                        .get(place)
                        .is_some_and(|asked| asked.contains(&o))
                });
                if *offset != last && !may_be {
                    found.push(format!(
                        "the group's offset of {place} is {offset:?} at {at_ms} ms, but {last:?} \
                         was acknowledged last"
                    ));
                }
            }
            _ => {}
        }
    }
    found
}
