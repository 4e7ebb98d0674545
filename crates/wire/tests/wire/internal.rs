//! Stored records and the consumer protocol.

use bytes::Bytes;
use ottla_wire::messages::consumer_protocol_subscription::TopicPartition;
use ottla_wire::messages::{
    ConsumerGroupMemberMetadataValue, ConsumerProtocolSubscription, GroupMetadataKey,
    OffsetCommitKey, OffsetCommitValue, TransactionLogKey,
};
use ottla_wire::{CoordinatorKey, Message, MetadataRecord, Seed, record_type};

#[test]
fn offset_commit_records_are_those_of_kafka() {
    let key = OffsetCommitKey {
        group: "g".into(),
        topic: "t".into(),
        partition: 2,
    };
    let bytes = key.encode_key().unwrap();
    assert_eq!(&bytes[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 2]);
    assert_eq!(record_type(&bytes).unwrap(), 1);
    assert_eq!(OffsetCommitKey::decode_key(bytes.clone()).unwrap(), key);
    let error = GroupMetadataKey::decode_key(bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "record type 1 was found where GroupMetadataKey is 2"
    );

    let value = OffsetCommitValue {
        offset: 5,
        metadata: "m".into(),
        commit_timestamp: 6,
        ..OffsetCommitValue::default()
    };
    let bytes = value.encode_versioned(3).unwrap();
    let expected: &[u8] = &[
        0, 3, // version
        0, 0, 0, 0, 0, 0, 0, 5, // offset
        0xff, 0xff, 0xff, 0xff, // leader epoch
        0, 1, b'm', // metadata
        0, 0, 0, 0, 0, 0, 0, 6, // commit timestamp
    ];
    assert_eq!(bytes, expected);
    assert_eq!(
        OffsetCommitValue::decode_versioned(bytes).unwrap(),
        (3, value)
    );
}

#[test]
fn a_transaction_log_key_has_record_type_zero() {
    let key = TransactionLogKey {
        transactional_id: "tx".into(),
    };
    assert_eq!(&key.encode_key().unwrap()[..], [0, 0, 0, 2, b't', b'x']);
}

#[test]
fn a_subscription_newer_than_ours_is_read_as_our_newest() {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["t".into()],
        owned_partitions: vec![TopicPartition {
            topic: "t".into(),
            partitions: vec![0, 1],
        }],
        generation_id: 4,
        rack_id: Some("r".into()),
        ..ConsumerProtocolSubscription::default()
    };
    let mut bytes = subscription.encode_versioned(3).unwrap().to_vec();
    bytes[1] = 9;
    bytes.extend_from_slice(b"what version 9 may add");
    let bytes = Bytes::from(bytes);
    ConsumerProtocolSubscription::decode_versioned(bytes.clone()).unwrap_err();
    let read = ConsumerProtocolSubscription::decode_versioned_or_newer(bytes).unwrap();
    assert_eq!(read, (9, subscription));
}

/// Kafka 4.4 wrote these bytes: it does not leave out a tagged struct that is null.
#[test]
fn a_tagged_struct_that_is_null_is_read_as_kafka_writes_it() {
    let mut bytes = b"\0\0\0\0\x03n1\x0b/127.0.0.1\x02\x07orders\x01\0\x04\x93\xe0\0".to_vec();
    let tag_0_of_one_byte_that_says_null = [1, 0, 1, 0];
    bytes.extend(tag_0_of_one_byte_that_says_null);
    let (_, value) = ConsumerGroupMemberMetadataValue::decode_versioned(bytes.into()).unwrap();
    assert_eq!(&*value.client_id, "n1");
    assert_eq!(value.rebalance_timeout_ms, 300_000);
    assert_eq!(value.classic_member_metadata, None);
}

#[test]
fn metadata_records_survive_their_frame() {
    let mut kinds = 0;
    for id in 0..=i16::from(u8::MAX) {
        for seed in 0..50 {
            let seed = &mut Seed::new(seed);
            // The highest version is what `encode_framed` writes.
            let Some(any) = MetadataRecord::arbitrary(id, 0, seed) else {
                break;
            };
            let version = any.max_version();
            let Some(record) = MetadataRecord::arbitrary(id, version, seed) else {
                break;
            };
            let bytes = record.encode_framed().unwrap();
            assert_eq!(
                MetadataRecord::decode_framed(bytes.clone()).unwrap(),
                record
            );
            for len in 0..bytes.len() {
                MetadataRecord::decode_framed(bytes.slice(..len)).unwrap_err();
            }
            kinds += 1;
        }
    }
    assert!(kinds > 0);
    let unknown = MetadataRecord::decode_framed(Bytes::from_static(&[1, 0x7f, 0]));
    assert_eq!(unknown.unwrap_err().to_string(), "record 127 is not known");
    let frame = MetadataRecord::decode_framed(Bytes::from_static(&[2, 1, 0]));
    assert_eq!(
        frame.unwrap_err().to_string(),
        "frame version 2 is not known"
    );
}
