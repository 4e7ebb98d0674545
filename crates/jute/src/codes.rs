//! The numbers of the protocol and their names.

use crate::error::Error;

/// Declares an enum of protocol numbers with its conversions.
macro_rules! numbers {
    (
        $(#[$meta:meta])*
        $name:ident, $what:literal, $class:literal;
        $($(#[$variant_meta:meta])* $variant:ident = $value:literal, $text:literal;)+
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $value,)+
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i32 {
                self as i32
            }

            /// ZooKeeper's name for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        impl TryFrom<i32> for $name {
            type Error = Error;

            fn try_from(value: i32) -> Result<Self, Error> {
                match value {
                    $($value => Ok($name::$variant),)+
                    _ => Err(Error::Unknown { what: $what, value, class: $class }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

numbers! {
    /// What a request asks for (`ZooDefs.OpCode`).
    OpCode, "operation", "ZooDefs.OpCode";
    /// An event; no request.
    Notification = 0, "notification";
    /// Creates a node; the reply has its path.
    Create = 1, "create";
    /// Deletes a node.
    Delete = 2, "delete";
    /// Asks for a node's stat.
    Exists = 3, "exists";
    /// Asks for a node's data.
    GetData = 4, "getData";
    /// Changes a node's data.
    SetData = 5, "setData";
    /// Asks for a node's ACL.
    GetAcl = 6, "getACL";
    /// Changes a node's ACL.
    SetAcl = 7, "setACL";
    /// Asks for the names of a node's children.
    GetChildren = 8, "getChildren";
    /// Waits until the server has seen what was committed before.
    Sync = 9, "sync";
    /// Keeps the session alive.
    Ping = 11, "ping";
    /// As `getChildren`; the reply has the stat, too.
    GetChildren2 = 12, "getChildren2";
    /// Asks for a version inside a multi.
    Check = 13, "check";
    /// Several changes, all or none.
    Multi = 14, "multi";
    /// As `create`; the reply has the stat, too.
    Create2 = 15, "create2";
    /// Changes the members of the ensemble.
    Reconfig = 16, "reconfig";
    /// Asks whether there is a watch.
    CheckWatches = 17, "checkWatches";
    /// Removes watches.
    RemoveWatches = 18, "removeWatches";
    /// Creates a container.
    CreateContainer = 19, "createContainer";
    /// Deletes a container that is empty.
    DeleteContainer = 20, "deleteContainer";
    /// Creates a node with a time to live.
    CreateTtl = 21, "createTTL";
    /// Several reads in one request.
    MultiRead = 22, "multiRead";
    /// Adds an identity to the connection.
    Auth = 100, "auth";
    /// Registers watches anew after a reconnect.
    SetWatches = 101, "setWatches";
    /// A step of SASL.
    Sasl = 102, "sasl";
    /// Asks for the session's ephemeral nodes.
    GetEphemerals = 103, "getEphemerals";
    /// Asks how many nodes are below a node.
    GetAllChildrenNumber = 104, "getAllChildrenNumber";
    /// As `setWatches`, with persistent watches.
    SetWatches2 = 105, "setWatches2";
    /// Adds a persistent watch.
    AddWatch = 106, "addWatch";
    /// Asks for the connection's identities.
    WhoAmI = 107, "whoAmI";
    /// Opens a session; only in the transaction log.
    CreateSession = -10, "createSession";
    /// Closes the session.
    CloseSession = -11, "closeSession";
    /// A failed operation; in the results of a multi and in the transaction log.
    Error = -1, "error";
}

numbers! {
    /// Why a request failed (`KeeperException.Code`).
    ErrorCode, "error code", "KeeperException.Code";
    /// Nothing failed.
    Ok = 0, "OK";
    /// A server's failure without a closer name.
    SystemError = -1, "SYSTEMERROR";
    /// The state contradicts itself; in a failed multi the mark of operations that were not tried.
    RuntimeInconsistency = -2, "RUNTIMEINCONSISTENCY";
    /// Data contradict each other.
    DataInconsistency = -3, "DATAINCONSISTENCY";
    /// The connection to the server is lost.
    ConnectionLoss = -4, "CONNECTIONLOSS";
    /// The request could not be read.
    MarshallingError = -5, "MARSHALLINGERROR";
    /// The server does not know the operation, or has it switched off.
    Unimplemented = -6, "UNIMPLEMENTED";
    /// The operation took too long.
    OperationTimeout = -7, "OPERATIONTIMEOUT";
    /// An argument makes no sense.
    BadArguments = -8, "BADARGUMENTS";
    /// The session is not known.
    UnknownSession = -12, "UNKNOWNSESSION";
    /// A majority of the new members is not connected.
    NewConfigNoQuorum = -13, "NEWCONFIGNOQUORUM";
    /// Another change of members is under way.
    ReconfigInProgress = -14, "RECONFIGINPROGRESS";
    /// The bound between system errors and those of the API.
    ApiError = -100, "APIERROR";
    /// The node does not exist.
    NoNode = -101, "NONODE";
    /// The ACL forbids it.
    NoAuth = -102, "NOAUTH";
    /// The version is another one.
    BadVersion = -103, "BADVERSION";
    /// An ephemeral node has no children.
    NoChildrenForEphemerals = -108, "NOCHILDRENFOREPHEMERALS";
    /// The node exists already.
    NodeExists = -110, "NODEEXISTS";
    /// The node has children.
    NotEmpty = -111, "NOTEMPTY";
    /// The session has expired.
    SessionExpired = -112, "SESSIONEXPIRED";
    /// The callback is invalid.
    InvalidCallback = -113, "INVALIDCALLBACK";
    /// The ACL is empty, or names an identity that cannot be.
    InvalidAcl = -114, "INVALIDACL";
    /// The credentials are wrong.
    AuthFailed = -115, "AUTHFAILED";
    /// The session speaks through another server now.
    SessionMoved = -118, "SESSIONMOVED";
    /// The server is read-only.
    NotReadOnly = -119, "NOTREADONLY";
    /// A local session has no ephemeral nodes.
    EphemeralOnLocalSession = -120, "EPHEMERALONLOCALSESSION";
    /// There is no such watch.
    NoWatcher = -121, "NOWATCHER";
    /// The request was not completed in time.
    RequestTimeout = -122, "REQUESTTIMEOUT";
    /// Changing the members is switched off.
    ReconfigDisabled = -123, "RECONFIGDISABLED";
    /// The server asks for SASL, and the client has not passed it.
    SessionClosedRequireSaslAuth = -124, "SESSIONCLOSEDREQUIRESASLAUTH";
    /// The change would exceed a quota.
    QuotaExceeded = -125, "QUOTAEXCEEDED";
    /// The server is overloaded and did not begin.
    ThrottledOp = -127, "THROTTLEDOP";
}

numbers! {
    /// What a watch has seen (`Watcher.Event.EventType`).
    EventType, "event type", "Watcher.Event.EventType";
    /// The connection has changed its state.
    None = -1, "None";
    /// The node was created.
    NodeCreated = 1, "NodeCreated";
    /// The node was deleted.
    NodeDeleted = 2, "NodeDeleted";
    /// The node's data were set.
    NodeDataChanged = 3, "NodeDataChanged";
    /// A child was created or deleted.
    NodeChildrenChanged = 4, "NodeChildrenChanged";
    /// A data watch was removed; only clients produce it.
    DataWatchRemoved = 5, "DataWatchRemoved";
    /// A child watch was removed; only clients produce it.
    ChildWatchRemoved = 6, "ChildWatchRemoved";
    /// A persistent watch was removed; only clients produce it.
    PersistentWatchRemoved = 7, "PersistentWatchRemoved";
}

numbers! {
    /// The state of a client's connection (`Watcher.Event.KeeperState`).
    KeeperState, "keeper state", "Watcher.Event.KeeperState";
    /// Not used any more.
    Unknown = -1, "Unknown";
    /// Without a server.
    Disconnected = 0, "Disconnected";
    /// Not used any more.
    NoSyncConnected = 1, "NoSyncConnected";
    /// Connected.
    SyncConnected = 3, "SyncConnected";
    /// The credentials were wrong.
    AuthFailed = 4, "AuthFailed";
    /// Connected to a server that is cut off from the majority.
    ConnectedReadOnly = 5, "ConnectedReadOnly";
    /// SASL has passed.
    SaslAuthenticated = 6, "SaslAuthenticated";
    /// The session has expired.
    Expired = -112, "Expired";
    /// The client has closed its session.
    Closed = 7, "Closed";
}

numbers! {
    /// The flags of a create (`CreateMode`).
    CreateMode, "create mode", "CreateMode";
    /// Stays until it is deleted.
    Persistent = 0, "PERSISTENT";
    /// Goes with its session.
    Ephemeral = 1, "EPHEMERAL";
    /// Persistent, its name completed with a number.
    PersistentSequential = 2, "PERSISTENT_SEQUENTIAL";
    /// Ephemeral, its name completed with a number.
    EphemeralSequential = 3, "EPHEMERAL_SEQUENTIAL";
    /// Deleted by the server some time after its last child.
    Container = 4, "CONTAINER";
    /// Deleted by the server when it was not changed for some time and has no children.
    PersistentWithTtl = 5, "PERSISTENT_WITH_TTL";
    /// The same, its name completed with a number.
    PersistentSequentialWithTtl = 6, "PERSISTENT_SEQUENTIAL_WITH_TTL";
}

impl CreateMode {
    /// Whether the node goes with its session.
    #[must_use]
    pub const fn is_ephemeral(self) -> bool {
        matches!(
            self,
            CreateMode::Ephemeral | CreateMode::EphemeralSequential
        )
    }

    /// Whether the name is completed with a number.
    #[must_use]
    pub const fn is_sequential(self) -> bool {
        matches!(
            self,
            CreateMode::PersistentSequential
                | CreateMode::EphemeralSequential
                | CreateMode::PersistentSequentialWithTtl
        )
    }

    /// Whether the node has a time to live.
    #[must_use]
    pub const fn is_ttl(self) -> bool {
        matches!(
            self,
            CreateMode::PersistentWithTtl | CreateMode::PersistentSequentialWithTtl
        )
    }
}

numbers! {
    /// Which watches `checkWatches` and `removeWatches` mean (`Watcher.WatcherType`).
    WatcherType, "watcher type", "Watcher.WatcherType";
    /// Those for children that fire once.
    Children = 1, "Children";
    /// Those for data that fire once.
    Data = 2, "Data";
    /// All.
    Any = 3, "Any";
    /// Persistent ones.
    Persistent = 4, "Persistent";
    /// Persistent ones of a whole subtree.
    PersistentRecursive = 5, "PersistentRecursive";
}

numbers! {
    /// What `addWatch` adds (`AddWatchMode`).
    AddWatchMode, "watch mode", "AddWatchMode";
    /// Fires until it is removed.
    Persistent = 0, "PERSISTENT";
    /// The same for a whole subtree.
    PersistentRecursive = 1, "PERSISTENT_RECURSIVE";
}

/// The bits of an ACL's permissions (`ZooDefs.Perms`).
pub mod perms {
    /// Data and children may be read.
    pub const READ: i32 = 1;
    /// Data may be set.
    pub const WRITE: i32 = 1 << 1;
    /// Children may be created.
    pub const CREATE: i32 = 1 << 2;
    /// Children may be deleted.
    pub const DELETE: i32 = 1 << 3;
    /// The ACL may be set.
    pub const ADMIN: i32 = 1 << 4;
    /// Everything.
    pub const ALL: i32 = READ | WRITE | CREATE | DELETE | ADMIN;
}
