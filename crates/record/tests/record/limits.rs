//! Compressed data of other writers is read, and bombs are not.

use std::io::Write;

use bytes::Bytes;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use ottla_record::{Compression, DecompressLimit, Error};

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn decompress(codec: Compression, body: &[u8], limit: usize) -> Result<Bytes, Error> {
    codec.decompress(&Bytes::copy_from_slice(body), DecompressLimit(limit))
}

#[test]
fn bombs_stop_at_the_limit() {
    let bomb = vec![0; 64 << 20];
    for codec in CODECS {
        let body = codec.compress(&bomb, None).unwrap();
        assert!(body.len() < 4 << 20, "{codec}: {}", body.len());
        for limit in [0, 1, 100_000, 1 << 20, bomb.len() - 1] {
            let result = decompress(codec, &body, limit);
            assert_eq!(result, Err(Error::DecompressLimit { codec, limit }));
        }
        assert_eq!(decompress(codec, &body, bomb.len()).unwrap(), bomb);
    }
}

#[test]
fn output_of_exactly_the_limit_is_accepted() {
    for codec in CODECS {
        for len in [0, 1, 4095, 4096, 4097, 70_000] {
            let records: Vec<u8> = (0..len).map(|i| (i * i / 7) as u8).collect();
            let body = codec.compress(&records, None).unwrap();
            assert_eq!(decompress(codec, &body, len).unwrap(), records);
        }
    }
}

#[test]
fn sizes_that_headers_claim_are_not_believed() {
    // A snappy block of 5 bytes that claims 4 GiB, and one that claims a believable lie.
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let limit = 1 << 20;
    let codec = Compression::Snappy;
    assert_eq!(
        decompress(codec, &huge, limit),
        Err(Error::DecompressLimit { codec, limit })
    );
    let lie = [0x80, 0x80, 0x20, 0, 0];
    assert!(matches!(
        decompress(codec, &lie, limit),
        Err(Error::Decompress { .. })
    ));
    // A zstd frame with a content size of 2^60 bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend_from_slice(&(1u64 << 60).to_le_bytes());
    let codec = Compression::Zstd;
    assert_eq!(
        decompress(codec, &frame, limit),
        Err(Error::DecompressLimit { codec, limit })
    );
    assert!(decompress(codec, b"", limit).is_err());
}

#[test]
fn snappy_is_read_bare_and_in_concatenated_frames() {
    let records = b"snappy snappy snappy snappy".repeat(3000);
    let bare = snap::raw::Encoder::new().compress_vec(&records).unwrap();
    let framed = Compression::Snappy.compress(&records, None).unwrap();
    assert!(framed.starts_with(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"));
    let twice = [framed.as_slice(), &framed].concat();
    let read = |body: &[u8]| decompress(Compression::Snappy, body, 1 << 20).unwrap();
    assert_eq!(read(&bare), records);
    assert_eq!(read(&framed), records);
    assert_eq!(read(&twice), records.repeat(2));
}

#[test]
fn lz4_frames_of_every_kind_are_read() {
    let records = b"lz4 frames come in many kinds. ".repeat(10_000);
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            let info = FrameInfo::new()
                .block_mode(mode)
                .block_size(size)
                .block_checksums(true)
                .content_checksum(true)
                .content_size(Some(records.len() as u64));
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&records).unwrap();
            let body = encoder.finish().unwrap();
            let codec = Compression::Lz4;
            assert_eq!(decompress(codec, &body, 1 << 20).unwrap(), records);
        }
    }
}

#[test]
fn our_lz4_frames_have_independent_blocks_and_no_checksums() {
    let body = Compression::Lz4.compress(b"records", None).unwrap();
    // Magic, then FLG: version 1 and independent blocks; then BD: blocks of 64 KiB.
    assert_eq!(body[..6], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40]);
}

#[test]
fn zstd_with_a_large_window_and_in_several_frames_is_read() {
    let records = b"level 19 asks for a large window. ".repeat(20_000);
    let small = Compression::Zstd.compress(&records, Some(19)).unwrap();
    // A streaming writer does not know the size, and so writes none.
    let mut stream = zstd::Encoder::new(Vec::new(), 22).unwrap();
    stream.write_all(&records).unwrap();
    let streamed = stream.finish().unwrap();
    let both = [small.as_slice(), &streamed].concat();
    let read = |body: &[u8]| decompress(Compression::Zstd, body, 2 << 20).unwrap();
    assert_eq!(read(&streamed), records);
    assert_eq!(read(&both), records.repeat(2));
}

#[test]
fn gzip_in_several_members_is_read() {
    let one = Compression::Gzip.compress(b"one ", None).unwrap();
    let two = Compression::Gzip.compress(b"two", None).unwrap();
    let both = [one, two].concat();
    assert_eq!(
        decompress(Compression::Gzip, &both, 100).unwrap(),
        "one two"
    );
}
