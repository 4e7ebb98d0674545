use ottla_metadata::{ClusterRecord, Record};
use ottla_model::ClusterId;
use ottla_runtime::disk::SimDisk;

use super::*;
use crate::fixture::partition_dir;

fn disk(seed: u64) -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new(seed);
    Disk::create_dir_all(&disk, &partition_dir()).unwrap();
    (disk.clone(), Arc::new(disk))
}

/// A batch of so many records.
fn batch(base_offset: Offset, records: usize) -> Bytes {
    let record = Record::Cluster(ClusterRecord {
        cluster_id: ClusterId("x".repeat(40)),
    });
    crate::batch::encode(&vec![record; records], base_offset, 4, 0).unwrap()
}

fn append(store: &mut Store, records: usize) {
    let batch = batch(store.next_offset(), records);
    assert!(matches!(
        store.append(&batch, records).unwrap(),
        Appended::Durable
    ));
}

/// Opens the store and tells the first offset of each batch.
fn open(disk: &Arc<dyn Disk>, from: Option<Offset>) -> Result<(Store, Vec<Offset>), Error> {
    let mut seen = Vec::new();
    let store = Store::open(disk, &partition_dir(), from, |batch| {
        seen.push(batch.header().base_offset);
        Ok(())
    })?;
    Ok((store, seen))
}

fn segment(base: Offset) -> PathBuf {
    path_of(&partition_dir(), base)
}

#[test]
fn appended_batches_survive_a_crash_at_once() {
    let (sim, disk) = disk(1);
    let (mut store, _) = open(&disk, None).unwrap();
    for records in [1, 3, 2] {
        append(&mut store, records);
    }
    sim.crash();
    let (store, seen) = open(&disk, None).unwrap();
    assert_eq!(seen, [0, 1, 4]);
    assert_eq!((store.next_offset(), store.last_epoch()), (6, 4));
}

#[test]
fn an_append_that_a_kill_left_unflushed_is_durable_once_it_was_read() {
    for seed in 0..50 {
        let (sim, disk) = disk(seed);
        let (mut store, _) = open(&disk, None).unwrap();
        append(&mut store, 2);
        let unflushed = batch(2, 1);
        store
            .active
            .write_at(&[IoSlice::new(&unflushed)], store.position)
            .unwrap();
        // The process is killed: what the kernel has is found again.
        drop(store);
        assert_eq!(open(&disk, None).unwrap().1, [0, 2]);
        sim.crash();
        assert_eq!(open(&disk, None).unwrap().1, [0, 2], "seed {seed}");
    }
}

#[test]
fn a_torn_append_is_dropped_whatever_is_left_of_it() {
    for seed in 0..200 {
        let (sim, disk) = disk(seed);
        let (mut store, _) = open(&disk, None).unwrap();
        append(&mut store, 2);
        append(&mut store, 1);
        let torn = batch(3, 200);
        store
            .active
            .write_at(&[IoSlice::new(&torn)], store.position)
            .unwrap();
        sim.crash();
        let (mut store, seen) = open(&disk, None).unwrap();
        // By luck all of it may have got there.
        let survived = seen.len() == 3;
        assert_eq!(&seen[..2], [0, 2], "seed {seed}");
        assert_eq!(store.next_offset(), if survived { 203 } else { 3 });
        append(&mut store, 1);
        sim.crash();
        let (_, again) = open(&disk, None).unwrap();
        assert_eq!(again.len(), seen.len() + 1);
    }
}

#[test]
fn damage_before_the_last_batch_stops_with_file_and_position() {
    let (sim, disk) = disk(1);
    let (mut store, _) = open(&disk, None).unwrap();
    append(&mut store, 1);
    let second = store.position;
    append(&mut store, 1);
    append(&mut store, 1);
    sim.crash();
    for at in [second, second + 10, second + 16, second + 40, second + 70] {
        assert!(sim.damage(&segment(0), at, 0x21));
        match open(&disk, None).map(|(_, seen)| seen) {
            Err(Error::CorruptLog { path, position, .. }) => {
                assert_eq!(path, segment(0));
                assert_eq!(position as u64, second);
            }
            other => panic!("byte {at}: {other:?}"),
        }
        assert!(sim.damage(&segment(0), at, 0x21));
    }
    assert_eq!(open(&disk, None).unwrap().1, [0, 1, 2]);
}

#[test]
fn damage_at_the_end_of_an_older_segment_stops() {
    let (sim, disk) = disk(1);
    let (mut store, _) = open(&disk, None).unwrap();
    append(&mut store, 1);
    store.roll().unwrap();
    append(&mut store, 1);
    sim.crash();
    assert!(sim.damage(&segment(0), 65, 1));
    assert!(matches!(
        open(&disk, None),
        Err(Error::CorruptLog { position: 0, .. })
    ));
    // What a snapshot covers is not read any more.
    assert_eq!(open(&disk, Some(1)).unwrap().1, [1]);
}

#[test]
fn missing_records_stop() {
    let (_, disk) = disk(1);
    assert!(matches!(
        open(&disk, Some(5)),
        Err(Error::MissingLog { .. })
    ));
    let (mut store, _) = open(&disk, None).unwrap();
    for _ in 0..3 {
        append(&mut store, 1);
        store.roll().unwrap();
    }
    assert_eq!(store.segment_count(), 4);
    disk.remove_file(&segment(1)).unwrap();
    assert!(matches!(open(&disk, None), Err(Error::CorruptLog { .. })));
    disk.remove_file(&segment(0)).unwrap();
    let gap = open(&disk, Some(1)).map(|(_, seen)| seen);
    assert!(
        matches!(
            gap,
            Err(Error::Gap {
                snapshot_end: 1,
                log_start: 2,
                ..
            })
        ),
        "{gap:?}"
    );
    assert_eq!(open(&disk, Some(2)).unwrap().1, [2]);
}

#[test]
fn a_lost_tail_that_the_snapshot_holds_does_no_harm() {
    let (sim, disk) = disk(1);
    let (mut store, _) = open(&disk, None).unwrap();
    append(&mut store, 1);
    append(&mut store, 1);
    sim.crash();
    assert!(sim.damage(&segment(0), store.position - 1, 1));
    let (mut store, seen) = open(&disk, Some(2)).unwrap();
    assert_eq!(seen, [0; 0]);
    assert_eq!((store.next_offset(), store.segment_count()), (2, 1));
    append(&mut store, 1);
    sim.crash();
    assert_eq!(open(&disk, Some(2)).unwrap().1, [2]);
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    let (sim, disk) = disk(1);
    let (mut store, _) = open(&disk, None).unwrap();
    append(&mut store, 1);
    sim.set_capacity_bytes(store.position + 30);
    let large = batch(1, 10);
    assert!(matches!(
        store.append(&large, 10).unwrap(),
        Appended::DiskFull(_)
    ));
    assert_eq!(store.next_offset(), 1);
    sim.set_capacity_bytes(u64::MAX);
    assert!(matches!(
        store.append(&large, 10).unwrap(),
        Appended::Durable
    ));
    sim.crash();
    assert_eq!(open(&disk, None).unwrap().1, [0, 1]);
}
