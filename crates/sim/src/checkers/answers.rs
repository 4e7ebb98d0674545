//! A correct client gets no answer that it cannot do anything about, and in the end, when all is
//! well again, it gets all that it asks for.

use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let refused = |entry: &Entry| match &entry.event {
        Event::Refused { who, error } => Some(format!("{who} at {} ms: {error}", entry.at_ms)),
        Event::Missed {
            who: "audit",
            error,
        } => Some(format!("audit at {} ms: {error}", entry.at_ms)),
        _ => None,
    };
    let mut found: Vec<String> = entries.iter().filter_map(refused).collect();
    let ended = entries.iter().any(|e| e.event == Event::AuditEnded);
    if !ended && found.is_empty() {
        found.push("the node did not answer the audit".to_owned());
    }
    found
}
