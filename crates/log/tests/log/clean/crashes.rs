//! The power fails before any operation of a cleaning: the next start has every newest value, the
//! next cleaning comes to its end, and nothing is left behind.

use std::sync::Arc;

use ottla_record::{BatchOptions, Compression};
use ottla_runtime::disk::SimDisk;
use parking_lot::Mutex;

use super::model::*;
use crate::watched::Watched;
use crate::world::*;

async fn fill(model: &mut Model, log: &ottla_log::Log, seed: u64) {
    let random = ottla_runtime::Random::from_seed(seed);
    for round in 0..30 {
        let key = |n: u64| format!("key {}", n % 7);
        let first = key(random.next_u64());
        let pairs = match random.below(4) {
            0 => vec![tombstone(&first)],
            1 => vec![pair(&first, "a"), pair(&key(random.next_u64()), "b")],
            _ => vec![pair(&first, &format!("value {round}"))],
        };
        let compression = Compression::ALL[random.below(5) as usize];
        let options = BatchOptions {
            compression,
            ..BatchOptions::default()
        };
        let batch = keyed(options, 1000 + round, &pairs);
        model.append_batch(log, batch, &pairs).await;
    }
}

/// Starts with what a crash has left, and goes on.
fn verify(image: &SimDisk, model: &Model) {
    let mut model = model.clone();
    model.touched = i64::MAX;
    let all = &mut model;
    run(image, |runtime| async move {
        runtime.clock.jump_ms(20_000);
        let (dir, log) = open(&runtime, compacted()).await;
        all.check(&log);
        all.clean(&dir, &log).await;
        all.check(&log);
        all.append(&log, &[pair("key 0", "after")]).await;
        log.roll().await.unwrap();
        all.clean(&dir, &log).await.unwrap();
        all.check(&log);
        dir.close().await.unwrap();
        let names = image.files().into_iter();
        let left: Vec<_> = names
            .map(|f| f.to_str().unwrap().to_owned())
            .filter(|f| f.ends_with(".cleaned") || f.ends_with(".swap"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    });
    run(image, |runtime| async move {
        let (_dir, log) = open(&runtime, compacted()).await;
        model.check(&log);
    });
}

fn at_every_operation(seed: u64) -> usize {
    let disk = &SimDisk::new(seed);
    let mut model = Model::default();
    let images: Arc<Mutex<Vec<SimDisk>>> = Arc::default();
    let taken = Arc::clone(&images);
    let filled = &mut model;
    run(disk, |mut runtime| async move {
        runtime.clock.jump_ms(10_000);
        let recording = Arc::new(Mutex::new(false));
        let (record, machine) = (Arc::clone(&recording), disk.clone());
        runtime.disk = Watched::new(disk, move || {
            if *record.lock() {
                let mut images = taken.lock();
                let number = images.len() as u64;
                images.push(machine.crashed_copy(seed ^ number));
                images.push(machine.crashed_copy(seed ^ number ^ 0xff00));
            }
        });
        let (dir, log) = open(&runtime, compacted()).await;
        fill(filled, &log, seed).await;
        log.roll().await.unwrap();
        // Small maps make several passes.
        *recording.lock() = true;
        filled.clean(&dir, &log).await.unwrap();
        // Tombstones whose horizon has passed go now.
        runtime.clock.jump_ms(5000);
        *recording.lock() = false;
        filled.append(&log, &[pair("key 1", "x")]).await;
        log.roll().await.unwrap();
        *recording.lock() = true;
        let end = filled.end;
        filled.clean(&dir, &log).await.unwrap();
        assert_eq!(filled.end, end);
        filled.check(&log);
    });
    let images = std::mem::take(&mut *images.lock());
    let first = Model {
        end: model.end - 1,
        records: model
            .records
            .range(..model.end - 1)
            .map(|(o, p)| (*o, p.clone()))
            .collect(),
        ..model.clone()
    };
    for image in &images {
        // Images of the first cleaning do not have the record between the two.
        let is_first = run(&image.crashed_copy(1), |runtime| async move {
            let (_dir, log) = open(&runtime, compacted()).await;
            log.log_end_offset() == model.end - 1
        });
        verify(image, if is_first { &first } else { &model });
    }
    images.len()
}

#[test]
fn a_power_failure_at_any_operation_of_a_cleaning_loses_no_newest_value() {
    let mut tried = 0;
    for seed in 0..3 {
        tried += at_every_operation(seed);
    }
    assert!(tried > 300, "{tried}");
}
