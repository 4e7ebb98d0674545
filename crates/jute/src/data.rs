//! Values that several records have in common (module `org.apache.zookeeper.data`).

use crate::codes::perms;
use crate::error::Error;
use crate::reader::Reader;
use crate::record::{Record, records};
use crate::writer::Writer;

/// An identity: what a connection has proved, or whom an entry of an ACL means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// `world`, `auth`, `digest`, `ip`, `x509`, `sasl` or `super`; empty for null.
    pub scheme: String,
    /// The name within the scheme; empty for null.
    pub id: String,
}

impl Id {
    /// An identity of a scheme.
    #[must_use]
    pub fn new(scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Id {
            scheme: scheme.into(),
            id: id.into(),
        }
    }

    /// `world:anyone`.
    #[must_use]
    pub fn anyone() -> Self {
        Id::new("world", "anyone")
    }
}

impl Record for Id {
    const BYTES_MIN: usize = 8;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Id {
            scheme: reader.string_or_null()?.unwrap_or_default().to_owned(),
            id: reader.string_or_null()?.unwrap_or_default().to_owned(),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.string(&self.scheme);
        writer.string(&self.id);
    }
}

/// One entry of an ACL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// Bits of [`perms`].
    pub perms: i32,
    /// Who has them.
    pub id: Id,
}

impl Acl {
    /// An entry.
    #[must_use]
    pub fn new(perms: i32, id: Id) -> Self {
        Acl { perms, id }
    }

    /// `OPEN_ACL_UNSAFE`: everyone may do everything.
    #[must_use]
    pub fn open() -> Self {
        Acl::new(perms::ALL, Id::anyone())
    }

    /// `READ_ACL_UNSAFE`: everyone may read.
    #[must_use]
    pub fn readable() -> Self {
        Acl::new(perms::READ, Id::anyone())
    }

    /// `CREATOR_ALL_ACL`: the creator's identities may do everything.
    #[must_use]
    pub fn creator() -> Self {
        Acl::new(perms::ALL, Id::new("auth", ""))
    }
}

impl Record for Acl {
    const BYTES_MIN: usize = 12;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Acl {
            perms: reader.int()?,
            id: Id::read(reader)?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.int(self.perms);
        self.id.write(writer);
    }
}

records! {
    /// What clients learn of a node besides its data. Times are in milliseconds since 1970.
    #[derive(Copy, Default)]
    Stat {
        /// The transaction that created the node.
        czxid: i64,
        /// The one that set its data last.
        mzxid: i64,
        /// When it was created, in ms.
        ctime: i64,
        /// When its data were set last, in ms.
        mtime: i64,
        /// How often its data were set.
        version: i32,
        /// How often children were created or deleted.
        cversion: i32,
        /// How often its ACL was set.
        aversion: i32,
        /// The session of an ephemeral node; 0 for others.
        ephemeral_owner: i64,
        /// The size of its data in bytes.
        data_length: i32,
        /// The number of its children.
        num_children: i32,
        /// The transaction that created or deleted a child last.
        pzxid: i64,
    }

    /// What a real ZooKeeper's snapshots keep of a node besides its data.
    #[derive(Copy, Default)]
    StatPersisted {
        /// The transaction that created the node.
        czxid: i64,
        /// The one that set its data last.
        mzxid: i64,
        /// When it was created, in ms.
        ctime: i64,
        /// When its data were set last, in ms.
        mtime: i64,
        /// How often its data were set.
        version: i32,
        /// How often children were created. (Clients see creations and deletions.)
        cversion: i32,
        /// How often its ACL was set.
        aversion: i32,
        /// The session of an ephemeral node, or the kind of a container or of a node with a time to
        /// live (`EphemeralType`).
        ephemeral_owner: i64,
        /// The transaction that created or deleted a child last.
        pzxid: i64,
    }

    /// One identity of a connection as `whoAmI` shows it.
    ClientInfo {
        /// The scheme.
        auth_scheme: String,
        /// The name, without secrets.
        user: String,
    }
}
