//! The names of files, as Kafka gives them.
//!
//! ```text
//! <log.dirs>/
//! ├── .lock                              held while a process uses the folder
//! ├── .kafka_cleanshutdown               the last stop was clean: nothing needs recovery
//! ├── recovery-point-offset-checkpoint   up to where each log is known to be on disk
//! ├── log-start-offset-checkpoint        the first offset of each log, where not a segment's
//! ├── replication-offset-checkpoint      high watermarks
//! ├── cleaner-offset-checkpoint          up to where each log is compacted
//! ├── orders-0/                          one folder a partition, made by its first append
//! │   ├── partition.metadata             the topic's id
//! │   ├── leader-epoch-checkpoint        where each leader's term begins
//! │   ├── transaction-index-checkpoint   what each .txnindex must have (ours; Kafka ignores it)
//! │   ├── 00000000000000000000.log       batches, one after the other
//! │   ├── 00000000000000000000.index     sparse: offset → position
//! │   ├── 00000000000000000000.timeindex sparse: timestamp → offset
//! │   ├── 00000000000000000000.txnindex  aborted transactions, if there are any
//! │   ├── 00000000000000001000.log       the next segment; its name is its first offset
//! │   ├── 00000000000000001000.snapshot  producers and open transactions as of that offset
//! │   └── 00000000000000000000.log.deleted   to be removed soon
//! └── old-0.<32 hex digits>-delete/      a deleted partition, to be removed soon
//! ```

use std::path::{Path, PathBuf};

use ottla_model::{Offset, TopicName, TopicPartition, Uuid};

pub(crate) const LOCK_FILE: &str = ".lock";
pub(crate) const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
pub(crate) const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_START_FILE: &str = "log-start-offset-checkpoint";
pub(crate) const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";
pub(crate) const CLEANER_OFFSET_FILE: &str = "cleaner-offset-checkpoint";
pub(crate) const PARTITION_METADATA_FILE: &str = "partition.metadata";
pub(crate) const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";
pub(crate) const TRANSACTION_INDEX_FILE: &str = "transaction-index-checkpoint";

pub(crate) const LOG_SUFFIX: &str = ".log";
pub(crate) const INDEX_SUFFIX: &str = ".index";
pub(crate) const TIME_INDEX_SUFFIX: &str = ".timeindex";
pub(crate) const SNAPSHOT_SUFFIX: &str = ".snapshot";
pub(crate) const DELETED_SUFFIX: &str = ".deleted";
/// What compaction is writing.
pub(crate) const CLEANED_SUFFIX: &str = ".cleaned";
/// What compaction has written, and is about to put in its place.
pub(crate) const SWAP_SUFFIX: &str = ".swap";
pub(crate) const TRANSACTION_INDEX_SUFFIX: &str = ".txnindex";
const DELETED_FOLDER_SUFFIX: &str = "-delete";
/// What was being written when the process ended; worthless.
const UNFINISHED_SUFFIXES: [&str; 2] = [".tmp", CLEANED_SUFFIX];

/// The longest name that common file systems take.
const NAME_LEN_MAX: usize = 255;

/// What a file in a partition's folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Log(Offset),
    Index(Offset),
    TransactionIndex(Offset),
    Snapshot(Offset),
    /// Marked as deleted, or never finished.
    Garbage,
    Other,
}

pub(crate) fn classify(name: &str) -> FileKind {
    if name.ends_with(DELETED_SUFFIX) || UNFINISHED_SUFFIXES.iter().any(|s| name.ends_with(s)) {
        return FileKind::Garbage;
    }
    let offset = |suffix| name.strip_suffix(suffix).and_then(parse_offset);
    if let Some(base) = offset(LOG_SUFFIX) {
        return FileKind::Log(base);
    }
    if let Some(end) = offset(SNAPSHOT_SUFFIX) {
        return FileKind::Snapshot(end);
    }
    if let Some(base) = offset(TRANSACTION_INDEX_SUFFIX) {
        return FileKind::TransactionIndex(base);
    }
    [INDEX_SUFFIX, TIME_INDEX_SUFFIX]
        .into_iter()
        .find_map(offset)
        .map_or(FileKind::Other, FileKind::Index)
}

fn parse_offset(digits: &str) -> Option<Offset> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

pub(crate) fn file(dir: &Path, offset: Offset, suffix: &str) -> PathBuf {
    dir.join(format!("{offset:020}{suffix}"))
}

/// The metadata quorum keeps its own log beside the partitions, in a folder named like theirs.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// The partition whose folder has this name; deleted ones have none.
pub(crate) fn parse_folder(name: &str) -> Option<TopicPartition> {
    if is_deleted_folder(name) {
        return None;
    }
    let (topic, partition) = name.rsplit_once('-')?;
    if topic == CLUSTER_METADATA {
        return None;
    }
    let partition: u32 = partition.parse().ok()?;
    let partition = i32::try_from(partition).ok()?;
    let parsed = TopicPartition::new(TopicName::new(topic).ok()?, partition);
    // "a-01" is nobody's folder: it would be confused with "a-1".
    (parsed.to_string() == name).then_some(parsed)
}

/// Whether this is a deleted partition's folder: a topic may be called `x-delete`, but then its
/// folder ends with a number.
pub(crate) fn is_deleted_folder(name: &str) -> bool {
    name.ends_with(DELETED_FOLDER_SUFFIX)
}

/// The folder name under which a deleted partition waits for its removal.
pub(crate) fn deleted_folder(partition: &TopicPartition, id: Uuid) -> String {
    let mut unique = String::with_capacity(32);
    for byte in id.0 {
        unique.push_str(&format!("{byte:02x}"));
    }
    let suffix = format!(".{unique}{DELETED_FOLDER_SUFFIX}");
    let mut name = partition.to_string();
    name.truncate(NAME_LEN_MAX - suffix.len());
    name + &suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let path = file(Path::new("d"), 42, LOG_SUFFIX);
        assert_eq!(path, Path::new("d/00000000000000000042.log"));
        assert_eq!(
            classify("00000000000000000042.log"),
            FileKind::Log(42),
            "segment"
        );
        assert_eq!(
            classify("00000000000000000007.timeindex"),
            FileKind::Index(7)
        );
        assert_eq!(
            classify("00000000000000000007.snapshot"),
            FileKind::Snapshot(7)
        );
        assert_eq!(
            classify("00000000000000000007.log.deleted"),
            FileKind::Garbage
        );
        assert_eq!(classify("leader-epoch-checkpoint"), FileKind::Other);
        assert_eq!(classify("-1.log"), FileKind::Other);
        assert_eq!(classify("99999999999999999999.log"), FileKind::Other);
    }

    #[test]
    fn folders_name_their_partition_and_deleted_ones_none() {
        let parsed = parse_folder("a-b-12").unwrap();
        assert_eq!((parsed.topic.as_str(), parsed.partition), ("a-b", 12));
        assert_eq!(
            parse_folder("x-delete-0").unwrap().topic.as_str(),
            "x-delete"
        );
        for bad in [
            "a",
            "a-",
            "a-01",
            "-1",
            "a-99999999999",
            "__cluster_metadata-0",
        ] {
            assert!(parse_folder(bad).is_none(), "{bad}");
        }
        let long = TopicPartition::new(TopicName::new(&"x".repeat(249)).unwrap(), 3);
        let deleted = deleted_folder(&long, Uuid([0xab; 16]));
        assert!(deleted.len() <= NAME_LEN_MAX);
        assert!(is_deleted_folder(&deleted) && parse_folder(&deleted).is_none());
    }
}
