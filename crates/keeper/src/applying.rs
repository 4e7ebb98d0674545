//! What a command changes and whom it concerns here: events, the reply, the reads that waited behind it.

use ottla_model::Sabotage;
use ottla_znode::{Closing, Command, Outcome, Owner, Reply, Rules, State};
use parking_lot::RwLockWriteGuard;

use crate::clients::connection::{Connection, Waiting};
use crate::clients::replies::{self, Asked};
use crate::server::{Server, UNREAD_BYTES_MAX};

/// The tree, while commands are applied to it.
pub(crate) struct Applying<'a> {
    server: &'a Server,
    state: RwLockWriteGuard<'a, State>,
    rules: Rules,
    now_ms: i64,
    term: u64,
}

impl<'a> Applying<'a> {
    /// Locks the tree for the commands of one entry.
    pub(crate) fn begin(server: &'a Server, rules: Rules, now_ms: i64, term: u64) -> Self {
        Applying {
            server,
            state: server.tree.write(),
            rules,
            now_ms,
            term,
        }
    }
}

impl Applying<'_> {
    /// Applies one command, and tells whoever is here and waits for it.
    pub(crate) fn apply(&mut self, command: &Command) {
        let server = self.server;
        let session = session_of(command);
        let before = session.and_then(|id| self.state.session(id).map(|s| s.owner));
        let epoch = u32::try_from(self.term).unwrap_or(u32::MAX);
        let now_ms = if Sabotage::StampsOwnTime.is_on() {
            server.runtime.clock.now_ms()
        } else {
            self.now_ms
        };
        let outcome = self.state.apply(epoch, now_ms, command, self.rules);
        server.digests.applied(&self.state, outcome.zxid);
        if let Command::CloseSession {
            closing: Closing::Expired,
            ..
        } = command
            && outcome.reply.is_ok()
            && server.desk.office().is_some()
        {
            server.meters.sessions_expired.add(1);
        }
        if !Sabotage::AnswersBeforeEvents.is_on() {
            self.fire(&outcome);
        }
        self.answer_to(command, before, &outcome);
        if Sabotage::AnswersBeforeEvents.is_on() {
            self.fire(&outcome);
        }
    }

    /// Tells whoever watches what was changed.
    fn fire(&self, outcome: &Outcome) {
        if !outcome.changes.is_empty() {
            let events = self.server.watches.lock().fire(&outcome.changes);
            self.server.send_events(outcome.zxid, &events);
        }
    }

    /// Tells whoever sent the command what came of it.
    fn answer_to(&self, command: &Command, before: Option<Owner>, outcome: &Outcome) {
        let server = self.server;
        match command {
            Command::OpenSession { owner, .. } | Command::AttachSession { owner, .. } => {
                self.attached(*owner, before, command, outcome);
            }
            Command::CloseSession { session, owner, .. } => {
                if let Some(owner) = owner {
                    self.answer(*owner, outcome);
                }
                if outcome.reply.is_ok() {
                    server.liveness.closed(*session);
                    let left = server.left.lock().remove(session);
                    for owner in before.into_iter().chain(left) {
                        let connection = server.connection(owner);
                        connection.inspect(|connection| connection.close());
                    }
                }
            }
            Command::Write { requester, .. } => self.answer(requester.owner, outcome),
            Command::SetConfig { requester, .. } => {
                if outcome.reply.is_ok() {
                    server.publish_participants(&self.state);
                }
                if let Some(requester) = requester {
                    self.answer(requester.owner, outcome);
                }
            }
            Command::RestorePart { restore, .. } | Command::RestoreAbort { restore } => {
                server.steps.applied(*restore, outcome);
            }
            Command::RestoreEnd { restore, .. } => {
                if outcome.reply.is_ok() {
                    self.restored();
                }
                server.steps.applied(*restore, outcome);
            }
            Command::ReapContainer { .. } | Command::ReapTtl { .. } => {}
        }
    }

    /// The state is that of a backup. Its sessions have the whole of their timeouts to come back.
    fn restored(&self) {
        let server = self.server;
        server.replaced(&self.state);
        server.left.lock().clear();
        let sessions = self.state.sessions();
        let sessions = sessions.map(|(id, session)| (id, session.timeout_ms));
        let now_ms = server.runtime.clock.monotonic_ms();
        server.liveness.replaced(sessions, now_ms);
    }

    /// A session was opened, or its client has come back.
    fn attached(&self, owner: Owner, before: Option<Owner>, command: &Command, outcome: &Outcome) {
        let server = self.server;
        if let (Ok(Reply::Session { timeout_ms }), Some(session)) =
            (&outcome.reply, session_of(command))
        {
            let now_ms = server.runtime.clock.monotonic_ms();
            server.liveness.opened(session, *timeout_ms, now_ms);
            if matches!(command, Command::AttachSession { .. }) && server.desk.office().is_some() {
                server.meters.revalidated_for_others.add(1);
            }
            // A session that has moved away may still be closed elsewhere; then this connection ends, too.
            if let Some(old) = before.filter(|old| old.server == server.id && *old != owner) {
                server.left.lock().insert(session, old);
            }
            // The client has come back to the same server, and left its old connection. One that it has
            // on another server is refused when it is used again (`ZooKeeperServer.processConnectRequest`).
            let old = before.filter(|old| *old != owner && old.server == owner.server);
            let old = old.and_then(|old| server.connection(old));
            old.inspect(|old| old.abort());
        }
        if let Some(connection) = server.connection(owner) {
            replies::session(server, &self.state, &connection, command, outcome);
            self.go_on(&connection);
        }
    }

    /// Answers the oldest request of a connection, which this command was, and what waits behind it.
    fn answer(&self, owner: Owner, outcome: &Outcome) {
        let Some(connection) = self.server.connection(owner) else {
            return;
        };
        let front = {
            let mut work = connection.work();
            match work.waiting.front() {
                Some(Waiting::Write { .. }) => work.waiting.pop_front(),
                _ => None,
            }
        };
        // The end of a session that is silent was proposed by the leader, and nobody waits for it.
        let Some(Waiting::Write {
            op,
            xid,
            arrived,
            large,
        }) = front
        else {
            return;
        };
        self.server.throttles.ended(1);
        let asked = Asked { op, xid, arrived };
        replies::write(self.server, &connection, &asked, outcome);
        // Its bytes are not in work any more.
        drop(large);
        self.go_on(&connection);
    }

    /// Answers the reads whose turn it is.
    fn go_on(&self, connection: &Connection) {
        loop {
            let next = {
                let mut work = connection.work();
                match work.waiting.front() {
                    Some(Waiting::Read { .. } | Waiting::Ready(_)) => work.waiting.pop_front(),
                    _ => None,
                }
            };
            if next.is_some() {
                self.server.throttles.ended(1);
            }
            match next {
                Some(Waiting::Read {
                    xid,
                    request,
                    identities,
                    arrived,
                    large: _large,
                }) => {
                    if connection.unsent_bytes() > UNREAD_BYTES_MAX {
                        tracing::warn!(
                            peer = %connection.peer,
                            "a client leaves its replies unread and is disconnected"
                        );
                        connection.abort();
                        return;
                    }
                    let at = (xid, arrived);
                    replies::read(
                        self.server,
                        &self.state,
                        connection,
                        &identities,
                        at,
                        &request,
                    );
                }
                Some(Waiting::Ready(reply)) => replies::ready(self.server, connection, &reply),
                _ => break,
            }
        }
        connection.make_room();
    }
}

/// The session that a command opens, attaches or ends.
fn session_of(command: &Command) -> Option<i64> {
    match command {
        Command::OpenSession { session, .. }
        | Command::AttachSession { session, .. }
        | Command::CloseSession { session, .. } => Some(*session),
        _ => None,
    }
}
