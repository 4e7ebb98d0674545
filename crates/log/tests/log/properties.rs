//! Properties of topics that say when a segment ends and when its bytes are gone.

use std::path::Path;

use ottla_log::{Housekeeping, LogConfig, LogDir};
use ottla_runtime::disk::SimDisk;

use crate::world::*;

#[test]
fn jitter_lets_the_segments_of_many_logs_roll_at_different_ages() {
    let disk = SimDisk::new(1);
    let ages = run(&disk, |runtime| async move {
        let config = LogConfig {
            segment_ms: 1000,
            segment_jitter_ms: 500,
            ..LogConfig::default()
        };
        let (dir, _) = LogDir::open(&runtime, options(), Path::new(ROOT)).unwrap();
        let mut ages = Vec::new();
        for n in 0..20 {
            let opening = dir.open_log(partition(n), TOPIC_ID, config.clone());
            let log = opening.await.unwrap();
            for timestamp in 0.. {
                log.append(client(batch_at(timestamp, &["x"])))
                    .await
                    .unwrap();
                if log.segments().unwrap().len() > 1 {
                    ages.push(timestamp);
                    break;
                }
            }
        }
        ages
    });
    assert!(
        ages.iter().all(|age| (501..=1001).contains(age)),
        "{ages:?}"
    );
    let distinct: std::collections::BTreeSet<_> = ages.iter().collect();
    assert!(distinct.len() > 10, "{ages:?}");
}

#[test]
fn a_topics_deleted_files_stay_as_long_as_its_own_property_says() {
    let disk = SimDisk::new(1);
    let handle = disk.clone();
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        runtime.tasks.run("housekeeping", Housekeeping::new(&dir));
        let patient = LogConfig {
            file_delete_delay_ms: 3_600_000,
            ..small()
        };
        let other = dir.open_log(partition(1), TOPIC_ID, patient).await.unwrap();
        for log in [&log, &other] {
            log.append(client(batch(&["x"]))).await.unwrap();
        }
        dir.delete_logs(vec![partition(0), partition(1)])
            .await
            .unwrap();
        let deleted = || {
            let files = handle.files();
            let names: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
            [0, 1].map(|n| names.iter().any(|f| f.contains(&format!("orders-{n}."))))
        };
        let a_moment = || tokio::time::sleep(std::time::Duration::from_secs(2));
        a_moment().await;
        assert_eq!(deleted(), [false, true]);
        runtime.clock.jump_ms(3_600_000);
        a_moment().await;
        assert_eq!(deleted(), [false, false]);
    });
}

#[test]
fn a_preallocated_segment_has_the_length_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let runtime = ottla_runtime::Runtime::real();
        let (dir, _) = LogDir::open(&runtime, options(), &root).unwrap();
        let config = LogConfig {
            preallocate: true,
            segment_bytes: 1 << 20,
            ..small()
        };
        let log = dir.open_log(partition(0), TOPIC_ID, config).await.unwrap();
        let value = "v".repeat(1000);
        let file = |base: i64| root.join(format!("orders-0/{base:020}.log"));
        log.append(client(batch(&[&value]))).await.unwrap();
        let first = std::fs::metadata(file(0)).unwrap();
        assert_eq!(first.len(), log.size_bytes().unwrap());
        let blocks = |path: std::path::PathBuf| {
            std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).unwrap()) * 512
        };
        let reserved = blocks(file(0));
        while log.segments().unwrap().len() == 1 {
            log.append(client(batch(&[&value]))).await.unwrap();
        }
        let sealed = std::fs::metadata(file(0)).unwrap().len();
        assert!(sealed <= 1 << 20 && sealed > 1_000_000, "{sealed}");
        // Not every file system takes room for a file beyond its end.
        if reserved >= 1 << 20 {
            assert!(
                blocks(file(0)) < sealed + 65_536,
                "what is left is given back"
            );
        }
        dir.close().await.unwrap();
        let (dir, _) = LogDir::open(&runtime, options(), &root).unwrap();
        let log = dir.open_log(partition(0), TOPIC_ID, small()).await.unwrap();
        let read = read_all(&log, ottla_log::UpTo::LogEnd).unwrap().len();
        assert_eq!(i64::try_from(read).unwrap(), log.log_end_offset());
        dir.close().await.unwrap();
    });
}
