//! The directory of a real ZooKeeper 3.9.4 (see the crate `znode`), whole and with parts missing.

use std::io::Read as _;

use ottla_runtime::disk::RealDisk;
use tempfile::TempDir;

use super::*;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../znode/tests/version-2");
const LAST_ZXID: i64 = 624;

/// A copy of the recorded directory with plain logs, without the files that `leave_out` names.
fn directory(leave_out: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join(FOLDER);
    std::fs::create_dir(&folder).unwrap();
    for file in std::fs::read_dir(RECORDED).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let mut bytes = std::fs::read(file.path()).unwrap();
        let mut target = name.as_str();
        if let Some(plain) = name.strip_suffix(".gz") {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&bytes[..])
                .read_to_end(&mut unpacked)
                .unwrap();
            (bytes, target) = (unpacked, plain);
        }
        if !leave_out.contains(&target) {
            std::fs::write(folder.join(target), bytes).unwrap();
        }
    }
    std::fs::write(folder.join("currentEpoch"), "0").unwrap();
    dir
}

fn found(dir: &TempDir) -> Result<Found, String> {
    let files = list(&RealDisk, dir.path(), dir.path())?;
    assert!(files.bytes() > 0);
    read(&RealDisk, &files, &ProgressBar::hidden())
}

fn damage(dir: &TempDir, name: &str) {
    let path = dir.path().join(FOLDER).join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_newest_snapshot_and_the_log_behind_it_are_the_state() {
    let dir = directory(&[]);
    let whole = found(&dir).unwrap();
    assert_eq!(whole.snapshot, "snapshot.26d.snappy");
    assert_eq!(whole.transactions, 3);
    assert_eq!(whole.state.last_zxid(), LAST_ZXID);
    assert!(whole.notes.is_empty(), "{:?}", whole.notes);
    // Older snapshots and more of the log lead to the same.
    let files = list(&RealDisk, &dir.path().join(FOLDER), dir.path()).unwrap();
    assert_eq!((files.snapshots.len(), files.logs.len()), (7, 7));
    let older = found(&directory(&["snapshot.26d.snappy", "snapshot.215.snappy"])).unwrap();
    assert_eq!(older.snapshot, "snapshot.19d.snappy");
    assert_eq!(older.transactions, 211);
    assert_eq!(older.state.digest(), whole.state.digest());
}

#[test]
fn a_damaged_snapshot_gives_way_to_the_one_before_it() {
    let whole = found(&directory(&[])).unwrap();
    let dir = directory(&[]);
    damage(&dir, "snapshot.26d.snappy");
    let other = found(&dir).unwrap();
    assert_eq!(other.snapshot, "snapshot.215.snappy");
    assert_eq!(other.state.digest(), whole.state.digest());
    assert_eq!(other.notes.len(), 1);
    assert!(
        other.notes[0].contains("snapshot.26d.snappy"),
        "{:?}",
        other.notes
    );
    // But only if the log has what it held.
    let short = directory(&["log.215", "log.26e"]);
    damage(&short, "snapshot.26d.snappy");
    let refused = found(&short).unwrap_err();
    assert!(
        refused.contains("Take the directory of another server"),
        "{refused}"
    );
    // None is whole.
    let dir = directory(&[
        "snapshot.0.snappy",
        "snapshot.74.snappy",
        "snapshot.ca.snappy",
    ]);
    for name in [
        "snapshot.137.snappy",
        "snapshot.19d.snappy",
        "snapshot.215.snappy",
    ] {
        std::fs::remove_file(dir.path().join(FOLDER).join(name)).unwrap();
    }
    damage(&dir, "snapshot.26d.snappy");
    let refused = found(&dir).unwrap_err();
    assert!(refused.contains("snapshot.26d.snappy"), "{refused}");
}

#[test]
fn missing_transactions_are_told() {
    let dir = directory(&["snapshot.26d.snappy", "snapshot.215.snappy", "log.215"]);
    let refused = found(&dir).unwrap_err();
    assert!(refused.contains("transactions are missing"), "{refused}");
    assert!(refused.contains("log.26e"), "{refused}");
}

#[test]
fn a_torn_end_of_the_log_is_left_out_and_told() {
    let dir = directory(&[]);
    let path = dir.path().join(FOLDER).join("log.26e");
    let bytes = std::fs::read(&path).unwrap();
    // A transaction ends with a B; what is behind it was reserved, and is zero.
    let end = bytes.iter().rposition(|byte| *byte == b'B').unwrap();
    std::fs::write(&path, &bytes[..end - 3]).unwrap();
    let torn = found(&dir).unwrap();
    assert_eq!(torn.state.last_zxid(), LAST_ZXID - 1);
    assert!(torn.notes[0].contains("log.26e"), "{:?}", torn.notes);
    // An empty file is none, another format is an error.
    std::fs::write(&path, b"").unwrap();
    assert_eq!(found(&dir).unwrap().transactions, 0);
    std::fs::write(&path, b"ZKLG\0\0\0\x03\0\0\0\0\0\0\0\0").unwrap();
    let refused = found(&dir).unwrap_err();
    assert!(refused.contains("format version 3"), "{refused}");
}

#[test]
fn what_is_no_directory_of_a_zookeeper_is_refused() {
    let empty = TempDir::new().unwrap();
    let refused = found(&empty).unwrap_err();
    assert!(refused.contains("no folder version-2"), "{refused}");
    std::fs::create_dir(empty.path().join(FOLDER)).unwrap();
    let refused = found(&empty).unwrap_err();
    assert!(refused.contains("no snapshot"), "{refused}");
}

#[test]
fn a_zxid_follows_the_one_before_it_or_begins_an_epoch() {
    assert!(follows(0, 1) && follows(0x1_0000_0005, 0x1_0000_0006));
    assert!(follows(0x1_0000_0005, 0x2_0000_0001) && follows(0x1_0000_0005, 0x4_0000_0000));
    assert!(!follows(5, 7) && !follows(0x1_0000_0005, 0x2_0000_0003));
    assert!(!follows(0x2_0000_0001, 0x1_0000_0001));
}
