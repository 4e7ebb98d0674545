//! A broker's epoch belongs to one of its lives, and grows with the metadata: by it a message of an
//! earlier life is told from one of the present.

use std::collections::BTreeMap;

use super::growing::Growing;
use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut lives = BTreeMap::new();
    let mut epochs = BTreeMap::<i32, Growing>::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        let Event::BrokerSeen {
            node,
            offset,
            broker,
            broker_epoch,
            incarnation,
        } = event
        else {
            continue;
        };
        let life = lives.entry((broker, broker_epoch)).or_insert(incarnation);
        if *life != incarnation {
            found.push(format!(
                "broker {broker} has the epoch {broker_epoch} of an earlier life, says n{node} at \
                 {at_ms} ms"
            ));
        }
        let epochs = epochs.entry(*broker).or_default();
        if let Some(other) = epochs.say(*node, *offset, *broker_epoch) {
            found.push(format!(
                "broker {broker} has the epoch {other}, says n{node} at {at_ms} ms"
            ));
        }
    }
    found
}
