//! ZooKeeper's protocol: its encoding ("jute"), the records that clients and servers exchange, and
//! (in [`files`]) the formats of a real ZooKeeper's transaction log and snapshots.
//!
//! The encoding is plain: integers are big-endian, a string or a buffer is its length (four bytes,
//! -1 for null) and its bytes, a vector is its length and its elements, a record is its fields in
//! order. A frame on the wire is a length of four bytes and so many bytes:
//!
//! ```text
//!   request   | length | xid | type |        fields of the request …   |
//!   reply     | length | xid | zxid | err |  fields of the response …  |   nothing after an error
//!   event     | length | -1  | zxid | 0   |  type | state | path       |
//!   connect   | length | ConnectRequest  …                             |   the first frame of each side
//! ```
//!
//! Decoders take untrusted bytes: whatever they are, the result is a value or an [`Error`], and no
//! more memory is taken than a small multiple of the input. Bytes that follow a record are ignored,
//! as ZooKeeper ignores them.
//!
//! Sources: `zookeeper.jute`, the classes `ZooDefs`, `KeeperException.Code`, `MultiOperationRecord`,
//! `MultiResponse` and `ProtocolManager` of ZooKeeper 3.9.
//!
//! Architecture invariant: no IO, no clock, no knowledge of what requests do.

mod codes;
mod connect;
mod data;
mod error;
pub mod files;
mod frame;
mod multi;
mod reader;
mod record;
mod request;
mod response;
mod writer;

pub use codes::{
    AddWatchMode, CreateMode, ErrorCode, EventType, KeeperState, OpCode, WatcherType, perms,
};
pub use connect::{AuthPacket, ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, xid};
pub use data::{Acl, ClientInfo, Id, Stat, StatPersisted};
pub use error::Error;
pub use frame::{frame, reply, request_frame};
pub use multi::{MultiHeader, MultiOp, MultiRead, MultiResult};
pub use reader::Reader;
pub use record::Record;
pub use request::{
    AddWatch, Check, CheckWatches, Create, CreateTtl, Delete, DeleteContainer, Exists, GetAcl,
    GetAllChildrenNumber, GetChildren, GetData, GetEphemerals, Reconfig, Request, Sasl, SetAcl,
    SetData, SetWatches, SetWatches2, Sync,
};
pub use response::{Response, WatcherEvent};
pub use writer::Writer;
