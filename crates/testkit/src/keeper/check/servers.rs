//! What servers have at the end, when all faults are mended: everything that was acknowledged, and the
//! same everywhere.

use std::collections::BTreeMap;

use super::registers::{evidence, writers};
use crate::keeper::history::{Answer, Event, History, Of};

/// Differences that are shown of two servers.
const SHOWN: usize = 3;

/// Writes and nodes that were acknowledged, or seen, and are not there.
pub(super) fn lost(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let Some(tree) = history.trees.first() else {
        return vec!["nobody has looked what there is at the end".to_owned()];
    };
    let mut newest = BTreeMap::new();
    for evidence in evidence(history) {
        let known = newest
            .entry(evidence.path)
            .or_insert((evidence.at, evidence.of));
        if evidence.at > known.0 {
            *known = (evidence.at, evidence.of);
        }
    }
    let writers = writers(history);
    for (path, (at, of)) in newest {
        let Some(last) = tree.get(path) else {
            found.push(format!("{path} is gone: {of}"));
            continue;
        };
        let (version, mzxid) = (last.stat.version, last.stat.mzxid);
        if (version, mzxid) < (at.version, at.mzxid) {
            found.push(format!(
                "{path} ends at version {version}, {mzxid:#x}: {of}"
            ));
        }
        if version > 0 && !writers.contains_key(&(path, last.data.as_str())) {
            found.push(format!(
                "{path} ends with {:?}, which nobody wrote",
                last.data
            ));
        }
    }
    found.extend(nodes(history));
    found
}

/// Sequential nodes that were acknowledged are there, and those that are there were asked for, once each.
fn nodes(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let Some(tree) = history.trees.first() else {
        return found;
    };
    let mut asked: BTreeMap<&str, Of<'_>> = BTreeMap::new();
    let mut prefixes = std::collections::BTreeSet::new();
    for of in history.entries() {
        let Event::Appended { value, answer } = &of.entry.event else {
            continue;
        };
        asked.insert(value, of);
        if let Answer::Done(path) = answer {
            prefixes.extend(
                path.rsplit_once('/')
                    .map(|(parent, _)| format!("{parent}/")),
            );
            let node = tree.get(path);
            if node.is_none_or(|node| node.data != *value) {
                found.push(format!("at the end it is {node:?}: {of}"));
            }
        }
    }
    for prefix in &prefixes {
        let mut seen = BTreeMap::new();
        for (path, node) in tree.range(prefix.clone()..) {
            if !path.starts_with(prefix) {
                break;
            }
            let of = asked.get(node.data.as_str());
            let is_refused = of.is_some_and(|of| {
                let event = &of.entry.event;
                matches!(event, Event::Appended { answer, .. } if matches!(answer, Answer::Refused(_)))
            });
            if of.is_none() || is_refused {
                found.push(format!("{path} was made without being asked for"));
            }
            if let Some(other) = seen.insert(node.data.as_str(), path) {
                found.push(format!("{other} and {path} were made by one request"));
            }
        }
    }
    found
}

/// Where servers differ.
pub(super) fn alike(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let Some((first, others)) = history.trees.split_first() else {
        return found;
    };
    for (at, tree) in others.iter().enumerate() {
        let paths: std::collections::BTreeSet<_> = first.keys().chain(tree.keys()).collect();
        let differing = paths
            .into_iter()
            .filter(|path| first.get(*path) != tree.get(*path));
        for path in differing.take(SHOWN) {
            let (one, other) = (first.get(path), tree.get(path));
            found.push(format!(
                "{path} is {one:?} on server 1 and {other:?} on server {}",
                at + 2
            ));
        }
    }
    found
}
