//! What is built can be read, in every compression.

use bytes::Bytes;
use ottla_record::{
    Attributes, Batch, BatchBuilder, BatchHeader, BatchOptions, Compression, ControlType,
    EndTxnMarker, Header, Record, end_txn_marker, recompress, split_batches,
};
use proptest::prelude::*;

use crate::{LIMIT, batch_of, compressed};

fn some_bytes(max: usize) -> impl Strategy<Value = Bytes> {
    // Runs of one byte compress, random bytes do not; both must survive.
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from),
        (any::<u8>(), 0..max * 20).prop_map(|(byte, len)| Bytes::from(vec![byte; len])),
    ]
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    // Few different keys, so that they repeat.
    let header = ("[ab]?", prop::option::of(some_bytes(10)))
        .prop_map(|(key, value)| Header::new(key.into_bytes(), value));
    prop::collection::vec(header, 0..5)
}

fn record() -> impl Strategy<Value = Record> {
    (
        prop_oneof![
            Just(-1),
            any::<i64>(),
            1_700_000_000_000..1_700_000_100_000i64
        ],
        prop::option::of(some_bytes(40)),
        prop::option::of(some_bytes(200)),
        headers(),
    )
        .prop_map(|(timestamp, key, value, headers)| Record {
            offset: 0,
            timestamp,
            key,
            value,
            headers,
        })
}

fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(&Compression::ALL[..])
}

fn build(options: BatchOptions, records: &mut [Record]) -> Batch {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        record.offset = builder
            .append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &record.headers,
            )
            .unwrap();
    }
    let estimate = builder.size_estimate();
    let batch = builder.build_batch().unwrap();
    if options.compression == Compression::None {
        assert_eq!(batch.bytes().len(), estimate);
    }
    batch
}

fn read(batch: &Batch) -> Vec<Record> {
    batch.records(LIMIT).unwrap().map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_survive_build_split_and_read(
        mut first in prop::collection::vec(record(), 1..20),
        mut second in prop::collection::vec(record(), 1..20),
        codecs in (compression(), compression()),
        base_offset in 0..i64::MAX / 2,
    ) {
        let options = |compression, base_offset| BatchOptions {
            compression,
            base_offset,
            ..BatchOptions::default()
        };
        let a = build(options(codecs.0, base_offset), &mut first);
        let b = build(options(codecs.1, a.header().last_offset() + 1), &mut second);
        let run: Bytes = [a.bytes().as_ref(), b.bytes().as_ref()].concat().into();
        let batches: Vec<Batch> = split_batches(run).map(Result::unwrap).collect();
        prop_assert_eq!(&batches, &[a.clone(), b]);
        prop_assert_eq!(read(&batches[0]), first.clone());
        prop_assert_eq!(read(&batches[1]), second);
        batches.iter().for_each(|batch| batch.verify_crc().unwrap());
        let max = first.iter().map(|r| r.timestamp).max().unwrap().max(-1);
        prop_assert_eq!(a.header().max_timestamp, max);
    }

    #[test]
    fn recompression_keeps_the_records(
        mut records in prop::collection::vec(record(), 1..20),
        from in compression(),
        to in compression(),
    ) {
        let options = BatchOptions {
            producer_id: 9,
            producer_epoch: 2,
            base_sequence: 5,
            transactional: true,
            ..compressed(from)
        };
        let batch = build(options, &mut records);
        let other = recompress(&batch, to, None, LIMIT).unwrap();
        other.verify_crc().unwrap();
        prop_assert_eq!(other.header().attributes.compression().unwrap(), to);
        prop_assert_eq!(read(&other), records);
        let back = BatchHeader {
            attributes: batch.header().attributes,
            batch_length: batch.header().batch_length,
            crc: batch.header().crc,
            ..*other.header()
        };
        prop_assert_eq!(&back, batch.header());
    }

    #[test]
    fn headers_survive_encoding(bytes in prop::array::uniform32(any::<u8>())) {
        let long = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        let header = BatchHeader {
            base_offset: long(0),
            batch_length: 49 + i32::from(bytes[8]),
            crc: long(9) as u32,
            attributes: Attributes(long(9) as i16),
            last_offset_delta: long(2) as i32,
            base_timestamp: long(12),
            max_timestamp: long(20),
            producer_id: long(22),
            producer_epoch: long(3) as i16,
            base_sequence: long(7) as i32,
            record_count: long(24) as i32,
            ..BatchHeader::default()
        };
        prop_assert_eq!(BatchHeader::parse(&header.encode()).unwrap(), header);
    }
}

#[test]
fn large_batches_survive_every_codec_and_level() {
    for codec in Compression::ALL {
        for level in [None, Some(-1), Some(1), Some(9), Some(i32::MAX)] {
            let batch = batch_of(
                5000,
                BatchOptions {
                    level,
                    ..compressed(codec)
                },
            );
            assert_eq!(batch.records(LIMIT).unwrap().flatten().count(), 5000);
            let plain = batch_of(5000, BatchOptions::default());
            assert!(codec == Compression::None || batch.bytes().len() < plain.bytes().len() / 2);
            assert_eq!(batch.decompressed(LIMIT).unwrap(), plain.body());
        }
    }
}

#[test]
fn a_batch_that_compaction_emptied_has_no_records() {
    for codec in Compression::ALL {
        let header = BatchHeader {
            attributes: Attributes(0).with_compression(codec),
            last_offset_delta: 9,
            ..BatchHeader::default()
        };
        let batch = Batch::assemble(header, b"").unwrap();
        assert_eq!(batch.records(LIMIT).unwrap().count(), 0);
        assert_eq!(batch.header().last_offset(), 9);
    }
}

#[test]
fn gaps_that_compaction_leaves_are_kept() {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: 10,
        ..BatchOptions::default()
    });
    for offset in [11, 15] {
        builder.append_at(offset, 1, Some(b"k"), None, &[]).unwrap();
    }
    assert!(builder.append_at(15, 1, None, None, &[]).is_err());
    assert!(builder.append_at(1 << 40, 1, None, None, &[]).is_err());
    let batch = builder.build_batch().unwrap();
    let offsets: Vec<i64> = read(&batch).iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [11, 15]);
    assert_eq!(
        (batch.header().base_offset, batch.header().last_offset()),
        (10, 15)
    );
}

#[test]
fn transaction_markers_are_written_and_read() {
    for committed in [true, false] {
        let marker = EndTxnMarker {
            committed,
            coordinator_epoch: 77,
        };
        let batch = end_txn_marker(5, 1, 1234, 42, 3, marker).unwrap();
        batch.verify_crc().unwrap();
        let attributes = batch.header().attributes;
        assert!(attributes.is_control() && attributes.is_transactional());
        assert_eq!(batch.header().base_sequence, -1);
        let (control_type, value) = batch.control_record(LIMIT).unwrap();
        assert_eq!(EndTxnMarker::parse(control_type, &value).unwrap(), marker);
    }
    assert_eq!(
        ControlType::parse_key(&[0, 0, 0, 1]),
        Ok(ControlType::Commit)
    );
    assert_eq!(
        ControlType::parse_key(&[0, 9, 0, 99, 1]),
        Ok(ControlType::Unknown(99))
    );
    assert!(ControlType::parse_key(&[0, 0, 0]).is_err());
    assert!(ControlType::parse_key(&[0xff, 0, 0, 0]).is_err());
    assert!(EndTxnMarker::parse(ControlType::Commit, &[0, 0, 0]).is_err());
    assert!(EndTxnMarker::parse(ControlType::LeaderChange, &[0; 6]).is_err());
    assert!(
        batch_of(1, BatchOptions::default())
            .control_record(LIMIT)
            .is_err()
    );
}

#[test]
fn compressions_have_kafkas_names_and_ids() {
    for codec in Compression::ALL {
        assert_eq!(Compression::from_id(codec.id()).unwrap(), codec);
        assert_eq!(Compression::from_name(codec.name()).unwrap(), codec);
    }
    assert!((5..=7).all(|id| Compression::from_id(id).is_err()));
    assert!(Compression::from_name("brotli").is_err());
}
