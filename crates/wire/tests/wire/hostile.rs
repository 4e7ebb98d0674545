//! Broken frames end in an error. That they also stay within the memory bound is measured in
//! `tests/allocation.rs`.

use bytes::{Bytes, BytesMut};
use ottla_wire::messages::{DescribeConfigsRequest, ProduceRequest};
use ottla_wire::{DecodeError, MESSAGES, Reader, Seed};

#[test]
fn every_truncation_of_every_message_is_an_error() {
    for message in MESSAGES {
        for version in message.versions() {
            let seed = &mut Seed::new(11);
            let bytes = message.random(version, seed).unwrap();
            // Long values are the same everywhere in their middle.
            for len in (0..bytes.len()).filter(|len| *len < 300 || len % 37 == 0) {
                let result = message.recode(version, bytes.slice(..len));
                assert!(result.is_err(), "{} {version} cut to {len}", message.name);
            }
        }
    }
}

#[test]
fn every_bit_flip_of_every_message_decodes_or_fails_without_a_panic() {
    for message in MESSAGES {
        // The oldest and the newest version: those between differ by fields only.
        for version in [*message.versions().start(), *message.versions().end()] {
            let bytes = message.random(version, &mut Seed::new(5)).unwrap();
            for bit in 0..(bytes.len() * 8).min(1_600) {
                let mut flipped = BytesMut::from(&bytes[..]);
                flipped[bit / 8] ^= 1 << (bit % 8);
                // `recode` panics when a decoded value cannot be encoded.
                let _ = message.recode(version, flipped.freeze());
            }
        }
    }
}

#[test]
fn a_count_that_the_frame_cannot_hold_is_refused_at_once() {
    // Version 3: no transactional id, acks, timeout, then 2^31 - 1 topics.
    let bytes = [
        &[0xff, 0xff, 0, 1, 0, 0, 0, 1][..],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0; 100],
    ];
    let mut reader = Reader::new(Bytes::from(bytes.concat()));
    let error = ProduceRequest::decode(3, &mut reader).unwrap_err();
    assert!(
        matches!(error, DecodeError::Truncated { at: 8, .. }),
        "{error}"
    );
}

#[test]
fn an_array_that_would_swell_beyond_the_budget_is_refused() {
    // Version 4: as many resources as there are bytes to hold the smallest possible ones, which
    // are then some 15 times as large in memory. Nested arrays do the rest.
    let resources = 20_000u32;
    let mut bytes = BytesMut::new();
    let mut varint = resources + 1;
    while varint >= 0x80 {
        bytes.extend_from_slice(&[varint as u8 | 0x80]);
        varint >>= 7;
    }
    bytes.extend_from_slice(&[varint as u8]);
    for _ in 0..resources {
        // type, empty name, two empty keys, no tags
        bytes.extend_from_slice(&[2, 1, 3, 1, 1, 0]);
    }
    bytes.extend_from_slice(&[0, 0, 0]);
    let mut reader = Reader::new(bytes.freeze());
    let error = DescribeConfigsRequest::decode(4, &mut reader).unwrap_err();
    assert!(matches!(error, DecodeError::OverBudget { .. }), "{error}");
}

#[test]
fn integers_and_lengths_that_cannot_be_are_refused() {
    let mut endless = Reader::new(Bytes::from_static(&[0xff; 8]));
    assert_eq!(endless.uvarint(), Err(DecodeError::VarintTooLong { at: 0 }));
    let mut max = Reader::new(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert_eq!(max.uvarint(), Ok(u32::MAX));
    let mut negative = Reader::new(Bytes::from_static(&[0xff, 0xfe]));
    assert_eq!(
        negative.text(false),
        Err(DecodeError::InvalidLength { at: 0, length: -2 })
    );
    let mut utf8 = Reader::new(Bytes::from_static(&[0, 2, 0xc3, 0x28]));
    assert_eq!(utf8.text(false), Err(DecodeError::InvalidUtf8 { at: 2 }));
}

#[test]
fn tags_out_of_order_and_of_the_wrong_size_are_refused() {
    // ApiVersions 3 request: two empty names, then tags.
    let decode = |tags: &[u8]| {
        let bytes = [&[1, 1][..], tags].concat();
        let mut reader = Reader::new(Bytes::from(bytes));
        ottla_wire::messages::ApiVersionsRequest::decode(3, &mut reader)
    };
    decode(&[2, 5, 0, 6, 0]).unwrap();
    let error = decode(&[2, 5, 0, 5, 0]).unwrap_err();
    assert_eq!(error, DecodeError::TagOrder { at: 5, tag: 5 });
    decode(&[2, 6, 0, 5, 0]).unwrap_err();
    decode(&[1, 5, 9]).unwrap_err();
    decode(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();

    // ApiVersions 3 response: no error, no keys, no throttling; tag 1 is eight bytes long.
    let decode = |tags: &[u8]| {
        let bytes = [&[0, 0, 1, 0, 0, 0, 0][..], tags].concat();
        let mut reader = Reader::new(Bytes::from(bytes));
        ottla_wire::messages::ApiVersionsResponse::decode(3, &mut reader)
    };
    let read = decode(&[1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 5]).unwrap();
    assert_eq!(read.finalized_features_epoch, 5);
    let error = decode(&[1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 5, 0]).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::TagSize {
                tag: 1,
                left: 1,
                ..
            }
        ),
        "{error}"
    );
    decode(&[1, 1, 7, 0, 0, 0, 0, 0, 0, 0, 5]).unwrap_err();
}
