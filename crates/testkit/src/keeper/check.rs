//! Judges what clients of an ensemble saw, one file for each promise of ZooKeeper's: pages "Consistency
//! Guarantees" and "ZooKeeper Watches" of its Programmer's Guide.

mod ephemerals;
mod registers;
mod sequences;
mod servers;
mod sessions;
mod views;
mod watches;

use super::history::History;
use crate::check::{self, Check, Finding};

pub use registers::PAIR;

/// Every check, in the order of the report.
const CHECKS: [Check<History>; 13] = [
    ("one value for each version", registers::values),
    ("writes are linearizable", registers::order),
    ("compare and set", registers::comparisons),
    ("registers are there", registers::refusals),
    ("both or none", registers::pairs),
    ("nothing acknowledged is lost", servers::lost),
    ("reads never go back", views::went_back),
    ("a watch fires before its news", watches::watches),
    ("ephemerals live with their session", ephemerals::vanished),
    ("ephemerals end with their session", ephemerals::left),
    ("sequential nodes", sequences::sequences),
    ("sessions do not end early", sessions::early),
    ("servers are alike", servers::alike),
];

/// All findings, ordered by check. An empty list is a good run.
pub fn judge(history: &History) -> Vec<Finding> {
    check::findings(&CHECKS, history)
}

/// The newest of what was known to someone before a moment.
struct Known(Vec<(u64, i64)>);

impl Known {
    /// From pairs of when something was known, and how new it is.
    fn of(mut pairs: Vec<(u64, i64)>) -> Known {
        pairs.sort_unstable();
        let mut newest = i64::MIN;
        for (_, at) in &mut pairs {
            newest = newest.max(*at);
            *at = newest;
        }
        Known(pairs)
    }

    /// How new the newest is that was known before this moment.
    fn before(&self, moment_us: u64) -> Option<i64> {
        let count = self.0.partition_point(|(known, _)| *known < moment_us);
        Some(self.0[count.checked_sub(1)?].1)
    }
}

#[cfg(test)]
mod tests;
