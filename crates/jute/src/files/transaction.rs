//! Transactions as the log has them (module `org.apache.zookeeper.txn`).

use bytes::Bytes;

use crate::codes::OpCode;
use crate::data::Acl;
use crate::error::Error;
use crate::reader::Reader;
use crate::record::{Record, records};
use crate::request::{Check, SetAcl, SetData};

records! {
    /// What all transactions begin with.
    #[derive(Copy)]
    TxnHeader {
        /// The session that asked for it.
        session: i64,
        /// The number that the client gave the request.
        cxid: i32,
        /// The transaction's number.
        zxid: i64,
        /// The leader's time, in ms.
        time_ms: i64,
        /// The operation; see [`OpCode`].
        op: i32,
    }

    /// The state of the whole tree behind a transaction, as a sum that members compare.
    #[derive(Copy)]
    TxnDigest {
        /// The version of the way to compute it.
        version: i32,
        /// The sum.
        tree_digest: i64,
    }

    /// A container was created.
    CreateContainerTxn {
        /// Its path.
        path: String,
        /// Its data.
        data: Option<Bytes>,
        /// Its ACL.
        acl: Vec<Acl>,
        /// The parent's new number of creations; -1 adds one.
        parent_cversion: i32,
    }

    /// A node with a time to live was created.
    CreateTtlTxn {
        /// Its path.
        path: String,
        /// Its data.
        data: Option<Bytes>,
        /// Its ACL.
        acl: Vec<Acl>,
        /// The parent's new number of creations; -1 adds one.
        parent_cversion: i32,
        /// The time to live, in ms.
        ttl_ms: i64,
    }
}

/// A node was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTxn {
    /// Its path.
    pub path: String,
    /// Its data.
    pub data: Option<Bytes>,
    /// Its ACL.
    pub acl: Vec<Acl>,
    /// Whether it goes with the session.
    pub ephemeral: bool,
    /// The parent's new number of creations; -1 adds one, as in logs of ZooKeeper 3.3.
    pub parent_cversion: i32,
}

impl CreateTxn {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(CreateTxn {
            path: Record::read(reader)?,
            data: Record::read(reader)?,
            acl: Record::read(reader)?,
            ephemeral: Record::read(reader)?,
            parent_cversion: reader.int().unwrap_or(-1),
        })
    }
}

/// A session was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseSessionTxn {
    /// The ephemeral nodes that went with it. `None` if the writer left the list out (before 3.6):
    /// those that the session has.
    pub paths: Option<Vec<String>>,
}

impl CloseSessionTxn {
    fn read(reader: &mut Reader<'_>) -> Self {
        // A digest may follow a list that was left out. What cannot be read as a list is that.
        let mut ahead = reader.clone();
        let paths = Vec::<String>::read(&mut ahead).ok();
        if paths.is_some() {
            *reader = ahead;
        }
        CloseSessionTxn { paths }
    }
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txn {
    /// A session was opened.
    CreateSession {
        /// Its timeout, in ms.
        timeout_ms: i32,
    },
    /// A session was closed.
    CloseSession(CloseSessionTxn),
    /// A node was created.
    Create(CreateTxn),
    /// A container was created.
    CreateContainer(CreateContainerTxn),
    /// A node with a time to live was created.
    CreateTtl(CreateTtlTxn),
    /// A node was deleted.
    Delete {
        /// Its path.
        path: String,
    },
    /// Data were set, or the members changed. The version is the new one.
    SetData(SetData),
    /// An ACL was set. The version is the new one.
    SetAcl(SetAcl),
    /// A version was asked for, in a multi.
    Check(Check),
    /// A request failed.
    Error {
        /// An [`crate::ErrorCode`].
        err: i32,
    },
    /// Several changes at once. If one of them is an error, none was made.
    Multi(Vec<Txn>),
}

impl Txn {
    /// Reads what follows the header.
    pub(super) fn read(op: i32, reader: &mut Reader<'_>) -> Result<Self, Error> {
        if op == OpCode::Multi.code() {
            return Ok(Txn::Multi(Txn::read_multi(reader)?));
        }
        Txn::read_one(op, reader)
    }

    fn read_multi(reader: &mut Reader<'_>) -> Result<Vec<Txn>, Error> {
        // The operation and the length of its bytes.
        let count = reader.vector(8)?;
        let mut txns = Vec::new();
        for _ in 0..count {
            let op = reader.int()?;
            let body = reader.buffer_or_null()?.unwrap_or_default();
            txns.push(Txn::read_one(op, &mut Reader::shared(&body))?);
        }
        Ok(txns)
    }

    fn read_one(op: i32, reader: &mut Reader<'_>) -> Result<Self, Error> {
        let not_here = Error::Unknown {
            what: "kind of transaction",
            value: op,
            class: "SerializeUtils",
        };
        Ok(match OpCode::try_from(op).map_err(|_| not_here.clone())? {
            OpCode::CreateSession => Txn::CreateSession {
                timeout_ms: reader.int()?,
            },
            OpCode::CloseSession => Txn::CloseSession(CloseSessionTxn::read(reader)),
            OpCode::Create | OpCode::Create2 => Txn::Create(CreateTxn::read(reader)?),
            OpCode::CreateContainer => Txn::CreateContainer(Record::read(reader)?),
            OpCode::CreateTtl => Txn::CreateTtl(Record::read(reader)?),
            OpCode::Delete | OpCode::DeleteContainer => Txn::Delete {
                path: Record::read(reader)?,
            },
            OpCode::SetData | OpCode::Reconfig => Txn::SetData(Record::read(reader)?),
            OpCode::SetAcl => Txn::SetAcl(Record::read(reader)?),
            OpCode::Check => Txn::Check(Record::read(reader)?),
            OpCode::Error => Txn::Error { err: reader.int()? },
            _ => return Err(not_here),
        })
    }
}
