//! A topic whose creation was acknowledged exists, one whose deletion was does not, and there are
//! no others.

use std::collections::BTreeMap;

use crate::history::{Entry, Event};

/// What may be true of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Exists,
    Gone,
    Unknown,
}

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut fates = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { event, .. } in entries {
        match event {
            Event::TopicAsked { name } | Event::DeleteAsked { name } => {
                fates.insert(name, Fate::Unknown);
            }
            Event::TopicAcknowledged { name } => {
                fates.insert(name, Fate::Exists);
            }
            Event::DeleteAcknowledged { name } => {
                fates.insert(name, Fate::Gone);
            }
            Event::TopicsSeen { topics } => {
                for (name, fate) in &fates {
                    let exists = topics.iter().any(|(n, _)| n == *name);
                    let wrong = match fate {
                        Fate::Exists => !exists,
                        Fate::Gone => exists,
                        Fate::Unknown => false,
                    };
                    if wrong {
                        found.push(format!(
                            "topic {name} should be {fate:?}: exists is {exists}"
                        ));
                    }
                }
                for (name, partitions) in topics {
                    let own = name == "__consumer_offsets";
                    if !own && !fates.contains_key(name) {
                        found.push(format!("topic {name} was never asked for"));
                    }
                    if *partitions == 0 {
                        found.push(format!("topic {name} has no partitions"));
                    }
                }
            }
            _ => {}
        }
    }
    found
}
