//! What one cleaning does.

use ottla_log::{Cleaner, CleanerOptions, LogConfig, UpTo};
use ottla_record::{BatchBuilder, BatchOptions, Compression};
use ottla_runtime::Disk as _;
use ottla_runtime::disk::SimDisk;

use super::model::*;
use crate::world::*;

fn names(disk: &SimDisk, suffix: &str) -> Vec<String> {
    let names = disk.files().into_iter();
    let names = names.map(|f| f.file_name().unwrap().to_str().unwrap().to_owned());
    names.filter(|f| f.ends_with(suffix)).collect()
}

#[test]
fn only_the_last_record_of_each_key_stays_and_offsets_do_not_change() {
    let disk = &SimDisk::new(1);
    let mut store = Model::default();
    let model = &mut store;
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        for round in 0..200 {
            let value = format!("value {round}");
            model
                .append(&log, &[pair(&format!("key {}", round % 10), &value)])
                .await;
        }
        log.roll().await.unwrap();
        let segments = log.segments().unwrap().len();
        assert!(segments > 20, "{segments}");
        let cleaned = model.clean(&dir, &log).await.unwrap();
        assert_eq!((cleaned.from, cleaned.to, cleaned.keys), (0, 200, 10));
        assert_eq!((cleaned.records, cleaned.records_kept), (200, 10));
        assert_eq!(read_pairs(&log).unwrap().len(), 10);
        model.check(&log);
        // Small neighbours have become one segment, besides the active one.
        assert!(log.segments().unwrap().len() < 4, "{:?}", log.segments());
        assert_eq!(log.size_bytes().unwrap(), 10 * 61 + 10 * 21);
        // Any offset in between leads to the next record that is left.
        for from in 0..200 {
            let read = log
                .read_blocking(from, 1000, true, UpTo::HighWatermark)
                .unwrap();
            assert!(read.base_offset.unwrap() >= from.max(190));
        }
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(200));
        dir.close().await.unwrap();
    });
    let checkpoint = disk.open(
        &root().join("cleaner-offset-checkpoint"),
        ottla_runtime::disk::OpenMode::Read,
    );
    let file = checkpoint.unwrap();
    let mut text = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut text, 0).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "0\n1\norders 0 200\n");
    assert_eq!(names(disk, ".log").len(), names(disk, ".index").len() + 1);
    let model = &mut store;
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        model.check(&log);
        assert_eq!(dir.cleaned_up_to(&partition(0)), Some(200));
        assert!(model.clean(&dir, &log).await.unwrap().unchanged_segments > 0);
        model.check(&log);
    });
}

#[test]
fn compressed_batches_stay_in_their_compression() {
    for compression in Compression::ALL {
        let disk = &SimDisk::new(1);
        let model = &mut Model::default();
        run(disk, |runtime| async move {
            let (dir, log) = open(&runtime, compacted()).await;
            for round in 0..20 {
                let value = format!("value {round}");
                let pairs = [
                    pair("a", &value),
                    pair(&format!("b{round}"), "b"),
                    pair("c", &value),
                ];
                let batch = keyed(compressed(compression), 1000, &pairs);
                model.append_batch(&log, batch, &pairs).await;
            }
            log.roll().await.unwrap();
            model.clean(&dir, &log).await.unwrap();
            model.check(&log);
            for batch in read_batches(&log).unwrap() {
                assert_eq!(batch.header().attributes.compression(), Ok(compression));
            }
            assert_eq!(read_pairs(&log).unwrap().len(), 22);
        });
    }
}

#[test]
fn tombstones_stay_for_their_retention_which_begins_with_the_first_cleaning() {
    let disk = &SimDisk::new(1);
    let model = &mut Model::default();
    run(disk, |runtime| async move {
        runtime.clock.jump_ms(1_000_000);
        let (dir, log) = open(&runtime, compacted()).await;
        model.append(&log, &[pair("a", "1"), pair("b", "1")]).await;
        model.append(&log, &[tombstone("a")]).await;
        log.roll().await.unwrap();
        let cleaned = model.clean(&dir, &log).await.unwrap();
        assert_eq!((cleaned.records_kept, cleaned.tombstones_dropped), (2, 0));
        model.check(&log);
        let horizons = || {
            let batches = read_batches(&log).unwrap().into_iter();
            let horizons = batches.filter(|b| b.header().attributes.has_delete_horizon());
            horizons
                .map(|b| b.header().base_timestamp)
                .collect::<Vec<_>>()
        };
        assert_eq!(horizons(), [1_001_000]);
        runtime.clock.jump_ms(999);
        model.clean(&dir, &log).await.unwrap();
        assert_eq!(horizons(), [1_001_000], "set once");
        assert!(read_pairs(&log).unwrap().contains(&(2, tombstone("a"))));
        runtime.clock.jump_ms(1);
        let cleaned = model.clean(&dir, &log).await.unwrap();
        assert_eq!(cleaned.tombstones_dropped, 1);
        // What is left is the header of the batch before the high watermark.
        assert_eq!(read_pairs(&log).unwrap(), [(1, pair("b", "1"))]);
        model.check(&log);
    });
}

#[test]
fn a_map_without_room_for_all_keys_takes_several_cleanings() {
    let disk = &SimDisk::new(1);
    let model = &mut Model::default();
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        for round in 0..600 {
            model
                .append(
                    &log,
                    &[pair(&format!("key {}", round % 200), &format!("{round}"))],
                )
                .await;
        }
        log.roll().await.unwrap();
        let options = CleanerOptions {
            dedupe_buffer_bytes: 24 * 32 * 8,
            ..CleanerOptions::default()
        };
        let (_service, handle) = Cleaner::new(&dir, options);
        let mut passes = 0;
        let mut from = 0;
        while from < 600 {
            let cleaned = handle.clean(&log).await.unwrap().unwrap();
            assert_eq!(cleaned.from, from);
            assert!(cleaned.to > from, "no progress");
            assert!(cleaned.map_memory_bytes <= 24 * 32 * 8, "{cleaned:?}");
            from = cleaned.to;
            model.touched = from;
            model.check(&log);
            passes += 1;
        }
        assert!(passes > 2, "{passes}");
        assert!(read_pairs(&log).unwrap().len() <= 400);
    });
}

#[test]
fn a_batch_with_more_keys_than_the_map_takes_is_cleaned_all_the_same() {
    let disk = &SimDisk::new(1);
    let model = &mut Model::default();
    run(disk, |runtime| async move {
        let config = LogConfig {
            segment_bytes: 100_000,
            ..compacted()
        };
        let (dir, log) = open(&runtime, config).await;
        let pairs: Vec<Pair> = (0..500).map(|n| pair(&format!("key {n}"), "x")).collect();
        for _ in 0..3 {
            model.append(&log, &pairs).await;
        }
        log.roll().await.unwrap();
        let options = CleanerOptions {
            dedupe_buffer_bytes: 24,
            ..CleanerOptions::default()
        };
        let (_service, handle) = Cleaner::new(&dir, options);
        for to in [500, 1000, 1500] {
            let cleaned = handle.clean(&log).await.unwrap().unwrap();
            assert_eq!(cleaned.to, to);
            model.touched = to;
            model.check(&log);
        }
        assert_eq!(read_pairs(&log).unwrap().len(), 500);
    });
}

#[test]
fn a_producer_is_known_by_its_last_sequence_even_when_all_its_records_are_gone() {
    let disk = &SimDisk::new(1);
    let batch = |id, sequence, key: &str| {
        let options = BatchOptions {
            producer_id: id,
            producer_epoch: 0,
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        keyed(options, 1000, &[pair(key, "v")])
    };
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        for sequence in 0..5 {
            log.append(client(batch(7, sequence, "a"))).await.unwrap();
        }
        for sequence in 0..30 {
            log.append(client(batch(8, sequence, "a"))).await.unwrap();
        }
        log.roll().await.unwrap();
        clean(&dir, &log).await.unwrap();
        let batches = read_batches(&log).unwrap();
        let left: Vec<_> = batches
            .iter()
            .map(|b| {
                (
                    b.header().producer_id,
                    b.header().last_offset(),
                    b.header().record_count,
                )
            })
            .collect();
        assert_eq!(left, [(7, 4, 0), (8, 34, 1)]);
        dir.close().await.unwrap();
    });
    // Without its snapshots and checkpoints the log has nothing but its batches.
    for suffix in [
        ".snapshot",
        "recovery-point-offset-checkpoint",
        ".kafka_cleanshutdown",
    ] {
        for path in disk.files() {
            if path.to_str().unwrap().ends_with(suffix) {
                disk.remove_file(&path).unwrap();
            }
        }
    }
    run(disk, |runtime| async move {
        let (_dir, log) = open(&runtime, compacted()).await;
        let again = log.append(client(batch(7, 4, "a"))).await.unwrap();
        assert!(again.duplicate && again.base_offset == 4);
        let next = log.append(client(batch(7, 5, "a"))).await.unwrap();
        assert_eq!(next.base_offset, 35);
        log.append(client(batch(8, 31, "a"))).await.unwrap_err();
    });
}

#[test]
fn records_without_a_key_go() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        let (dir, log) = open(
            &runtime,
            LogConfig {
                compact: false,
                ..compacted()
            },
        )
        .await;
        log.append(client(batch(&["no key", "no key either"])))
            .await
            .unwrap();
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.append(1, Some(b"k"), Some(b"v"), &[]).unwrap();
        log.append(client(builder.build_batch().unwrap()))
            .await
            .unwrap();
        log.update_config(compacted());
        log.roll().await.unwrap();
        let cleaned = clean(&dir, &log).await.unwrap();
        assert_eq!((cleaned.records_invalid, cleaned.records_kept), (2, 1));
        assert_eq!(read_pairs(&log).unwrap(), [(2, pair("k", "v"))]);
    });
}

#[test]
fn a_policy_that_is_no_longer_compact_leaves_a_log_that_is_read_with_its_gaps() {
    let disk = &SimDisk::new(1);
    let mut store = Model::default();
    let model = &mut store;
    let deleting = LogConfig {
        compact: false,
        ..compacted()
    };
    let other = &deleting;
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        for round in 0..50 {
            model
                .append(
                    &log,
                    &[
                        pair(&format!("k{}", round % 3), &format!("{round}")),
                        pair("x", "y"),
                    ],
                )
                .await;
        }
        log.roll().await.unwrap();
        model.clean(&dir, &log).await.unwrap();
        log.update_config(other.clone());
        model.check(&log);
        model.append(&log, &[pair("k0", "last")]).await;
        // Unclean: recovery must understand it, too.
    });
    disk.crash();
    let model = &mut store;
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, other.clone()).await;
        model.check(&log);
        assert_eq!(
            dir.probe()
                .corrupt_batches
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
    });
}

#[test]
fn segments_of_which_everything_stays_are_not_written_again() {
    let disk = &SimDisk::new(1);
    let model = &mut Model::default();
    run(disk, |runtime| async move {
        let config = LogConfig {
            segment_bytes: 4000,
            ..compacted()
        };
        let (dir, log) = open(&runtime, config).await;
        for n in 0..400 {
            model.append(&log, &[pair(&format!("key {n}"), "v")]).await;
        }
        log.roll().await.unwrap();
        let first = model.clean(&dir, &log).await.unwrap();
        assert_eq!(first.written_bytes, 0, "every key is there once: {first:?}");
        // Three old keys change: their segments and the new ones are written, and no other.
        for n in [0, 1, 2] {
            model.append(&log, &[pair(&format!("key {n}"), "w")]).await;
        }
        log.roll().await.unwrap();
        let second = model.clean(&dir, &log).await.unwrap();
        assert!(
            second.written_bytes > 0 && second.written_bytes < 9000,
            "{second:?}"
        );
        assert!(second.unchanged_segments > 5, "{second:?}");
        model.check(&log);
    });
}

#[test]
fn readers_go_on_while_segments_are_swapped_under_them() {
    let disk = &SimDisk::new(1);
    let mut store = Model::default();
    let model = &mut store;
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        for round in 0..120 {
            model
                .append(
                    &log,
                    &[pair(&format!("k{}", round % 11), &format!("{round}"))],
                )
                .await;
        }
        dir.close().await.unwrap();
    });
    let model = &mut store;
    run(disk, |runtime| async move {
        // A new process: nothing is in memory, and no file is open.
        let (dir, log) = open(&runtime, compacted()).await;
        log.roll().await.unwrap();
        model.touched = i64::MAX;
        let (held, reader) = (model.clone(), log.clone());
        let reading = tokio::spawn(async move {
            for _ in 0..400 {
                held.check(&reader);
                tokio::task::yield_now().await;
            }
        });
        model.clean(&dir, &log).await.unwrap();
        reading.await.unwrap();
        model.check(&log);
    });
}

#[test]
fn times_are_found_in_a_compacted_log() {
    let disk = &SimDisk::new(1);
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        for n in 0..100 {
            let pairs = [pair(&format!("k{}", n % 20), "v")];
            log.append(client(keyed(BatchOptions::default(), 1000 + n, &pairs)))
                .await
                .unwrap();
        }
        log.roll().await.unwrap();
        clean(&dir, &log).await.unwrap();
        for (at, offset) in [(0, 80), (1080, 80), (1085, 85), (1099, 99)] {
            let found = log.offset_for_timestamp(at, LIMIT).unwrap().unwrap();
            assert_eq!((found.offset, found.timestamp), (offset, 1000 + offset));
        }
        assert_eq!(log.offset_for_timestamp(1100, LIMIT).unwrap(), None);
        let newest = log.max_timestamp_offset(LIMIT).unwrap().unwrap();
        assert_eq!((newest.offset, newest.timestamp), (99, 1099));
    });
}

#[test]
fn damage_stops_the_cleaning_and_changes_nothing() {
    let disk = &SimDisk::new(1);
    let model = &mut Model::default();
    run(disk, |runtime| async move {
        let (dir, log) = open(&runtime, compacted()).await;
        for round in 0..60 {
            model.append(&log, &[pair("k", &format!("{round}"))]).await;
        }
        log.roll().await.unwrap();
        let path = root().join("orders-0/00000000000000000000.log");
        assert!(disk.damage(&path, 80, 1));
        let error = cleaner(&dir).clean(&log).await.unwrap_err();
        assert!(
            error.to_string().contains("00000000000000000000.log"),
            "{error}"
        );
        assert!(disk.damage(&path, 80, 1));
        model.check(&log);
        assert_eq!(
            names(disk, ".cleaned").len() + names(disk, ".swap").len(),
            0
        );
        model.clean(&dir, &log).await.unwrap();
        model.check(&log);
    });
}

#[test]
fn a_full_disk_stops_the_cleaning_and_nothing_else() {
    for room in (0..6000).step_by(250) {
        let disk = &SimDisk::new(1);
        let model = &mut Model::default();
        run(disk, |runtime| async move {
            let (dir, log) = open(&runtime, compacted()).await;
            for round in 0..60 {
                model
                    .append(
                        &log,
                        &[pair(&format!("k{}", round % 50), &format!("{round}"))],
                    )
                    .await;
            }
            log.roll().await.unwrap();
            dir.checkpoint(true).await.unwrap();
            let used: u64 = disk
                .files()
                .iter()
                .map(|f| {
                    disk.open(f, ottla_runtime::disk::OpenMode::Read)
                        .unwrap()
                        .len()
                        .unwrap()
                })
                .sum();
            disk.set_capacity_bytes(used + room);
            let cleaned = cleaner(&dir).clean(&log).await;
            disk.set_capacity_bytes(u64::MAX);
            if let Err(error) = &cleaned {
                assert!(error.to_string().contains("cannot"), "{error}");
                assert_eq!(
                    names(disk, ".cleaned").len() + names(disk, ".swap").len(),
                    0
                );
            }
            model.touched = 60;
            model.check(&log);
            model.clean(&dir, &log).await.unwrap();
            model.check(&log);
        });
    }
}

#[test]
fn an_aborted_transaction_does_not_taint_the_later_ones_of_its_producer() {
    let disk = &SimDisk::new(1);
    let transactional = |sequence, pairs: &[Pair]| {
        let options = BatchOptions {
            producer_id: 1,
            producer_epoch: 0,
            base_sequence: sequence,
            transactional: true,
            ..BatchOptions::default()
        };
        keyed(options, 1000, pairs)
    };
    run(disk, |runtime| async move {
        runtime.clock.jump_ms(10_000);
        let (dir, log) = open(&runtime, compacted()).await;
        let append = |batch| log.append(verified(&log, batch, 1));
        append(transactional(0, &[pair("a", "aborted")]))
            .await
            .unwrap();
        log.append(marker(1, 0, false, 1)).await.unwrap();
        let old = keyed(BatchOptions::default(), 1000, &[pair("b", "old")]);
        log.append(client(old)).await.unwrap();
        log.roll().await.unwrap();
        assert_eq!(clean(&dir, &log).await.unwrap().to, 3);
        // The second cleaning reads keys from here on, where the first marker is not.
        let pairs = [tombstone("b"), pair("a", "committed")];
        append(transactional(1, &pairs)).await.unwrap();
        log.append(marker(1, 0, true, 1)).await.unwrap();
        log.roll().await.unwrap();
        clean(&dir, &log).await.unwrap();
        let left = [(3, tombstone("b")), (4, pair("a", "committed"))];
        assert_eq!(read_pairs(&log).unwrap(), left);
        runtime.clock.jump_ms(1000);
        clean(&dir, &log).await.unwrap();
        assert_eq!(read_pairs(&log).unwrap(), left[1..]);
    });
}

#[test]
fn markers_go_once_their_records_are_gone_and_their_time_is_over() {
    let disk = &SimDisk::new(1);
    let options = |id| BatchOptions {
        producer_id: id,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: true,
        ..BatchOptions::default()
    };
    run(disk, |runtime| async move {
        runtime.clock.jump_ms(10_000);
        let (dir, log) = open(&runtime, compacted()).await;
        for (id, commit) in [(1, true), (2, false), (3, true)] {
            let key = format!("key {id}");
            let batch = keyed(options(id), 1000, &[pair(&key, "v")]);
            log.append(verified(&log, batch, 1)).await.unwrap();
            log.append(marker(id, 0, commit, 1)).await.unwrap();
        }
        let last = keyed(BatchOptions::default(), 1000, &[pair("key 1", "new")]);
        log.append(client(last)).await.unwrap();
        log.roll().await.unwrap();
        dir.update_producer_rules(1, true);
        let kinds = || {
            let batches = read_batches(&log).unwrap().into_iter();
            batches
                .map(|b| {
                    (
                        b.header().base_offset,
                        b.header().attributes.is_control(),
                        b.header().record_count,
                    )
                })
                .collect::<Vec<_>>()
        };
        clean(&dir, &log).await.unwrap();
        // The last batches of known producers stay without their records, and with them the markers.
        assert_eq!(
            kinds(),
            [
                (0, false, 0),
                (1, true, 1),
                (2, false, 0),
                (3, true, 1),
                (4, false, 1),
                (5, true, 1),
                (6, false, 1)
            ]
        );
        runtime
            .tasks
            .run("housekeeping", ottla_log::Housekeeping::new(&dir));
        runtime.clock.jump_ms(1_000_000);
        tokio::time::sleep(std::time::Duration::from_secs(601)).await;
        assert!(
            log.active_producers().await.unwrap().is_empty(),
            "they are forgotten"
        );
        clean(&dir, &log).await.unwrap();
        assert_eq!(
            kinds(),
            [
                (1, true, 1),
                (3, true, 1),
                (4, false, 1),
                (5, true, 1),
                (6, false, 1)
            ]
        );
        // This one is the first that meets the markers without records: their time begins.
        clean(&dir, &log).await.unwrap();
        runtime.clock.jump_ms(999);
        clean(&dir, &log).await.unwrap();
        assert_eq!(kinds().len(), 5);
        runtime.clock.jump_ms(1);
        clean(&dir, &log).await.unwrap();
        assert_eq!(kinds(), [(4, false, 1), (5, true, 1), (6, false, 1)]);
        runtime.tasks.stop().await;
    });
}
