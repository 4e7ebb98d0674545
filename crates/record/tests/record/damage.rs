//! Damaged and hostile bytes end in errors.

use bytes::Bytes;
use ottla_record::validate::{Rules, produce};
use ottla_record::{Batch, Compression, Error, split_batches};
use proptest::prelude::*;

use crate::{LIMIT, batch_of, compressed, flip, fuzz_record_batch};

#[test]
fn a_flip_of_any_bit_behind_the_magic_is_found_by_the_crc() {
    for codec in [Compression::None, Compression::Zstd] {
        let good = batch_of(5, compressed(codec));
        for at in 17..good.bytes().len() {
            for bit in 0..8 {
                let bad = Batch::parse(flip(good.bytes(), at, 1 << bit)).unwrap();
                assert!(
                    matches!(bad.verify_crc(), Err(Error::Crc { .. })),
                    "byte {at}, bit {bit}"
                );
            }
        }
    }
}

#[test]
fn a_flip_of_any_byte_is_refused_in_produce_except_in_the_leader_epoch() {
    let good = batch_of(5, compressed(Compression::None));
    for at in (0..good.bytes().len()).filter(|at| !(12..16).contains(at)) {
        let result = produce(flip(good.bytes(), at, 0xff), &Rules::default());
        assert!(result.is_err(), "byte {at}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for codec in Compression::ALL {
        let good = batch_of(5, compressed(codec));
        let bytes = good.bytes();
        for len in 1..bytes.len() {
            let cut = bytes.slice(..len);
            assert!(Batch::parse(cut.clone()).is_err());
            assert!(split_batches(cut.clone()).any(|batch| batch.is_err()));
            assert!(produce(cut, &Rules::default()).is_err());
        }
        assert!(produce(Bytes::new(), &Rules::default()).is_err());
    }
}

#[test]
fn truncated_or_extended_bodies_under_a_right_crc_are_errors() {
    for codec in Compression::ALL {
        let good = batch_of(50, compressed(codec));
        let body = good.body();
        let count = |body: &[u8]| {
            let batch = Batch::assemble(*good.header(), body).unwrap();
            let records = batch.records(LIMIT)?;
            records.collect::<Result<Vec<_>, _>>().map(|r| r.len())
        };
        assert_eq!(count(&body), Ok(50));
        for len in 0..body.len() {
            // Gzip's trailer and the end marks repeat what is known, but must be there, too.
            assert!(
                count(&body[..len]).is_err(),
                "{codec}, {len} of {}",
                body.len()
            );
        }
        let longer = [body.as_ref(), &[0; 3]].concat();
        assert!(count(&longer).is_err(), "{codec} with bytes behind");
    }
}

#[test]
fn garbage_behind_a_batch_is_an_error_after_the_batch() {
    let good = batch_of(1, compressed(Compression::None));
    let run = Bytes::from([good.bytes().as_ref(), b"x"].concat());
    let batches: Vec<_> = split_batches(run.clone()).collect();
    assert_eq!(batches.len(), 2);
    assert_eq!(batches[0].as_ref(), Ok(&good));
    assert!(batches[1].is_err());
    assert!(Batch::parse(run).is_err());
}

#[test]
fn lengths_inside_records_are_bounded_by_the_record() {
    // (what, the record's bytes after its length)
    let cases: [(&str, &[u8]); 8] = [
        ("no attributes", &[]),
        ("key too long", &[0, 0, 0, 0x7e, b'k']),
        ("value too long", &[0, 0, 0, 1, 0x7e, b'v']),
        ("negative header count", &[0, 0, 0, 1, 1, 1]),
        (
            "two billion headers",
            &[0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f],
        ),
        ("null header key", &[0, 0, 0, 1, 1, 2, 1, 1]),
        ("bytes behind", &[0, 0, 0, 1, 1, 0, 0]),
        (
            "endless number",
            &[
                0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
            ],
        ),
    ];
    let header = *batch_of(1, compressed(Compression::None)).header();
    for (what, record) in cases {
        // The byte after the record belongs to nobody: a sloppy reader would take it.
        let body = [&[record.len() as u8 * 2], record, &[0; 64]].concat();
        let batch = Batch::assemble(header, &body).unwrap();
        let first = batch.records(LIMIT).unwrap().next().unwrap();
        assert!(
            matches!(first, Err(Error::Record { index: 0, .. })),
            "{what}: {first:?}"
        );
        let result = produce(batch.bytes().clone(), &Rules::default());
        assert_eq!(result.unwrap_err().code.name(), "INVALID_RECORD", "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_record_batch::body(&data);
    }

    #[test]
    fn mutated_batches_never_panic(
        codec in prop::sample::select(&Compression::ALL[..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        as_body in any::<bool>(),
    ) {
        let good = batch_of(20, compressed(codec));
        // As a body the damage lies under a right CRC, and so reaches the decompressors.
        let mut data = if as_body {
            [&[codec.id() | 19 << 3], good.body().as_ref()].concat()
        } else {
            good.bytes().to_vec()
        };
        for (at, bits) in flips {
            let at = at.index(data.len());
            data[at] ^= bits;
        }
        fuzz_record_batch::body(&data);
    }
}
