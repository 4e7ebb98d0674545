//! The znodes as a replicated state machine: each member applies the same commands to its tree, and
//! answers those of its own clients.
//!
//! ```text
//! entry ─▶ for each command: apply ─▶ events to watchers here ─▶ reply, if the client is here
//!                                                              └▶ the reads that waited behind it
//! ```
//!
//! All of this happens under the tree's lock, so that a client that sees what a command has changed has
//! got the events of it before.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ottla_raft::{Chunks, Position, StateMachine, View};
use ottla_runtime::Instant;
use ottla_znode::{Entry, Restorer};

use crate::applying::Applying;
use crate::entry;
use crate::monitor::micros;
use crate::server::{LastSnapshot, Server};

/// The one who changes the tree.
pub(crate) struct Machine {
    server: Arc<Server>,
}

impl Machine {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Machine { server }
    }

    /// Counts an entry that was applied.
    fn count(&self, entry: &Entry, began: Instant) {
        let (server, meters) = (&self.server, &self.server.meters);
        let commands = entry.commands.len() as u64;
        let took = server
            .runtime
            .clock
            .instant()
            .saturating_duration_since(began);
        if server.raft().is_none() {
            meters.startup_commands_read.add(commands);
            meters.startup_us.add(micros(took));
            return;
        }
        meters.batches.add(commands);
        meters.commit_process.took(took);
        match server.desk.office() {
            Some(_) => meters.commits.add(commands),
            None => meters.learner_commits.add(commands),
        }
        // The leader's clock may be ahead of this one.
        let age_ms = u64::try_from(server.runtime.clock.now_ms() - entry.now_ms);
        if let Ok(age_ms) = age_ms {
            meters.propagation.add(age_ms.saturating_mul(1_000));
        }
    }
}

impl StateMachine for Machine {
    fn apply(&mut self, at: Position, bytes: &[u8]) -> Result<Bytes, String> {
        let began = self.server.runtime.clock.instant();
        let (term, entry) = entry::decode(bytes)?;
        if term == at.term {
            let mut applying = Applying::begin(&self.server, entry.rules, entry.now_ms, term);
            for command in &entry.commands {
                applying.apply(command);
            }
            drop(applying);
            self.count(&entry, began);
        }
        Ok(Bytes::new())
    }

    fn snapshot(&self) -> View {
        let view = self.server.tree.view();
        self.server
            .snapshot_zxid
            .store(view.last_zxid(), Ordering::Relaxed);
        Box::new(move || Box::new(view.chunks().map(Ok)))
    }

    fn restore(&mut self, _at: Position, chunks: &mut Chunks<'_>) -> Result<(), String> {
        let clock = &self.server.runtime.clock;
        let began = clock.instant();
        let mut restorer = Restorer::default();
        for chunk in chunks {
            restorer.push(&chunk?).map_err(|error| error.to_string())?;
        }
        let state = restorer.finish().map_err(|error| error.to_string())?;
        let zxid = state.last_zxid();
        self.server.restore(state);
        let is_start = self.server.raft().is_none();
        if is_start {
            let took = clock.instant().saturating_duration_since(began);
            self.server.meters.snapshot_load.took(took);
        }
        let written_s = (!is_start).then(|| clock.now_ms() / 1_000);
        *self.server.last_snapshot.lock() = Some(LastSnapshot { zxid, written_s });
        Ok(())
    }

    fn applied(&mut self, _at: Position) {}
}
