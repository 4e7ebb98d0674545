//! What a leader changes.

use ottla_record::{BatchHeader, BatchOptions, Compression, TimestampType, stamp};

use crate::{LIMIT, batch_of, compressed};

#[test]
fn stamping_sets_offset_and_epoch_and_shares_the_body() {
    let batch = batch_of(3, BatchOptions::default());
    let stamped = stamp(&batch, 1_000_000_000_000, 12, None);
    assert_eq!(stamped.body.as_ptr(), batch.body().as_ptr());
    assert_eq!(stamped.head.len(), 61);
    let again = stamped.to_batch();
    again.verify_crc().unwrap();
    assert_eq!(again.header(), &stamped.header);
    assert_eq!(BatchHeader::parse(&stamped.head).unwrap(), stamped.header);
    let offsets: Vec<i64> = again
        .records(LIMIT)
        .unwrap()
        .flatten()
        .map(|r| r.offset)
        .collect();
    assert_eq!(
        offsets,
        [1_000_000_000_000, 1_000_000_000_001, 1_000_000_000_002]
    );
    assert_eq!(again.header().partition_leader_epoch, 12);
    let back = BatchHeader {
        base_offset: 0,
        partition_leader_epoch: -1,
        ..*again.header()
    };
    assert_eq!(&back, batch.header());
}

#[test]
fn log_append_time_replaces_all_timestamps_under_a_right_crc() {
    for codec in Compression::ALL {
        let batch = batch_of(3, compressed(codec));
        let stamped = stamp(&batch, 7, 1, Some(123_456)).to_batch();
        stamped.verify_crc().unwrap();
        let header = stamped.header();
        assert_eq!(
            header.attributes.timestamp_type(),
            TimestampType::LogAppendTime
        );
        assert_eq!(header.attributes.compression().unwrap(), codec);
        assert_eq!(header.max_timestamp, 123_456);
        let mut records = stamped.records(LIMIT).unwrap().flatten();
        assert!(records.all(|record| record.timestamp == 123_456));
    }
}
