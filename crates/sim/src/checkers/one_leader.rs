//! In each term there is one leader: of a partition, and of the metadata quorum. Terms
//! grow with the metadata.

use std::collections::BTreeMap;

use super::growing::Growing;
use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut leaders = BTreeMap::new();
    let mut controllers = BTreeMap::new();
    let mut terms = BTreeMap::<_, Growing>::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        match event {
            Event::LeaderSeen {
                node,
                offset,
                topic_id,
                partition,
                leader_epoch,
                leader,
            } => {
                let terms = terms.entry((topic_id, partition)).or_default();
                if let Some(other) = terms.say(*node, *offset, i64::from(*leader_epoch)) {
                    found.push(format!(
                        "partition {partition} has the term {other}, says n{node} at {at_ms} ms"
                    ));
                }
                let Some(leader) = leader else { continue };
                let term = (topic_id, partition, leader_epoch);
                let (first, by) = leaders.entry(term).or_insert((leader, node));
                if *first != leader {
                    found.push(format!(
                        "partition {partition} is led by {first} in term {leader_epoch}, says \
                         n{by}, and by {leader}, says n{node} at {at_ms} ms"
                    ));
                }
            }
            Event::ControllerSeen { node, term, leader } => {
                let (first, by) = controllers.entry(term).or_insert((leader, node));
                if *first != leader {
                    found.push(format!(
                        "the quorum is led by {first} in term {term}, says n{by}, and by {leader}, \
                         says n{node} at {at_ms} ms"
                    ));
                }
            }
            _ => {}
        }
    }
    found
}
