use bytes::Bytes;
use ottla_record::{Batch, BatchBuilder, BatchOptions, Compression, DecompressLimit};

use super::pack::{Packed, Span, pack};
use super::pattern::fits;
use super::runs::{Run, Runs};

fn runs(pairs: &[(i64, i64)]) -> Runs {
    let mut runs = Runs::default();
    for &(source, target) in pairs {
        runs.replace_from(Run { source, target });
    }
    runs
}

#[test]
fn only_gaps_begin_runs() {
    let mut runs = Runs::default();
    assert_eq!(
        runs.plan(5, 0),
        Some(Run {
            source: 5,
            target: 0
        })
    );
    assert_eq!(runs.plan(15, 10), None);
    assert_eq!(
        runs.plan(21, 15),
        Some(Run {
            source: 21,
            target: 15
        })
    );
    assert!(!runs.is_identity());
    // The source offset behind the last record that is there.
    let behind = [(0, None), (1, Some(6)), (15, Some(20)), (16, Some(22))];
    for (end, source) in behind {
        assert_eq!(runs.source_behind(end), source, "{end}");
    }
}

#[test]
fn what_was_planned_and_not_done_is_planned_anew() {
    let mut runs = runs(&[(0, 0), (10, 8), (30, 20)]);
    runs.truncate(20);
    assert_eq!(runs, self::runs(&[(0, 0), (10, 8)]));
    assert_eq!(runs.source_behind(20), Some(22));
    // A later process found that compaction had taken the record at 10.
    runs.replace_from(Run {
        source: 11,
        target: 8,
    });
    assert_eq!(runs, self::runs(&[(0, 0), (11, 8)]));
}

#[test]
fn group_offsets_never_skip_a_record() {
    // Source 5 to 9 are target 0 to 4; 12 to 13 are 5 to 6; so far 6 records are there.
    let runs = runs(&[(5, 0), (12, 5)]);
    let cases = [
        (0, 0),
        (5, 0),
        (7, 2),
        (10, 5),
        (11, 5),
        (12, 5),
        (13, 6),
        (99, 6),
    ];
    for (source, target) in cases {
        assert_eq!(runs.translate(source, 6), target, "{source}");
    }
    assert_eq!(Runs::default().translate(7, 0), 0);
}

#[test]
fn patterns_fit_whole_names() {
    let fit = [
        ("*", ""),
        ("a*", "abc"),
        ("*c", "abcc"),
        ("a?c", "abc"),
        ("a*b*c", "aXbbXc"),
    ];
    for (pattern, name) in fit {
        assert!(fits(pattern, name), "{pattern} {name}");
    }
    let unfit = [
        ("", "a"),
        ("a", "ab"),
        ("?", ""),
        ("a*b", "abc"),
        ("a?c", "ac"),
    ];
    for (pattern, name) in unfit {
        assert!(!fits(pattern, name), "{pattern} {name}");
    }
}

fn batch(offsets: &[i64], size: usize, compression: Compression) -> Batch {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: offsets[0],
        compression,
        transactional: true,
        producer_id: 9,
        producer_epoch: 3,
        base_sequence: 70,
        ..BatchOptions::default()
    });
    for offset in offsets {
        let value = vec![b'v'; size];
        let time = 1000 + offset;
        let appended = builder.append_at(*offset, time, Some(b"k"), Some(&value), &[]);
        appended.unwrap();
    }
    builder.build_batch().unwrap()
}

fn spans(packed: &[Packed]) -> Vec<Vec<(i64, i64)>> {
    let pairs = |spans: &[Span]| spans.iter().map(|s| (s.source, s.records)).collect();
    packed.iter().map(|packed| pairs(&packed.spans)).collect()
}

fn sealed(packed: &Packed) -> Batch {
    let bytes: Bytes = packed.seal((77, 1), 5).unwrap();
    let batch = Batch::parse(bytes).unwrap();
    batch.verify_crc().unwrap();
    batch
}

#[test]
fn a_large_batch_keeps_its_compressed_records() {
    let large = batch(&[10, 11], 50_000, Compression::None);
    let packed = pack(std::slice::from_ref(&large), 10, 1000).unwrap();
    assert_eq!(spans(&packed), [vec![(10, 2)]]);
    let sealed = sealed(&packed[0]);
    assert_eq!(sealed.body(), large.body());
    let header = sealed.header();
    assert!(!header.attributes.is_transactional());
    let producer = (
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    );
    assert_eq!((header.base_offset, producer), (0, (77, 1, 5)));
}

#[test]
fn small_batches_and_those_with_gaps_are_put_together_up_to_a_limit() {
    let batches = [
        batch(&[3, 4], 100, Compression::None),
        batch(&[5, 8, 9], 100, Compression::None),
        batch(&[12], 100, Compression::Lz4),
    ];
    let packed = pack(&batches, 4, 100_000).unwrap();
    assert_eq!(spans(&packed), [vec![(4, 2), (8, 2)], vec![(12, 1)]]);
    let records = sealed(&packed[0])
        .records(DecompressLimit(1 << 20))
        .unwrap();
    let kept: Vec<_> = records
        .map(|r| r.unwrap())
        .map(|r| (r.offset, r.timestamp))
        .collect();
    assert_eq!(kept, [(0, 1004), (1, 1005), (2, 1008), (3, 1009)]);
    // No more than the target takes.
    let packed = pack(&batches[..2], 0, 300).unwrap();
    assert_eq!(
        spans(&packed),
        [
            vec![(3, 1)],
            vec![(4, 1)],
            vec![(5, 1)],
            vec![(8, 1)],
            vec![(9, 1)]
        ]
    );
}
