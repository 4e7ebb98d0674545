//! Bytes that were put together from the format's description, by other code than ours.

use bytes::Bytes;
use ottla_record::{Batch, BatchBuilder, BatchOptions, Header, Record, TimestampType};

use crate::LIMIT;

const GOLDEN: &str = "\
    0000000000000064 0000005b 00000005 02 e380fcba \
    0010 00000002 0000018bcfe56800 0000018bcfe56be8 0000000000001092 0007 7ffffffe 00000003 \
    2a 00 00 00 06 6b6579 0a 76616c7565 04 02 68 02 31 02 68 01 \
    0e 00 f303 02 01 00 00 \
    16 00 d00f 04 08 676f6e65 01 00";
const BASE: i64 = 1_700_000_000_000;

fn golden() -> Bytes {
    let digits: Vec<u8> = GOLDEN.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect::<Vec<u8>>()
        .into()
}

fn golden_records() -> Vec<Record> {
    let bytes = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let record = |offset, timestamp, key, value, headers| Record {
        offset,
        timestamp,
        key,
        value,
        headers,
    };
    let headers = vec![
        Header::new(&b"h"[..], bytes("1")),
        Header::new(&b"h"[..], None),
    ];
    vec![
        record(100, BASE, bytes("key"), bytes("value"), headers),
        record(101, BASE - 250, None, bytes(""), vec![]),
        record(102, BASE + 1000, bytes("gone"), None, vec![]),
    ]
}

#[test]
fn golden_bytes_are_read_field_by_field() {
    let batch = Batch::parse(golden()).unwrap();
    batch.verify_crc().unwrap();
    let header = batch.header();
    assert_eq!(header.base_offset, 100);
    assert_eq!(header.total_len(), 103);
    assert_eq!(header.partition_leader_epoch, 5);
    assert_eq!(header.attributes.0, 0x10);
    assert!(header.attributes.is_transactional() && !header.attributes.is_control());
    assert_eq!(
        header.attributes.timestamp_type(),
        TimestampType::CreateTime
    );
    assert_eq!(header.last_offset(), 102);
    assert_eq!(header.base_timestamp, BASE);
    assert_eq!(header.max_timestamp, BASE + 1000);
    assert_eq!((header.producer_id, header.producer_epoch), (4242, 7));
    assert_eq!(header.base_sequence, i32::MAX - 1);
    assert_eq!(header.last_sequence(), 0, "sequences wrap to 0");
    assert_eq!(header.record_count, 3);
    assert_eq!(header.encode()[..], batch.bytes()[..61]);
    let records: Vec<_> = batch.records(LIMIT).unwrap().map(Result::unwrap).collect();
    assert_eq!(records, golden_records());
}

#[test]
fn the_builder_writes_the_golden_bytes() {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: 4242,
        producer_epoch: 7,
        base_sequence: i32::MAX - 1,
        transactional: true,
        base_offset: 100,
        leader_epoch: 5,
        ..BatchOptions::default()
    });
    for record in golden_records() {
        let offset = builder
            .append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &record.headers,
            )
            .unwrap();
        assert_eq!(offset, record.offset);
    }
    assert_eq!(builder.size_estimate(), 103);
    assert_eq!(builder.build().unwrap(), golden());
}
