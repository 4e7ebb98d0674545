use super::*;
use crate::{BatchBuilder, BatchOptions, Header, Record};

const LIMIT: DecompressLimit = DecompressLimit(1 << 20);

/// Records 100 to 105; the odd ones are tombstones.
fn batch(compression: Compression, timestamp_type: TimestampType) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        timestamp_type,
        base_offset: 100,
        producer_id: 7,
        producer_epoch: 1,
        base_sequence: 40,
        leader_epoch: 3,
        ..BatchOptions::default()
    });
    for n in 0..6 {
        let key = format!("key {n}");
        let value = (n % 2 == 0).then_some(b"value".as_slice());
        let header = Header::new("h", Some("x".into()));
        builder
            .append(1_000 - n, Some(key.as_bytes()), value, &[header])
            .unwrap();
    }
    builder.build_batch().unwrap()
}

fn records(batch: &Batch) -> Vec<Record> {
    batch.verify_crc().unwrap();
    batch
        .records(LIMIT)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn rewritten(retained: Retained) -> Batch {
    match retained {
        Retained::Rewritten { batch, records } => {
            assert_eq!(batch.header().record_count as u32, records);
            batch
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_that_stay_are_the_same_in_every_compression_and_the_batch_keeps_its_place() {
    for compression in Compression::ALL {
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let old = batch(compression, timestamp_type);
            let keep = |r: KeyedRecord<'_>| r.offset == 102 || r.offset == 104;
            let new = rewritten(retain(&old, LIMIT, 9_000_000, false, keep).unwrap());
            let expected: Vec<Record> = records(&old)
                .into_iter()
                .filter(|r| r.offset == 102 || r.offset == 104)
                .collect();
            assert_eq!(records(&new), expected);
            let (old, new) = (old.header(), new.header());
            assert_eq!(new.attributes, old.attributes, "no tombstone, no horizon");
            assert_eq!((new.base_offset, new.last_offset()), (100, 105));
            assert_eq!(new.last_sequence(), old.last_sequence());
            assert_eq!(new.partition_leader_epoch, 3);
            let largest = match timestamp_type {
                TimestampType::CreateTime => 998,
                TimestampType::LogAppendTime => old.max_timestamp,
            };
            assert_eq!(new.max_timestamp, largest);
        }
    }
}

#[test]
fn a_batch_with_tombstones_gets_its_horizon_once_and_keeps_its_timestamps() {
    for compression in Compression::ALL {
        let old = batch(compression, TimestampType::CreateTime);
        let new = rewritten(retain(&old, LIMIT, 9_000_000, false, |_| true).unwrap());
        assert!(new.header().attributes.has_delete_horizon());
        assert_eq!(new.header().base_timestamp, 9_000_000);
        assert_eq!(new.header().max_timestamp, old.header().max_timestamp);
        assert_eq!(records(&new), records(&old));
        let again = retain(&new, LIMIT, 10_000_000, false, |_| true).unwrap();
        assert_eq!(again, Retained::Whole { records: 6 });
        let keep = |r: KeyedRecord<'_>| r.offset >= 103;
        let less = rewritten(retain(&new, LIMIT, 10_000_000, true, keep).unwrap());
        assert_eq!(less.header().base_timestamp, 9_000_000);
        assert_eq!(records(&less), records(&old).split_off(3));
    }
}

#[test]
fn timestamps_far_from_the_horizon_survive() {
    for timestamp in [NO_TIMESTAMP, 0, i64::MAX - 5, i64::MIN] {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.append(timestamp, Some(b"a"), None, &[]).unwrap();
        let old = builder.build_batch().unwrap();
        let new = rewritten(retain(&old, LIMIT, 1_700_000_000_000, false, |_| true).unwrap());
        assert_eq!(records(&new), records(&old));
    }
}

#[test]
fn an_empty_batch_is_a_header_that_remembers_its_producer() {
    let old = batch(Compression::Zstd, TimestampType::CreateTime);
    let empty = without_records(old.header()).unwrap();
    assert_eq!(empty.bytes().len(), HEADER_LEN);
    assert!(records(&empty).is_empty());
    let (old, new) = (old.header(), empty.header());
    assert_eq!(new.last_offset(), old.last_offset());
    assert_eq!(new.last_sequence(), old.last_sequence());
    assert_eq!((new.producer_id, new.producer_epoch), (7, 1));
    assert_eq!(new.max_timestamp, old.max_timestamp);
    assert_eq!(
        retain(&empty, LIMIT, 0, false, |_| true).unwrap(),
        Retained::Nothing
    );
    let mut seen = 0;
    visit_keys(&empty, LIMIT, |_| seen += 1).unwrap();
    assert_eq!(seen, 0);
}

#[test]
fn keys_are_seen_in_order_and_a_damaged_batch_is_an_error() {
    let batch = batch(Compression::Gzip, TimestampType::CreateTime);
    let mut seen = Vec::new();
    visit_keys(&batch, LIMIT, |r| {
        let key = r.key.unwrap();
        seen.push((
            r.offset,
            String::from_utf8(key.to_vec()).unwrap(),
            r.has_value,
        ));
    })
    .unwrap();
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[3], (103, "key 3".to_owned(), false));
    let mut bytes = batch.bytes().to_vec();
    bytes[80] ^= 0x55;
    let damaged = Batch::parse(bytes.into()).unwrap();
    assert!(visit_keys(&damaged, LIMIT, |_| {}).is_err());
    assert!(retain(&damaged, LIMIT, 0, false, |_| true).is_err());
    assert!(retain(&batch, DecompressLimit(10), 0, false, |_| true).is_err());
}
