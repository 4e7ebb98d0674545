//! In each term there is one leader: of a partition, and of the metadata quorum. What a node knows
//! of terms does not go back while it runs.

use std::collections::BTreeMap;

use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut leaders = BTreeMap::new();
    let mut controllers = BTreeMap::new();
    let mut newest = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        match event {
            Event::LeaderSeen {
                node,
                topic_id,
                partition,
                leader_epoch,
                leader,
            } => {
                let known = newest
                    .entry((node, topic_id, partition))
                    .or_insert(*leader_epoch);
                if *leader_epoch < *known {
                    found.push(format!(
                        "n{node} knew term {known} of partition {partition}, and term \
                         {leader_epoch} at {at_ms} ms"
                    ));
                }
                *known = (*known).max(*leader_epoch);
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
