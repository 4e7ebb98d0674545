//! Commands of this server's clients on their way to the leader.
//!
//! A command that was sent may be lost with its leader, and nobody can tell. A client is told so by
//! the end of its connection, as ZooKeeper does it, and nothing that it sent behind the lost command
//! may be carried out: so everything that waits is given up together ([`Outbox::give_up`]), under
//! the lock that every command passes.

use std::sync::Arc;

use bytes::Bytes;
use ottla_znode::Command;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clients::connection::{Connection, Waiting};
use crate::entry::Commands;

/// Connections read on only while fewer bytes than this wait for the leader.
pub(crate) const OUTBOX_BYTES: usize = 4 << 20;

/// The queue of commands.
#[derive(Default)]
pub(crate) struct Outbox {
    commands: Mutex<Commands>,
    filled: Notify,
    emptied: Notify,
}

impl Outbox {
    /// Sends a command for a connection, which will be answered when the command was applied. False
    /// when the connection was given up.
    pub(crate) fn send(
        &self,
        connection: &Connection,
        waiting: Waiting,
        command: &Command,
    ) -> bool {
        let mut commands = self.commands.lock();
        {
            let mut work = connection.work();
            if work.lost {
                return false;
            }
            work.waiting.push_back(waiting);
        }
        let was_empty = commands.is_empty();
        commands.push(command);
        drop(commands);
        if was_empty {
            self.filled.notify_one();
        }
        true
    }

    /// Sends a command of the server's own.
    pub(crate) fn push(&self, command: &Command) {
        let mut commands = self.commands.lock();
        let was_empty = commands.is_empty();
        commands.push(command);
        drop(commands);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Gives up all that waits: the connections that wait for a command end.
    pub(crate) fn give_up(&self, connections: impl Iterator<Item = Arc<Connection>>) {
        let mut commands = self.commands.lock();
        commands.clear();
        for connection in connections {
            let mut work = connection.work();
            let is_waiting =
                |w: &Waiting| matches!(w, Waiting::Session { .. } | Waiting::Write { .. });
            if work.waiting.iter().any(is_waiting) {
                work.lost = true;
                drop(work);
                connection.abort();
            }
        }
        self.emptied.notify_waiters();
    }

    /// Takes what is there.
    pub(crate) fn take(&self) -> Option<Bytes> {
        let mut commands = self.commands.lock();
        if commands.is_empty() {
            return None;
        }
        let taken = commands.take();
        self.emptied.notify_waiters();
        Some(taken)
    }

    /// Waits until there is something.
    pub(crate) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.commands.lock().is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Waits until there is room for more.
    pub(crate) async fn room(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.commands.lock().len() < OUTBOX_BYTES {
                return;
            }
            emptied.await;
        }
    }
}
