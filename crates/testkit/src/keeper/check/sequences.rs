//! Sequential nodes: each has a name of its own, and whoever asks later counts more.

use std::collections::{BTreeMap, BTreeSet};

use super::Known;
use crate::keeper::history::{Answer, Event, History, Of};

/// How many digits ZooKeeper puts behind a name.
const DIGITS: usize = 10;

/// Names that came twice, counters that went back, and names that are none.
pub(super) fn sequences(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let mut made: BTreeMap<&str, Vec<(i64, Of<'_>)>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for of in history.entries() {
        let (Event::Appended {
            answer: Answer::Done(path),
            ..
        }
        | Event::Made(Answer::Done(path))) = &of.entry.event
        else {
            continue;
        };
        if !names.insert(path) {
            found.push(format!("a name that came before: {of}"));
        }
        match counter(path) {
            Some((prefix, counter)) => made.entry(prefix).or_default().push((counter, of)),
            None => found.push(format!("not a sequential name: {of}")),
        }
    }
    for all in made.values() {
        let counted = |(counter, of): &(i64, Of<'_>)| (of.entry.ended_us, *counter);
        let known = Known::of(all.iter().map(counted).collect());
        for (counter, of) in all {
            let newest = known.before(of.entry.began_us);
            if newest.is_some_and(|newest| newest >= *counter) {
                found.push(format!("counter {newest:?} was there before {of}"));
            }
        }
    }
    found
}

fn counter(path: &str) -> Option<(&str, i64)> {
    let (prefix, digits) = path.split_at_checked(path.len().checked_sub(DIGITS)?)?;
    Some((prefix, digits.parse().ok()?))
}
