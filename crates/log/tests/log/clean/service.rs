//! Which log is cleaned when, how fast, and what happens to those that cannot be.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ottla_log::{Cleaner, CleanerHandle, CleanerOptions, Log, LogConfig, LogDir};
use ottla_model::Uuid;
use ottla_record::BatchOptions;
use ottla_runtime::Runtime;
use ottla_runtime::disk::SimDisk;

use super::model::*;
use crate::world::*;

fn start(runtime: &Runtime, dir: &LogDir, options: CleanerOptions) -> CleanerHandle {
    let (service, handle) = Cleaner::new(dir, options);
    runtime.tasks.run("compaction", service);
    handle
}

async fn open_number(dir: &LogDir, n: i32, config: LogConfig) -> Log {
    dir.open_log(partition(n), TOPIC_ID, config).await.unwrap()
}

/// `count` records of one key, with timestamps from `timestamp` on, in closed segments.
async fn fill(log: &Log, count: i64, timestamp: i64) {
    for n in 0..count {
        let pairs = [pair("k", &format!("{n}"))];
        let batch = keyed(BatchOptions::default(), timestamp + n, &pairs);
        log.append(client(batch)).await.unwrap();
    }
    log.roll().await.unwrap();
}

async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

#[test]
fn a_log_is_cleaned_once_it_is_dirty_enough() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let log = open_number(&dir, 0, compacted()).await;
        start(&runtime, &dir, CleanerOptions::default());
        fill(&log, 100, 1000).await;
        seconds(16).await;
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(100));
        assert_eq!(dir.probe().clean_runs.load(Relaxed), 1);
        // A key of its own keeps the clean part large.
        for n in 0..50 {
            let pairs = [pair(&format!("{n}"), "x")];
            log.append(client(keyed(BatchOptions::default(), 1, &pairs)))
                .await
                .unwrap();
        }
        log.roll().await.unwrap();
        seconds(16).await;
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(150));
        fill(&log, 10, 1000).await;
        seconds(60).await;
        assert_eq!(
            dir.cleaned_up_to(&partition(0)),
            Some(150),
            "not dirty enough"
        );
        let percent = dir.probe().dirty_percent_max.load(Relaxed);
        assert!((5..50).contains(&percent), "{percent}");
        log.update_config(LogConfig {
            min_cleanable_dirty_ratio: 0.01,
            ..compacted()
        });
        seconds(16).await;
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(160));
        runtime.tasks.stop().await;
    });
}

#[test]
fn records_within_the_lag_are_not_touched_and_those_beyond_it_are_even_when_they_are_few() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        runtime.clock.jump_ms(1_000_000);
        let dir = open_dir(&runtime);
        let lazy = LogConfig {
            min_compaction_lag_ms: 500_000,
            max_compaction_lag_ms: 800_000,
            min_cleanable_dirty_ratio: 1.0,
            ..compacted()
        };
        let log = open_number(&dir, 0, lazy).await;
        start(&runtime, &dir, CleanerOptions::default());
        fill(&log, 50, 700_000).await;
        // These stay in the active segment.
        for n in 0..3 {
            let batch = keyed(BatchOptions::default(), 900_000 + n, &[pair("k", "late")]);
            log.append(client(batch)).await.unwrap();
        }
        seconds(60).await;
        assert_eq!(dir.cleaned_up_to(&partition(0)), None, "too young");
        runtime.clock.jump_ms(300_000);
        seconds(60).await;
        assert_eq!(
            dir.cleaned_up_to(&partition(0)),
            None,
            "old enough, but the ratio is not reached"
        );
        runtime.clock.jump_ms(210_000);
        seconds(60).await;
        // At 1,510,000 the first segments are overdue, and the last records still too young.
        let up_to = dir.cleaned_up_to(&partition(0)).unwrap();
        assert_eq!(up_to, 50);
        runtime.clock.jump_ms(200_000);
        seconds(60).await;
        // The active segment was closed, so that its records are compacted in time.
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(53));
        assert_eq!(read_pairs(&log).unwrap(), [(52, pair("k", "late"))]);
        runtime.tasks.stop().await;
    });
}

#[test]
fn the_throttle_spreads_reading_and_writing_over_time() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let log = open_number(&dir, 0, compacted()).await;
        fill(&log, 300, 1000).await;
        let bytes = log.size_bytes().unwrap();
        let options = CleanerOptions {
            io_max_bytes_per_second: bytes as f64 / 50.0,
            io_buffer_bytes: 8192,
            ..CleanerOptions::default()
        };
        let (_service, handle) = Cleaner::new(&dir, options.clone());
        let began = tokio::time::Instant::now();
        let cleaned = handle.clean(&log).await.unwrap().unwrap();
        let moved = cleaned.map_bytes + cleaned.read_bytes + cleaned.written_bytes;
        let took = began.elapsed().as_secs_f64();
        let expected = moved as f64 / options.io_max_bytes_per_second;
        assert!(
            (expected - took).abs() < 2.0,
            "{took} s, {expected} s expected"
        );
        assert!(took > 99.0, "{took} s");
    });
}

#[test]
fn a_log_that_cannot_be_cleaned_is_named_and_the_others_go_on() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let (bad, good) = (
            open_number(&dir, 0, compacted()).await,
            open_number(&dir, 1, compacted()).await,
        );
        fill(&bad, 100, 1000).await;
        fill(&good, 50, 1000).await;
        let path = root().join("orders-0/00000000000000000000.log");
        assert!(disk.damage(&path, 70, 1));
        start(&runtime, &dir, CleanerOptions::default());
        seconds(60).await;
        assert_eq!(dir.cleaned_up_to(&partition(1)), Some(50));
        let uncleanable = dir.uncleanable();
        assert_eq!(uncleanable.len(), 1);
        let reason = uncleanable.get(&partition(0)).unwrap();
        assert!(
            reason.contains("orders-0") && reason.contains("corrupt"),
            "{reason}"
        );
        assert_eq!(dir.probe().clean_failures.load(Relaxed), 1);
        runtime.tasks.stop().await;
    });
}

#[test]
fn a_topic_that_is_deleted_while_it_is_cleaned_leaves_nothing_to_its_successor() {
    let other = Uuid([9; 16]);
    for after_ms in [0, 1, 5, 20, 100, 400, 900] {
        let disk = &SimDisk::new(after_ms);
        run(disk, |runtime| async move {
            let dir = open_dir(&runtime);
            let log = open_number(&dir, 0, compacted()).await;
            fill(&log, 200, 1000).await;
            let options = CleanerOptions {
                // About a second for all of it.
                io_max_bytes_per_second: 40_000.0,
                io_buffer_bytes: 8192,
                ..CleanerOptions::default()
            };
            start(&runtime, &dir, options);
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            dir.delete_logs(vec![partition(0)]).await.unwrap();
            assert_eq!(dir.cleaned_up_to(&partition(0)), None);
            let next = dir
                .open_log(partition(0), other, compacted())
                .await
                .unwrap();
            fill(&next, 20, 1000).await;
            seconds(60).await;
            assert_eq!(dir.cleaned_up_to(&partition(0)), Some(20));
            assert_eq!(read_pairs(&next).unwrap(), [(19, pair("k", "19"))]);
            assert!(dir.uncleanable().is_empty() && dir.being_cleaned().is_empty());
            runtime.tasks.stop().await;
            dir.close().await.unwrap();
        });
        run(disk, |runtime| async move {
            let dir = open_dir(&runtime);
            let log = dir
                .open_log(partition(0), other, compacted())
                .await
                .unwrap();
            assert_eq!(read_pairs(&log).unwrap(), [(19, pair("k", "19"))]);
        });
    }
}

#[test]
fn a_topic_that_is_no_longer_compacted_is_left_alone() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let log = open_number(&dir, 0, compacted()).await;
        fill(&log, 200, 1000).await;
        let options = CleanerOptions {
            io_max_bytes_per_second: 40_000.0,
            io_buffer_bytes: 8192,
            ..CleanerOptions::default()
        };
        start(&runtime, &dir, options);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(dir.being_cleaned(), [partition(0)]);
        log.update_config(LogConfig {
            compact: false,
            ..compacted()
        });
        seconds(60).await;
        assert!(dir.being_cleaned().is_empty());
        assert_eq!(dir.probe().clean_runs.load(Relaxed), 0);
        log.update_config(compacted());
        seconds(60).await;
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(200));
        runtime.tasks.stop().await;
    });
}

#[test]
fn compaction_can_be_off_and_its_options_change_while_it_runs() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        let dir = open_dir(&runtime);
        let off = CleanerOptions {
            enabled: false,
            ..CleanerOptions::default()
        };
        let handle = start(&runtime, &dir, off);
        for n in 0..3 {
            let log = open_number(&dir, n, compacted()).await;
            fill(&log, 100, 1000).await;
        }
        seconds(60).await;
        assert_eq!(dir.probe().clean_runs.load(Relaxed), 0);
        handle.reconfigure(CleanerOptions {
            threads: 3,
            ..CleanerOptions::default()
        });
        seconds(16).await;
        assert_eq!(dir.probe().clean_runs.load(Relaxed), 3);
        runtime.tasks.stop().await;
    });
}

#[test]
fn a_log_that_is_compacted_and_deleted_loses_old_segments_to_retention_and_old_values_to_compaction()
 {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        runtime.clock.jump_ms(1_000_000);
        let dir = open_dir(&runtime);
        let both = LogConfig {
            delete: true,
            retention_ms: 500_000,
            ..compacted()
        };
        let log = open_number(&dir, 0, both).await;
        start(&runtime, &dir, CleanerOptions::default());
        fill(&log, 40, 100_000).await;
        fill(&log, 40, 900_000).await;
        assert!(dir.enforce_retention(1_000_000).await.unwrap() > 0);
        let start = log.log_start_offset();
        assert!((30..=40).contains(&start), "{start}");
        seconds(20).await;
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(80));
        assert_eq!(read_pairs(&log).unwrap(), [(79, pair("k", "39"))]);
        runtime.tasks.stop().await;
    });
}
