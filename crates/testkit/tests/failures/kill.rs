//! `kill -9` at any moment: topics, commits, and much that was not flushed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_testkit::Broker;

use super::harness::{Session, batch, eventually, http, log_of, metric, node, value};

/// What is known of a topic from the answers that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It exists, if its creation was answered.
    Created,
    /// It is gone: the deletion was answered.
    Deleted,
    /// The answer to its creation or deletion did not come.
    Unknown,
}

/// Creates topics, and deletes every other one, until told to stop.
fn churn_topics(session: &Session, round: usize, stop: &AtomicBool) -> BTreeMap<String, Fate> {
    let mut fates = BTreeMap::new();
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("topic-{round}-{n}");
        let created = session.try_create(&name, 2, &[]);
        let fate = if created.is_ok() {
            Fate::Created
        } else {
            Fate::Unknown
        };
        fates.insert(name.clone(), fate);
        if n % 2 == 0 && fate == Fate::Created {
            let deleted = session.delete(&name);
            fates.insert(
                name,
                if deleted.is_ok() {
                    Fate::Deleted
                } else {
                    Fate::Unknown
                },
            );
        }
    }
    fates
}

/// Commits ever larger offsets until told to stop; the last one that was answered, and the last
/// one that was sent.
fn churn_commits(session: &Session, from: i64, stop: &AtomicBool) -> (i64, i64) {
    let (mut answered, mut sent) = (from, from);
    while !stop.load(Ordering::SeqCst) {
        sent += 1;
        if session.commit("workers", "orders", sent).is_ok() {
            answered = sent;
        }
    }
    (answered, sent)
}

#[test]
fn answered_topics_and_commits_survive_kills_and_deleted_topics_stay_away() {
    let mut node = node(&[]);
    Session::patient(&node).create("orders", 1, &[]);
    let mut known = BTreeMap::new();
    let mut committed = 0;
    for round in 0..3 {
        let stop = AtomicBool::new(false);
        let first = Session::impatient(&node);
        let second = Session::impatient(&node);
        let (fates, (answered, sent)) = thread::scope(|scope| {
            let topics = scope.spawn(|| churn_topics(&first, round, &stop));
            let commits = scope.spawn(|| churn_commits(&second, committed, &stop));
            // Another moment of the work in each round.
            thread::sleep(Duration::from_millis(400 + 130 * round as u64));
            node.kill().unwrap();
            stop.store(true, Ordering::SeqCst);
            (topics.join().unwrap(), commits.join().unwrap())
        });
        known.extend(fates);
        node.spawn().unwrap();
        node.wait_ready().unwrap();
        let session = Session::patient(&node);
        let there = session.topics();
        for (name, fate) in &known {
            match fate {
                Fate::Created => assert!(there.contains(name), "{name} was created and is lost"),
                Fate::Deleted => assert!(!there.contains(name), "{name} was deleted and is back"),
                Fate::Unknown => {}
            }
        }
        assert!(answered > committed, "round {round} committed nothing");
        committed = session.committed("workers");
        assert!(
            (answered..=sent).contains(&committed),
            "{committed} is committed, {answered} was answered, {sent} was the last to be sent"
        );
    }
    let count = |fate| known.values().filter(|f| **f == fate).count();
    assert!(
        count(Fate::Created) > 3 && count(Fate::Deleted) > 3,
        "too few topics: {known:?}"
    );
}

/// The only segment that a partition has.
fn segment(node: &Broker, partition: &str) -> PathBuf {
    node.data_dir()
        .join(partition)
        .join("00000000000000000000.log")
}

/// Megabytes of records, which nobody has flushed.
fn produce_mib(session: &Session, topic: &str, first: usize, mib: usize) {
    for n in first..first + mib {
        let record = value(n, (1 << 20) - 200);
        assert_eq!(session.produce(topic, 0, &record).unwrap(), n as i64);
    }
}

#[test]
fn after_a_kill_only_what_lies_behind_the_checkpoint_is_read_and_a_torn_end_is_cut_off() {
    let mut node = node(&[("ottla.acks.wait.for.disk", "false")]);
    let session = Session::patient(&node);
    session.create("big", 1, &[]);
    produce_mib(&session, "big", 0, 40);
    drop(session);
    // A clean stop is a checkpoint.
    node.restart().unwrap();
    let session = Session::patient(&node);
    produce_mib(&session, "big", 40, 8);
    drop(session);
    node.kill().unwrap();

    // Half of a batch, as if the machine had died in the middle of a write.
    let torn = batch(&[&value(48, 100_000)]);
    let mut file = File::options()
        .append(true)
        .open(segment(&node, "big-0"))
        .unwrap();
    file.write_all(&torn[..60_000]).unwrap();
    drop(file);

    let began = Instant::now();
    node.spawn().unwrap();
    node.wait_ready().unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "the start took {took:?}");
    let health = http(&node, "/health/startup");
    let scanned = health.split("\"bytes_scanned\":").nth(1).unwrap();
    let scanned: u64 = scanned.split([',', '}']).next().unwrap().parse().unwrap();
    assert!(
        (8 << 20..10 << 20).contains(&(scanned + 8 * 200)),
        "8 MiB lie behind the checkpoint, {scanned} bytes were read"
    );
    let log = log_of(&node);
    assert!(log.contains("cutting off the torn end of a log"), "{log}");
    assert!(log.contains("big-0/00000000000000000000.log"), "{log}");
    assert!(metric(&node, "ottla_log_truncated_bytes_total", "") >= 60_000.0);

    let session = Session::patient(&node);
    let read = session.read_from("big", 0, 0).unwrap();
    assert_eq!(read.len(), 48);
    for (n, (offset, bytes)) in read.iter().enumerate() {
        assert_eq!(*offset, n as i64);
        assert!(
            *bytes == value(n, (1 << 20) - 200),
            "record {n} is not what was produced"
        );
    }
    assert_eq!(session.produce("big", 0, b"next").unwrap(), 48);
}

#[test]
fn a_deleted_topics_folder_is_gone_after_a_kill_too() {
    let mut node = node(&[("log.segment.delete.delay.ms", "60000")]);
    let session = Session::patient(&node);
    session.create("short-lived", 1, &[]);
    session.produce("short-lived", 0, b"bytes").unwrap();
    session.delete("short-lived").unwrap();
    drop(session);
    node.kill_and_start().unwrap();
    eventually("the deleted folder is removed by the next process", || {
        fs::read_dir(node.data_dir())
            .unwrap()
            .flatten()
            .all(|entry| {
                !entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("short-lived")
            })
    });
    let log = log_of(&node);
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}
