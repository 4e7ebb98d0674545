//! At the same offset all nodes show the same metadata, and at rest they are at the same offset.

use std::collections::BTreeMap;

use crate::history::{Entry, Event};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut images = BTreeMap::new();
    let mut newest = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { at_ms, event } in entries {
        match event {
            Event::ImageSeen {
                node,
                offset,
                digest,
            } => {
                let (first, by) = images.entry(offset).or_insert((digest, node));
                if *first != digest {
                    found.push(format!(
                        "the metadata at offset {offset} of n{node}, seen at {at_ms} ms, is not \
                         that of n{by}"
                    ));
                }
                newest.insert(node, offset);
            }
            Event::AtRest { nodes } => {
                let all_same = newest
                    .values()
                    .all(|offset| newest.values().all(|o| o == offset));
                if !all_same || newest.len() != *nodes {
                    found.push(format!(
                        "at rest, of {nodes} nodes, the metadata's ends are (node: offset) \
                         {newest:?}"
                    ));
                }
            }
            _ => {}
        }
    }
    found
}
