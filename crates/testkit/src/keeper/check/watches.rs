//! Watches on registers: a session hears that one has changed before it sees what is new, and hears it
//! only when there is something new.

use std::collections::BTreeMap;

use super::registers::{versions, writers};
use crate::keeper::history::{Answer, Event, History, Of};

const CHANGED: &str = "NodeDataChanged";

/// News that came before the event, and events about nothing.
pub(super) fn watches(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let (versions, writers) = (versions(history), writers(history));
    for ((client, _), entries) in history.sessions() {
        let mut watched: BTreeMap<&str, i32> = BTreeMap::new();
        for entry in entries {
            let of = Of { client, entry };
            match &entry.event {
                Event::Fired { path, kind } => {
                    if kind != CHANGED {
                        found.push(format!("a register does nothing but change: {of}"));
                    }
                    let Some(version) = watched.remove(path.as_str()) else {
                        found.push(format!("nothing was watched: {of}"));
                        continue;
                    };
                    let next = versions.get(&(path.as_str(), version + 1));
                    let next = next.and_then(|next| writers.get(&(next.path, next.value)));
                    // A version that nobody was told of was replaced before anybody looked.
                    let is_changed = next.map_or_else(
                        || {
                            versions
                                .range((path.as_str(), version + 1)..)
                                .next()
                                .is_some()
                        },
                        |writer| writer.entry.began_us <= entry.ended_us,
                    );
                    if !is_changed {
                        found.push(format!("version {version} had not changed: {of}"));
                    }
                }
                Event::Wrote {
                    path,
                    answer: Answer::Done(at),
                    ..
                } => unheard(&mut found, &watched, path, at.version, of),
                Event::Read {
                    path,
                    watch,
                    answer: Answer::Done((_, at)),
                    ..
                } => {
                    unheard(&mut found, &watched, path, at.version, of);
                    if *watch {
                        watched.insert(path, at.version);
                    }
                }
                _ => {}
            }
        }
    }
    found
}

fn unheard(
    found: &mut Vec<String>,
    watched: &BTreeMap<&str, i32>,
    path: &str,
    version: i32,
    of: Of<'_>,
) {
    if let Some(known) = watched.get(path)
        && version > *known
    {
        found.push(format!(
            "version {known} was watched, and no event came before {of}"
        ));
    }
}
