//! What decoding allocates, measured by the allocator: one test, alone in its process, so that
//! nothing else allocates meanwhile.

// Tests may unwrap, and so may the functions that they share.
#![allow(clippy::unwrap_used)]

use std::alloc::System;

use bytes::Bytes;
use ottla_wire::messages::RequestHeader;
use ottla_wire::{ApiKey, Reader, Request, Seed, decode_request_header, encode_request};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Sharing a buffer for the first time takes a small allocation inside of `Bytes`.
const SHARED: usize = 64;

/// The bytes that decoding this frame allocated in all, freed or not.
fn allocated(frame: Vec<u8>) -> usize {
    let bytes = Bytes::from(frame);
    let region = Region::new(ALLOCATOR);
    let mut reader = Reader::new(bytes);
    if let Ok(header) = decode_request_header(&mut reader)
        && let Some(api) = header.api()
    {
        let result = Request::decode(api, header.request_api_version, &mut reader);
        drop(std::hint::black_box(result));
    }
    region.change().bytes_allocated
}

fn check(frame: Vec<u8>) {
    let bound = Reader::allocation_bound(frame.len()) + SHARED;
    let start: Vec<u8> = frame.iter().take(40).copied().collect();
    let allocated = allocated(frame);
    assert!(
        allocated <= bound,
        "{allocated} bytes, {bound} allowed, for {start:x?}…"
    );
}

#[test]
fn no_frame_allocates_more_than_the_bound() {
    assert!(allocated(vec![0; 100]) < 1_000);
    let seed = &mut Seed::new(3);
    for api in ApiKey::all() {
        for version in api.versions() {
            let header = RequestHeader::new(api, version, 1, Some("c".into()));
            let body = Request::arbitrary(api, version, seed);
            let frame = encode_request(&header, &body).unwrap().to_bytes()[4..].to_vec();
            check(frame.clone());
            let header_len = if api.request_header_version(version) == 2 {
                12
            } else {
                11
            };
            hostile(&frame, header_len, seed);
        }
    }
    let frame = swelling_frame();
    let (len, allocated) = (frame.len(), allocated(frame));
    assert!(
        allocated > 10 * len,
        "{allocated} bytes for {len}: what should swell does not"
    );
    assert!(
        allocated <= Reader::allocation_bound(len) + SHARED,
        "{allocated} bytes for {len}"
    );
}

/// DescribeConfigs 4 for 10,000 resources with a name of one character: the dearest honest array in
/// relation to its bytes.
fn swelling_frame() -> Vec<u8> {
    let mut frame = vec![0, 32, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0];
    frame.extend_from_slice(&[0x91, 0x4e]); // 10,000 and one
    for _ in 0..10_000 {
        frame.extend_from_slice(&[2, 2, b'1', 0, 0]);
    }
    frame.extend_from_slice(&[0, 0, 0]);
    frame
}

fn hostile(frame: &[u8], header_len: usize, seed: &mut Seed) {
    // Behind the header: counts as high as they can be, with much or little behind them.
    for filler in [0x00, 0x01, 0x02, 0x7f, 0xff] {
        for len in [12, 100, 10_000] {
            let mut hostile = frame[..header_len].to_vec();
            hostile.resize(header_len + len, filler);
            check(hostile.clone());
            for step in 0..16 {
                let count =
                    [0x00, 0x00, 0x27, 0x0f, 0x7f, 0xff, 0xff, 0xff][step % 5..][..4].to_vec();
                let at = header_len + step;
                if let Some(slot) = hostile.get_mut(at..at + 4) {
                    slot.copy_from_slice(&count);
                }
                check(hostile.clone());
            }
        }
    }
    for _ in 0..200 {
        let mut changed = frame.to_vec();
        for _ in 0..=seed.below(4) {
            let at = header_len + seed.below(changed.len() - header_len);
            if let Some(byte) = changed.get_mut(at) {
                *byte = seed.next_u64() as u8;
            }
        }
        check(changed);
    }
}
