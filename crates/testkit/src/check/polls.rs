//! A consumer's polls go forward, and leave nothing out.

use std::collections::BTreeMap;

use crate::history::{Client, Event, History, Place, Role};

/// Two reads of a partition that follow each other, without a new position between them; the first
/// one is what the position says when that is known.
struct Step<'a> {
    client: &'a Client,
    at: &'a Place,
    before: i64,
    after: i64,
}

/// Offsets with records that a consumer passed over.
pub(super) fn skips(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for step in steps(history) {
        let Some(stored) = history.stored.get(step.at) else {
            continue;
        };
        let visible = match step.client.role {
            Role::Reader { committed: false } => &stored.everything,
            _ => &stored.committed,
        };
        if step.before + 1 < step.after
            && let Some((offset, value)) = visible.range(step.before + 1..step.after).next()
        {
            let Step {
                client,
                at,
                before,
                after,
            } = step;
            let name = &client.name;
            found.push(format!(
                "{name} read {at}@{after} right after {before}, and never {value} at {offset}"
            ));
        }
    }
    found
}

/// Offsets that came again, or came late.
pub(super) fn went_back(history: &History) -> Vec<String> {
    let back = steps(history)
        .into_iter()
        .filter(|step| step.after <= step.before);
    back.map(
        |Step {
             client,
             at,
             before,
             after,
         }| { format!("{} read {at}@{after} after {before}", client.name) },
    )
    .collect()
}

fn steps(history: &History) -> Vec<Step<'_>> {
    let mut found = Vec::new();
    for client in &history.clients {
        let mut last: BTreeMap<&Place, i64> = BTreeMap::new();
        for event in client.events() {
            match event {
                Event::Position { at, offset } if *offset >= 0 => {
                    last.insert(at, *offset - 1);
                }
                Event::Position { at, .. } | Event::Revoked { at } => {
                    last.remove(at);
                }
                Event::Read { at, offset, .. } => {
                    if let Some(before) = last.insert(at, *offset) {
                        found.push(Step {
                            client,
                            at,
                            before,
                            after: *offset,
                        });
                    }
                }
                _ => {}
            }
        }
    }
    found
}
