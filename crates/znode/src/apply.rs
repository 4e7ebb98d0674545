//! Applies commands. Whatever a command is, the state stays whole: what cannot be done is answered
//! with an error.

use bytes::Bytes;
use ottla_jute::{ErrorCode, MultiOp, MultiResult, Request, Response, perms};

use crate::acl;
use crate::command::{Closing, Command, Operation, Requester};
use crate::commit::{Done, Moment};
use crate::decide::{Decider, Planned};
use crate::incoming::Part;
use crate::kind::Kind;
use crate::outcome::{Change, Outcome, Reply};
use crate::path;
use crate::rules::Rules;
use crate::session::{Owner, Session};
use crate::state::{State, is_over, is_reapable_container};

impl State {
    /// Applies one command. Its number is the next one of the epoch, which is the leader's term:
    /// `epoch << 32 | counter`, the counter from 1 on in each epoch. A command that fails takes a
    /// number, too; one that changes no node takes none ([`Command::takes_zxid`]).
    ///
    /// `now_ms` is the leader's time, which came with the command.
    pub fn apply(&mut self, epoch: u32, now_ms: i64, command: &Command, rules: Rules) -> Outcome {
        if command.takes_zxid() {
            self.last_zxid = self.next_zxid(epoch);
        }
        let at = Moment {
            zxid: self.last_zxid,
            now_ms,
        };
        let mut changes = Vec::new();
        let reply = self.reply_to(command, at, rules, &mut changes);
        Outcome {
            // A restored state may know of later changes.
            zxid: self.last_zxid,
            reply,
            changes,
        }
    }

    /// The number that the next change of an epoch has.
    #[must_use]
    pub fn next_zxid(&self, epoch: u32) -> i64 {
        // A counter that is used up counts on into the next epoch: numbers never go back.
        let first = ((u64::from(epoch) << 32) | 1).cast_signed();
        first.max(self.last_zxid.saturating_add(1))
    }

    fn reply_to(
        &mut self,
        command: &Command,
        at: Moment,
        rules: Rules,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ErrorCode> {
        match command {
            Command::OpenSession {
                session,
                password,
                timeout_ms,
                owner,
            } => self.open_session(
                *session,
                Session {
                    password: *password,
                    timeout_ms: *timeout_ms,
                    owner: *owner,
                },
            ),
            Command::AttachSession {
                session,
                password,
                timeout_ms,
                owner,
            } => self.attach_session(
                *session,
                Session {
                    password: *password,
                    timeout_ms: *timeout_ms,
                    owner: *owner,
                },
            ),
            Command::CloseSession {
                session,
                owner,
                closing,
            } => {
                // A client that closes its session means it, over whichever connection. One that is
                // silent may have come back over another.
                let speaks = owner.filter(|_| *closing == Closing::Expired);
                self.check_session(*session, speaks)?;
                changes.extend(self.delete_ephemerals(*session, at.zxid));
                self.remove_session(*session);
                Ok(Reply::Closed)
            }
            Command::Write {
                requester,
                operation,
            } => self
                .write(requester, operation, at, rules, changes)
                .map(Reply::Response),
            Command::ReapContainer {
                path,
                never_used_ms,
            } => {
                let is_due = self.tree.find(path).is_some_and(|id| {
                    is_reapable_container(self.tree.node(id), at.now_ms, *never_used_ms)
                });
                Ok(self.reap(path, is_due, at, changes))
            }
            Command::ReapTtl { path } => {
                let found = self.tree.find(path);
                let is_due = found.is_some_and(|id| is_over(self.tree.node(id), at.now_ms));
                Ok(self.reap(path, is_due, at, changes))
            }
            Command::RestorePart {
                restore,
                part,
                ends,
                bytes,
            } => {
                // What came is a part of a larger piece of memory.
                let bytes = Bytes::copy_from_slice(bytes);
                let kept = Part { ends: *ends, bytes };
                self.take_part(*restore, *part, kept, at.now_ms)
            }
            Command::RestoreEnd {
                restore,
                parts,
                digest,
                only_if_empty,
            } => self.end_restore(*restore, *parts, *digest, *only_if_empty),
            Command::RestoreAbort { restore } => {
                self.abort_restore(*restore);
                Ok(Reply::Reaped(true))
            }
            Command::SetConfig {
                requester,
                expected_version,
                members,
            } => self
                .set_config(
                    requester.as_ref(),
                    *expected_version,
                    members,
                    at,
                    rules,
                    changes,
                )
                .map(Reply::Response),
        }
    }

    fn reap(&mut self, path: &str, is_due: bool, at: Moment, changes: &mut Vec<Change>) -> Reply {
        if is_due {
            changes.extend(self.delete_node(path, at.zxid));
        }
        Reply::Reaped(is_due)
    }

    fn open_session(&mut self, id: i64, session: Session) -> Result<Reply, ErrorCode> {
        let timeout_ms = session.timeout_ms;
        match self.sessions.get(&id) {
            // The same command, proposed twice.
            Some(open) if *open == session => {}
            Some(_) => return Err(ErrorCode::RuntimeInconsistency),
            None if !Kind::is_session_id(id) => return Err(ErrorCode::BadArguments),
            None => self.put_session(id, session),
        }
        Ok(Reply::Session { timeout_ms })
    }

    fn attach_session(&mut self, id: i64, session: Session) -> Result<Reply, ErrorCode> {
        let timeout_ms = session.timeout_ms;
        let open = self.sessions.get(&id).ok_or(ErrorCode::SessionExpired)?;
        if !same_password(&open.password, &session.password) {
            return Err(ErrorCode::AuthFailed);
        }
        self.put_session(id, session);
        Ok(Reply::Session { timeout_ms })
    }

    /// Whether the session is there and this is its owner.
    fn check_session(&self, id: i64, owner: Option<Owner>) -> Result<(), ErrorCode> {
        let session = self.sessions.get(&id).ok_or(ErrorCode::SessionExpired)?;
        match owner {
            Some(owner) if owner != session.owner => Err(ErrorCode::SessionMoved),
            _ => Ok(()),
        }
    }

    fn write(
        &mut self,
        requester: &Requester,
        operation: &Operation,
        at: Moment,
        rules: Rules,
        changes: &mut Vec<Change>,
    ) -> Result<Response, ErrorCode> {
        self.check_session(requester.session, Some(requester.owner))?;
        let mut decider = Decider::new(self, requester.session, &requester.identities, rules);
        let planned = match operation.request() {
            Request::Create(create) => decider.create(create),
            Request::Create2(create) => decider.create2(create),
            Request::CreateContainer(create) => decider.create_container(create),
            Request::CreateTtl(create) => decider.create_ttl(create),
            Request::Delete(delete) => decider.delete(delete),
            Request::DeleteContainer(delete) => decider.delete_container(delete),
            Request::SetData(set) => decider.set_data(set),
            Request::SetAcl(set) => decider.set_acl(set),
            Request::Multi(ops) => {
                let planned = decider.multi(ops);
                return Ok(self.multi(ops, planned, at, changes));
            }
            Request::Sync(sync) => {
                let path = sync.path.clone();
                return Ok(Response::Sync { path });
            }
            _ => Err(ErrorCode::Unimplemented),
        }?;
        Ok(self.commit(planned, at, changes).response())
    }

    /// Carries out a multi if everything was decided. A failed one is no error of the request: its
    /// results tell which operation failed (`DataTree.processTxn`).
    fn multi(
        &mut self,
        ops: &[MultiOp],
        planned: Result<Vec<Planned<'_>>, (usize, ErrorCode)>,
        at: Moment,
        changes: &mut Vec<Change>,
    ) -> Response {
        let results = match planned {
            Ok(planned) => planned
                .into_iter()
                .map(|one| self.commit(one, at, changes))
                .map(Done::result)
                .collect(),
            Err((failed, error)) => (0..ops.len())
                .map(|index| match index.cmp(&failed) {
                    std::cmp::Ordering::Less => ErrorCode::Ok,
                    std::cmp::Ordering::Equal => error,
                    std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency,
                })
                .map(|code| MultiResult::Error(code.code()))
                .collect(),
        };
        Response::Multi(results)
    }

    /// Sets the members. The version, which is this change's number, becomes part of the data
    /// (`QuorumMaj.toString`).
    fn set_config(
        &mut self,
        requester: Option<&Requester>,
        expected_version: i64,
        members: &str,
        at: Moment,
        rules: Rules,
        changes: &mut Vec<Change>,
    ) -> Result<Response, ErrorCode> {
        if let Some(requester) = requester {
            self.check_session(requester.session, Some(requester.owner))?;
        }
        if expected_version != -1 && expected_version != self.config_version() {
            return Err(ErrorCode::BadVersion);
        }
        let config = self.tree.find(path::CONFIG_PATH).ok_or(ErrorCode::NoNode)?;
        if let Some(requester) = requester {
            let acl = self.tree.acl(self.tree.node(config));
            acl::check(acl, perms::WRITE, &requester.identities, rules)?;
        }
        let lines = members.trim_end_matches('\n');
        let separator = if lines.is_empty() { "" } else { "\n" };
        let data = format!("{lines}{separator}version={:x}", at.zxid);
        let data = Some(data.into_bytes().into());
        let stat = self.set_node_data(path::CONFIG_PATH, &data, -1, at, changes);
        Ok(Response::GetData { data, stat })
    }
}

/// Compares all bytes, so that the time does not tell where they differ.
fn same_password(one: &[u8; 16], other: &[u8; 16]) -> bool {
    let differ = one
        .iter()
        .zip(other)
        .fold(0, |differ, (one, other)| differ | (one ^ other));
    differ == 0
}
