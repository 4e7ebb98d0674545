//! Bytes that a disk has changed are found, reported, counted, and never served.

use std::fs;
use std::path::{Path, PathBuf};

use ottla_model::ErrorCode;
use ottla_testkit::Broker;

use super::harness::{Session, assert_refused, log_of, metric, node, value};

const RECORD_BYTES: usize = 128 * 1024;

/// A partition's segments, the oldest first.
fn segments(node: &Broker, partition: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(node.data_dir().join(partition)).unwrap();
    let mut logs: Vec<_> = files
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    logs.sort();
    logs
}

/// Changes one byte in the middle of the batch that holds this record.
fn damage(path: &Path, number: usize) {
    let mut bytes = fs::read(path).unwrap();
    let name = format!("record-{number}-").into_bytes();
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + RECORD_BYTES / 2;
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

#[test]
fn flipped_bytes_are_reported_by_file_and_position_and_never_served() {
    let mut node = node(&[]);
    let session = Session::patient(&node);
    session.create("orders", 2, &[("segment.bytes", "1048576")]);
    for n in 0..20 {
        session
            .produce("orders", 0, &value(n, RECORD_BYTES))
            .unwrap();
        session.produce("orders", 1, &value(n, 100)).unwrap();
    }
    drop(session);
    node.stop().unwrap();
    let logs = segments(&node, "orders-0");
    assert!(logs.len() >= 3, "{logs:?}");
    damage(&logs[0], 2);
    damage(logs.last().unwrap(), 19);

    node.spawn().unwrap();
    node.wait_ready().unwrap();
    let session = Session::patient(&node);
    // What stands before, between and behind is served; the damaged batches are an error.
    let first = session.read_from("orders", 0, 0);
    assert_refused(first, ErrorCode::CorruptMessage);
    assert_refused(session.read_from("orders", 0, 2), ErrorCode::CorruptMessage);
    assert_refused(session.read_from("orders", 0, 3), ErrorCode::CorruptMessage);
    assert_refused(
        session.read_from("orders", 0, 19),
        ErrorCode::CorruptMessage,
    );
    assert_eq!(session.read_from("orders", 1, 0).unwrap().len(), 20);
    // The log goes on behind the damage.
    assert_eq!(session.produce("orders", 0, b"next").unwrap(), 20);
    let behind = session.read_from("orders", 0, 20).unwrap();
    assert_eq!(behind.len(), 1);
    assert_eq!(behind[0].1, "next");

    assert!(metric(&node, "ottla_log_corrupt_batches_total", "") >= 2.0);
    let log = log_of(&node);
    for path in [&logs[0], logs.last().unwrap()] {
        let line = log.lines().find(|line| {
            line.contains("corrupt record batch") && line.contains(&*path.to_string_lossy())
        });
        let line = line.unwrap_or_else(|| panic!("{} is not named:\n{log}", path.display()));
        assert!(
            line.contains("ERROR") && line.contains("position="),
            "{line}"
        );
    }
    let told = log
        .lines()
        .filter(|line| line.contains("corrupt record batch"));
    assert!(
        told.count() <= 4,
        "each damage is told once or twice:\n{log}"
    );
}

#[test]
fn damage_found_by_the_recovery_after_a_kill_is_not_served_either() {
    let mut node = node(&[]);
    let session = Session::patient(&node);
    session.create("orders", 1, &[("segment.bytes", "1048576")]);
    for n in 0..20 {
        session
            .produce("orders", 0, &value(n, RECORD_BYTES))
            .unwrap();
    }
    drop(session);
    node.kill().unwrap();
    let logs = segments(&node, "orders-0");
    damage(&logs[0], 1);
    node.spawn().unwrap();
    node.wait_ready().unwrap();
    let session = Session::patient(&node);
    assert_refused(session.read_from("orders", 0, 0), ErrorCode::CorruptMessage);
    assert_refused(session.read_from("orders", 0, 1), ErrorCode::CorruptMessage);
    let behind = session.read_from("orders", 0, 2).unwrap();
    assert_eq!(behind.len(), 18, "what follows is served");
    assert_eq!(session.produce("orders", 0, b"next").unwrap(), 20);
}
