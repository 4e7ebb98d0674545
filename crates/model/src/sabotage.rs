//! Deliberate faults, which simulations must notice.
//!
//! A checker that never complains may be right, or blind. So some places in the code ask whether
//! they are to do the wrong thing. They are told so only in builds with the feature `sabotage`,
//! which nothing but the simulation turns on, and only on a thread that has called `set`; anywhere
//! else [`Sabotage::is_on`] is `false` at compile time.

/// A way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sabotage {
    /// Appends are acknowledged before the replicas in sync have them.
    AcknowledgesEarly,
    /// Followers do not say which term their last record is of, and so are never told to cut.
    ForgetsDivergence,
    /// Consumers get what is not committed.
    ServesUncommitted,
    /// A follower counts as having what was sent to it.
    CountsSent,
    /// The high watermark follows the fastest replica in sync, not the slowest.
    CountsFastest,
    /// The leader does without a replica before the controller has agreed.
    CountsProposed,
    /// A leader is elected of all live replicas, in sync or not.
    ElectsOutsideIsr,
    /// A new leader gets the term of the old one.
    KeepsLeaderEpoch,
    /// Replicas in sync are changed by whoever once was the leader.
    ListensToZombies,
    /// A broker that comes back gets the epoch that it had.
    ReusesBrokerEpoch,
    /// Votes are not flushed.
    ForgetsVotes,
    /// Metadata is not flushed, nor is what a keeper's servers agree on.
    ForgetsMetadata,
    /// A keeper's client gets the answer to a change before the events that come of it.
    AnswersBeforeEvents,
    /// A keeper's reads do not wait for what the same client wrote before.
    ReadsPastWrites,
    /// A keeper answers `sync` without asking the leader.
    SyncsAtOnce,
    /// A new leader of a keeper does not take over the sessions.
    ForgetsSessions,
    /// Each server of a keeper stamps changes with its own time.
    StampsOwnTime,
}

impl Sabotage {
    /// Each of them.
    pub const ALL: [Sabotage; 17] = [
        Sabotage::AcknowledgesEarly,
        Sabotage::ForgetsDivergence,
        Sabotage::ServesUncommitted,
        Sabotage::CountsSent,
        Sabotage::CountsFastest,
        Sabotage::CountsProposed,
        Sabotage::ElectsOutsideIsr,
        Sabotage::KeepsLeaderEpoch,
        Sabotage::ListensToZombies,
        Sabotage::ReusesBrokerEpoch,
        Sabotage::ForgetsVotes,
        Sabotage::ForgetsMetadata,
        Sabotage::AnswersBeforeEvents,
        Sabotage::ReadsPastWrites,
        Sabotage::SyncsAtOnce,
        Sabotage::ForgetsSessions,
        Sabotage::StampsOwnTime,
    ];
}

#[cfg(not(feature = "sabotage"))]
impl Sabotage {
    /// Never.
    #[inline(always)]
    #[must_use]
    pub const fn is_on(self) -> bool {
        false
    }
}

#[cfg(feature = "sabotage")]
mod switch {
    use std::cell::Cell;

    use super::Sabotage;

    thread_local! {
        static ON: Cell<Option<Sabotage>> = const { Cell::new(None) };
    }

    impl Sabotage {
        /// Whether this thread's simulation wants it.
        #[must_use]
        pub fn is_on(self) -> bool {
            ON.get() == Some(self)
        }

        /// Says what is to be wrong on this thread from now on.
        pub fn set(fault: Option<Sabotage>) {
            ON.set(fault);
        }
    }
}
