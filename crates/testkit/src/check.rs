//! Judges a history, in the manner of Jepsen's Kafka workload: one file for each thing that may not be.

mod aborted;
mod commits;
mod duplicates;
mod lost;
mod moves;
mod offsets;
mod order;
mod polls;
mod unseen;

use std::fmt;

use crate::history::History;

/// Something that may not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which check found it.
    pub check: &'static str,
    /// What it is, with names, partitions and offsets.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// A check of a kind of history, by its name.
pub(crate) type Check<H> = (&'static str, fn(&H) -> Vec<String>);

/// Every check, in the order of the report.
const CHECKS: [Check<History>; 11] = [
    ("lost acknowledged record", lost::lost),
    ("duplicate", duplicates::duplicates),
    ("unseen record", unseen::unseen),
    ("reordered", order::reordered),
    ("aborted read", aborted::aborted_reads),
    ("torn transaction", aborted::torn),
    ("inconsistent offset", offsets::inconsistent),
    ("poll skip", polls::skips),
    ("poll that went back", polls::went_back),
    ("commit that went back", commits::went_back),
    ("moved records", moves::moves),
];

/// All findings, ordered by check. An empty list is a good run.
pub fn judge(history: &History) -> Vec<Finding> {
    findings(&CHECKS, history)
}

/// What these checks find in a history.
pub(crate) fn findings<H>(checks: &[Check<H>], history: &H) -> Vec<Finding> {
    let judged = checks.iter().flat_map(|(check, judge)| {
        judge(history)
            .into_iter()
            .map(|what| Finding { check, what })
    });
    judged.collect()
}

#[cfg(test)]
mod tests;
