use ottla_metadata::ClusterRecord;
use ottla_model::{ClusterId, TopicName, Uuid};
use ottla_runtime::disk::SimDisk;

use super::*;
use crate::fixture::partition_dir;

/// An image that needs several batches.
fn image(topics: usize) -> Image {
    let mut image = Image::empty();
    let cluster = Record::Cluster(ClusterRecord {
        cluster_id: ClusterId("test".into()),
    });
    image.apply(&cluster, 0).unwrap();
    for i in 1..=topics {
        let record = Record::Topic(ottla_metadata::TopicRecord {
            name: TopicName::new(&format!("topic-{i}")).unwrap(),
            topic_id: Uuid((i as u128).to_be_bytes()),
        });
        image.apply(&record, i as Offset).unwrap();
    }
    image
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(3);
    Disk::create_dir_all(&disk, &partition_dir()).unwrap();
    disk
}

#[test]
fn an_image_comes_back_from_its_snapshot_after_a_crash() {
    for topics in [0, 1, 999, 1000, 2500] {
        let disk = disk();
        let image = image(topics);
        let id = write(&disk, &partition_dir(), &image, 7, 123).unwrap();
        assert_eq!(
            id,
            SnapshotId {
                end_offset: topics as Offset + 1,
                epoch: 7
            }
        );
        disk.crash();
        assert_eq!(newest(&disk, &partition_dir()).unwrap(), Some(id));
        assert_eq!(load(&disk, &partition_dir(), id).unwrap(), image);
    }
}

#[test]
fn names_are_kafkas_and_others_are_ignored() {
    let id = SnapshotId {
        end_offset: 12345,
        epoch: 7,
    };
    assert_eq!(id.file_name(), "00000000000000012345-0000000007.checkpoint");
    assert_eq!(SnapshotId::parse(&id.file_name()), Some(id));
    for name in [
        "1-1.checkpoint",
        "00000000000000012345-0000000007.checkpoint.tmp",
        "x",
        "-",
    ] {
        assert_eq!(SnapshotId::parse(name), None);
    }
}

#[test]
fn older_snapshots_and_unfinished_ones_are_removed() {
    let disk = disk();
    let dir = partition_dir();
    let old = write(&disk, &dir, &image(1), 1, 0).unwrap();
    let new = write(&disk, &dir, &image(2), 1, 0).unwrap();
    let unfinished = dir.join("00000000000000000009-0000000001.checkpoint.tmp");
    Disk::open(&disk, &unfinished, ottla_runtime::disk::OpenMode::Create).unwrap();
    remove_others(&disk, &dir, Some(new)).unwrap();
    assert!(disk.exists(&new.path(&dir)));
    assert!(!disk.exists(&old.path(&dir)));
    assert!(!disk.exists(&unfinished));
}

#[test]
fn damage_is_reported_with_file_and_position_and_never_loaded() {
    let image = image(3);
    let whole = encode(&image, 1, 0).unwrap();
    let path = std::path::Path::new("/data/a.checkpoint");
    let position_of = |bytes: Vec<u8>| match decode(bytes.into(), path) {
        Err(Error::CorruptSnapshot { position, path, .. }) => {
            assert!(path.ends_with("a.checkpoint"));
            position
        }
        other => panic!("{other:?}"),
    };
    let batches: Vec<_> = split_batches(whole.clone().into())
        .map(|b| b.unwrap().bytes().len())
        .collect();
    assert_eq!(batches.len(), 3);
    let mut start = 0;
    for len in batches {
        // Bytes 0 to 16 are outside of the CRC; the records' part of the file is not.
        for at in start + 17..start + len {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert_eq!(position_of(bytes), start);
        }
        start += len;
    }
    for cut in 0..whole.len() {
        position_of(whole[..cut].to_vec());
    }
    let mut doubled = whole.clone();
    doubled.extend_from_slice(&whole);
    assert_eq!(position_of(doubled), whole.len());
}
