//! The crate's promises about batches.
#![allow(clippy::unwrap_used, reason = "tests")]

mod damage;
#[path = "../fuzz/record_batch.rs"]
mod fuzz_record_batch;
mod golden;
mod limits;
mod lookup;
mod roundtrip;
mod stamping;
mod validation;

use bytes::Bytes;
use ottla_record::{Batch, BatchBuilder, BatchOptions, Compression, DecompressLimit};

const LIMIT: DecompressLimit = DecompressLimit(16 << 20);

/// A batch of `count` records with the timestamps 1000, 1001, …
fn batch_of(count: usize, options: BatchOptions) -> Batch {
    let mut builder = BatchBuilder::new(options);
    for i in 0..count {
        let value = format!("value {i} of a record that has something to compress, {i}");
        let key = i.to_string();
        builder
            .append(
                1000 + i as i64,
                Some(key.as_bytes()),
                Some(value.as_bytes()),
                &[],
            )
            .unwrap();
    }
    builder.build_batch().unwrap()
}

fn compressed(compression: Compression) -> BatchOptions {
    BatchOptions {
        compression,
        ..BatchOptions::default()
    }
}

fn flip(bytes: &Bytes, at: usize, bits: u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= bits;
    bytes.into()
}
