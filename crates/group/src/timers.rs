//! Deadlines, in the order in which they fall due.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ottla_model::TimestampMs;

/// What falls due. At most one deadline exists per key; setting it again moves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    /// A member's session ends, or a pending member has not come back in time.
    Session { group: Arc<str>, member: Arc<str> },
    /// The time to join ends: the initial delay or the rebalance timeout.
    Join { group: Arc<str> },
    /// The time to send SyncGroup ends.
    Sync { group: Arc<str> },
    /// The time of a consumer group's member to give partitions up ends.
    Revocation { group: Arc<str>, member: Arc<str> },
    /// The time of a classic member of a consumer group to join again ends.
    MemberJoin(Arc<str>, Arc<str>),
    /// The time of a classic member of a consumer group to send SyncGroup ends.
    MemberSync(Arc<str>, Arc<str>),
    /// Expired offsets are looked for.
    Expiry,
}

impl TimerKey {
    /// The group that it concerns.
    pub(crate) fn group(&self) -> Option<&Arc<str>> {
        match self {
            TimerKey::Session { group, .. }
            | TimerKey::Join { group }
            | TimerKey::Sync { group }
            | TimerKey::Revocation { group, .. }
            | TimerKey::MemberJoin(group, _)
            | TimerKey::MemberSync(group, _) => Some(group),
            TimerKey::Expiry => None,
        }
    }
}

/// The deadlines of one coordinator. Moving one costs the logarithm of their number; nothing scans
/// all members.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(TimestampMs, TimerKey)>,
    by_key: HashMap<TimerKey, TimestampMs>,
}

impl Timers {
    pub(crate) fn set(&mut self, key: TimerKey, deadline_ms: TimestampMs) {
        if let Some(old) = self.by_key.insert(key.clone(), deadline_ms) {
            if old == deadline_ms {
                return;
            }
            self.by_time.remove(&(old, key.clone()));
        }
        self.by_time.insert((deadline_ms, key));
    }

    pub(crate) fn cancel(&mut self, key: &TimerKey) {
        if let Some(deadline_ms) = self.by_key.remove(key) {
            self.by_time.remove(&(deadline_ms, key.clone()));
        }
    }

    pub(crate) fn is_set(&self, key: &TimerKey) -> bool {
        self.by_key.contains_key(key)
    }

    pub(crate) fn next_deadline_ms(&self) -> Option<TimestampMs> {
        self.by_time.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// The keys that are due now, earliest first. They stay set: firing one may cancel another, so
    /// each is asked for again with [`Timers::take_due`] when its turn comes. A timer that is set
    /// while these fire waits for the next tick, which bounds the work of one tick.
    pub(crate) fn due(&self, now_ms: TimestampMs) -> Vec<TimerKey> {
        self.by_time
            .iter()
            .take_while(|(deadline_ms, _)| *deadline_ms <= now_ms)
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// Removes the timer if it is still set and still due.
    pub(crate) fn take_due(&mut self, key: &TimerKey, now_ms: TimestampMs) -> bool {
        let due = self.by_key.get(key).is_some_and(|&d| d <= now_ms);
        if due {
            self.cancel(key);
        }
        due
    }

    /// Moves all deadlines by so much: the clock has been set, and none of them is nearer for that.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        for deadline_ms in self.by_key.values_mut() {
            *deadline_ms = deadline_ms.saturating_add(by_ms);
        }
        let by_key = self.by_key.iter();
        self.by_time = by_key.map(|(key, at_ms)| (*at_ms, key.clone())).collect();
    }

    pub(crate) fn clear(&mut self) {
        self.by_time.clear();
        self.by_key.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_move_with_the_clock() {
        let mut timers = Timers::default();
        timers.set(join("a"), 1_000);
        timers.set(join("b"), 2_000);
        timers.shift(500_000);
        assert!(timers.due(500_999).is_empty());
        assert_eq!(timers.due(501_000), [join("a")]);
        timers.shift(-500_000);
        assert_eq!(timers.next_deadline_ms(), Some(1_000));
        timers.cancel(&join("a"));
        timers.set(join("b"), 1_500);
        assert_eq!(timers.due(9_999), [join("b")]);
    }

    fn join(group: &str) -> TimerKey {
        TimerKey::Join {
            group: group.into(),
        }
    }

    #[test]
    fn a_timer_that_is_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(join("a"), 10);
        timers.set(join("b"), 20);
        timers.set(join("a"), 30);
        assert_eq!(timers.next_deadline_ms(), Some(20));
        assert_eq!(timers.due(30), vec![join("b"), join("a")]);
        timers.cancel(&join("b"));
        assert!(!timers.take_due(&join("b"), 30));
        assert!(!timers.take_due(&join("a"), 29));
        assert!(timers.take_due(&join("a"), 30));
        assert_eq!(timers.next_deadline_ms(), None);
    }
}
