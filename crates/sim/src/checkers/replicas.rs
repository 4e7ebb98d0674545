//! Replicas have the same bytes up to the high watermark, and terms never go back in a log.

use std::collections::BTreeMap;

use crate::history::{Entry, Event, Place, Replica, StoredBatch};

pub(super) fn check(entries: &[Entry]) -> Vec<String> {
    let mut first: BTreeMap<&Place, &Replica> = BTreeMap::new();
    let mut found = Vec::new();
    for Entry { event, .. } in entries {
        let Event::ReplicaSeen { place, replica } = event else {
            continue;
        };
        let node = replica.node;
        let pairs = replica.batches.iter().zip(replica.batches.iter().skip(1));
        for (one, next) in pairs {
            if next.leader_epoch < one.leader_epoch || next.base_offset <= one.base_offset {
                found.push(format!("on n{node}, {place} has {next:?} behind {one:?}"));
            }
        }
        let Some(other) = first.get(place) else {
            first.insert(place, replica);
            continue;
        };
        // What both say of the offsets that both have.
        let start = replica.start.max(other.start);
        let end = replica.high_watermark.min(other.high_watermark);
        let common = |replica: &Replica| -> Vec<StoredBatch> {
            let batches = replica.batches.iter();
            let inside = batches.filter(|b| b.base_offset >= start && b.base_offset < end);
            inside.copied().collect()
        };
        let (ours, theirs) = (common(replica), common(other));
        if ours == theirs {
            continue;
        }
        let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        let at = at.unwrap_or(ours.len().min(theirs.len()));
        found.push(format!(
            "{place} has {:?} on n{node} where it has {:?} on n{}",
            ours.get(at),
            theirs.get(at),
            other.node
        ));
    }
    found
}
