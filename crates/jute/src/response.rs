//! What servers answer.

use bytes::{Bytes, BytesMut};

use crate::codes::OpCode;
use crate::data::{Acl, ClientInfo, Stat};
use crate::error::Error;
use crate::multi::{MultiResult, read_results, write_results};
use crate::reader::Reader;
use crate::record::{Record, records};
use crate::writer::Writer;

records! {
    /// What a watch has seen; the body of a frame whose xid is -1.
    WatcherEvent {
        /// A [`crate::EventType`].
        kind: i32,
        /// A [`crate::KeeperState`].
        state: i32,
        /// The path that was watched, or one below it.
        path: String,
    }
}

/// The fields that follow a reply's header when it has no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// No fields: `delete`, `deleteContainer`, `closeSession`, `ping`, `auth`, `setWatches`,
    /// `setWatches2`, `checkWatches`, `removeWatches`.
    Empty,
    /// `create`.
    Create {
        /// The node's path.
        path: String,
    },
    /// `create2`, `createContainer`, `createTTL`.
    Create2 {
        /// The node's path.
        path: String,
        /// Its stat.
        stat: Stat,
    },
    /// `exists`, `setData`, `setACL`.
    Stat(Stat),
    /// `getData`, `reconfig`.
    GetData {
        /// The data.
        data: Option<Bytes>,
        /// The node's stat.
        stat: Stat,
    },
    /// `getACL`.
    GetAcl {
        /// The ACL.
        acl: Vec<Acl>,
        /// The node's stat.
        stat: Stat,
    },
    /// `getChildren`.
    GetChildren {
        /// Their names.
        children: Vec<String>,
    },
    /// `getChildren2`.
    GetChildren2 {
        /// Their names.
        children: Vec<String>,
        /// The node's stat.
        stat: Stat,
    },
    /// `sync`.
    Sync {
        /// The path of the request.
        path: String,
    },
    /// `multi`, `multiRead`.
    Multi(Vec<MultiResult>),
    /// `sasl`.
    Sasl {
        /// The mechanism's message.
        token: Option<Bytes>,
    },
    /// `getEphemerals`.
    GetEphemerals {
        /// Paths of nodes.
        ephemerals: Vec<String>,
    },
    /// `getAllChildrenNumber`.
    GetAllChildrenNumber {
        /// How many there are.
        total_number: i32,
    },
    /// `addWatch`.
    Error {
        /// 0.
        err: i32,
    },
    /// `whoAmI`.
    WhoAmI {
        /// The connection's identities.
        client_info: Vec<ClientInfo>,
    },
}

impl Response {
    /// Reads the response to an operation.
    pub fn read(op: OpCode, reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(match op {
            OpCode::Delete
            | OpCode::DeleteContainer
            | OpCode::CloseSession
            | OpCode::Ping
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::CheckWatches
            | OpCode::RemoveWatches => Response::Empty,
            OpCode::Create => Response::Create {
                path: Record::read(reader)?,
            },
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => Response::Create2 {
                path: Record::read(reader)?,
                stat: Record::read(reader)?,
            },
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => {
                Response::Stat(Record::read(reader)?)
            }
            OpCode::GetData | OpCode::Reconfig => Response::GetData {
                data: Record::read(reader)?,
                stat: Record::read(reader)?,
            },
            OpCode::GetAcl => Response::GetAcl {
                acl: Record::read(reader)?,
                stat: Record::read(reader)?,
            },
            OpCode::GetChildren => Response::GetChildren {
                children: Record::read(reader)?,
            },
            OpCode::GetChildren2 => Response::GetChildren2 {
                children: Record::read(reader)?,
                stat: Record::read(reader)?,
            },
            OpCode::Sync => Response::Sync {
                path: Record::read(reader)?,
            },
            OpCode::Multi | OpCode::MultiRead => Response::Multi(read_results(reader)?),
            OpCode::Sasl => Response::Sasl {
                token: Record::read(reader)?,
            },
            OpCode::GetEphemerals => Response::GetEphemerals {
                ephemerals: Record::read(reader)?,
            },
            OpCode::GetAllChildrenNumber => Response::GetAllChildrenNumber {
                total_number: Record::read(reader)?,
            },
            OpCode::AddWatch => Response::Error {
                err: Record::read(reader)?,
            },
            OpCode::WhoAmI => Response::WhoAmI {
                client_info: Record::read(reader)?,
            },
            OpCode::Notification | OpCode::Check | OpCode::CreateSession | OpCode::Error => {
                return Err(Error::NotARequest { op: op.name() });
            }
        })
    }

    /// Writes the fields.
    pub fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Response::Empty => {}
            Response::Create { path } | Response::Sync { path } => path.write(writer),
            Response::Create2 { path, stat } => {
                path.write(writer);
                stat.write(writer);
            }
            Response::Stat(stat) => stat.write(writer),
            Response::GetData { data, stat } => {
                data.write(writer);
                stat.write(writer);
            }
            Response::GetAcl { acl, stat } => {
                acl.write(writer);
                stat.write(writer);
            }
            Response::GetChildren {
                children: strings, ..
            }
            | Response::GetEphemerals {
                ephemerals: strings,
            } => strings.write(writer),
            Response::GetChildren2 { children, stat } => {
                children.write(writer);
                stat.write(writer);
            }
            Response::Multi(results) => write_results(results, writer),
            Response::Sasl { token } => token.write(writer),
            Response::GetAllChildrenNumber { total_number } => total_number.write(writer),
            Response::Error { err } => err.write(writer),
            Response::WhoAmI { client_info } => client_info.write(writer),
        }
    }

    /// Reads the response to an operation; data share the memory of `body`.
    pub fn decode(op: OpCode, body: &Bytes) -> Result<Self, Error> {
        Response::read(op, &mut Reader::shared(body))
    }

    /// The fields as bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write(&mut Writer::new(&mut out));
        out.freeze()
    }
}
