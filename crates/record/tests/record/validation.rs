//! What a broker takes from a producer, and what it answers otherwise.

use bytes::Bytes;
use ottla_model::ErrorCode;
use ottla_record::validate::{Invalid, MAX_RECORD_ERRORS, Rules, ValidatedRecords, produce};
use ottla_record::{
    Attributes, Batch, BatchBuilder, BatchHeader, BatchOptions, Compression, DecompressLimit,
    TimestampType, stamp,
};

use crate::{LIMIT, batch_of, compressed};

fn rules() -> Rules {
    Rules {
        now_ms: 10_000,
        after_max_ms: 1000,
        ..Rules::default()
    }
}

fn check(batch: &Batch, rules: &Rules) -> Result<ValidatedRecords, Invalid> {
    produce(batch.bytes().clone(), rules)
}

#[track_caller]
fn refused(batch: &Batch, rules: &Rules) -> (ErrorCode, String) {
    let invalid = check(batch, rules).unwrap_err();
    (invalid.code, invalid.message)
}

/// The batch with some header fields changed, under a right CRC.
fn with(batch: &Batch, change: impl FnOnce(&mut BatchHeader)) -> Batch {
    let mut header = *batch.header();
    change(&mut header);
    Batch::assemble(header, &batch.body()).unwrap()
}

fn with_timestamps(codec: Compression, timestamps: &[i64]) -> Batch {
    let mut builder = BatchBuilder::new(compressed(codec));
    for &timestamp in timestamps {
        builder.append(timestamp, Some(b"k"), None, &[]).unwrap();
    }
    builder.build_batch().unwrap()
}

#[test]
fn good_batches_pass_untouched() {
    for codec in Compression::ALL {
        for look_into_compressed in [false, true] {
            let rules = Rules {
                look_into_compressed,
                ..rules()
            };
            let batch = batch_of(100, compressed(codec));
            let valid = check(&batch, &rules).unwrap();
            assert_eq!(valid.batches, [batch]);
            assert_eq!(valid.record_count, 100);
            assert_eq!(valid.max_timestamp, 1099);
            assert_eq!((valid.log_append_time, valid.rewritten), (None, false));
        }
    }
}

#[test]
fn other_shapes_than_one_batch_of_format_2_are_refused() {
    let rules = rules();
    let code = |bytes: &[u8]| {
        produce(Bytes::copy_from_slice(bytes), &rules)
            .unwrap_err()
            .code
    };
    let good = batch_of(1, BatchOptions::default());
    let good = good.bytes().as_ref();
    assert_eq!(code(b""), ErrorCode::InvalidRecord);
    assert_eq!(code(&[good, good].concat()), ErrorCode::InvalidRecord);
    assert_eq!(code(&[good, b"x"].concat()), ErrorCode::CorruptMessage);
    for (magic, expected) in [
        (0, ErrorCode::InvalidRecord),
        (1, ErrorCode::InvalidRecord),
        (3, ErrorCode::CorruptMessage),
        (0xff, ErrorCode::CorruptMessage),
    ] {
        let mut bytes = good.to_vec();
        bytes[16] = magic;
        assert_eq!(code(&bytes), expected, "magic {magic}");
    }
    for length in [i32::MIN, -1, 0, 13, 48, i32::MAX] {
        let mut bytes = good.to_vec();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        assert_eq!(code(&bytes), ErrorCode::CorruptMessage, "length {length}");
    }
}

#[test]
fn a_format_0_message_is_named_as_such() {
    // offset, size 14, crc, magic 0, attributes, null key, null value
    let mut message = vec![0; 8];
    message.extend_from_slice(&14i32.to_be_bytes());
    message.extend_from_slice(&[1, 2, 3, 4, 0, 0]);
    message.extend_from_slice(&[0xff; 8]);
    let invalid = produce(message.into(), &rules()).unwrap_err();
    assert_eq!(invalid.code, ErrorCode::InvalidRecord);
    assert!(invalid.message.contains("magic version 2"), "{invalid}");
}

#[test]
fn headers_must_be_consistent() {
    let rules = rules();
    let good = with(&batch_of(4, BatchOptions::default()), |h| {
        h.producer_id = 1;
        h.producer_epoch = 0;
        h.base_sequence = 0;
    });
    assert!(check(&good, &rules).is_ok());
    type Change = fn(&mut BatchHeader);
    let cases: [(&str, Change); 12] = [
        ("base offset", |h| h.base_offset = 1),
        ("count 0", |h| h.record_count = 0),
        ("negative count", |h| h.record_count = -4),
        ("count and offsets", |h| h.last_offset_delta = 4),
        ("negative offsets", |h| h.last_offset_delta = -1),
        ("more records announced", |h| {
            (h.record_count, h.last_offset_delta) = (5, 4);
        }),
        ("fewer records announced", |h| {
            (h.record_count, h.last_offset_delta) = (3, 2);
        }),
        ("two billion records", |h| {
            (h.record_count, h.last_offset_delta) = (i32::MAX, i32::MAX - 1);
        }),
        ("control batch", |h| {
            h.attributes = h.attributes.with_control(true);
        }),
        ("sequence", |h| h.base_sequence = -1),
        ("epoch", |h| h.producer_epoch = -1),
        ("delete horizon", |h| {
            h.attributes = h.attributes.with_delete_horizon(true);
        }),
    ];
    for (what, change) in cases {
        let (code, message) = refused(&with(&good, change), &rules);
        assert_eq!(code, ErrorCode::InvalidRecord, "{what}: {message}");
    }
    let nobody = with(&batch_of(1, BatchOptions::default()), |h| {
        h.attributes = h.attributes.with_transactional(true);
    });
    assert_eq!(refused(&nobody, &rules).0, ErrorCode::InvalidRecord);
    let mut bytes = good.bytes().to_vec();
    bytes[80] ^= 1;
    let invalid = produce(bytes.into(), &rules).unwrap_err();
    assert_eq!(invalid.code, ErrorCode::CorruptMessage);
}

#[test]
fn counts_and_offsets_of_compressed_batches_are_checked_when_looked_into() {
    let rules = Rules {
        look_into_compressed: true,
        ..rules()
    };
    for codec in Compression::ALL {
        let good = batch_of(4, compressed(codec));
        for count in [3, 5, i32::MAX] {
            let bad = with(&good, |h| {
                h.record_count = count;
                h.last_offset_delta = count - 1;
            });
            assert_eq!(
                refused(&bad, &rules).0,
                ErrorCode::InvalidRecord,
                "{codec} {count}"
            );
        }
        let mut builder = BatchBuilder::new(compressed(codec));
        for offset in [0, 2] {
            builder.append_at(offset, 1, None, None, &[]).unwrap();
        }
        let gap = with(&builder.build_batch().unwrap(), |h| h.last_offset_delta = 1);
        assert_eq!(refused(&gap, &rules).0, ErrorCode::InvalidRecord, "{codec}");
    }
}

#[test]
fn sizes_are_bounded_by_the_topic() {
    let batch = batch_of(10, BatchOptions::default());
    let len = batch.bytes().len();
    let limits = |max_message_bytes, segment_bytes| Rules {
        max_message_bytes,
        segment_bytes,
        ..rules()
    };
    assert!(check(&batch, &limits(len, len)).is_ok());
    let code = |rules| refused(&batch, &rules).0;
    assert_eq!(code(limits(len - 1, len)), ErrorCode::MessageTooLarge);
    assert_eq!(code(limits(len, len - 1)), ErrorCode::RecordListTooLarge);
}

#[test]
fn zstd_needs_produce_7_and_unknown_compressions_are_refused() {
    let zstd = batch_of(1, compressed(Compression::Zstd));
    let version = |api_version| Rules {
        api_version,
        ..rules()
    };
    assert_eq!(
        refused(&zstd, &version(6)).0,
        ErrorCode::UnsupportedCompressionType
    );
    assert!(check(&zstd, &version(7)).is_ok());
    for id in 5..8 {
        let bad = with(&zstd, |h| h.attributes = Attributes(id));
        assert_eq!(
            refused(&bad, &version(9)).0,
            ErrorCode::UnsupportedCompressionType
        );
    }
}

#[test]
fn timestamps_out_of_bounds_are_named_by_record() {
    let after = rules();
    let before = Rules {
        before_max_ms: 500,
        ..rules()
    };
    for codec in Compression::ALL {
        let late = with_timestamps(codec, &[10_000, 11_000, 11_001, -1]);
        let invalid = check(&late, &after).unwrap_err();
        assert_eq!(invalid.code, ErrorCode::InvalidTimestamp);
        let indexes: Vec<i32> = invalid
            .record_errors
            .iter()
            .map(|e| e.batch_index)
            .collect();
        assert_eq!(indexes, [2]);
        assert!(invalid.record_errors[0].message.contains("Timestamp 11001"));

        let early = with_timestamps(codec, &[9500, 9499, 10_000, 0, -1]);
        let invalid = check(&early, &before).unwrap_err();
        assert_eq!(invalid.code, ErrorCode::InvalidTimestamp);
        let indexes: Vec<i32> = invalid
            .record_errors
            .iter()
            .map(|e| e.batch_index)
            .collect();
        assert_eq!(indexes, [1, 3]);
        assert!(check(&early, &after).is_ok());

        let append_time = Rules {
            timestamp_type: TimestampType::LogAppendTime,
            ..before.clone()
        };
        let valid = check(&late, &append_time).unwrap();
        assert_eq!(
            (valid.max_timestamp, valid.log_append_time),
            (10_000, Some(10_000))
        );
        for extreme in [i64::MAX, i64::MIN] {
            let invalid = check(&with_timestamps(codec, &[extreme, 5]), &before).unwrap_err();
            assert_eq!(invalid.code, ErrorCode::InvalidTimestamp);
        }
    }
}

#[test]
fn a_producer_may_not_claim_log_append_time() {
    for codec in Compression::ALL {
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let rules = Rules {
                timestamp_type,
                ..rules()
            };
            let stamped = stamp(&batch_of(2, compressed(codec)), 0, -1, Some(5)).to_batch();
            let invalid = check(&stamped, &rules).unwrap_err();
            assert_eq!(invalid.code, ErrorCode::InvalidTimestamp);
            assert_eq!(invalid.record_errors.len(), 2);
        }
    }
}

#[test]
fn compacted_topics_need_keys() {
    let rules = Rules {
        compacted: true,
        ..rules()
    };
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(compressed(codec));
        for key in [Some(&b"k"[..]), None, Some(b""), None] {
            builder.append(1, key, None, &[]).unwrap();
        }
        let batch = builder.build_batch().unwrap();
        let invalid = check(&batch, &rules).unwrap_err();
        assert_eq!(invalid.code, ErrorCode::InvalidRecord);
        let indexes: Vec<i32> = invalid
            .record_errors
            .iter()
            .map(|e| e.batch_index)
            .collect();
        assert_eq!(indexes, [1, 3]);
        assert!(check(&batch_of(3, compressed(codec)), &rules).is_ok());
    }
}

#[test]
fn the_list_of_record_errors_is_bounded() {
    let batch = with_timestamps(Compression::None, &[i64::MAX; 5000]);
    let invalid = check(&batch, &rules()).unwrap_err();
    assert_eq!(invalid.record_errors.len(), MAX_RECORD_ERRORS);
}

#[test]
fn a_wrong_max_timestamp_is_put_right() {
    let good = batch_of(3, BatchOptions::default());
    let wrong = with(&good, |h| h.max_timestamp = 5000);
    let valid = check(&wrong, &rules()).unwrap();
    assert!(valid.rewritten);
    assert_eq!(valid.max_timestamp, 1002);
    assert_eq!(valid.batches, [good]);
}

#[test]
fn the_topics_compression_is_applied() {
    for from in Compression::ALL {
        for to in Compression::ALL {
            let batch = batch_of(50, compressed(from));
            let rules = Rules {
                compression: Some((to, None)),
                ..rules()
            };
            let valid = check(&batch, &rules).unwrap();
            assert_eq!(valid.rewritten, from != to);
            let result = &valid.batches[0];
            result.verify_crc().unwrap();
            assert_eq!(result.header().attributes.compression().unwrap(), to);
            let read = |b: &Batch| b.records(LIMIT).unwrap().collect::<Vec<_>>();
            assert_eq!(read(result), read(&batch));
        }
    }
    // What was small enough compressed may be too large uncompressed.
    let batch = batch_of(500, compressed(Compression::Zstd));
    let rules = Rules {
        compression: Some((Compression::None, None)),
        max_message_bytes: batch.bytes().len(),
        ..rules()
    };
    assert_eq!(refused(&batch, &rules).0, ErrorCode::MessageTooLarge);
}

#[test]
fn compressed_rubbish_and_bombs_are_refused_when_looked_into() {
    let look = Rules {
        look_into_compressed: true,
        decompress_limit: DecompressLimit(1 << 20),
        ..rules()
    };
    for codec in Compression::ALL.into_iter().skip(1) {
        let good = batch_of(1, compressed(codec));
        let rubbish = Batch::assemble(*good.header(), b"this is not compressed").unwrap();
        assert_eq!(refused(&rubbish, &look).0, ErrorCode::InvalidRecord);
        let bomb = codec.compress(&vec![0; 8 << 20], None).unwrap();
        let bomb = Batch::assemble(*good.header(), &bomb).unwrap();
        assert_eq!(refused(&bomb, &look).0, ErrorCode::MessageTooLarge);
    }
}
