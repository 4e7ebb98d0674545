//! What a log does when nothing goes wrong.

use ottla_log::{Append, AppendError, Error, LogConfig, UpTo};
use ottla_model::Uuid;
use ottla_runtime::disk::SimDisk;

use crate::world::*;

fn values(records: &[(i64, String)]) -> Vec<&str> {
    records.iter().map(|(_, v)| v.as_str()).collect()
}

#[test]
fn appended_records_are_read_in_the_order_of_the_calls() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, LogConfig::default()).await;
        assert_eq!(log.log_end_offset(), 0);
        let first = log.append(client(batch(&["a", "b"])));
        let second = log.append(client(batch(&["c"])));
        assert!(log.queued_bytes() > 0);
        let (second, first) = (second.await.unwrap(), first.await.unwrap());
        assert_eq!((first.base_offset, first.last_offset), (0, 1));
        assert_eq!((second.base_offset, second.last_offset), (2, 2));
        assert_eq!(log.queued_bytes(), 0);
        let offsets = log.offsets();
        assert_eq!((offsets.high_watermark, offsets.flushed_offset), (3, 3));
        assert_eq!(
            values(&read_all(&log, UpTo::HighWatermark).unwrap()),
            ["a", "b", "c"]
        );
        let cached = log
            .try_read_cached(1, 1000, true, UpTo::HighWatermark)
            .unwrap()
            .unwrap();
        assert_eq!((cached.base_offset, cached.next_offset), (Some(0), 3));
        let end = log
            .try_read_cached(3, 1000, true, UpTo::HighWatermark)
            .unwrap()
            .unwrap();
        assert!(end.chunks.is_empty());
        assert!(matches!(
            log.read_blocking(4, 1000, true, UpTo::HighWatermark),
            Err(Error::OffsetOutOfRange {
                offset: 4,
                log_start_offset: 0,
                log_end_offset: 3
            })
        ));
    });
}

#[test]
fn records_survive_a_clean_restart_which_reads_nothing_again() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        for n in 0..100 {
            log.append(client(batch(&[&format!("value {n}")])))
                .await
                .unwrap();
        }
        assert!(log.segments().unwrap().len() > 3);
        dir.close().await.unwrap();
        assert_eq!(
            log.append(client(batch(&["late"]))).await,
            Err(AppendError::Closed)
        );
    });
    disk.crash();
    run(&disk, |runtime| async move {
        let (dir, report) = ottla_log::LogDir::open(&runtime, options(), &root()).unwrap();
        assert!(report.clean_shutdown);
        assert_eq!(report.partitions, [partition(0)]);
        let log = dir.open_log(partition(0), TOPIC_ID, small()).await.unwrap();
        assert_eq!(dir.recovery_progress().bytes_scanned(), 0);
        assert_eq!(dir.recovery_progress().logs_done(), 1);
        let records = read_all(&log, UpTo::LogEnd).unwrap();
        assert_eq!(records.len(), 100);
        for (n, (offset, value)) in records.iter().enumerate() {
            assert_eq!(
                (*offset, value.as_str()),
                (n as i64, format!("value {n}").as_str())
            );
        }
        let appended = log.append(client(batch(&["next"]))).await.unwrap();
        assert_eq!(appended.base_offset, 100);
    });
}

#[test]
fn reads_begin_at_any_offset_and_stay_within_their_bytes() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        for n in 0..60 {
            let texts = [format!("{n} a"), format!("{n} b"), format!("{n} c")];
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            log.append(client(batch(&texts))).await.unwrap();
        }
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        for from in 0..180 {
            let result = log.read_blocking(from, 250, false, UpTo::LogEnd).unwrap();
            assert!(result.bytes <= 250 && result.bytes > 0);
            assert_eq!(result.base_offset, Some(from / 3 * 3));
            assert!(result.next_offset > from);
            let small = log.read_blocking(from, 10, false, UpTo::LogEnd).unwrap();
            assert!(small.chunks.is_empty());
            let one = log.read_blocking(from, 10, true, UpTo::LogEnd).unwrap();
            assert_eq!(one.next_offset, from / 3 * 3 + 3);
        }
    });
}

#[test]
fn a_log_that_was_never_written_has_no_folder() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, LogConfig::default()).await;
        assert!(read_all(&log, UpTo::LogEnd).unwrap().is_empty());
        dir.close().await.unwrap();
    });
    assert!(disk.files().iter().all(|f| f.parent() == Some(&root())));
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, LogConfig::default()).await;
        assert_eq!(
            log.append(client(batch(&["a"]))).await.unwrap().base_offset,
            0
        );
    });
}

#[test]
fn a_producer_that_repeats_itself_gets_its_first_answer() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, LogConfig::default()).await;
        let first = log.append(client(idempotent(5, 0, 0, &["a", "b"])));
        let again = log.append(client(idempotent(5, 0, 0, &["a", "b"])));
        let (first, again) = (first.await.unwrap(), again.await.unwrap());
        assert!(!first.duplicate && again.duplicate);
        assert_eq!((again.base_offset, again.last_offset), (0, 1));
        let gap = log.append(client(idempotent(5, 0, 3, &["d"]))).await;
        assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { .. })));
        log.append(client(idempotent(5, 1, 0, &["c"])))
            .await
            .unwrap();
        let stale = log.append(client(idempotent(5, 0, 2, &["d"]))).await;
        assert!(matches!(
            stale,
            Err(AppendError::InvalidProducerEpoch { .. })
        ));
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, LogConfig::default()).await;
        let again = log
            .append(client(idempotent(5, 1, 0, &["c"])))
            .await
            .unwrap();
        assert_eq!((again.duplicate, again.base_offset), (true, 2));
        assert_eq!(log.active_producers().await.unwrap().len(), 1);
        assert_eq!(
            values(&read_all(&log, UpTo::LogEnd).unwrap()),
            ["a", "b", "c"]
        );
    });
}

#[test]
fn records_are_found_by_time() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        assert_eq!(log.offset_for_timestamp(0, LIMIT).unwrap(), None);
        assert_eq!(log.max_timestamp_offset(LIMIT).unwrap(), None);
        for n in 0..100 {
            log.append(client(batch_at(1000 + n * 10, &["x", "y"])))
                .await
                .unwrap();
        }
        log.append(client(batch_at(5, &["late"]))).await.unwrap();
        for round in 0..2 {
            let find = |t| {
                log.offset_for_timestamp(t, LIMIT)
                    .unwrap()
                    .map(|f| (f.offset, f.timestamp))
            };
            assert_eq!(find(0), Some((0, 1000)), "round {round}");
            assert_eq!(find(1500), Some((100, 1500)));
            assert_eq!(find(1501), Some((101, 1501)));
            assert_eq!(find(1502), Some((102, 1510)));
            assert_eq!(find(1991), Some((199, 1991)));
            assert_eq!(find(1992), None);
            let newest = log.max_timestamp_offset(LIMIT).unwrap().unwrap();
            assert_eq!((newest.offset, newest.timestamp), (199, 1991));
        }
        dir.delete_records_before(&log, 101).await.unwrap();
        let first = log.offset_for_timestamp(0, LIMIT).unwrap().unwrap();
        assert_eq!(first.offset, 101);
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        assert_eq!(log.log_start_offset(), 101);
        assert_eq!(
            log.offset_for_timestamp(1502, LIMIT)
                .unwrap()
                .unwrap()
                .offset,
            102
        );
        let newest = log.max_timestamp_offset(LIMIT).unwrap().unwrap();
        assert_eq!((newest.offset, newest.timestamp), (199, 1991));
    });
}

#[test]
fn retention_takes_whole_old_segments_and_keeps_the_end() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let config = LogConfig {
            retention_ms: 1000,
            ..small()
        };
        let (dir, log) = open(&runtime, config.clone()).await;
        for n in 0..100 {
            log.append(client(batch_at(n * 10, &["x"]))).await.unwrap();
        }
        assert_eq!(dir.enforce_retention(1000).await.unwrap(), 0);
        assert_eq!(dir.enforce_retention(1500).await.unwrap(), 1);
        let start = log.log_start_offset();
        assert!(start > 20 && start <= 50, "{start}");
        assert!(read_all(&log, UpTo::LogEnd).unwrap().len() as i64 == 100 - start);
        assert!(matches!(
            log.read_blocking(start - 1, 100, true, UpTo::LogEnd),
            Err(Error::OffsetOutOfRange { .. })
        ));
        // All records are too old: the active segment is rolled and goes, too.
        dir.enforce_retention(100_000).await.unwrap();
        let offsets = log.offsets();
        assert_eq!(
            (offsets.log_start_offset, offsets.log_end_offset),
            (100, 100)
        );
        assert_eq!(log.segments().unwrap().len(), 1);
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        assert_eq!(log.log_start_offset(), 100);
        assert_eq!(
            log.append(client(batch(&["a"]))).await.unwrap().base_offset,
            100
        );
    });
}

#[test]
fn retention_by_size_leaves_about_that_size() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let config = LogConfig {
            retention_bytes: 5000,
            retention_ms: -1,
            ..small()
        };
        let (dir, log) = open(&runtime, config).await;
        for _ in 0..300 {
            log.append(client(batch(&["some value"]))).await.unwrap();
        }
        dir.enforce_retention(0).await.unwrap();
        let left = log.size_bytes().unwrap();
        assert!((5000..7000).contains(&left), "{left}");
    });
}

#[test]
fn segments_roll_by_age_of_their_records() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let config = LogConfig {
            segment_ms: 100,
            ..LogConfig::default()
        };
        let (_dir, log) = open(&runtime, config).await;
        for timestamp in [1000, 1050, 1100, 1101, 1150, 1202] {
            log.append(client(batch_at(timestamp, &["x"])))
                .await
                .unwrap();
        }
        let bases: Vec<i64> = log
            .segments()
            .unwrap()
            .iter()
            .map(|s| s.base_offset)
            .collect();
        assert_eq!(bases, [0, 3, 5]);
    });
}

#[test]
fn leader_epochs_are_remembered() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, LogConfig::default()).await;
        for epoch in [0, 0, 2, 3] {
            let append = Append::from_client(vec![batch(&["x"])], epoch);
            log.append(append).await.unwrap();
        }
        let fenced = log
            .append(Append::from_client(vec![batch(&["x"])], 1))
            .await;
        assert!(matches!(
            fenced,
            Err(AppendError::FencedLeaderEpoch {
                epoch: 1,
                current: 3
            })
        ));
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, LogConfig::default()).await;
        assert_eq!(log.leader_epoch_end_offset(0), Some((0, 2)));
        assert_eq!(log.leader_epoch_end_offset(1), Some((0, 2)));
        assert_eq!(log.leader_epoch_end_offset(3), Some((3, 4)));
        assert_eq!(log.latest_leader_epoch(), Some(3));
        log.assign_leader_epoch(7).await.unwrap();
        assert_eq!(log.leader_epoch_end_offset(3), Some((3, 4)));
        assert_eq!(log.leader_epoch_end_offset(7), Some((7, 4)));
    });
}

/// Polls a future once; whether it has not ended yet.
async fn begin<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[test]
fn what_comes_behind_a_deletion_is_refused_and_touches_no_file() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        let before: Vec<_> = (0..20).map(|_| log.append(client(batch(&["x"])))).collect();
        let mut deleting = std::pin::pin!(dir.delete_logs(vec![partition(0)]));
        assert!(begin(deleting.as_mut()).await);
        // As many as begin a new segment, in a folder that is no longer there.
        let behind: Vec<_> = (0..200)
            .map(|_| log.append(client(batch(&["y"]))))
            .collect();
        let rolled = log.roll();
        deleting.await.unwrap();
        for written in before {
            assert!(written.await.is_ok());
        }
        for refused in behind {
            assert_eq!(refused.await, Err(AppendError::Closed));
        }
        assert!(matches!(rolled.await, Err(Error::Closed { .. })));
        assert_eq!(log.queued_bytes(), 0);
        dir.close().await.unwrap();
    });
}

#[test]
fn what_comes_behind_the_end_of_a_log_is_refused() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        log.append(client(batch(&["x"]))).await.unwrap();
        let mut closing = std::pin::pin!(dir.close());
        assert!(begin(closing.as_mut()).await);
        let behind = log.append(client(batch(&["y"])));
        closing.await.unwrap();
        assert_eq!(behind.await, Err(AppendError::Closed));
    });
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        assert_eq!(values(&read_all(&log, UpTo::LogEnd).unwrap()), ["x"]);
    });
}

#[test]
fn a_deleted_topic_leaves_nothing_to_a_new_one_of_the_same_name() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        for _ in 0..50 {
            log.append(client(batch(&["old"]))).await.unwrap();
        }
        dir.checkpoint(true).await.unwrap();
        dir.delete_logs(vec![partition(0)]).await.unwrap();
        assert_eq!(
            log.append(client(batch(&["x"]))).await,
            Err(AppendError::Closed)
        );
        assert!(matches!(
            log.read_blocking(0, 100, true, UpTo::LogEnd),
            Err(Error::Closed { .. })
        ));
        let next = Uuid([9; 16]);
        let log = dir.open_log(partition(0), next, small()).await.unwrap();
        assert_eq!(
            log.append(client(batch(&["new"])))
                .await
                .unwrap()
                .base_offset,
            0
        );
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let next = Uuid([9; 16]);
        let log = dir.open_log(partition(0), next, small()).await.unwrap();
        assert_eq!(values(&read_all(&log, UpTo::LogEnd).unwrap()), ["new"]);
    });
}

#[test]
fn a_folder_of_another_topic_id_is_put_aside() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        log.append(client(batch(&["old"]))).await.unwrap();
        dir.close().await.unwrap();
    });
    run(&disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let other = Uuid([9; 16]);
        let log = dir.open_log(partition(0), other, small()).await.unwrap();
        assert_eq!(log.log_end_offset(), 0);
    });
}

#[test]
fn a_second_process_is_refused() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, _log) = open(&runtime, small()).await;
        let second = ottla_log::LogDir::open(&runtime, options(), &root());
        assert!(matches!(second, Err(Error::Locked { .. })));
        dir.close().await.unwrap();
        drop(ottla_log::LogDir::open(&runtime, options(), &root()).unwrap());
    });
}

#[test]
fn waiting_readers_wake_when_the_high_watermark_moves() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let mut watch = log.watch();
        let waiting = tokio::spawn(async move { watch.high_watermark_past(1).await });
        log.append(client(batch(&["a"]))).await.unwrap();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        log.append(client(batch(&["b"]))).await.unwrap();
        assert!(waiting.await.unwrap());
    });
}

#[test]
fn without_waiting_for_the_disk_nothing_is_flushed_until_asked() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let config = LogConfig {
            wait_for_disk: false,
            flush_messages: 5,
            ..LogConfig::default()
        };
        let (_dir, log) = open(&runtime, config).await;
        for _ in 0..3 {
            log.append(client(batch(&["a"]))).await.unwrap();
        }
        let offsets = log.offsets();
        assert_eq!((offsets.high_watermark, offsets.flushed_offset), (3, 0));
        log.append(client(batch(&["a", "b"]))).await.unwrap();
        assert_eq!(log.flushed_offset(), 5);
        log.append(Append::from_coordinator(vec![batch(&["a"])], 0))
            .await
            .unwrap();
        assert_eq!(log.flushed_offset(), 6);
    });
}

#[test]
fn replication_may_own_the_high_watermark() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        log.set_replicated_offset(0);
        log.append(client(batch(&["a", "b"]))).await.unwrap();
        assert_eq!(log.high_watermark(), 0);
        assert!(read_all(&log, UpTo::HighWatermark).unwrap().is_empty());
        assert_eq!(read_all(&log, UpTo::LogEnd).unwrap().len(), 2);
        log.set_replicated_offset(99);
        assert_eq!(log.high_watermark(), 2);
    });
}
