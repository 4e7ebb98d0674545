//! All that a server counts of itself (`ServerMetrics`, `ServerStats`).

use std::time::Duration;

use crate::monitor::meter::{Counter, Sizes, Summary};

/// Declares the meters, and how they are reset together.
macro_rules! meters {
    (
        reset { $($(#[$doc:meta])* $name:ident: $kind:ty,)+ }
        kept { $($(#[$kept_doc:meta])* $kept:ident: $kept_kind:ty,)+ }
    ) => {
        /// What a server counts of itself. Durations are in microseconds.
        #[derive(Debug, Default)]
        pub(crate) struct Meters {
            $($(#[$doc])* pub(crate) $name: $kind,)+
            $($(#[$kept_doc])* pub(crate) $kept: $kept_kind,)+
        }

        impl Meters {
            /// `srst`: they begin anew, but for those that ZooKeeper keeps.
            pub(crate) fn reset(&self) {
                $(self.$name.reset();)+
            }
        }
    };
}

meters! {
    reset {
        /// Frames and words that came.
        received: Counter,
        /// What was sent beside replies with a latency: events, words, replies to `auth`.
        sent_else: Counter,
        /// The bytes of frames and words that came.
        received_bytes: Counter,
        /// How long reads took from their arrival to their reply.
        reads: Summary,
        /// How long writes took from their arrival to their reply.
        writes: Summary,
        /// The sizes of replies.
        response_sizes: Sizes,
        /// The bytes of replies.
        response_bytes: Counter,
        /// The bytes of events.
        watch_bytes: Counter,
        /// How many watchers saw a node appear.
        created_watches: Summary,
        /// How many watchers saw a node go.
        deleted_watches: Summary,
        /// How many watchers saw new data.
        changed_watches: Summary,
        /// How many watchers saw other children.
        children_watches: Summary,

        /// Connections that were refused, each with a reason in the log.
        connections_rejected: Counter,
        /// Handshakes of clients that were taken up.
        connection_requests: Counter,
        /// Of these, those that came back to a session.
        revalidations: Counter,
        /// How many tokens were missing in the bucket when a client was let in.
        token_deficit: Summary,
        /// Connections that clients ended without closing their sessions.
        connections_dropped: Counter,
        /// Connections that ended because no session was opened in time.
        sessionless_expired: Counter,
        /// Connections that ended because this server had no leader.
        closed_without_leader: Counter,
        /// Handshakes of TLS that came to nothing.
        handshakes_failed: Counter,
        /// What clients of the scheme `ensemble` said: the right name, a wrong one, and any while
        /// there is none.
        ensemble_auth_success: Counter,
        ensemble_auth_fail: Counter,
        ensemble_auth_skip: Counter,

        /// Requests that waited for the throttle, and for how long.
        throttle_waits: Counter,
        throttle_queue: Summary,
        /// Requests that were answered with `THROTTLEDOP`.
        throttled_ops: Counter,
        /// Requests that were stale when their turn came, and those that were dropped for it.
        stale_requests: Counter,
        stale_dropped: Counter,
        /// Large requests that were too much.
        large_rejected: Counter,

        /// Commands that this server has applied while it led, and while another one did.
        commits: Counter,
        learner_commits: Counter,
        /// Sessions that this server has ended as leader, because they were silent.
        sessions_expired: Counter,
        /// Sessions that came back while this server led.
        revalidated_for_others: Counter,
        /// The sizes of the entries that this server has proposed.
        proposal_sizes: Sizes,
        /// From an entry's proposal until a majority had it.
        quorum_acks: Summary,
        /// From the leader's time in an entry until it was applied here.
        propagation: Summary,
        /// How many commands an entry had.
        batches: Summary,
        /// How long applying an entry took.
        commit_process: Summary,
        /// How long flushes of the log took.
        flushes: Summary,
        /// Flushes that took longer than `fsync.warningthresholdms`.
        slow_flushes: Counter,
        /// How long it took to write a snapshot.
        snapshots: Summary,
        /// Snapshots that were sent to other servers.
        snapshots_sent: Counter,
        /// AdminServer's `snapshot`: failures, and calls that came too soon.
        snapshots_failed: Counter,
        snapshots_limited: Counter,
        /// AdminServer's `restore`: durations, failures, and calls that came too soon.
        restores: Summary,
        restores_failed: Counter,
        restores_limited: Counter,

        /// How often this server knew no leader, and for how long.
        lookings: Counter,
        elections: Summary,
        /// How long clients were not served.
        unavailable: Summary,
        /// The same, when it ended because this server leads.
        leader_unavailable: Summary,
        /// The start: reading all of it, of that the snapshot, and the commands behind it.
        database_init: Summary,
        snapshot_load: Summary,
        startup_commands: Summary,
        startup_commands_load: Summary,
    }

    kept {
        /// Credentials that were refused.
        auth_failed: Counter,
        /// Connections in the clear from other machines, and from this one.
        plaintext_remote: Counter,
        plaintext_local: Counter,
        /// Handshakes of TLS that have begun, and those that have ended.
        handshakes_begun: Counter,
        handshakes_ended: Counter,
        /// Commands that were applied before this server took part, and for how long.
        startup_commands_read: Counter,
        startup_us: Counter,
    }
}

impl Meters {
    /// The log and the newest snapshot were read.
    pub(crate) fn started(&self, took: Duration) {
        self.database_init.took(took);
        let commands = self.startup_commands_read.get();
        if commands > 0 {
            self.startup_commands.add(commands);
            self.startup_commands_load.add(self.startup_us.get());
        }
    }

    /// A flush of the log that took so long.
    pub(crate) fn flushed(&self, took: Duration, warning_after: Duration) {
        self.flushes.took(took);
        if took > warning_after {
            self.slow_flushes.add(1);
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                took_ms,
                "flushing the log took longer than fsync.warningthresholdms; the disk is slow, or busy \
                 with something else"
            );
        }
    }
}
