//! Where each leader's term begins in the log (KIP-101): `leader-epoch-checkpoint`.

use ottla_model::{LeaderEpoch, Offset};

use crate::checkpoint;

/// The start offsets of epochs; both strictly increase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Epochs(Vec<(LeaderEpoch, Offset)>);

impl Epochs {
    /// The newest epoch.
    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|&(epoch, _)| epoch)
    }

    /// Notes that records from `start_offset` on are of `epoch`; `true` when that is new.
    ///
    /// An epoch that wrote nothing makes room for one that starts at the same offset.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch < 0 || self.latest().is_some_and(|latest| epoch <= latest) {
            return false;
        }
        self.0.retain(|&(_, start)| start < start_offset);
        self.0.push((epoch, start_offset));
        true
    }

    /// Forgets what lies at or behind the end; `true` when that changed something.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.0.len();
        self.0.retain(|&(_, start)| start < end);
        self.0.len() != before
    }

    /// Moves the first term's start to the new log start; `true` when that changed something.
    pub(crate) fn truncate_from_start(&mut self, log_start: Offset) -> bool {
        let covering = self.0.iter().rposition(|&(_, start)| start <= log_start);
        let Some(at) = covering else { return false };
        let old = self.0.clone();
        self.0.drain(..at);
        if let Some((_, start)) = self.0.first_mut() {
            *start = log_start;
        }
        self.0 != old
    }

    /// The largest epoch up to `epoch` and where it ends (KIP-101): at the start of the next one,
    /// or at the log's end. An epoch that is older than the log ends where the log begins. `None`
    /// when it is newer than all, or no epoch is known.
    pub(crate) fn end_offset(
        &self,
        epoch: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        let next = self.0.partition_point(|&(e, _)| e <= epoch);
        let Some(last) = next.checked_sub(1) else {
            return self.0.first().map(|&(_, start)| (epoch, start));
        };
        let (found, _) = *self.0.get(last)?;
        match self.0.get(next) {
            Some(&(_, start)) => Some((found, start)),
            None if found == epoch => Some((found, log_end)),
            None => None,
        }
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let next = self.0.partition_point(|&(_, start)| start <= offset);
        Some(self.0.get(next.checked_sub(1)?)?.0)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let entry = |line: &str| {
            let (epoch, start) = line.trim().split_once(char::is_whitespace)?;
            let (epoch, start): (i32, i64) = (epoch.parse().ok()?, start.trim().parse().ok()?);
            (epoch >= 0 && start >= 0).then_some((epoch, start))
        };
        let mut epochs = Epochs::default();
        for line in checkpoint::body_lines(bytes)? {
            let (epoch, start) = entry(line).ok_or_else(|| format!("'{line}' is no epoch"))?;
            let increases = epochs.0.last().is_none_or(|&(e, s)| epoch > e && start > s);
            if !increases {
                return Err(format!("'{line}' does not increase"));
            }
            epochs.0.push((epoch, start));
        }
        Ok(epochs)
    }

    pub(crate) fn format(&self) -> String {
        checkpoint::with_count(
            self.0
                .iter()
                .map(|(epoch, start)| format!("{epoch} {start}")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for &(epoch, start) in entries {
            assert!(epochs.assign(epoch, start));
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_starts() {
        let epochs = epochs(&[(1, 0), (3, 10), (4, 20)]);
        assert_eq!(epochs.end_offset(0, 30), Some((0, 0)));
        assert_eq!(Epochs::default().end_offset(0, 30), None);
        assert_eq!(epochs.end_offset(1, 30), Some((1, 10)));
        assert_eq!(epochs.end_offset(2, 30), Some((1, 10)));
        assert_eq!(epochs.end_offset(4, 30), Some((4, 30)));
        assert_eq!(epochs.end_offset(5, 30), None);
        assert_eq!(epochs.epoch_at(19), Some(3));
        assert_eq!(epochs.epoch_at(20), Some(4));
    }

    #[test]
    fn terms_without_records_disappear_and_old_ones_are_ignored() {
        let mut epochs = epochs(&[(1, 0), (2, 5)]);
        assert!(epochs.assign(3, 5));
        assert!(!epochs.assign(3, 9) && !epochs.assign(2, 9));
        assert_eq!(epochs.0, [(1, 0), (3, 5)]);
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut cut = epochs(&[(1, 0), (3, 10), (4, 20)]);
        assert!(cut.truncate_from_end(20));
        assert!(cut.truncate_from_start(12));
        assert_eq!(cut.0, [(3, 12)]);
        assert!(!cut.truncate_from_start(12));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_random_bytes_never_panic(
            steps in proptest::collection::vec((0..20i32, 1..20i64), 0..20),
            noise in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let (mut epochs, mut epoch, mut start) = (Epochs::default(), 0, 0);
            for (e, s) in steps {
                epoch += e;
                start += s;
                epochs.assign(epoch, start);
            }
            prop_assert_eq!(Epochs::parse(epochs.format().as_bytes()), Ok(epochs));
            drop(Epochs::parse(&noise));
        }
    }
}
