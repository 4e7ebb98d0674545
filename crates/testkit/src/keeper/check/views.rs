//! One session sees no register go back, on whichever server it is.

use std::collections::BTreeMap;

use crate::keeper::history::{Answer, Event, History, Of};

/// Reads that are older than what the same session knew before, its own writes among it.
pub(super) fn went_back(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for ((client, _), entries) in history.sessions() {
        let mut newest = BTreeMap::new();
        for entry in entries {
            let (path, at) = match &entry.event {
                Event::Wrote {
                    path,
                    answer: Answer::Done(at),
                    ..
                } => (path, *at),
                Event::Read {
                    path,
                    answer: Answer::Done((_, at)),
                    ..
                } => (path, *at),
                _ => continue,
            };
            let known = newest.entry(path).or_insert(at);
            if at < *known {
                let of = Of { client, entry };
                found.push(format!("{known:?} was known before {of}"));
            }
            *known = at.max(*known);
        }
    }
    found
}
