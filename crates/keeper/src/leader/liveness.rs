//! Which sessions are alive, as the leader knows: servers tell it whom they have heard.
//!
//! A new leader gives every session its whole timeout again. A session that is silent for longer than
//! its timeout is ended by a command, which names the connection that spoke for the session; it is
//! void if the client has come back through another one before the command was carried out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::Sabotage;
use ottla_runtime::{Service, Shutdown};
use ottla_znode::{Closing, Command};
use parking_lot::Mutex;

use crate::server::Server;

/// The longest time between two looks at the sessions.
const LOOK_MS_MAX: u64 = 500;
const LOOK_MS_MIN: u64 = 10;

#[derive(Debug, Clone, Copy)]
struct Alive {
    timeout_ms: i64,
    /// On the monotonic clock.
    until_ms: i64,
}

/// When sessions end unless they are heard of. Empty on a server that does not lead.
#[derive(Default)]
pub(crate) struct Liveness(Mutex<Option<BTreeMap<i64, Alive>>>);

impl Liveness {
    /// From now on this server leads.
    pub(crate) fn begin(&self, server: &Server) {
        // First the list, then the sessions: one that is opened in between is added by the applier.
        *self.0.lock() = Some(BTreeMap::new());
        if Sabotage::ForgetsSessions.is_on() {
            return;
        }
        let sessions = server.tree.sessions();
        for (session, timeout_ms) in sessions {
            self.opened(session, timeout_ms, server.runtime.clock.monotonic_ms());
        }
    }

    /// There are other sessions now.
    pub(crate) fn replaced(&self, sessions: impl Iterator<Item = (i64, i32)>, now_ms: i64) {
        if let Some(alive) = &mut *self.0.lock() {
            alive.clear();
        }
        for (session, timeout_ms) in sessions {
            self.opened(session, timeout_ms, now_ms);
        }
    }

    pub(crate) fn end(&self) {
        *self.0.lock() = None;
    }

    /// A session was opened or attached.
    pub(crate) fn opened(&self, session: i64, timeout_ms: i32, now_ms: i64) {
        if let Some(alive) = &mut *self.0.lock() {
            let timeout_ms = i64::from(timeout_ms);
            let until_ms = now_ms + timeout_ms;
            alive.insert(
                session,
                Alive {
                    timeout_ms,
                    until_ms,
                },
            );
        }
    }

    /// A session has ended.
    pub(crate) fn closed(&self, session: i64) {
        if let Some(alive) = &mut *self.0.lock() {
            alive.remove(&session);
        }
    }

    /// Servers have heard of these sessions.
    pub(crate) fn touch(&self, sessions: impl Iterator<Item = i64>, now_ms: i64) {
        let mut lock = self.0.lock();
        let Some(alive) = &mut *lock else { return };
        for session in sessions {
            if let Some(alive) = alive.get_mut(&session) {
                alive.until_ms = now_ms + alive.timeout_ms;
            }
        }
    }

    /// When each session ends unless it is heard of, on the monotonic clock; none on a server that
    /// does not lead.
    pub(crate) fn expiring(&self) -> Option<Vec<(i64, i64)>> {
        let alive = self.0.lock();
        let until = alive.as_ref()?.iter();
        Some(
            until
                .map(|(session, alive)| (*session, alive.until_ms))
                .collect(),
        )
    }

    /// All sessions live so much longer: the leader itself was away for so long.
    fn postpone(&self, by_ms: i64) {
        if let Some(alive) = &mut *self.0.lock() {
            alive.values_mut().for_each(|alive| alive.until_ms += by_ms);
        }
    }

    /// The sessions whose time is over. Each is told again after a while if it is still there.
    fn silent(&self, now_ms: i64) -> Vec<i64> {
        let mut lock = self.0.lock();
        let Some(alive) = &mut *lock else {
            return Vec::new();
        };
        let mut silent = Vec::new();
        for (session, alive) in alive.iter_mut() {
            if alive.until_ms < now_ms {
                silent.push(*session);
                alive.until_ms = now_ms + alive.timeout_ms;
            }
        }
        silent
    }
}

/// Ends silent sessions while this server leads, and tells the leader of the own ones.
pub(crate) struct LivenessService {
    pub(crate) server: Arc<Server>,
}

impl LivenessService {
    fn pause_ms(&self) -> u64 {
        let tick_ms = self.server.config.tick_time_ms;
        (tick_ms / 4).clamp(LOOK_MS_MIN, LOOK_MS_MAX)
    }

    fn look(&self, now_ms: i64) {
        let server = &self.server;
        let silent = server.liveness.silent(now_ms);
        for session in silent {
            let Some(owner) = server.tree.owner(session) else {
                server.liveness.closed(session);
                continue;
            };
            tracing::info!(
                session = format_args!("0x{session:x}"),
                "the session is silent for longer than its timeout and is ended"
            );
            server.desk.propose(&Command::CloseSession {
                session,
                owner: Some(owner),
                closing: Closing::Expired,
            });
        }
    }
}

impl Service for LivenessService {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let clock = self.server.runtime.clock.clone();
        let pause_ms = self.pause_ms();
        let mut last_ms = clock.monotonic_ms();
        loop {
            tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                () = clock.sleep(Duration::from_millis(pause_ms)) => {}
            }
            let now_ms = clock.monotonic_ms();
            // Whoever was stopped for a while has heard nobody meanwhile, dead or not.
            let late_ms = now_ms - last_ms - 2 * i64::try_from(pause_ms).unwrap_or(i64::MAX / 2);
            if late_ms > 0 {
                self.server.liveness.postpone(late_ms);
            }
            last_ms = now_ms;
            self.server.touch_sessions();
            self.look(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading() -> Liveness {
        Liveness(Mutex::new(Some(BTreeMap::new())))
    }

    #[test]
    fn a_session_lives_as_long_as_it_is_heard_of() {
        let liveness = leading();
        liveness.opened(1, 100, 0);
        liveness.opened(2, 100, 0);
        assert!(liveness.silent(100).is_empty());
        liveness.touch([1].into_iter(), 90);
        assert_eq!(liveness.silent(101), [2]);
        assert!(liveness.silent(150).is_empty(), "it is told once a timeout");
        assert_eq!(liveness.silent(191), [1]);
        liveness.closed(2);
        assert_eq!(liveness.silent(1_000), [1]);
    }

    #[test]
    fn a_leader_that_was_away_ends_nobody() {
        let liveness = leading();
        liveness.opened(1, 100, 0);
        liveness.postpone(5_000);
        assert!(liveness.silent(5_100).is_empty());
        assert_eq!(liveness.silent(5_101), [1]);
    }

    #[test]
    fn a_server_that_does_not_lead_knows_nothing() {
        let liveness = Liveness::default();
        liveness.opened(1, 100, 0);
        assert!(liveness.silent(1_000).is_empty());
    }
}
