//! `.txnindex` files: damaged, lost, cut, many entries, full disks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_log::{AppendError, Log, LogConfig, UpTo};
use ottla_runtime::Disk;
use ottla_runtime::disk::{OpenMode, SimDisk};

use crate::world::*;

/// Transactions of five producers, every other one aborted, across a few segments.
async fn write(log: &Log) {
    let mut sequences: BTreeMap<i64, i32> = BTreeMap::new();
    for n in 0..60 {
        let id = n % 5;
        let sequence = sequences.entry(id).or_default();
        for _ in 0..2 {
            let value = format!(
                "{n}: {} of {id}",
                if n % 2 == 0 { "aborted" } else { "kept" }
            );
            let batch = transactional(id, 0, *sequence, &[&value]);
            *sequence += 1;
            log.append(verified(log, batch, 1)).await.unwrap();
        }
        // The last few stay open for a while, so that transactions overlap.
        if n >= 3 {
            let ended = n - 3;
            let end = marker(ended % 5, 0, ended % 2 == 1, 1);
            log.append(end).await.unwrap();
        }
    }
    for n in 57..60 {
        log.append(marker(n % 5, 0, n % 2 == 1, 1)).await.unwrap();
    }
}

fn written(close: bool) -> SimDisk {
    let disk = SimDisk::new(3);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        write(&log).await;
        if close {
            dir.close().await.unwrap();
        }
    });
    disk
}

/// A consumer that begins anywhere sees what was kept, and nothing else.
fn check(log: &Log) {
    let all = read_committed(log, 0).unwrap();
    assert_eq!(all.len(), 60);
    assert!(all.iter().all(|(_, value)| value.contains("kept")));
    for from in (0..log.log_end_offset()).step_by(23) {
        let seen = read_committed(log, from).unwrap();
        let expected: Vec<_> = all.iter().filter(|(o, _)| *o >= from).cloned().collect();
        assert_eq!(seen, expected, "from {from}");
    }
}

fn bytes(disk: &SimDisk, path: &Path) -> Vec<u8> {
    (disk as &dyn Disk).read(path).unwrap()
}

fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, OpenMode::Truncate).unwrap();
    file.write_at(&[std::io::IoSlice::new(bytes)], 0).unwrap();
    file.sync_data().unwrap();
}

fn indexes(disk: &SimDisk) -> Vec<PathBuf> {
    let mut files = disk.files();
    files.retain(|f| f.to_str().unwrap().ends_with(".txnindex"));
    files
}

/// Opens the log, checks it, and then again after a clean end.
fn check_twice(disk: &SimDisk) {
    for _ in 0..2 {
        run(disk, |runtime| async move {
            let (dir, log) = open(&runtime, small()).await;
            check(&log);
            dir.close().await.unwrap();
        });
    }
}

#[test]
fn an_index_that_is_damaged_cut_or_lost_is_made_again_from_the_log() {
    for close in [true, false] {
        let disk = written(close);
        let files = indexes(&disk);
        assert!(files.len() >= 3, "{files:?}");
        for path in &files {
            let whole = bytes(&disk, path);
            assert_eq!(whole.len() % 34, 0);
            for at in (0..whole.len()).step_by(31) {
                let mut damaged = whole.clone();
                damaged[at] ^= 0x21;
                put(&disk, path, &damaged);
                check_twice(&disk);
                assert_eq!(bytes(&disk, path), whole, "byte {at}");
            }
            for len in [0, 20, 34, whole.len() - 1] {
                put(&disk, path, &whole[..len.min(whole.len())]);
                check_twice(&disk);
                assert_eq!(bytes(&disk, path), whole, "cut to {len}");
            }
            disk.remove_file(path).unwrap();
            check_twice(&disk);
            assert_eq!(bytes(&disk, path), whole, "removed");
            let longer = [&whole[..], &[0; 50]].concat();
            put(&disk, path, &longer);
            check_twice(&disk);
        }
    }
}

#[test]
fn without_promises_an_index_is_believed_as_kafka_left_it() {
    let disk = written(true);
    let promises = root().join("orders-0/transaction-index-checkpoint");
    for text in [None, Some("noise")] {
        match text {
            None => disk.remove_file(&promises).unwrap(),
            Some(text) => put(&disk, &promises, text.as_bytes()),
        }
        run(&disk, |runtime| async move {
            let (_dir, log) = open(&runtime, small()).await;
            check(&log);
        });
    }
}

#[test]
fn thousands_of_aborted_transactions_are_found_in_memory_or_on_disk() {
    let disk = SimDisk::new(1);
    let aborts = 1500;
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, LogConfig::default()).await;
        for n in 0..aborts {
            let batch = transactional(1, 0, n, &["x"]);
            let begin = log.append(verified(&log, batch, 1));
            begin.await.unwrap();
            let end = log.append(marker(1, 0, false, 1));
            end.await.unwrap();
        }
        look(&log, aborts.into());
        let end = log.log_end_offset();
        let newest = log.try_read_cached(end - 20, 9999, true, UpTo::LastStable);
        assert_eq!(newest.unwrap().unwrap().aborted.len(), 10);
        assert!(
            log.try_read_cached(0, 9999, true, UpTo::LastStable)
                .is_none()
        );
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, LogConfig::default()).await;
        look(&log, aborts.into());
        log.roll().await.unwrap();
        log.append(client(batch(&["y"]))).await.unwrap();
        look(&log, aborts.into());
    });
}

fn look(log: &Log, aborts: i64) {
    for n in (0..aborts).step_by(111) {
        let read = log.read_blocking(n * 2, 700, true, UpTo::LastStable);
        let read = read.unwrap();
        let found: Vec<i64> = read.aborted.iter().map(|a| a.first_offset).collect();
        let last = (read.next_offset - 1) / 2;
        let expected: Vec<i64> = (n..=last.min(aborts - 1)).map(|n| n * 2).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_disk_that_fills_at_any_byte_shows_no_aborted_record() {
    for room in (0..3000).step_by(53) {
        let disk = SimDisk::new(room);
        let handle = disk.clone();
        let story = |runtime| async move {
            let (dir, log) = open(&runtime, small()).await;
            log.append(client(batch(&["kept"]))).await.unwrap();
            handle.set_capacity_bytes(1500 + room);
            for n in 0..30 {
                let batch = transactional(1, n, 0, &["gone"]);
                for append in [verified(&log, batch, 2), marker(1, n + 1, false, 2)] {
                    match log.append(append).await {
                        Ok(_) | Err(AppendError::InvalidTxnState { .. }) => {}
                        Err(AppendError::StorageFull { .. }) => {
                            handle.set_capacity_bytes(1500 + room + n as u64 * 80);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                // A full disk may refuse it.
                drop(dir.checkpoint(true).await);
                let seen = read_committed(&log, 0).unwrap();
                assert_eq!(seen, [(0, "kept".to_owned())]);
            }
        };
        run(&disk, story);
        disk.crash();
        disk.set_capacity_bytes(u64::MAX);
        run(&disk, |runtime| async move {
            let (_dir, log) = open(&runtime, small()).await;
            let seen = read_committed(&log, 0).unwrap();
            assert_eq!(seen, [(0, "kept".to_owned())]);
        });
    }
}

#[test]
fn deleted_segments_take_their_indexes_with_them() {
    let disk = written(true);
    let handle = disk.clone();
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        let all = read_committed(&log, 0).unwrap();
        let to = log.log_end_offset() / 2;
        dir.delete_records_before(&log, to).await.unwrap();
        let left: Vec<_> = all.into_iter().filter(|(o, _)| *o >= to).collect();
        assert_eq!(read_committed(&log, to).unwrap(), left);
        let bases: Vec<i64> = log
            .segments()
            .unwrap()
            .iter()
            .map(|s| s.base_offset)
            .collect();
        for path in indexes(&handle) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(bases.contains(&name.parse().unwrap()), "{name} is left");
        }
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let seen = read_committed(&log, log.log_start_offset()).unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|(_, v)| v.contains("kept")));
    });
}
