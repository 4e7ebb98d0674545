//! What is replicated: commands, and the entries of the log that carry them.
//!
//! ```text
//!   entry:    | version 1 | rules (1) | leader's time in ms (8) | command | command | …
//!   command:  | kind (1) | fields, in jute's encoding |
//! ```
//!
//! Commands know their own length. Whoever forwards them encodes them, and a leader puts the bytes
//! of many behind the head of one entry without reading them again.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_jute::{Id, OpCode, Reader, Record, Request, Writer};

use crate::error::Error;
use crate::rules::Rules;
use crate::session::Owner;

const ENTRY_VERSION: u8 = 1;

/// Who asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The session.
    pub session: i64,
    /// The connection that the session speaks through.
    pub owner: Owner,
    /// The number that the client gave the request.
    pub cxid: i32,
    /// What the connection has proved to be; with `super` if it is that.
    pub identities: Arc<[Id]>,
}

/// What a client may ask for that has its place in the order of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation(Request);

impl Operation {
    /// The request, whichever it is.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.0
    }
}

impl TryFrom<Request> for Operation {
    type Error = Request;

    /// Takes changes of the tree and `sync`; gives back all others.
    fn try_from(request: Request) -> Result<Self, Request> {
        let is_change = matches!(
            request,
            Request::Create(_)
                | Request::Create2(_)
                | Request::CreateContainer(_)
                | Request::CreateTtl(_)
                | Request::Delete(_)
                | Request::DeleteContainer(_)
                | Request::SetData(_)
                | Request::SetAcl(_)
                | Request::Multi(_)
                | Request::Sync(_)
        );
        if is_change {
            Ok(Operation(request))
        } else {
            Err(request)
        }
    }
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The client has closed it.
    ByClient,
    /// Nothing was heard of it for longer than its timeout.
    Expired,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A client comes without a session. The server has chosen its id and its password.
    OpenSession {
        /// An id that was never used.
        session: i64,
        /// What the client must know to come back.
        password: [u8; 16],
        /// The timeout, in ms, within the server's bounds.
        timeout_ms: i32,
        /// The client's connection.
        owner: Owner,
    },
    /// A client comes back with its session, here or to another server.
    AttachSession {
        /// The session.
        session: i64,
        /// What the client believes the password to be.
        password: [u8; 16],
        /// The timeout, in ms, within the server's bounds.
        timeout_ms: i32,
        /// The client's connection, which speaks for the session from now on.
        owner: Owner,
    },
    /// A session ends, and its ephemeral nodes with it.
    CloseSession {
        /// The session.
        session: i64,
        /// The connection that closes it, or that was silent: then void unless the session still has
        /// this owner. `None` ends it in any case.
        owner: Option<Owner>,
        /// Why.
        closing: Closing,
    },
    /// A client's request.
    Write {
        /// Who asks.
        requester: Requester,
        /// For what.
        operation: Operation,
    },
    /// Deletes a container; void unless it is one, is empty, and was used or is old enough.
    ReapContainer {
        /// Its path.
        path: String,
        /// A container that never had a child goes when it was not changed for so long, in ms; 0
        /// lets it stay (`container.maxNeverUsedIntervalMs`).
        never_used_ms: i64,
    },
    /// Deletes a node whose time to live is over; void unless it is.
    ReapTtl {
        /// Its path.
        path: String,
    },
    /// The members of the ensemble are others now.
    SetConfig {
        /// The client that asked for it; `None` if the service itself did.
        requester: Option<Requester>,
        /// The version that is replaced; -1 for any.
        expected_version: i64,
        /// Lines of `server.N=…`; the version is put behind them.
        members: String,
    },
    /// A part of a state that is to replace this one; see [`crate::View::chunks`].
    RestorePart {
        /// A number that nobody else uses.
        restore: u64,
        /// The part's number; 0 begins anew.
        part: u32,
        /// Whether it is the last one of its chunk.
        ends: bool,
        /// Its bytes.
        bytes: Bytes,
    },
    /// The parts are complete, and become the state.
    RestoreEnd {
        /// As in the parts.
        restore: u64,
        /// How many there are.
        parts: u32,
        /// [`crate::State::digest`] of what they are.
        digest: u64,
        /// Void if there are nodes besides ZooKeeper's own.
        only_if_empty: bool,
    },
    /// Nobody goes on with a restore.
    RestoreAbort {
        /// As in the parts.
        restore: u64,
    },
}

mod kind {
    pub(super) const OPEN_SESSION: u8 = 1;
    pub(super) const ATTACH_SESSION: u8 = 2;
    pub(super) const CLOSE_SESSION: u8 = 3;
    pub(super) const WRITE: u8 = 4;
    pub(super) const REAP_CONTAINER: u8 = 5;
    pub(super) const REAP_TTL: u8 = 6;
    pub(super) const SET_CONFIG: u8 = 7;
    pub(super) const RESTORE_PART: u8 = 8;
    pub(super) const RESTORE_END: u8 = 9;
    pub(super) const RESTORE_ABORT: u8 = 10;
}

impl Command {
    /// Whether it takes a number of its own in the order of changes. What changes no node does not,
    /// as in ZooKeeper.
    #[must_use]
    pub fn takes_zxid(&self) -> bool {
        !matches!(
            self,
            Command::AttachSession { .. }
                | Command::RestorePart { .. }
                | Command::RestoreAbort { .. }
                | Command::Write {
                    operation: Operation(Request::Sync(_)),
                    ..
                }
        )
    }

    /// Writes the command behind what is there.
    pub fn encode(&self, out: &mut BytesMut) {
        let w = &mut Writer::new(out);
        match self {
            Command::OpenSession {
                session,
                password,
                timeout_ms,
                owner,
            } => {
                w.byte(kind::OPEN_SESSION);
                write_attachment(w, *session, password, *timeout_ms, *owner);
            }
            Command::AttachSession {
                session,
                password,
                timeout_ms,
                owner,
            } => {
                w.byte(kind::ATTACH_SESSION);
                write_attachment(w, *session, password, *timeout_ms, *owner);
            }
            Command::CloseSession {
                session,
                owner,
                closing,
            } => {
                w.byte(kind::CLOSE_SESSION);
                w.long(*session);
                w.boolean(owner.is_some());
                if let Some(owner) = owner {
                    write_owner(w, *owner);
                }
                w.boolean(*closing == Closing::Expired);
            }
            Command::Write {
                requester,
                operation,
            } => {
                w.byte(kind::WRITE);
                write_requester(w, requester);
                w.int(operation.0.op_code().code());
                operation.0.write(w);
            }
            Command::ReapContainer {
                path,
                never_used_ms,
            } => {
                w.byte(kind::REAP_CONTAINER);
                w.string(path);
                w.long(*never_used_ms);
            }
            Command::ReapTtl { path } => {
                w.byte(kind::REAP_TTL);
                w.string(path);
            }
            Command::SetConfig {
                requester,
                expected_version,
                members,
            } => {
                w.byte(kind::SET_CONFIG);
                w.boolean(requester.is_some());
                if let Some(requester) = requester {
                    write_requester(w, requester);
                }
                w.long(*expected_version);
                w.string(members);
            }
            Command::RestorePart {
                restore,
                part,
                ends,
                bytes,
            } => {
                w.byte(kind::RESTORE_PART);
                w.long(restore.cast_signed());
                w.int(part.cast_signed());
                w.boolean(*ends);
                w.buffer(bytes);
            }
            Command::RestoreEnd {
                restore,
                parts,
                digest,
                only_if_empty,
            } => {
                w.byte(kind::RESTORE_END);
                w.long(restore.cast_signed());
                w.int(parts.cast_signed());
                w.long(digest.cast_signed());
                w.boolean(*only_if_empty);
            }
            Command::RestoreAbort { restore } => {
                w.byte(kind::RESTORE_ABORT);
                w.long(restore.cast_signed());
            }
        }
    }

    /// Reads one command; more may follow.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(match r.byte()? {
            kind::OPEN_SESSION => Command::OpenSession {
                session: r.long()?,
                password: read_password(r)?,
                timeout_ms: r.int()?,
                owner: read_owner(r)?,
            },
            kind::ATTACH_SESSION => Command::AttachSession {
                session: r.long()?,
                password: read_password(r)?,
                timeout_ms: r.int()?,
                owner: read_owner(r)?,
            },
            kind::CLOSE_SESSION => Command::CloseSession {
                session: r.long()?,
                owner: if r.boolean()? {
                    Some(read_owner(r)?)
                } else {
                    None
                },
                closing: if r.boolean()? {
                    Closing::Expired
                } else {
                    Closing::ByClient
                },
            },
            kind::WRITE => Command::Write {
                requester: read_requester(r)?,
                operation: read_operation(r)?,
            },
            kind::REAP_CONTAINER => Command::ReapContainer {
                path: r.string()?.to_owned(),
                never_used_ms: r.long()?,
            },
            kind::REAP_TTL => Command::ReapTtl {
                path: r.string()?.to_owned(),
            },
            kind::SET_CONFIG => Command::SetConfig {
                requester: if r.boolean()? {
                    Some(read_requester(r)?)
                } else {
                    None
                },
                expected_version: r.long()?,
                members: r.string()?.to_owned(),
            },
            kind::RESTORE_PART => Command::RestorePart {
                restore: r.long()?.cast_unsigned(),
                part: r.int()?.cast_unsigned(),
                ends: r.boolean()?,
                bytes: r.buffer_or_null()?.unwrap_or_default(),
            },
            kind::RESTORE_END => Command::RestoreEnd {
                restore: r.long()?.cast_unsigned(),
                parts: r.int()?.cast_unsigned(),
                digest: r.long()?.cast_unsigned(),
                only_if_empty: r.boolean()?,
            },
            kind::RESTORE_ABORT => Command::RestoreAbort {
                restore: r.long()?.cast_unsigned(),
            },
            other => {
                return Err(Error::Unknown {
                    what: "kind of command",
                    value: other.into(),
                });
            }
        })
    }
}

fn write_attachment(
    w: &mut Writer<'_>,
    session: i64,
    password: &[u8; 16],
    timeout_ms: i32,
    owner: Owner,
) {
    w.long(session);
    w.raw(password);
    w.int(timeout_ms);
    write_owner(w, owner);
}

fn write_owner(w: &mut Writer<'_>, owner: Owner) {
    w.long(owner.server.cast_signed());
    w.long(owner.attach.cast_signed());
}

fn read_owner(r: &mut Reader<'_>) -> Result<Owner, Error> {
    Ok(Owner {
        server: r.long()?.cast_unsigned(),
        attach: r.long()?.cast_unsigned(),
    })
}

fn read_password(r: &mut Reader<'_>) -> Result<[u8; 16], Error> {
    let mut password = [0; 16];
    password.copy_from_slice(r.take(16)?);
    Ok(password)
}

fn write_requester(w: &mut Writer<'_>, requester: &Requester) {
    w.long(requester.session);
    write_owner(w, requester.owner);
    w.int(requester.cxid);
    w.length(requester.identities.len());
    for id in requester.identities.iter() {
        id.write(w);
    }
}

fn read_requester(r: &mut Reader<'_>) -> Result<Requester, Error> {
    Ok(Requester {
        session: r.long()?,
        owner: read_owner(r)?,
        cxid: r.int()?,
        identities: Vec::<Id>::read(r)?.into(),
    })
}

fn read_operation(r: &mut Reader<'_>) -> Result<Operation, Error> {
    let op = OpCode::try_from(r.int()?)?;
    let request = Request::read(op, r)?;
    Operation::try_from(request).map_err(|_| Error::Unknown {
        what: "operation that changes the tree",
        value: op.code().into(),
    })
}

/// What one entry of the log carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The rules that the commands are carried out by.
    pub rules: Rules,
    /// The leader's time, in ms since 1970.
    pub now_ms: i64,
    /// The commands, in their order.
    pub commands: Vec<Command>,
}

impl Entry {
    /// Begins an entry: commands that are encoded behind it belong to it.
    pub fn begin(out: &mut BytesMut, rules: Rules, now_ms: i64) {
        let mut w = Writer::new(out);
        w.byte(ENTRY_VERSION);
        w.byte(rules.to_bits());
        w.long(now_ms);
    }

    /// The entry as bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        Entry::begin(&mut out, self.rules, self.now_ms);
        for command in &self.commands {
            command.encode(&mut out);
        }
        out.freeze()
    }

    /// Reads an entry; data share its memory.
    pub fn decode(bytes: &Bytes) -> Result<Self, Error> {
        Entry::read(&mut Reader::shared(bytes))
    }

    /// Reads an entry up to the end of the bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let version = r.byte()?;
        if version != ENTRY_VERSION {
            return Err(Error::Version {
                what: "entry of the log",
                version,
            });
        }
        let bits = r.byte()?;
        let rules = Rules::of_bits(bits).ok_or(Error::Unknown {
            what: "set of rules",
            value: bits.into(),
        })?;
        let now_ms = r.long()?;
        let mut commands = Vec::new();
        while r.remaining() > 0 {
            commands.push(Command::read(r)?);
        }
        Ok(Entry {
            rules,
            now_ms,
            commands,
        })
    }
}
