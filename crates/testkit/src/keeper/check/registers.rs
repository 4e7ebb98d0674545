//! A register is a znode that is only written and read. Its versions are the order of its writes, so
//! nothing has to be searched: what is left is whether that order fits what clients saw when.

use std::collections::BTreeMap;

use super::Known;
use crate::keeper::history::{Answer, Event, History, Of, Version};

/// What registers hold before anybody writes.
pub(super) const FIRST: &str = "";
/// Registers whose path begins so are only written all together, with one value.
pub const PAIR: &str = "/pair-";

/// A state of a register that a client was told of.
pub(super) struct Evidence<'a> {
    pub(super) of: Of<'a>,
    pub(super) path: &'a str,
    pub(super) value: &'a str,
    pub(super) at: Version,
    pub(super) is_write: bool,
    /// When a `sync` in front of a read began.
    synced_us: Option<u64>,
}

/// All that clients were told of registers.
pub(super) fn evidence(history: &History) -> Vec<Evidence<'_>> {
    history.entries().filter_map(told).collect()
}

fn told(of: Of<'_>) -> Option<Evidence<'_>> {
    match &of.entry.event {
        Event::Wrote {
            path,
            value,
            answer: Answer::Done(at),
            ..
        } => Some(Evidence {
            of,
            path,
            value,
            at: *at,
            is_write: true,
            synced_us: None,
        }),
        Event::Read {
            path,
            synced_us,
            answer: Answer::Done((value, at)),
            ..
        } => Some(Evidence {
            of,
            path,
            value,
            at: *at,
            is_write: false,
            synced_us: *synced_us,
        }),
        _ => None,
    }
}

/// By path and version, one of those who were told of it.
pub(super) fn versions(history: &History) -> BTreeMap<(&str, i32), Evidence<'_>> {
    let mut versions = BTreeMap::new();
    for evidence in evidence(history) {
        let key = (evidence.path, evidence.at.version);
        versions.entry(key).or_insert(evidence);
    }
    versions
}

/// Who asked for a value to be written where.
pub(super) fn writers(history: &History) -> BTreeMap<(&str, &str), Of<'_>> {
    let mut writers = BTreeMap::new();
    for of in history.entries() {
        if let Event::Wrote { path, value, .. } = &of.entry.event {
            writers.insert((path.as_str(), value.as_str()), of);
        }
    }
    writers
}

/// Each version has one value, each value one version, and somebody had asked for it before.
pub(super) fn values(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let writers = writers(history);
    let mut of_version: BTreeMap<(&str, i32), Evidence<'_>> = BTreeMap::new();
    let mut of_value: BTreeMap<(&str, &str), Version> = BTreeMap::new();
    for evidence in evidence(history) {
        let Evidence {
            of,
            path,
            value,
            at,
            ..
        } = evidence;
        let writer = writers.get(&(path, value));
        let is_known = match writer {
            Some(writer) => writer.entry.began_us <= of.entry.ended_us,
            None => value == FIRST,
        };
        let is_refused = writer.is_some_and(|writer| {
            let event = &writer.entry.event;
            matches!(event, Event::Wrote { answer, .. } if matches!(answer, Answer::Refused(_)))
        });
        if !is_known || is_refused {
            let why = if is_refused {
                "was refused"
            } else {
                "was not asked for yet"
            };
            found.push(format!("{path} holds {value:?}, which {why}: {of}"));
        }
        let before = *of_value.entry((path, value)).or_insert(at);
        if before != at {
            found.push(format!(
                "{path} got {value:?} at {before:?} and again: {of}"
            ));
        }
        match of_version.get(&(path, at.version)) {
            Some(other) if (other.value, other.at) != (value, at) => {
                let other = other.of;
                found.push(format!(
                    "version {} of {path}: {other} and {of}",
                    at.version
                ));
            }
            Some(_) => {}
            None => drop(of_version.insert((path, at.version), evidence)),
        }
    }
    let all: Vec<&Evidence<'_>> = of_version.values().collect();
    for pair in all.windows(2).filter(|pair| pair[0].path == pair[1].path) {
        if pair[0].at.mzxid >= pair[1].at.mzxid {
            found.push(format!(
                "{} goes back in transactions: {} and {}",
                pair[0].path, pair[0].of, pair[1].of
            ));
        }
    }
    found
}

/// Whoever writes after something was known comes behind it, and whoever reads behind a `sync` sees it.
pub(super) fn order(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for (path, all) in by_path(history) {
        let version =
            |evidence: &Evidence<'_>| (evidence.of.entry.ended_us, i64::from(evidence.at.version));
        let known = Known::of(all.iter().map(version).collect());
        for evidence in &all {
            let (of, version) = (evidence.of, i64::from(evidence.at.version));
            let began_us = if evidence.is_write {
                Some(of.entry.began_us)
            } else {
                evidence.synced_us
            };
            let Some(newest) = began_us.and_then(|began_us| known.before(began_us)) else {
                continue;
            };
            let is_behind = if evidence.is_write {
                version > newest
            } else {
                version >= newest
            };
            if !is_behind {
                found.push(format!("version {newest} of {path} was known before {of}"));
            }
        }
    }
    found
}

fn by_path(history: &History) -> BTreeMap<&str, Vec<Evidence<'_>>> {
    let mut by_path: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for evidence in evidence(history) {
        by_path.entry(evidence.path).or_default().push(evidence);
    }
    by_path
}

/// What is to replace one version replaces that version, and is refused only when it is not there.
pub(super) fn comparisons(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let versions = versions(history);
    let writers = writers(history);
    let first_unknown = first_unknown(history);
    for of in history.entries() {
        let Event::Wrote {
            path,
            expected: Some(expected),
            answer,
            ..
        } = &of.entry.event
        else {
            continue;
        };
        match answer {
            Answer::Done(at) if at.version != expected + 1 => {
                found.push(format!("it replaced another version: {of}"));
            }
            Answer::Refused(_) => {
                // It was the newest one when this began, and nobody had begun to replace it when it ended.
                let known = versions.get(&(path.as_str(), *expected));
                let known = known.is_some_and(|known| known.of.entry.ended_us < of.entry.began_us);
                let next = versions.get(&(path.as_str(), expected + 1));
                let is_replaced = match next.and_then(|next| writers.get(&(next.path, next.value)))
                {
                    Some(writer) => writer.entry.began_us <= of.entry.ended_us,
                    None => first_unknown
                        .get(path.as_str())
                        .is_some_and(|began_us| *began_us <= of.entry.ended_us),
                };
                if known && !is_replaced {
                    found.push(format!("refused, though that version was there: {of}"));
                }
            }
            _ => {}
        }
    }
    found
}

/// By path, when the first write began of which nobody knows what became of it.
fn first_unknown(history: &History) -> BTreeMap<&str, u64> {
    let mut first = BTreeMap::new();
    for of in history.entries() {
        if let Event::Wrote {
            path,
            answer: Answer::Unknown,
            ..
        } = &of.entry.event
        {
            let began_us = of.entry.began_us;
            let known = first.entry(path.as_str()).or_insert(began_us);
            *known = began_us.min(*known);
        }
    }
    first
}

/// Registers that cannot be read, or written whatever is there.
pub(super) fn refusals(history: &History) -> Vec<String> {
    let is_refused = |of: &Of<'_>| match &of.entry.event {
        Event::Read { answer, .. } => matches!(answer, Answer::Refused(_)),
        Event::Wrote {
            expected: None,
            answer,
            ..
        } => matches!(answer, Answer::Refused(_)),
        _ => false,
    };
    let refused = history.entries().filter(is_refused);
    refused.map(|of| of.to_string()).collect()
}

/// What is written together is seen together.
pub(super) fn pairs(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let mut of_version: BTreeMap<i32, Evidence<'_>> = BTreeMap::new();
    for evidence in evidence(history) {
        if !evidence.path.starts_with(PAIR) {
            continue;
        }
        let version = evidence.at.version;
        match of_version.get(&version) {
            Some(other) if (other.value, other.at) != (evidence.value, evidence.at) => {
                let (one, two) = (other.of, evidence.of);
                found.push(format!("they were not written together: {one} and {two}"));
            }
            Some(_) => {}
            None => drop(of_version.insert(version, evidence)),
        }
    }
    found
}
