//! What is done on both servers.

use std::fmt;

use bytes::{Bytes, BytesMut};
use ottla_jute::{OpCode, Request, SetWatches, SetWatches2, Writer};

/// How many clients there are. Each has one session at a time, and at most one connection.
pub const CLIENTS: usize = 4;

/// What `setWatches` calls the newest transaction that a client has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// None: everything is new to it.
    Nothing,
    /// The one of its answer so many answers ago; 0 is the last one.
    Back(usize),
}

/// One thing that a client does. A client without what it takes does nothing, on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new session.
    Open {
        /// The client's place.
        client: usize,
        /// The timeout that it asks for.
        timeout_ms: i32,
    },
    /// A connection for the session that it has.
    Resume {
        /// The client's place.
        client: usize,
        /// Which of the servers, counted on from its usual one.
        server: usize,
        /// Whether the password is the right one.
        with_password: bool,
    },
    /// The connection ends, the session stays.
    Drop {
        /// The client's place.
        client: usize,
    },
    /// The session ends for want of a connection.
    Expire {
        /// The client's place.
        client: usize,
    },
    /// A request.
    Request {
        /// The client's place.
        client: usize,
        /// The operation; any number.
        op: i32,
        /// What follows the header; any bytes.
        body: Bytes,
        /// For people.
        named: String,
        /// Data that say where servers are, and differ therefore.
        has_private_data: bool,
    },
    /// `setWatches` or `setWatches2`, with the zxid filled in.
    SetWatches {
        /// The client's place.
        client: usize,
        /// Which transactions are not new to it.
        since: Since,
        /// The rest; persistent watches make it `setWatches2`.
        watches: SetWatches2,
    },
    /// Bytes that need not be a frame.
    Bytes {
        /// The client's place.
        client: usize,
        /// What is sent.
        bytes: Bytes,
        /// For people.
        named: String,
    },
}

impl Step {
    /// A request that is well-formed.
    pub fn request(client: usize, request: &Request) -> Step {
        let mut body = BytesMut::new();
        request.write(&mut Writer::new(&mut body));
        Step::Request {
            client,
            op: request.op_code().code(),
            body: body.freeze(),
            named: format!("{request:?}"),
            has_private_data: format!("{request:?}").contains("\"/zookeeper/config"),
        }
    }

    /// Whose it is.
    pub fn client(&self) -> usize {
        match self {
            Step::Open { client, .. }
            | Step::Resume { client, .. }
            | Step::Drop { client }
            | Step::Expire { client }
            | Step::Request { client, .. }
            | Step::SetWatches { client, .. }
            | Step::Bytes { client, .. } => *client,
        }
    }

    /// The kind without particulars.
    pub fn kind(&self) -> String {
        match self {
            Step::Open { .. } => "open".to_owned(),
            Step::Resume { .. } => "resume".to_owned(),
            Step::Drop { .. } => "drop".to_owned(),
            Step::Expire { .. } => "expire".to_owned(),
            Step::Request { op, .. } => operation(*op),
            Step::SetWatches { .. } => "setWatches".to_owned(),
            Step::Bytes { .. } => "bytes".to_owned(),
        }
    }

    /// Whether it changes nothing that others could hear of.
    pub fn is_read(&self) -> bool {
        let Step::Request { op, .. } = self else {
            return false;
        };
        matches!(
            OpCode::try_from(*op),
            Ok(OpCode::Exists
                | OpCode::GetData
                | OpCode::GetAcl
                | OpCode::GetChildren
                | OpCode::GetChildren2
                | OpCode::MultiRead
                | OpCode::GetEphemerals
                | OpCode::GetAllChildrenNumber
                | OpCode::CheckWatches
                | OpCode::WhoAmI)
        )
    }

    /// Whether several nodes go at once, in an order that nobody promises.
    pub fn deletes_in_any_order(&self) -> bool {
        match self {
            Step::Expire { .. } => true,
            Step::Request { op, .. } => *op == OpCode::CloseSession.code(),
            _ => false,
        }
    }
}

/// The name of an operation, or its number.
pub(super) fn operation(op: i32) -> String {
    OpCode::try_from(op).map_or_else(|_| format!("operation {op}"), |op| op.name().to_owned())
}

/// The request that a `setWatches` step sends: the older form where it can say the same.
pub(super) fn set_watches(relative_zxid: i64, watches: &SetWatches2) -> Request {
    let mut watches = watches.clone();
    watches.relative_zxid = relative_zxid;
    let is_old =
        watches.persistent_watches.is_empty() && watches.persistent_recursive_watches.is_empty();
    if is_old {
        return Request::SetWatches(SetWatches {
            relative_zxid,
            data_watches: watches.data_watches,
            exist_watches: watches.exist_watches,
            child_watches: watches.child_watches,
        });
    }
    Request::SetWatches2(watches)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}: ", self.client())?;
        match self {
            Step::Open { timeout_ms, .. } => write!(f, "open, timeout {timeout_ms} ms"),
            Step::Resume {
                server,
                with_password,
                ..
            } => {
                let how = if *with_password {
                    ""
                } else {
                    ", wrong password"
                };
                write!(f, "resume, {server} servers on{how}")
            }
            Step::Drop { .. } => f.write_str("drop the connection"),
            Step::Expire { .. } => f.write_str("let the session expire"),
            Step::Request { op, named, .. } => write!(f, "{} {named}", operation(*op)),
            Step::SetWatches { since, watches, .. } => {
                write!(f, "setWatches since {since:?}: {watches:?}")
            }
            Step::Bytes { named, .. } => write!(f, "bytes: {named}"),
        }
    }
}
