//! What a produce of 1 MiB costs: `cargo bench -p ottla-record`.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ottla_record::validate::{Rules, produce};
use ottla_record::{Batch, BatchBuilder, BatchOptions, Compression, DecompressLimit, stamp};

fn main() {
    divan::main();
}

const CODECS: [Compression; 5] = Compression::ALL;

/// A batch of 1 KiB records that are half text, half noise.
fn batch(compression: Compression) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        ..BatchOptions::default()
    });
    let mut noise = 1u64;
    while builder.size_estimate() < (1 << 20) - 1100 {
        let mut value = b"some text that repeats ".repeat(23);
        while value.len() < 1000 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            value.push((noise >> 56) as u8);
        }
        builder
            .append(1000, Some(b"key-123"), Some(&value), &[])
            .expect("1 MiB fits");
    }
    builder.build_batch().expect("the codecs compress anything")
}

fn rules(look_into_compressed: bool) -> Rules {
    Rules {
        look_into_compressed,
        ..Rules::default()
    }
}

#[divan::bench]
fn crc(bencher: Bencher<'_, '_>) {
    let batch = batch(Compression::None);
    bencher
        .counter(BytesCount::new(batch.bytes().len()))
        .bench(|| black_box(&batch).verify_crc());
}

#[divan::bench]
fn validate_uncompressed(bencher: Bencher<'_, '_>) {
    let batch = batch(Compression::None);
    let rules = rules(false);
    bencher
        .counter(BytesCount::new(batch.bytes().len()))
        .bench(|| produce(black_box(batch.bytes()).clone(), &rules));
}

#[divan::bench(args = CODECS)]
fn validate_and_look_inside(bencher: Bencher<'_, '_>, codec: Compression) {
    let batch = batch(codec);
    let rules = rules(true);
    bencher.bench(|| produce(black_box(batch.bytes()).clone(), &rules));
}

#[divan::bench]
fn stamp_with_log_append_time(bencher: Bencher<'_, '_>) {
    let batch = batch(Compression::None);
    bencher.bench(|| stamp(black_box(&batch), 7, 1, Some(5)));
}

#[divan::bench(args = CODECS)]
fn build(codec: Compression) -> Batch {
    batch(codec)
}

#[divan::bench]
fn iterate_records(bencher: Bencher<'_, '_>) {
    let batch = batch(Compression::None);
    bencher.bench(|| {
        let records = black_box(&batch).records(DecompressLimit(0));
        records.map(|records| records.filter(Result::is_ok).count())
    });
}
