//! Offsets by time.

use ottla_record::{
    BatchBuilder, BatchOptions, Compression, first_record_at_or_after, first_record_from,
    record_with_max_timestamp, stamp,
};

use crate::{LIMIT, compressed};

fn build(codec: Compression, timestamps: &[i64]) -> ottla_record::Batch {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: 10,
        ..compressed(codec)
    });
    for &timestamp in timestamps {
        builder.append(timestamp, None, Some(b"v"), &[]).unwrap();
    }
    builder.build_batch().unwrap()
}

#[test]
fn the_first_record_in_time_is_found_by_offset_and_not_by_timestamp() {
    for codec in Compression::ALL {
        let batch = build(codec, &[100, 300, 200, 300]);
        let find = |t| first_record_at_or_after(&batch, t, LIMIT).unwrap();
        assert_eq!(find(0), Some((10, 100)));
        assert_eq!(find(100), Some((10, 100)));
        assert_eq!(find(101), Some((11, 300)));
        assert_eq!(find(300), Some((11, 300)));
        assert_eq!(find(301), None);
        let from = |offset, t| first_record_from(&batch, offset, t, LIMIT).unwrap();
        assert_eq!(from(12, 101), Some((12, 200)));
        assert_eq!(from(14, 0), None);
        let max = record_with_max_timestamp(&batch, LIMIT).unwrap();
        assert_eq!(max, Some((11, 300)));
    }
}

#[test]
fn log_append_time_is_answered_from_the_header() {
    let stamped = stamp(&build(Compression::Lz4, &[1, 2, 3]), 50, 1, Some(999));
    let batch = stamped.to_batch();
    let find = |t| first_record_at_or_after(&batch, t, LIMIT).unwrap();
    assert_eq!(find(999), Some((50, 999)));
    assert_eq!(find(1000), None);
    let from = first_record_from(&batch, 51, 5, LIMIT).unwrap();
    assert_eq!(from, Some((51, 999)));
    let max = record_with_max_timestamp(&batch, LIMIT).unwrap();
    assert_eq!(max, Some((50, 999)));
}
