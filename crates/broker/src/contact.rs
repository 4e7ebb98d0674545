//! When the controller answered this broker last.
//!
//! A broker that is cut off takes itself for the leader of what it led, while others may lead it for
//! long. It can acknowledge nothing (`acks=all` waits for replicas that do not fetch here any more),
//! and goes on all the same: a cluster without a quorum serves its partitions. But what it says about
//! a producer's numbers may be wrong, because its log may end early, and producers take that for
//! final.

use std::sync::atomic::{AtomicI64, Ordering};

/// Nothing was sent: a cluster of one has nobody to lose.
const NEVER: i64 = i64::MIN;

/// When the controller answered last.
pub(crate) struct Contact {
    answered_ms: AtomicI64,
}

impl Default for Contact {
    fn default() -> Self {
        Contact {
            answered_ms: AtomicI64::new(NEVER),
        }
    }
}

impl Contact {
    /// The controller has answered, or is about to be asked for the first time.
    pub(crate) fn made(&self, now_ms: i64) {
        self.answered_ms.store(now_ms, Ordering::Relaxed);
    }

    /// How long the controller has been silent.
    pub(crate) fn silent_ms(&self, now_ms: i64) -> i64 {
        match self.answered_ms.load(Ordering::Relaxed) {
            NEVER => 0,
            answered_ms => now_ms - answered_ms,
        }
    }

    /// Whether others may lead by now what this broker leads, as far as it knows: it was silent for
    /// so long that it may have been given up. Half a session, because the controller has heard from
    /// this broker before this broker heard from the controller.
    pub(crate) fn is_lost(&self, now_ms: i64, session_timeout_ms: i64) -> bool {
        self.silent_ms(now_ms) >= session_timeout_ms / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_is_lost_after_half_a_session_without_an_answer() {
        let contact = Contact::default();
        assert!(!contact.is_lost(i64::MAX, 3_000), "a cluster of one");
        contact.made(100);
        assert!(!contact.is_lost(1_599, 3_000));
        assert!(contact.is_lost(1_600, 3_000));
        contact.made(1_600);
        assert!(!contact.is_lost(1_700, 3_000));
    }
}
