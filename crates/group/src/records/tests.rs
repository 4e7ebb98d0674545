use ottla_model::{TopicId, Uuid};

use super::*;

fn offset() -> CommittedOffset {
    CommittedOffset {
        offset: 7,
        leader_epoch: 2,
        metadata: "m".into(),
        commit_timestamp_ms: 5,
        expire_timestamp_ms: None,
        topic_id: TopicId::ZERO,
        log_order: 0,
    }
}

fn offset_record(value: Option<CommittedOffset>) -> Record {
    Record::Offset {
        group_id: "g".into(),
        topic: "t".into(),
        partition: 3,
        value,
    }
}

fn group_record() -> Record {
    Record::Group {
        group_id: "g".into(),
        value: Some(GroupValue {
            protocol_type: "consumer".into(),
            generation_id: 4,
            protocol_name: Some("range".into()),
            leader: Some("m-1".into()),
            state_timestamp_ms: Some(9),
            members: vec![MemberValue {
                member_id: "m-1".into(),
                group_instance_id: Some("pod".into()),
                client_id: "c".into(),
                client_host: "/h".into(),
                rebalance_timeout_ms: 2,
                session_timeout_ms: 1,
                subscription: Bytes::from_static(b"s"),
                assignment: Bytes::from_static(b"a"),
            }],
        }),
    }
}

fn read_back(record: &Record) -> Record {
    let (key, value) = encode(record);
    decode(&key, value.as_deref()).unwrap().unwrap()
}

#[test]
fn records_are_read_as_they_were_written() {
    let tombstone = Record::Group {
        group_id: "g".into(),
        value: None,
    };
    let with_id = CommittedOffset {
        topic_id: Uuid([7; 16]),
        ..offset()
    };
    for record in [
        offset_record(Some(offset())),
        offset_record(Some(with_id)),
        offset_record(None),
        group_record(),
        tombstone,
    ] {
        assert_eq!(read_back(&record), record);
    }
    // Version 1 has no leader epoch.
    let expiring = CommittedOffset {
        expire_timestamp_ms: Some(8),
        leader_epoch: -1,
        ..offset()
    };
    let record = offset_record(Some(expiring));
    assert_eq!(read_back(&record), record);
}

#[test]
fn offsets_are_written_byte_for_byte_as_kafka_writes_them() {
    let (key, value) = encode(&offset_record(Some(offset())));
    assert_eq!(key, b"\0\x01\0\x01g\0\x01t\0\0\0\x03".as_slice());
    assert_eq!(
        value.unwrap(),
        b"\0\x04\0\0\0\0\0\0\0\x07\0\0\0\x02\x02m\0\0\0\0\0\0\0\x05\0".as_slice()
    );
}

#[test]
fn groups_are_written_byte_for_byte_as_kafka_writes_them() {
    let (key, value) = encode(&group_record());
    assert_eq!(key, b"\0\x02\0\x01g".as_slice());
    let expected = [
        b"\0\x03\0\x08consumer\0\0\0\x04\0\x05range\0\x03m-1\0\0\0\0\0\0\0\x09".as_slice(),
        b"\0\0\0\x01\0\x03m-1\0\x03pod\0\x01c\0\x02/h\0\0\0\x02\0\0\0\x01",
        b"\0\0\0\x01s\0\0\0\x01a",
    ]
    .concat();
    assert_eq!(value.unwrap(), expected);
}

#[test]
fn very_old_offsets_are_read() {
    let key = b"\0\0\0\x01g\0\x01t\0\0\0\x03";
    let value = b"\0\0\0\0\0\0\0\0\0\x07\0\x01m\0\0\0\0\0\0\0\x05";
    let expected = CommittedOffset {
        leader_epoch: -1,
        ..offset()
    };
    assert_eq!(
        decode(key, Some(value)).unwrap().unwrap(),
        offset_record(Some(expected))
    );
}

#[test]
fn other_kinds_are_skipped_and_broken_records_are_errors() {
    assert_eq!(decode(b"\0\x0b\0\x01g", Some(b"\0\0\0\0\0\x01")), Ok(None));
    assert_eq!(decode(b"\x7f\xff", None), Ok(None));
    assert!(decode(b"", None).is_err());
    assert!(decode(b"\0\x02\0\x05g", None).is_err());
    assert!(matches!(
        decode(b"\0\x02\0\x01g", Some(b"\0\x09")),
        Err(Error::UnknownValueVersion { version: 9, .. })
    ));
    let (key, value) = encode(&group_record());
    let value = value.unwrap();
    for len in 0..value.len() {
        assert!(decode(&key, Some(&value[..len])).is_err(), "{len} bytes");
    }
}
