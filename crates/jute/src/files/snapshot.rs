//! Snapshots.
//!
//! ```text
//!   | "ZKSN" | version 2 | id |                       the header, 16 bytes
//!   | count | session (8), timeout in ms (4) | … |    sessions
//!   | count | number (8), vector of ACL entries | … | ACLs, each once
//!   | path | data | ACL's number (8) | StatPersisted | …   nodes, parents first; the root's path is ""
//!   | "/" |                                           the end of nodes
//!   | Adler-32 (8) | "/" |                            a seal: the checksum of all bytes before it
//!   | zxid (8) | version (4) | digest (8) | seal |    since 3.6
//!   | last zxid (8) | seal |                          since 3.9, if switched on
//! ```
//!
//! A snapshot of a server at work is "fuzzy": some of the transactions behind the zxid of its name
//! are in it. Replaying them from the log is harmless.

use std::io::Read;

use bytes::Bytes;

use super::stream::Stream;
use crate::data::{Acl, StatPersisted};
use crate::error::Error;
use crate::reader::Reader;
use crate::record::Record;

/// What a snapshot begins with.
pub(super) const MAGIC: [u8; 4] = *b"ZKSN";
/// The number of `OPEN_ACL_UNSAFE`, which is not in the list of ACLs.
pub(super) const OPEN_ACL: i64 = -1;
/// The bytes of a `StatPersisted`.
const STAT_BYTES: usize = StatPersisted::BYTES_MIN;
/// Versions of the digest before this one are written as text.
const DIGEST_AS_NUMBER: i32 = 2;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotNode {
    /// Its path; `/` for the root.
    pub path: String,
    /// Its data.
    pub data: Option<Bytes>,
    /// The number of its ACL; see [`SnapshotReader::acl`].
    pub acl: i64,
    /// Everything else.
    pub stat: StatPersisted,
}

/// The sum of all nodes at a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotDigest {
    /// The transaction.
    pub zxid: i64,
    /// The version of the way to compute the sum.
    pub version: i32,
    /// The sum.
    pub digest: i64,
}

/// Reads a snapshot.
pub struct SnapshotReader<R> {
    stream: Stream<R>,
    sessions: Vec<(i64, i32)>,
    acls: std::collections::BTreeMap<i64, Vec<Acl>>,
    open: Vec<Acl>,
    digest: Option<SnapshotDigest>,
    last_zxid: Option<i64>,
    ended: bool,
}

impl<R: Read> SnapshotReader<R> {
    /// Reads everything but the nodes. What comes from a compressed file is to be decompressed
    /// before ([`super::Decompressed`]).
    pub fn new(source: R) -> Result<Self, Error> {
        let mut stream = Stream::new(source);
        stream.file_header(MAGIC, "snapshot")?;
        let mut sessions = Vec::new();
        for _ in 0..stream.int()?.max(0) {
            sessions.push((stream.long()?, stream.int()?));
        }
        let mut acls = std::collections::BTreeMap::new();
        for _ in 0..stream.int()?.max(0) {
            let number = stream.long()?;
            let mut acl = Vec::new();
            for _ in 0..stream.int()?.max(0) {
                acl.push(read_acl(&mut stream)?);
            }
            acls.insert(number, acl);
        }
        Ok(SnapshotReader {
            stream,
            sessions,
            acls,
            open: vec![Acl::open()],
            digest: None,
            last_zxid: None,
            ended: false,
        })
    }

    /// The sessions and their timeouts in ms.
    #[must_use]
    pub fn sessions(&self) -> &[(i64, i32)] {
        &self.sessions
    }

    /// The ACL of a number; `None` if the snapshot lacks it, which a fuzzy one may.
    #[must_use]
    pub fn acl(&self, number: i64) -> Option<&[Acl]> {
        if number == OPEN_ACL {
            return Some(&self.open);
        }
        self.acls.get(&number).map(Vec::as_slice)
    }

    /// The sum of all nodes, once they are read.
    #[must_use]
    pub fn digest(&self) -> Option<SnapshotDigest> {
        self.digest
    }

    /// The last transaction that is in the snapshot, once the nodes are read; most do not say it.
    #[must_use]
    pub fn last_zxid(&self) -> Option<i64> {
        self.last_zxid
    }

    fn read_node(&mut self) -> Result<Option<SnapshotNode>, Error> {
        let path = self.stream.string()?;
        if path == "/" {
            self.read_end()?;
            return Ok(None);
        }
        let data = self.stream.buffer_or_null()?;
        let acl = self.stream.long()?;
        let stat = self.read_stat()?;
        let path = if path.is_empty() { "/".into() } else { path };
        Ok(Some(SnapshotNode {
            path,
            data,
            acl,
            stat,
        }))
    }

    fn read_stat(&mut self) -> Result<StatPersisted, Error> {
        let bytes = self.stream.bytes::<STAT_BYTES>()?;
        StatPersisted::read(&mut Reader::new(&bytes))
    }

    /// Compares the checksum of what was read with the one that comes next.
    fn read_seal(&mut self, what: &'static str) -> Result<(), Error> {
        let at = self.stream.position();
        let computed = self.stream.checksum();
        let stored = self.stream.long()?;
        self.stream.string_or_null()?;
        if stored != computed {
            return Err(Error::Checksum {
                what,
                at,
                stored,
                computed,
            });
        }
        Ok(())
    }

    fn read_end(&mut self) -> Result<(), Error> {
        self.read_seal("snapshot")?;
        if self.stream.at_end()? {
            return Ok(());
        }
        // A digest is followed by its seal, whose last five bytes are a length of 1 and "/". A zxid
        // alone is, too, and so the place where the stream ends tells which of them is there.
        let zxid = self.stream.long()?;
        let computed = self.stream.checksum();
        let version = self.stream.int()?;
        let half = self.stream.int()?;
        let as_seal = (i64::from(version) << 32) | i64::from(half.cast_unsigned());
        if as_seal == computed {
            self.stream.string_or_null()?;
            self.last_zxid = Some(zxid);
            return Ok(());
        }
        let digest = if version < DIGEST_AS_NUMBER {
            let length = usize::try_from(half).unwrap_or(0);
            self.stream.hexadecimal(length)?
        } else {
            let low = self.stream.int()?.cast_unsigned();
            Some((i64::from(half) << 32) | i64::from(low))
        };
        self.read_seal("digest of the snapshot")?;
        self.digest = digest.map(|digest| SnapshotDigest {
            zxid,
            version,
            digest,
        });
        if !self.stream.at_end()? {
            let zxid = self.stream.long()?;
            self.read_seal("last zxid of the snapshot")?;
            self.last_zxid = Some(zxid);
        }
        Ok(())
    }
}

fn read_acl<R: Read>(stream: &mut Stream<R>) -> Result<Acl, Error> {
    Ok(Acl {
        perms: stream.int()?,
        id: crate::data::Id {
            scheme: stream.string_or_null()?.unwrap_or_default(),
            id: stream.string_or_null()?.unwrap_or_default(),
        },
    })
}

/// The nodes, parents before their children. After the last one the checksums are compared: a
/// snapshot is whole only if the iterator ends without an error.
impl<R: Read> Iterator for SnapshotReader<R> {
    type Item = Result<SnapshotNode, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let node = self.read_node().transpose();
        self.ended = !matches!(node, Some(Ok(_)));
        node
    }
}
