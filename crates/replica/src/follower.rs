//! Where a follower cuts its log when the leader's parts from it (KIP-101, KIP-595).

use ottla_model::{LeaderEpoch, Offset};

/// A term and where it ends in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The term.
    pub epoch: LeaderEpoch,
    /// The offset behind its last record.
    pub end_offset: Offset,
}

/// Where to cut, after the leader has said that its largest term up to the follower's last one is
/// `leader`. `own` is the follower's largest term up to that one, and where it ends here.
///
/// - Both know the term: what lies behind the shorter of the two is not the leader's.
/// - The follower's is an older term: all behind it was written in terms that the leader does not
///   have. What remains is compared once more with the next fetch.
/// - The follower has no terms at all: only the ends can be compared.
#[must_use]
pub fn truncation_offset(leader: EpochEnd, own: Option<EpochEnd>, log_end: Offset) -> Offset {
    let cut = match own {
        Some(own) if own.epoch == leader.epoch => own.end_offset.min(leader.end_offset),
        Some(own) => own.end_offset,
        None => leader.end_offset,
    };
    cut.min(log_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(epoch: LeaderEpoch, end_offset: Offset) -> EpochEnd {
        EpochEnd { epoch, end_offset }
    }

    #[test]
    fn the_shorter_end_of_a_common_term_counts() {
        assert_eq!(truncation_offset(end(3, 10), Some(end(3, 14)), 14), 10);
        assert_eq!(truncation_offset(end(3, 20), Some(end(3, 14)), 18), 14);
        assert_eq!(truncation_offset(end(3, 20), Some(end(3, 20)), 18), 18);
    }

    #[test]
    fn terms_that_the_leader_does_not_have_go() {
        assert_eq!(truncation_offset(end(2, 20), Some(end(1, 7)), 18), 7);
        assert_eq!(truncation_offset(end(2, 5), None, 18), 5);
        assert_eq!(truncation_offset(end(2, 25), None, 18), 18);
    }

    /// A log as the epochs of its records.
    fn end_of(log: &[LeaderEpoch], epoch: LeaderEpoch) -> Option<EpochEnd> {
        if *log.first()? > epoch {
            // Older than the log: it ends where the log begins.
            return Some(end_at(epoch, 0));
        }
        let found = log.iter().copied().filter(|e| *e <= epoch).max()?;
        let end = log.iter().filter(|e| **e <= epoch).count();
        Some(end_at(found, end))
    }

    fn end_at(epoch: LeaderEpoch, end: usize) -> EpochEnd {
        EpochEnd {
            epoch,
            end_offset: Offset::try_from(end).unwrap(),
        }
    }

    proptest! {
        /// Two logs with a common beginning, as crashed leaders leave them: after as many rounds as
        /// there are terms the follower's is a beginning of the leader's, and nothing that was
        /// common is lost.
        #[test]
        fn logs_agree_after_a_few_rounds_and_nothing_common_is_lost(
            common in proptest::collection::vec(0..3i32, 0..6),
            leader in proptest::collection::vec(0..4i32, 0..6),
            follower in proptest::collection::vec(0..4i32, 0..6),
        ) {
            // A term has one leader, so a term in which both went on must go on alike: the leader's
            // own terms are even, the follower's are odd, and all are newer than the common ones.
            let sorted = |mut epochs: Vec<i32>| { epochs.sort_unstable(); epochs };
            let common = sorted(common);
            let tail = |epochs: Vec<i32>, odd: i32| sorted(epochs.iter().map(|e| 4 + 2 * e + odd).collect());
            let leader = [common.clone(), tail(leader, 0)].concat();
            let mut log = [common.clone(), tail(follower, 1)].concat();
            for _ in 0..20 {
                let Some(&last) = log.last() else { break };
                let Some(theirs) = end_of(&leader, last) else { break };
                if theirs.epoch == last && theirs.end_offset >= i64::try_from(log.len()).unwrap() {
                    break;
                }
                let own = end_of(&log, theirs.epoch);
                let cut = truncation_offset(theirs, own, i64::try_from(log.len()).unwrap());
                log.truncate(usize::try_from(cut).unwrap());
            }
            prop_assert!(log.len() >= common.len());
            prop_assert!(leader.starts_with(&log) || leader.is_empty());
        }
    }
}
