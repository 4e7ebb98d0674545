//! Writes snapshots as a ZooKeeper 3.9 does; see [`super::snapshot`] for the format.
//!
//! The bytes come out in pieces, so that a snapshot of any size takes little memory.

use bytes::{Bytes, BytesMut};
use flate2::Crc;

use super::adler::Adler32;
use super::snapshot::{MAGIC, OPEN_ACL};
use super::stream::FORMAT_VERSION;
use crate::data::{Acl, StatPersisted};
use crate::record::Record;
use crate::writer::Writer;

/// The id in the header: a ZooKeeper writes no other one.
const NO_ID: i64 = -1;
/// The version of the digest (`DigestCalculator`).
const DIGEST_VERSION: i32 = 2;
/// Nodes below this path count nothing in the digest.
const OWN: &str = "/zookeeper/";

/// A snapshot on its way out: the sessions, the ACLs and the nodes in this order, then the end.
#[derive(Debug)]
pub struct SnapshotWriter {
    out: BytesMut,
    /// So many bytes of `out` are in the checksum.
    summed: usize,
    checksum: Adler32,
    digest: i64,
}

impl SnapshotWriter {
    /// Begins with the header and the sessions: their ids, and their timeouts in ms.
    #[must_use]
    pub fn new(sessions: impl ExactSizeIterator<Item = (i64, i32)>) -> Self {
        let mut out = BytesMut::new();
        let w = &mut Writer::new(&mut out);
        w.raw(&MAGIC);
        w.int(FORMAT_VERSION);
        w.long(NO_ID);
        w.length(sessions.len());
        for (id, timeout_ms) in sessions {
            w.long(id);
            w.int(timeout_ms);
        }
        SnapshotWriter {
            out,
            summed: 0,
            checksum: Adler32::new(),
            digest: 0,
        }
    }

    /// The ACLs with their numbers, from 1 on. The open one has a number without being in the list
    /// ([`SnapshotWriter::OPEN_ACL`]).
    pub fn acls<'a>(&mut self, acls: impl ExactSizeIterator<Item = (i64, &'a [Acl])>) {
        let w = &mut Writer::new(&mut self.out);
        w.length(acls.len());
        for (number, acl) in acls {
            w.long(number);
            w.length(acl.len());
            acl.iter().for_each(|entry| entry.write(w));
        }
    }

    /// The number of `world:anyone` with all permissions.
    pub const OPEN_ACL: i64 = OPEN_ACL;

    /// A node, behind its parent. The root's path is `/`.
    pub fn node(&mut self, path: &str, data: Option<&[u8]>, acl: i64, stat: &StatPersisted) {
        let path = if path == "/" { "" } else { path };
        let digest = node_digest(path, data.unwrap_or_default(), stat);
        self.digest = self.digest.wrapping_add(digest);
        let w = &mut Writer::new(&mut self.out);
        w.string(path);
        w.buffer_or_null(data);
        w.long(acl);
        stat.write(w);
    }

    /// The end, with the number of the last transaction.
    pub fn end(&mut self, last_zxid: i64) {
        Writer::new(&mut self.out).string("/");
        self.seal();
        let w = &mut Writer::new(&mut self.out);
        w.long(last_zxid);
        w.int(DIGEST_VERSION);
        w.long(self.digest);
        self.seal();
        Writer::new(&mut self.out).long(last_zxid);
        self.seal();
    }

    /// The checksum of all bytes before it.
    fn seal(&mut self) {
        self.sum_up();
        let checksum = self.checksum.value();
        let w = &mut Writer::new(&mut self.out);
        w.long(checksum);
        w.string("/");
    }

    fn sum_up(&mut self) {
        let new = self.out.get(self.summed..).unwrap_or_default();
        self.checksum.update(new);
        self.summed = self.out.len();
    }

    /// How many bytes were not taken yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether there is nothing to be taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes what was written since the last time.
    pub fn take(&mut self) -> Bytes {
        self.sum_up();
        self.summed = 0;
        self.out.split().freeze()
    }
}

/// What a node adds to the digest of the tree (`DigestCalculator.calculateDigest`); the root's path
/// is empty.
fn node_digest(path: &str, data: &[u8], stat: &StatPersisted) -> i64 {
    if path.starts_with(OWN) {
        return 0;
    }
    let mut crc = Crc::new();
    crc.update(path.as_bytes());
    crc.update(data);
    for long in [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime] {
        crc.update(&long.to_be_bytes());
    }
    for int in [stat.version, stat.cversion, stat.aversion] {
        crc.update(&int.to_be_bytes());
    }
    crc.update(&stat.ephemeral_owner.to_be_bytes());
    i64::from(crc.sum())
}
