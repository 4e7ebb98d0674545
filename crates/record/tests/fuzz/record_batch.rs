//! What the fuzz target `record_batch` does with each input; the tests run it on random bytes.

use bytes::Bytes;
use ottla_record::validate::{Rules, produce};
use ottla_record::{
    Attributes, Batch, BatchHeader, Compression, DecompressLimit, first_record_at_or_after,
    recompress, record_with_max_timestamp, split_batches, stamp,
};

const LIMIT: DecompressLimit = DecompressLimit(1 << 16);

/// Reads the bytes in every way in which a broker or a client reads bytes from outside. Nothing
/// may panic, and what is accepted must keep its promises.
pub(crate) fn body(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    for batch in split_batches(bytes.clone()).flatten() {
        read(&batch);
    }
    check_produce(bytes.clone());
    // Few random bytes have the right CRC, so the same bytes also serve as the records of a batch.
    let Some((&first, records)) = data.split_first() else {
        return;
    };
    let count = 1 + i32::from(first >> 3);
    let header = BatchHeader {
        attributes: Attributes(i16::from(first & 7)),
        record_count: count,
        last_offset_delta: count - 1,
        ..BatchHeader::default()
    };
    let batch = Batch::assemble(header, records).expect("the input is small");
    batch.verify_crc().expect("the CRC was just computed");
    read(&batch);
    check_produce(batch.bytes().clone());
}

fn read(batch: &Batch) {
    let verified = batch.verify_crc().is_ok();
    if let Ok(records) = batch.records(LIMIT) {
        let count = records.filter(Result::is_ok).count();
        assert!(count <= batch.header().record_count as usize);
    }
    let _ = batch.control_record(LIMIT);
    let _ = first_record_at_or_after(batch, 0, LIMIT);
    let _ = record_with_max_timestamp(batch, LIMIT);
    if let Ok(other) = recompress(batch, Compression::Lz4, None, LIMIT) {
        let unchanged = other == *batch;
        assert!(unchanged || other.verify_crc().is_ok());
    }
    let stamped = stamp(batch, 7, 3, None).to_batch();
    assert_eq!(stamped.verify_crc().is_ok(), verified);
    assert!(stamp(batch, 7, 3, Some(5)).to_batch().verify_crc().is_ok());
}

fn check_produce(bytes: Bytes) {
    let rules = Rules {
        look_into_compressed: true,
        decompress_limit: LIMIT,
        ..Rules::default()
    };
    let Ok(valid) = produce(bytes, &rules) else {
        return;
    };
    let [batch] = valid.batches.as_slice() else {
        panic!("exactly one batch is accepted");
    };
    batch
        .verify_crc()
        .expect("an accepted batch has a right CRC");
    let records: Vec<_> = batch
        .records(LIMIT)
        .expect("an accepted batch can be read")
        .collect::<Result<_, _>>()
        .expect("each record of an accepted batch can be read");
    assert_eq!(records.len(), valid.record_count as usize);
    for (offset, record) in (0..).zip(&records) {
        assert_eq!(record.offset, offset);
        assert!(record.timestamp <= valid.max_timestamp);
    }
}
