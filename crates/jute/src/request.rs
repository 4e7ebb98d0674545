//! What clients ask for.

use bytes::Bytes;

use crate::codes::{AddWatchMode, OpCode, WatcherType};
use crate::connect::AuthPacket;
use crate::data::Acl;
use crate::error::Error;
use crate::multi::{MultiOp, MultiRead, read_ops, read_reads, write_ops, write_reads};
use crate::reader::Reader;
use crate::record::{Record, records};
use crate::writer::Writer;

records! {
    /// `create`, `create2` and `createContainer`.
    Create {
        /// The node's path; that of a sequential one is completed by the server.
        path: String,
        /// Its data.
        data: Option<Bytes>,
        /// Its ACL.
        acl: Vec<Acl>,
        /// A [`crate::CreateMode`]. The server refuses other numbers with `BADARGUMENTS`.
        flags: i32,
    }

    /// `createTTL`.
    CreateTtl {
        /// The node's path; that of a sequential one is completed by the server.
        path: String,
        /// Its data.
        data: Option<Bytes>,
        /// Its ACL.
        acl: Vec<Acl>,
        /// A [`crate::CreateMode`].
        flags: i32,
        /// How long it stays without a change and without children, in ms.
        ttl_ms: i64,
    }

    /// `delete`.
    Delete {
        /// The node's path.
        path: String,
        /// The version that it must have; -1 for any.
        version: i32,
    }

    /// `deleteContainer`.
    DeleteContainer {
        /// The container's path.
        path: String,
    }

    /// `exists`.
    Exists {
        /// The node's path.
        path: String,
        /// Whether to watch it.
        watch: bool,
    }

    /// `getData`.
    GetData {
        /// The node's path.
        path: String,
        /// Whether to watch it.
        watch: bool,
    }

    /// `setData`.
    SetData {
        /// The node's path.
        path: String,
        /// The data.
        data: Option<Bytes>,
        /// The version that it must have; -1 for any.
        version: i32,
    }

    /// `getACL`.
    GetAcl {
        /// The node's path.
        path: String,
    }

    /// `setACL`.
    SetAcl {
        /// The node's path.
        path: String,
        /// The ACL.
        acl: Vec<Acl>,
        /// The version that its ACL must have; -1 for any.
        version: i32,
    }

    /// `getChildren` and `getChildren2`.
    GetChildren {
        /// The node's path.
        path: String,
        /// Whether to watch its children.
        watch: bool,
    }

    /// `sync`.
    Sync {
        /// Comes back in the response; it means nothing else.
        path: String,
    }

    /// `check`, in a multi.
    Check {
        /// The node's path.
        path: String,
        /// The version that it must have; -1 for any.
        version: i32,
    }

    /// `reconfig`.
    Reconfig {
        /// Members to add or to change, as lines of `zoo.cfg`, separated by commas.
        joining_servers: Option<String>,
        /// Ids of members to remove, separated by commas.
        leaving_servers: Option<String>,
        /// All members; instead of the other two.
        new_members: Option<String>,
        /// The version of the configuration that this changes; -1 for any.
        current_config_id: i64,
    }

    /// `checkWatches` and `removeWatches`.
    CheckWatches {
        /// The path that is watched.
        path: String,
        /// Which watches.
        kind: WatcherType,
    }

    /// `addWatch`.
    AddWatch {
        /// The path to watch.
        path: String,
        /// How.
        mode: AddWatchMode,
    }

    /// `setWatches`.
    SetWatches {
        /// The newest transaction that the client has seen: what changed since then fires at once.
        relative_zxid: i64,
        /// Paths of nodes that were there, whose data are watched.
        data_watches: Vec<String>,
        /// Paths of nodes that were not there.
        exist_watches: Vec<String>,
        /// Paths of nodes whose children are watched.
        child_watches: Vec<String>,
    }

    /// `setWatches2`.
    SetWatches2 {
        /// The newest transaction that the client has seen: what changed since then fires at once.
        relative_zxid: i64,
        /// Paths of nodes that were there, whose data are watched.
        data_watches: Vec<String>,
        /// Paths of nodes that were not there.
        exist_watches: Vec<String>,
        /// Paths of nodes whose children are watched.
        child_watches: Vec<String>,
        /// Paths with persistent watches.
        persistent_watches: Vec<String>,
        /// Paths with persistent watches of the subtree.
        persistent_recursive_watches: Vec<String>,
    }

    /// `sasl`.
    Sasl {
        /// The mechanism's message.
        token: Option<Bytes>,
    }

    /// `getEphemerals`.
    GetEphemerals {
        /// What the paths begin with; null, empty and `/` mean all.
        prefix_path: Option<String>,
    }

    /// `getAllChildrenNumber`.
    GetAllChildrenNumber {
        /// The node's path.
        path: String,
    }
}

macro_rules! number_field {
    ($($type:ty),+) => {$(
        impl Record for $type {
            const BYTES_MIN: usize = 4;

            fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
                <$type>::try_from(reader.int()?)
            }

            fn write(&self, writer: &mut Writer<'_>) {
                writer.int(self.code());
            }
        }
    )+};
}

number_field!(WatcherType, AddWatchMode);

/// Declares the enum of requests: variant, operation, body.
macro_rules! requests {
    ($($(#[$meta:meta])* $variant:ident($type:ty),)+) => {
        /// A request of a client.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request {
            $($(#[$meta])* $variant($type),)+
            /// Several changes.
            Multi(Vec<MultiOp>),
            /// Several reads.
            MultiRead(Vec<MultiRead>),
            /// Nothing but a sign of life.
            Ping,
            /// The connection's identities.
            WhoAmI,
            /// The end of the session.
            CloseSession,
        }

        impl Request {
            /// Reads the fields that follow a request's header.
            ///
            /// Operations that clients do not send are [`Error::NotARequest`].
            pub fn read(op: OpCode, reader: &mut Reader<'_>) -> Result<Self, Error> {
                Ok(match op {
                    $(OpCode::$variant => Request::$variant(Record::read(reader)?),)+
                    OpCode::Multi => Request::Multi(read_ops(reader)?),
                    OpCode::MultiRead => Request::MultiRead(read_reads(reader)?),
                    OpCode::Ping => Request::Ping,
                    OpCode::WhoAmI => Request::WhoAmI,
                    OpCode::CloseSession => Request::CloseSession,
                    OpCode::Notification
                    | OpCode::Check
                    | OpCode::CreateSession
                    | OpCode::Error => return Err(Error::NotARequest { op: op.name() }),
                })
            }

            /// Writes the fields that follow the header.
            pub fn write(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Request::$variant(body) => body.write(writer),)+
                    Request::Multi(ops) => write_ops(ops, writer),
                    Request::MultiRead(reads) => write_reads(reads, writer),
                    Request::Ping | Request::WhoAmI | Request::CloseSession => {}
                }
            }

            /// The operation.
            #[must_use]
            pub fn op_code(&self) -> OpCode {
                match self {
                    $(Request::$variant(_) => OpCode::$variant,)+
                    Request::Multi(_) => OpCode::Multi,
                    Request::MultiRead(_) => OpCode::MultiRead,
                    Request::Ping => OpCode::Ping,
                    Request::WhoAmI => OpCode::WhoAmI,
                    Request::CloseSession => OpCode::CloseSession,
                }
            }
        }
    };
}

requests! {
    /// Creates a node; the reply has its path.
    Create(Create),
    /// Creates a node; the reply has its stat, too.
    Create2(Create),
    /// Creates a container.
    CreateContainer(Create),
    /// Creates a node with a time to live.
    CreateTtl(CreateTtl),
    /// Deletes a node.
    Delete(Delete),
    /// Deletes an empty container.
    DeleteContainer(DeleteContainer),
    /// The stat of a node.
    Exists(Exists),
    /// The data of a node.
    GetData(GetData),
    /// New data for a node.
    SetData(SetData),
    /// The ACL of a node.
    GetAcl(GetAcl),
    /// A new ACL for a node.
    SetAcl(SetAcl),
    /// The children of a node.
    GetChildren(GetChildren),
    /// The children of a node, and its stat.
    GetChildren2(GetChildren),
    /// Waits for what was committed before.
    Sync(Sync),
    /// Changes the members.
    Reconfig(Reconfig),
    /// Whether there is a watch.
    CheckWatches(CheckWatches),
    /// Removes watches.
    RemoveWatches(CheckWatches),
    /// Proves an identity.
    Auth(AuthPacket),
    /// Watches anew.
    SetWatches(SetWatches),
    /// Watches anew, with persistent ones.
    SetWatches2(SetWatches2),
    /// A step of SASL.
    Sasl(Sasl),
    /// The session's ephemeral nodes.
    GetEphemerals(GetEphemerals),
    /// The number of nodes below one.
    GetAllChildrenNumber(GetAllChildrenNumber),
    /// A persistent watch.
    AddWatch(AddWatch),
}

impl Request {
    /// Reads the fields that follow a request's header; data share the memory of `body`.
    pub fn decode(op: OpCode, body: &Bytes) -> Result<Self, Error> {
        Request::read(op, &mut Reader::shared(body))
    }
}
