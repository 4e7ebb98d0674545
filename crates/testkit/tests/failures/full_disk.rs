//! A full disk refuses what needs room, and nothing else; space that comes back is used at once.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ottla_model::ErrorCode;
use ottla_testkit::{Broker, Signal};

use super::harness::{Session, assert_refused, eventually, launch, log_of, metric, stop, value};

const MIB: usize = 1 << 20;
const FULL: &str = "the disk is full";

/// A file system of its own in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it, or says why that cannot be.
    fn mount(at: &Path, mib: usize) -> Result<SmallDisk, String> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mib}m,mode=755"),
                "ottla-test",
            ])
            .arg(at)
            .output()
            .map_err(|error| format!("mount cannot be run: {error}"))?;
        if !mounted.status.success() {
            let said = String::from_utf8_lossy(&mounted.stderr);
            return Err(format!(
                "a tmpfs cannot be mounted: {}",
                said.lines().next().unwrap_or_default()
            ));
        }
        Ok(SmallDisk(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node that still runs holds files in it, and ends right after.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "{} stays mounted",
            self.0.display()
        );
    }
}

/// A node on a disk of this size, or `None` where none can be had; that is said aloud, since a
/// test's usual output is not shown.
fn node_on_small_disk(
    test: &str,
    mib: usize,
    settings: &[(&str, &str)],
) -> Option<(SmallDisk, Broker)> {
    let mut node = Broker::prepare(launch(settings)).unwrap();
    match SmallDisk::mount(&node.data_dir(), mib) {
        Ok(disk) => {
            node.spawn().unwrap();
            node.wait_ready().unwrap();
            Some((disk, node))
        }
        Err(reason) => {
            let line = format!("\nnot run: {test}: {reason} (root may do it)\n");
            std::io::stdout().write_all(line.as_bytes()).unwrap();
            None
        }
    }
}

/// Produces until the disk is full; the values that were acknowledged.
fn fill(session: &Session, topic: &str) -> Vec<Vec<u8>> {
    let mut acknowledged = Vec::new();
    loop {
        let record = value(acknowledged.len(), 64 * 1024);
        match session.produce(topic, 0, &record) {
            Ok(offset) => assert_eq!(offset, acknowledged.len() as i64),
            Err(error) => {
                assert_eq!(error.code(), Some(ErrorCode::KafkaStorageError), "{error}");
                return acknowledged;
            }
        }
        acknowledged.push(record);
    }
}

fn assert_all_there(session: &Session, topic: &str, acknowledged: &[Vec<u8>]) {
    let read = session.read_from(topic, 0, 0).unwrap();
    assert_eq!(read.len(), acknowledged.len());
    for (n, ((offset, bytes), wanted)) in read.iter().zip(acknowledged).enumerate() {
        assert_eq!(*offset, n as i64);
        assert!(bytes == wanted, "record {n} is another one");
    }
}

fn lines_with(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_full_disk_refuses_produce_and_lets_everything_else_go_on_until_there_is_room() {
    let settings = [
        ("ottla.disk.reserve.bytes", "2097152"),
        ("log.segment.delete.delay.ms", "200"),
    ];
    let Some((_disk, mut node)) = node_on_small_disk("a full disk", 16, &settings) else {
        return;
    };
    let session = Session::patient(&node);
    session.create("ballast", 1, &[]);
    session.create("orders", 1, &[]);
    for n in 0..5 {
        session
            .produce("ballast", 0, &value(n, 900 * 1024))
            .unwrap();
    }
    let hasty = Session::impatient(&node);
    let mut acknowledged = fill(&hasty, "orders");
    assert!(
        acknowledged.len() > 50,
        "full after {} records",
        acknowledged.len()
    );
    for _ in 0..3 {
        let refused = hasty.produce("ballast", 0, &value(9, 64 * 1024));
        assert_refused(refused, ErrorCode::KafkaStorageError);
    }
    assert_eq!(lines_with(&log_of(&node), FULL), 1, "{}", log_of(&node));
    assert!(metric(&node, "ottla_log_storage_full_total", "") >= 2.0);

    // Reading goes on, and consumers go forward.
    assert_all_there(&session, "orders", &acknowledged);
    session.commit("workers", "orders", 7).unwrap();

    // A restart, clean or not, finds everything, and the same refusal.
    node.restart().unwrap();
    node.kill_and_start().unwrap();
    let (session, hasty) = (Session::patient(&node), Session::impatient(&node));
    assert_all_there(&session, "orders", &acknowledged);
    let refused = hasty.produce("ballast", 0, &value(9, 256 * 1024));
    assert_refused(refused, ErrorCode::KafkaStorageError);
    assert_eq!(session.committed("workers"), 7);

    // Deleting makes room, and the next produce uses it.
    session.delete("ballast").unwrap();
    let record = value(acknowledged.len(), 64 * 1024);
    eventually("producing works again", || {
        hasty.produce("orders", 0, &record).is_ok()
    });
    acknowledged.push(record);
    assert_all_there(&session, "orders", &acknowledged);
    let log = log_of(&node);
    assert_eq!(
        lines_with(&log, "there is room on the disk again"),
        1,
        "{log}"
    );
    let (status, _, log) = stop(&mut node, Signal::TERM);
    assert!(status.success(), "{log}");
}

#[test]
fn a_disk_that_something_else_has_filled_to_the_last_byte_stops_nothing_for_good() {
    let Some((disk, mut node)) = node_on_small_disk(
        "a disk filled by others",
        8,
        &[("ottla.disk.reserve.bytes", "1048576")],
    ) else {
        return;
    };
    let session = Session::patient(&node);
    session.create("orders", 1, &[]);
    let acknowledged: Vec<_> = (0..10).map(|n| value(n, 10_000)).collect();
    for record in &acknowledged {
        session.produce("orders", 0, record).unwrap();
    }
    let alien = disk.0.join("core-dump");
    // Up to the last byte: the error is what is wanted.
    assert!(fs::write(&alien, vec![1; 9 * MIB]).is_err());

    let hasty = Session::impatient(&node);
    let refused = hasty.produce("orders", 0, &value(10, 64 * 1024));
    assert_refused(refused, ErrorCode::KafkaStorageError);
    // Many partitions, since a few fit into what the file's last page has left.
    let created = hasty.try_create("wide", 500, &[]);
    assert_refused(created, ErrorCode::KafkaStorageError);
    assert_all_there(&session, "orders", &acknowledged);
    let (status, _, log) = stop(&mut node, Signal::TERM);
    // Without a byte for the checkpoints there is no clean end; nothing is lost by it.
    let last = log.lines().last().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(last.contains("could not be closed cleanly"), "{log}");
    assert_eq!(last.matches("No space left on device").count(), 1, "{log}");

    fs::remove_file(&alien).unwrap();
    node.spawn().unwrap();
    node.wait_ready().unwrap();
    let session = Session::patient(&node);
    assert_all_there(&session, "orders", &acknowledged);
    session.create("another", 1, &[]);
    session.produce("another", 0, b"fits").unwrap();
}
