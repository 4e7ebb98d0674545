//! What a command has brought about.

use std::sync::Arc;

use ottla_jute::{Acl, ErrorCode, Response};

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its number in the order of changes; that of the change before for a command that takes none.
    pub zxid: i64,
    /// What the client, or the service itself, is told.
    pub reply: Result<Reply, ErrorCode>,
    /// What changed, in the order in which it fires watches.
    pub changes: Vec<Change>,
}

/// What a command that succeeded answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The session is open, or attached to its new owner.
    Session {
        /// Its timeout, in ms.
        timeout_ms: i32,
    },
    /// The session is closed.
    Closed,
    /// What a client's request is answered with.
    Response(Response),
    /// Whether a container or a node with a time to live was deleted.
    Reaped(bool),
    /// A part of a state that is on its way in was kept.
    PartTaken,
    /// The state is another one now. Whoever watched or had a session here has none any more.
    Restored,
}

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data were set.
    DataChanged,
}

/// A change that watches see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Arc<str>,
    /// The node's ACL: only who may read it is told.
    pub acl: Arc<[Acl]>,
    /// The ACL of its parent, whose children have changed; empty if only data were set.
    pub parent_acl: Option<Arc<[Acl]>>,
}
