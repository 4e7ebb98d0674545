use ottla_metadata::ClusterRecord;
use ottla_model::{ClusterId, TopicName, Uuid};

use super::*;

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

/// The file as nodes have written it that had no quorum.
fn encode(image: &Image, epoch: LeaderEpoch) -> Vec<u8> {
    batches(image, epoch, 0).unwrap().concat()
}

#[test]
fn an_image_comes_back_from_its_snapshot() {
    for topics in [0, 1, 999, 1000, 2500] {
        let image = image(topics);
        let whole = parts(&image, 7, 123).unwrap().concat();
        assert_eq!(from_bytes(whole.into()).unwrap(), image);
        let path = Path::new("x");
        let of_file = decode(encode(&image, 7).into(), path).unwrap();
        assert_eq!(of_file.at_offset(image.metadata_offset()), image);
    }
    assert!(from_bytes(Bytes::from_static(&[1; 7])).is_err());
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
fn damage_is_reported_with_file_and_position_and_never_loaded() {
    let image = image(3);
    let whole = encode(&image, 1);
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
