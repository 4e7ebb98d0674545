//! A log that is a follower's: it takes what a leader wrote, and is cut where the leader's differs.

use ottla_log::{AppendError, Error, Log, LogConfig, UpTo};
use ottla_record::{Batch, split_batches};
use ottla_runtime::disk::{Disk, SimDisk};

use crate::world::*;

/// The batches of a log from `from` on, as a follower fetches them.
pub(crate) fn fetch(log: &Log, from: i64) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut at = from;
    loop {
        let read = log.read_blocking(at, 900, true, UpTo::LogEnd).unwrap();
        if read.chunks.is_empty() {
            return batches;
        }
        batches.extend(split_batches(read.chunks.concat().into()).map(Result::unwrap));
        at = read.next_offset;
    }
}

/// A batch as a leader of `epoch` wrote it at `offset`.
pub(crate) fn led(offset: i64, epoch: i32, values: &[&str]) -> Batch {
    at(offset, epoch, batch(values))
}

pub(crate) fn at(offset: i64, epoch: i32, batch: Batch) -> Batch {
    let stamped = ottla_record::stamp(&batch, offset, epoch, None);
    Batch::parse([stamped.head, stamped.body].concat().into()).unwrap()
}

fn values(log: &Log) -> Vec<String> {
    let all = read_all(log, UpTo::LogEnd).unwrap();
    all.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn a_followers_log_is_its_leaders_byte_by_byte() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let open = |n| dir.open_log(partition(n), TOPIC_ID, small());
        let (leader, follower) = (open(0).await.unwrap(), open(1).await.unwrap());
        follower.set_replicated_offset(0);
        let filler = "x".repeat(300);
        for n in 0..30 {
            let value = format!("{n}/{filler}");
            let batch = idempotent(7, 0, n * 2, &[&value, "b"]);
            let append = ottla_log::Append::from_client(vec![batch], n / 10);
            leader.append(append).await.unwrap();
        }
        let all = fetch(&leader, 0);
        for batches in all.chunks(4) {
            let appended = follower.append_as_follower(batches.to_vec()).await.unwrap();
            assert_eq!(appended.base_offset, batches[0].header().base_offset);
            assert_eq!(appended.last_offset + 1, follower.log_end_offset());
        }
        assert_eq!(fetch(&follower, 0), all);
        assert_eq!(follower.segments().unwrap(), leader.segments().unwrap());
        assert!(follower.segments().unwrap().len() > 3);
        assert_eq!(follower.flushed_offset(), 60);
        assert_eq!(follower.high_watermark(), 0);
        for epoch in 0..4 {
            let ends = |log: &Log| log.leader_epoch_end_offset(epoch);
            assert_eq!(ends(&follower), ends(&leader));
        }
        let producers = leader.active_producers().await.unwrap();
        assert_eq!(follower.active_producers().await.unwrap(), producers);
        // As a leader it goes on with the producer's sequences.
        follower.begin_epoch(3).await.unwrap();
        let again = ottla_log::Append::from_client(vec![idempotent(7, 0, 58, &["a", "b"])], 3);
        assert!(follower.append(again).await.unwrap().duplicate);
        let next = ottla_log::Append::from_client(vec![idempotent(7, 0, 60, &["a"])], 3);
        assert_eq!(follower.append(next).await.unwrap().base_offset, 60);
    });
}

#[test]
fn batches_that_do_not_follow_are_refused_whole() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let append = |batches| log.append_as_follower(batches);
        append(vec![led(0, 2, &["a", "b"])]).await.unwrap();
        let refused = append(vec![led(1, 2, &["c"])]).await;
        assert!(matches!(
            refused,
            Err(AppendError::UnexpectedOffset {
                offset: 1,
                expected: 2
            })
        ));
        let older = append(vec![led(2, 2, &["c"]), led(3, 1, &["d"])]).await;
        assert!(matches!(
            older,
            Err(AppendError::FencedLeaderEpoch {
                epoch: 1,
                current: 2
            })
        ));
        let mut bytes = led(3, 2, &["d"]).bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let damaged = Batch::parse(bytes.into()).unwrap();
        let damaged = append(vec![led(2, 2, &["c"]), damaged]).await;
        assert!(matches!(damaged, Err(AppendError::Invalid { .. })));
        assert!(append(Vec::new()).await.is_err());
        assert_eq!(values(&log), ["a", "b"]);
        append(vec![led(2, 2, &["c"]), led(3, 5, &["d"])])
            .await
            .unwrap();
        assert_eq!(log.leader_epoch_end_offset(2), Some((2, 3)));
    });
}

#[test]
fn what_was_enqueued_behind_a_refused_append_leaves_no_hole() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let bad = log.append_as_follower(vec![led(-1, 0, &["a"])]);
        let behind = log.append_as_follower(vec![led(1, 0, &["b"])]);
        bad.await.unwrap_err();
        behind.await.unwrap_err();
        log.append_as_follower(vec![led(0, 0, &["a"])])
            .await
            .unwrap();
        assert_eq!(values(&log), ["a"]);
    });
}

#[test]
fn gaps_of_a_leaders_log_survive_a_restart() {
    for compact in [false, true] {
        let disk = SimDisk::new(1);
        let config = LogConfig { compact, ..small() };
        run(&disk, |runtime| async move {
            let (_dir, log) = open(&runtime, config.clone()).await;
            for (offset, value) in [(5, "a"), (6, "b"), (20, "c"), (21, "d"), (40, "e")] {
                let batches = vec![led(offset, 0, &[value])];
                log.append_as_follower(batches).await.unwrap();
            }
            let segments = log.segments().unwrap().len();
            assert_eq!(segments, if compact { 1 } else { 3 });
        });
        disk.crash();
        let config = LogConfig { compact, ..small() };
        run(&disk, |runtime| async move {
            let (dir, log) = open(&runtime, config).await;
            assert_eq!(
                dir.probe()
                    .corrupt_batches
                    .load(std::sync::atomic::Ordering::Relaxed),
                0
            );
            let all = read_all(&log, UpTo::LogEnd).unwrap();
            let offsets: Vec<i64> = all.iter().map(|(offset, _)| *offset).collect();
            assert_eq!(offsets, [5, 6, 20, 21, 40]);
            assert_eq!(log.log_end_offset(), 41);
            log.truncate_to(30).await.unwrap();
            assert_eq!(values(&log), ["a", "b", "c", "d"]);
            assert_eq!(log.log_end_offset(), 22);
            log.truncate_to(20).await.unwrap();
            assert_eq!((log.log_end_offset(), values(&log).len()), (7, 2));
        });
    }
}

#[test]
fn a_cut_leaves_what_lies_before_and_takes_everything_else() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        log.set_replicated_offset(10);
        let filler = "x".repeat(300);
        for n in 0..40 {
            let batch = idempotent(1 + i64::from(n / 20), 0, n % 20 * 2, &[&filler, "b"]);
            let batches = vec![at(i64::from(n) * 2, n / 10, batch)];
            log.append_as_follower(batches).await.unwrap();
        }
        dir.checkpoint(true).await.unwrap();
        let before = fetch(&log, 0);
        // In the middle of a batch, in a segment before the last one.
        log.truncate_to(31).await.unwrap();
        assert_eq!(log.offsets().log_end_offset, 30);
        assert_eq!(log.offsets().flushed_offset, 30);
        assert_eq!(log.high_watermark(), 10);
        assert_eq!(fetch(&log, 0), before[..15]);
        assert_eq!(log.latest_leader_epoch(), Some(1));
        let producers = log.active_producers().await.unwrap();
        assert_eq!(producers.len(), 1);
        assert_eq!(producers[0].1.last_sequence(), 29);
        let found = log.offset_for_timestamp(0, LIMIT).unwrap();
        assert_eq!(found.unwrap().offset, 0);
        // Others come instead.
        log.append_as_follower(vec![led(30, 7, &["new"])])
            .await
            .unwrap();
        assert_eq!(log.leader_epoch_end_offset(1), Some((1, 30)));
        assert_eq!(log.leader_epoch_end_offset(3), Some((1, 30)));
        assert_eq!(values(&log).last().unwrap(), "new");
        assert!(log.read_blocking(32, 900, true, UpTo::LogEnd).is_err());
    });
    disk.crash();
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        assert_eq!(log.log_end_offset(), 31);
        assert_eq!(values(&log).last().unwrap(), "new");
        assert_eq!(
            dir.probe()
                .corrupt_batches
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
    });
}

#[test]
fn a_cut_below_the_high_watermark_takes_it_along() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        for n in 0..10 {
            log.append_as_follower(vec![led(n, 0, &["a"])])
                .await
                .unwrap();
        }
        assert_eq!(log.high_watermark(), 10);
        log.truncate_to(4).await.unwrap();
        assert_eq!(log.high_watermark(), 4);
        log.append_as_follower(vec![led(4, 1, &["b"])])
            .await
            .unwrap();
        assert_eq!(log.high_watermark(), 4, "it waits to be told");
        log.set_replicated_offset(5);
        assert_eq!(log.high_watermark(), 5);
        dir.close().await.unwrap();
    });
}

#[test]
fn a_term_without_records_is_forgotten_with_a_cut_at_the_end() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        log.append_as_follower(vec![led(0, 4, &["a"])])
            .await
            .unwrap();
        log.begin_epoch(5).await.unwrap();
        log.flush().await.unwrap();
        assert_eq!(log.latest_leader_epoch(), Some(5));
        log.truncate_to(1).await.unwrap();
        assert_eq!(log.latest_leader_epoch(), Some(4));
        log.truncate_to(99).await.unwrap();
        assert_eq!(log.log_end_offset(), 1);
        log.append_as_follower(vec![led(1, 4, &["b"])])
            .await
            .unwrap();
    });
}

#[test]
fn a_log_thrown_away_starts_where_its_leaders_does() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        for n in 0..20 {
            let batch = idempotent(3, 0, n, &["a"]);
            log.append_as_follower(vec![at(n.into(), 0, batch)])
                .await
                .unwrap();
        }
        dir.checkpoint(true).await.unwrap();
        log.truncate_fully_and_start_at(105).await.unwrap();
        let offsets = log.offsets();
        assert_eq!(offsets.log_start_offset, 105);
        assert_eq!(offsets.high_watermark, 105);
        assert_eq!(offsets.log_end_offset, 105);
        assert!(log.active_producers().await.unwrap().is_empty());
        assert_eq!(log.latest_leader_epoch(), None);
        assert!(matches!(
            log.read_blocking(3, 900, true, UpTo::LogEnd),
            Err(Error::OffsetOutOfRange { .. })
        ));
    });
    disk.crash();
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (105, 105));
        // The leader's log starts inside a batch, and it sends all of it.
        let values = ["a", "b", "c", "d", "e", "f", "g", "h"];
        log.append_as_follower(vec![led(100, 3, &values), led(108, 3, &["i"])])
            .await
            .unwrap();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (105, 109));
        let read = read_all(&log, UpTo::LogEnd).unwrap();
        let offsets: Vec<i64> = read.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(offsets, [105, 106, 107, 108]);
        log.truncate_to(108).await.unwrap();
        log.truncate_to(107).await.unwrap();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (105, 105));
        // Back to where it once was.
        log.truncate_to(50).await.unwrap();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (50, 50));
        log.append_as_follower(vec![led(50, 3, &["z"])])
            .await
            .unwrap();
    });
    disk.crash();
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (50, 51));
    });
}

#[test]
fn a_log_without_a_folder_can_start_anywhere() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        log.truncate_to(0).await.unwrap();
        log.truncate_fully_and_start_at(0).await.unwrap();
        log.truncate_fully_and_start_at(70).await.unwrap();
        assert_eq!(log.offsets().log_end_offset, 70);
        log.truncate_to(70).await.unwrap();
        assert!(log.truncate_to(-1).await.is_err());
    });
    disk.crash();
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (70, 70));
    });
}

#[test]
fn a_replica_opens_with_the_high_watermark_that_was_checkpointed() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let log = dir.open_replica(partition(0), TOPIC_ID, small()).await;
        let log = log.unwrap();
        for n in 0..10 {
            log.append_as_follower(vec![led(n, 0, &["a"])])
                .await
                .unwrap();
        }
        assert_eq!(log.high_watermark(), 0);
        log.set_replicated_offset(6);
        dir.checkpoint(true).await.unwrap();
        log.set_replicated_offset(8);
    });
    disk.crash();
    let disk_now: &dyn Disk = &disk;
    let text = disk_now.read(&root().join("replication-offset-checkpoint"));
    assert_eq!(text.unwrap(), b"0\n1\norders 0 6\n");
    run(&disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let log = dir.open_replica(partition(0), TOPIC_ID, small()).await;
        let log = log.unwrap();
        assert_eq!((log.high_watermark(), log.log_end_offset()), (6, 10));
        log.set_replicated_offset(i64::MAX);
        assert_eq!(log.high_watermark(), 10);
    });
}

#[test]
fn the_leaders_log_start_moves_a_followers_up_to_its_high_watermark() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        log.set_replicated_offset(6);
        let filler = "x".repeat(600);
        for n in 0..10 {
            log.append_as_follower(vec![led(n, 0, &[&filler])])
                .await
                .unwrap();
        }
        log.advance_log_start(5);
        log.flush().await.unwrap();
        assert_eq!(log.log_start_offset(), 5);
        log.advance_log_start(9);
        log.flush().await.unwrap();
        assert_eq!(log.log_start_offset(), 6);
        dir.enforce_retention(0).await.unwrap();
        assert_eq!(log.segments().unwrap()[0].base_offset, 6);
    });
}

#[test]
fn a_partition_that_moved_away_can_come_back_at_once() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let dir = open_dir(&runtime);
        for n in 0..3 {
            let log = dir.open_replica(partition(n), TOPIC_ID, small()).await;
            let log = log.unwrap();
            log.append_as_follower(vec![led(40, 0, &["a", "b"])])
                .await
                .unwrap();
            log.set_replicated_offset(42);
        }
        dir.checkpoint(true).await.unwrap();
        let gone = dir.log(&partition(1)).unwrap();
        dir.delete_logs(vec![partition(1)]).await.unwrap();
        assert!(
            gone.append_as_follower(vec![led(42, 0, &["c"])])
                .await
                .is_err()
        );
        assert!(gone.truncate_to(40).await.is_err());
        let log = dir.open_replica(partition(1), TOPIC_ID, small()).await;
        let log = log.unwrap();
        assert_eq!((log.high_watermark(), log.log_end_offset()), (0, 0));
        log.append_as_follower(vec![led(0, 1, &["new"])])
            .await
            .unwrap();
        assert_eq!(values(&log), ["new"]);
        let other = dir.log(&partition(2)).unwrap();
        assert_eq!((other.high_watermark(), values(&other).len()), (42, 2));
    });
    disk.crash();
    run(&disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let log = dir.open_replica(partition(1), TOPIC_ID, small()).await;
        let log = log.unwrap();
        assert_eq!(values(&log), ["new"]);
        assert_eq!(log.high_watermark(), 0);
    });
}

#[test]
fn a_full_disk_leaves_no_hole_and_lets_a_follower_be_cut() {
    for room in (0..4000).step_by(137) {
        let disk = SimDisk::new(room);
        let handle = disk.clone();
        run(&disk, |runtime| async move {
            let dir = open_dir(&runtime);
            let open = |n| dir.open_log(partition(n), TOPIC_ID, small());
            let (leader, follower) = (open(0).await.unwrap(), open(1).await.unwrap());
            let filler = "x".repeat(200);
            for n in 0..20 {
                let batch = transactional(1, 0, n, &[&filler]);
                leader.append(verified(&leader, batch, 1)).await.unwrap();
                if n % 5 == 4 {
                    leader.roll().await.unwrap();
                }
            }
            leader.append(marker(1, 0, false, 1)).await.unwrap();
            let all = fetch(&leader, 0);
            follower
                .append_as_follower(all[..3].to_vec())
                .await
                .unwrap();
            let used = u64::MAX - dir.free_bytes().unwrap();
            handle.set_capacity_bytes(used + room);
            let mut tries = 0;
            while follower.log_end_offset() < leader.log_end_offset() {
                tries += 1;
                assert!(tries < 100, "it never catches up");
                let missed = fetch(&leader, follower.log_end_offset());
                let (first, rest) = missed.split_at(missed.len() / 2);
                let halves = [first, rest].map(|half| follower.append_as_follower(half.to_vec()));
                for half in halves {
                    match half.await {
                        Ok(_) | Err(AppendError::Invalid { .. }) => {}
                        Err(AppendError::StorageFull { .. }) => {
                            let cut = follower.log_end_offset() - 2;
                            // Whether there is room for it or not, the log stays sound.
                            drop(follower.truncate_to(cut).await);
                            handle.set_capacity_bytes(used + room + tries * 900);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            assert_eq!(fetch(&follower, 0), all);
            // A cut waits for a leader's word.
            follower.set_replicated_offset(leader.high_watermark());
            assert_eq!(follower.last_stable_offset(), leader.last_stable_offset());
        });
        disk.set_capacity_bytes(u64::MAX);
        disk.crash();
        run(&disk, |runtime| async move {
            let dir = open_dir(&runtime);
            let open = |n| dir.open_log(partition(n), TOPIC_ID, small());
            let (leader, follower) = (open(0).await.unwrap(), open(1).await.unwrap());
            assert_eq!(fetch(&follower, 0), fetch(&leader, 0));
            assert!(read_committed(&follower, 0).unwrap().is_empty());
        });
    }
}

#[test]
fn a_term_as_leader_without_records_does_not_keep_older_records_out() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        log.append_as_follower(vec![led(0, 0, &["a"])])
            .await
            .unwrap();
        // It leads and writes nothing; the next leader has more records of the term before.
        assert_eq!(log.begin_epoch(1).await.unwrap(), 1);
        let more = log.append_as_follower(vec![led(1, 0, &["b"]), led(2, 2, &["c"])]);
        assert_eq!(more.await.unwrap().last_offset, 2);
        assert_eq!(values(&log), ["a", "b", "c"]);
        assert_eq!(log.leader_epoch_end_offset(0), Some((0, 2)));
        assert_eq!(log.leader_epoch_end_offset(1), Some((0, 2)));
    });
}
