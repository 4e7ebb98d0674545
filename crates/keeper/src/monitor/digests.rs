//! Digests of the tree as it was after some of the last changes, by which servers can be compared
//! (`DataTree.getDigestLog`).

use std::collections::VecDeque;

use ottla_znode::State;
use parking_lot::Mutex;

/// Every so many changes one is kept, as in ZooKeeper, whose numbers are then the same.
const INTERVAL: i64 = 128;
/// So many are kept.
const KEPT: usize = 1_024;
/// The version of the way in which our digests are computed. ZooKeeper's has 2, and other numbers.
pub(crate) const VERSION: i32 = 1_000;

/// The digest of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ZxidDigest {
    pub(crate) zxid: i64,
    pub(crate) digest: u64,
}

/// The last digests.
#[derive(Debug, Default)]
pub(crate) struct Digests(Mutex<VecDeque<ZxidDigest>>);

impl Digests {
    /// A command was applied.
    pub(crate) fn applied(&self, state: &State, zxid: i64) {
        if zxid % INTERVAL != 0 {
            return;
        }
        let mut digests = self.0.lock();
        let is_new = digests.back().is_none_or(|last| last.zxid != zxid);
        if is_new {
            if digests.len() == KEPT {
                digests.pop_front();
            }
            let digest = state.digest();
            digests.push_back(ZxidDigest { zxid, digest });
        }
    }

    /// The state comes from elsewhere.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    pub(crate) fn read(&self) -> Vec<ZxidDigest> {
        self.0.lock().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_128th_change_is_kept_and_no_more_than_so_many() {
        let (digests, state) = (Digests::default(), State::new());
        for zxid in 1..=INTERVAL * (KEPT as i64 + 3) {
            digests.applied(&state, zxid);
            // A command that takes no number tells that of the one before.
            digests.applied(&state, zxid);
        }
        let read = digests.read();
        assert_eq!(read.len(), KEPT);
        assert_eq!(read[0].zxid, 4 * INTERVAL);
        assert!(
            read.windows(2)
                .all(|pair| pair[1].zxid == pair[0].zxid + INTERVAL)
        );
        digests.clear();
        assert!(digests.read().is_empty());
    }
}
