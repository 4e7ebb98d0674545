//! A broker's epoch belongs to one of its lives, and grows from life to life: by it a message of an
//! earlier life is told from one of the present.

use std::collections::BTreeMap;

use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut lives = BTreeMap::new();
    let mut newest = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        let Event::BrokerSeen {
            node,
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
        let newest = newest.entry((node, broker)).or_insert(broker_epoch);
        if broker_epoch < *newest {
            found.push(format!(
                "broker {broker} has the epoch {broker_epoch} after {newest}, says n{node} at \
                 {at_ms} ms"
            ));
        }
        *newest = broker_epoch.max(*newest);
    }
    found
}
