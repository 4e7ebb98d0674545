//! The files of a real ZooKeeper's data directory (`version-2`): its transaction log, for reading, and
//! its snapshots, which are written, too.
//!
//! The caller opens files and gives what `std::io::Read` reads; nothing is opened here. Records come
//! one by one, and no more than one is in memory.
//!
//! Sources: the classes `FileTxnLog`, `FileSnap`, `SnapStream`, `SerializeUtils`, `DataTree` and
//! `ReferenceCountedACLCache` of ZooKeeper 3.9.

mod adler;
mod decompress;
mod log;
mod snapshot;
mod stream;
mod transaction;
mod write;

pub use decompress::{Compression, Decompressed, LookedAt};
pub use log::{LogEntry, LogReader};
pub use snapshot::{SnapshotDigest, SnapshotNode, SnapshotReader};
pub use transaction::{
    CloseSessionTxn, CreateContainerTxn, CreateTtlTxn, CreateTxn, Txn, TxnDigest, TxnHeader,
};
pub use write::SnapshotWriter;

/// What a file's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileName {
    /// `log.<zxid>`: a part of the log that begins with this transaction.
    Log {
        /// The first transaction.
        zxid: i64,
    },
    /// `snapshot.<zxid>`, with `.gz` or `.snappy` behind it when it is compressed.
    Snapshot {
        /// The last transaction that was applied when the snapshot was begun. Later ones may be in it
        /// already.
        zxid: i64,
        /// How it is compressed.
        compression: Compression,
    },
}

impl FileName {
    /// Reads a name without its folder; `None` for files of another kind.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let (kind, zxid, extension) = (parts.next()?, parts.next()?, parts.next());
        // A zxid has 64 bits and may have its highest one set.
        let zxid = u64::from_str_radix(zxid, 16).ok()?.cast_signed();
        if parts.next().is_some() {
            return None;
        }
        match (kind, extension) {
            ("log", None) => Some(FileName::Log { zxid }),
            ("snapshot", extension) => {
                let compression = match extension {
                    None => Compression::None,
                    Some("gz") => Compression::Gzip,
                    Some("snappy") => Compression::Snappy,
                    Some(_) => return None,
                };
                Some(FileName::Snapshot { zxid, compression })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind_the_zxid_and_the_compression() {
        let snapshot = |zxid, compression| Some(FileName::Snapshot { zxid, compression });
        let zxid = 0x5_0000_001f;
        assert_eq!(
            FileName::parse("log.50000001f"),
            Some(FileName::Log { zxid })
        );
        assert_eq!(
            FileName::parse("snapshot.50000001f"),
            snapshot(zxid, Compression::None)
        );
        assert_eq!(
            FileName::parse("snapshot.0.gz"),
            snapshot(0, Compression::Gzip)
        );
        assert_eq!(
            FileName::parse("snapshot.a.snappy"),
            snapshot(10, Compression::Snappy)
        );
        for other in [
            "log",
            "log.",
            "log.xyz",
            "log.1.gz",
            "snapshot.1.zip",
            "snapshot.1.gz.tmp",
            "acceptedEpoch",
            "myid",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
