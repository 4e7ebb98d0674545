use std::io::IoSlice;
use std::sync::Arc;

use ottla_metadata::{ClusterRecord, Record};
use ottla_model::ClusterId;
use ottla_runtime::disk::{OpenMode, SimDisk};

use super::*;
use crate::fixture::partition_dir;

fn disk() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    disk.create_dir_all(&partition_dir()).unwrap();
    disk
}

/// A batch of so many records.
fn batch(base_offset: Offset, records: usize) -> Vec<u8> {
    let record = Record::Cluster(ClusterRecord {
        cluster_id: ClusterId("x".repeat(40)),
    });
    crate::batch::encode(&vec![record; records], base_offset, 4, 0)
        .unwrap()
        .to_vec()
}

fn write(disk: &dyn Disk, name: &str, bytes: &[u8]) {
    let path = partition_dir().join(name);
    let file = disk.open(&path, OpenMode::Truncate).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
}

fn segment(base: Offset) -> String {
    format!("{base:020}.log")
}

fn offset(disk: &dyn Disk) -> Result<Option<Offset>, Error> {
    let image = load(disk, &partition_dir())?;
    Ok(image.map(|image| image.metadata_offset()))
}

#[test]
fn a_folder_without_old_files_holds_nothing() {
    let disk = disk();
    assert_eq!(offset(&*disk).unwrap(), None);
    assert!(!is_there(&*disk, &partition_dir()));
    assert_eq!(load(&*disk, Path::new("/none")).unwrap(), None);
    remove(&*disk, Path::new("/none")).unwrap();
}

#[test]
fn snapshot_and_segments_lead_to_one_image_and_are_removed_together() {
    let disk = disk();
    let mut image = Image::empty();
    crate::batch::decode(
        &Batch::parse(batch(0, 5).into()).unwrap(),
        |record, offset| Ok(image.apply(&record, offset)?),
    )
    .unwrap();
    let parts = crate::snapshot::parts(&image, 3, 0).unwrap();
    let file = parts[1..].concat();
    write(&*disk, "00000000000000000005-0000000003.checkpoint", &file);
    write(&*disk, &segment(5), &[batch(5, 2), batch(7, 1)].concat());
    write(&*disk, &segment(8), &batch(8, 1));
    assert_eq!(offset(&*disk).unwrap(), Some(8));
    assert!(is_there(&*disk, &partition_dir()));
    remove(&*disk, &partition_dir()).unwrap();
    assert_eq!(offset(&*disk).unwrap(), None);
    assert!(disk.list(&partition_dir()).unwrap().is_empty());
}

#[test]
fn a_torn_end_was_never_acknowledged_but_damage_before_it_is_an_error() {
    let disk = disk();
    let whole = [batch(0, 2), batch(2, 1)].concat();
    write(&*disk, &segment(0), &whole[..whole.len() - 3]);
    assert_eq!(offset(&*disk).unwrap(), Some(1));
    let mut damaged = whole;
    damaged[30] ^= 1;
    write(&*disk, &segment(0), &damaged);
    assert!(matches!(offset(&*disk), Err(Error::CorruptLog { .. })));
}

#[test]
fn missing_records_are_an_error() {
    let disk = disk();
    write(&*disk, &segment(4), &batch(4, 1));
    assert!(matches!(offset(&*disk), Err(Error::Gap { .. })));
    let parts = crate::snapshot::parts(&Image::empty(), 3, 0).unwrap();
    write(
        &*disk,
        "00000000000000000001-0000000003.checkpoint",
        &parts[1..].concat(),
    );
    remove_segment(&*disk, 4);
    assert!(matches!(offset(&*disk), Err(Error::MissingLog { .. })));
}

fn remove_segment(disk: &dyn Disk, base: Offset) {
    disk.remove_file(&partition_dir().join(segment(base)))
        .unwrap();
}
