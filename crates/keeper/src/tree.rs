//! The replicated state of this server, shared: one writer, many readers.

use ottla_znode::{Command, Owner, State, View};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The znodes and sessions as this server has them.
///
/// The lock is the first to be taken of all; nobody waits for anything while holding it.
#[derive(Default)]
pub(crate) struct Tree(RwLock<State>);

impl Tree {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read()
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write()
    }

    /// The state as it is now, for a snapshot.
    pub(crate) fn view(&self) -> View {
        self.0.read().view()
    }

    /// The sessions and their timeouts.
    pub(crate) fn sessions(&self) -> Vec<(i64, i32)> {
        let state = self.0.read();
        let sessions = state.sessions();
        sessions.map(|(id, s)| (id, s.timeout_ms)).collect()
    }

    /// Which connection speaks for a session.
    pub(crate) fn owner(&self, session: i64) -> Option<Owner> {
        Some(self.0.read().session(session)?.owner)
    }

    /// What should be deleted by now.
    pub(crate) fn reapable(&self, now_ms: i64, never_used_ms: i64, most: usize) -> Vec<Command> {
        self.0.read().reapable(now_ms, never_used_ms, most)
    }

    /// The newest change, and the hash of all that there is.
    pub(crate) fn fingerprint(&self) -> (i64, u64) {
        let state = self.0.read();
        (state.last_zxid(), state.digest())
    }

    pub(crate) fn last_zxid(&self) -> i64 {
        self.0.read().last_zxid()
    }
}
