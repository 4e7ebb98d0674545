use bytes::{Bytes, BytesMut};
use ottla_record::{BatchBuilder, BatchOptions, EndTxnMarker, end_txn_marker};

use super::*;

fn records(base_offset: i64, count: i64, producer_id: i64, transactional: bool) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset,
        producer_id,
        producer_epoch: if producer_id < 0 { -1 } else { 0 },
        base_sequence: if producer_id < 0 { -1 } else { 0 },
        transactional,
        ..BatchOptions::default()
    });
    for _ in 0..count {
        builder.append(1, None, Some(b"v"), &[]).unwrap();
    }
    builder.build().unwrap()
}

fn marker(offset: i64, producer_id: i64, committed: bool) -> Bytes {
    let marker = EndTxnMarker {
        committed,
        coordinator_epoch: 0,
    };
    let batch = end_txn_marker(offset, 0, 1, producer_id, 0, marker).unwrap();
    batch.bytes().clone()
}

fn data(parts: &[Bytes], aborted: &[(i64, i64)]) -> PartitionData {
    let mut bytes = BytesMut::new();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    let aborted = aborted
        .iter()
        .map(|&(producer_id, first_offset)| AbortedTransaction {
            producer_id,
            first_offset,
            ..AbortedTransaction::default()
        });
    PartitionData {
        high_watermark: 100,
        last_stable_offset: 90,
        records: Some(Chunks::from(bytes.freeze())),
        aborted_transactions: Some(aborted.collect()),
        ..PartitionData::default()
    }
}

fn offsets(fetched: &CommittedBatches) -> Vec<i64> {
    let batches = fetched.batches.iter();
    batches.map(|batch| batch.header().base_offset).collect()
}

#[test]
fn aborted_records_and_markers_are_left_out_and_stepped_over() {
    let parts = [
        records(0, 2, 7, true),
        records(2, 2, 8, true),
        records(4, 1, -1, false),
        marker(5, 7, false),
        marker(6, 8, true),
        records(7, 1, 7, true),
        marker(8, 7, true),
    ];
    let fetched = committed(data(&parts, &[(7, 0)]), 0).unwrap();
    assert_eq!(offsets(&fetched), [2, 4, 7]);
    assert_eq!((fetched.next_offset, fetched.last_stable_offset), (9, 90));
}

#[test]
fn a_transaction_that_began_before_the_fetch_is_left_out_until_its_marker() {
    let parts = [
        records(4, 2, 7, true),
        marker(6, 7, false),
        records(7, 1, 7, true),
    ];
    let fetched = committed(data(&parts, &[(7, 1)]), 5).unwrap();
    assert_eq!(offsets(&fetched), [7]);
}

#[test]
fn a_batch_that_is_cut_off_is_fetched_again() {
    let whole = records(0, 1, -1, false);
    let cut = records(1, 1, -1, false);
    let parts = [whole, cut.slice(..cut.len() - 3)];
    let fetched = committed(data(&parts, &[]), 0).unwrap();
    assert_eq!((offsets(&fetched), fetched.next_offset), (vec![0], 1));
}
