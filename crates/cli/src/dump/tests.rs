use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use ottla_record::{BatchBuilder, BatchOptions, Compression};
use ottla_runtime::disk::SimDisk;
use ottla_wire::messages::{OffsetCommitKey, OffsetCommitValue};
use ottla_wire::{CoordinatorKey as _, Message as _};

use super::*;
use crate::Exit;
use crate::tests::Memory;

/// What a dump of these files came to.
struct Dumped {
    exit: Exit,
    out: String,
    err: String,
}

impl Dumped {
    fn lines(&self) -> Vec<serde_json::Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn disk(files: &[(&str, Vec<u8>)]) -> Arc<SimDisk> {
    let disk = Arc::new(SimDisk::new(1));
    for (path, bytes) in files {
        let path = Path::new(path);
        disk.create_dir_all(path.parent().unwrap()).unwrap();
        let file = disk.open(path, OpenMode::Create).unwrap();
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
    }
    disk
}

fn dump(disk: &SimDisk, path: &str, records: bool, json: bool) -> Dumped {
    let memory = Memory::default();
    let args = DumpArgs {
        paths: vec![path.into()],
        records,
        check: false,
        from_offset: None,
        contents: None,
    };
    let output = json.then_some(OutputFormat::Json);
    let done = run(
        &LogCommand::Dump(args),
        disk,
        output,
        &mut memory.streams(""),
    );
    Dumped {
        exit: done.as_ref().map_or_else(Error::exit, |()| Exit::Ok),
        out: memory.out(),
        err: memory.err(),
    }
}

/// A batch of these keys and values from an offset on.
fn batch(base_offset: i64, records: &[(&[u8], Option<&[u8]>)]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset,
        leader_epoch: 4,
        compression: Compression::Zstd,
        ..BatchOptions::default()
    });
    for (key, value) in records {
        builder
            .append(1_700_000_000_000, Some(key), *value, &[])
            .unwrap();
    }
    builder.build().unwrap()
}

const SEGMENT: &str = "/d/orders-0/00000000000000000005.log";

fn segment() -> Vec<u8> {
    let mut bytes = batch(5, &[(b"a", Some(b"1")), (b"b", None)]).to_vec();
    bytes.extend(batch(7, &[(b"\xff", Some(b"2"))]));
    bytes
}

#[test]
fn batches_and_records_are_shown_in_their_order() {
    let disk = disk(&[(SEGMENT, segment())]);
    let dumped = dump(&disk, SEGMENT, true, false);
    assert_eq!((dumped.exit, dumped.err.as_str()), (Exit::Ok, ""));
    let lines: Vec<&str> = dumped.out.lines().collect();
    assert!(lines[0].starts_with("/d/orders-0/00000000000000000005.log: batches, "));
    assert!(
        lines[2].starts_with("0            5-6                   2  "),
        "{}",
        lines[2]
    );
    assert_eq!(lines[3], "  5 2023-11-14T22:13:20.000Z \"a\" = \"1\"");
    assert_eq!(lines[4], "  6 2023-11-14T22:13:20.000Z \"b\" = null");
    assert_eq!(lines[6], "  7 2023-11-14T22:13:20.000Z base64:/w== = \"2\"");
    assert_eq!(lines[7], "  2 batches with 3 records");

    let lines = dump(&disk, "/d", true, true).lines();
    assert_eq!(lines[0]["kind"], "batch");
    assert_eq!(lines[0]["last_offset"], 6);
    assert_eq!(lines[0]["compression"], "zstd");
    assert_eq!(lines[1]["key"], "a");
    assert!(lines[2]["value"].is_null());
    assert_eq!(lines[4]["key_base64"], "/w==");
    assert_eq!(lines[5]["batches"], 2);
}

#[test]
fn any_damaged_byte_is_told_with_its_file_and_the_batchs_position() {
    let whole = segment();
    let second = batch(5, &[(b"a", Some(b"1")), (b"b", None)]).len();
    for at in 0..whole.len() {
        // The leader epoch is outside of the CRC, since leaders set it; nothing can tell it.
        let in_batch = if at < second { at } else { at - second };
        if (12..16).contains(&in_batch) {
            continue;
        }
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        let dumped = dump(&disk(&[(SEGMENT, bytes)]), SEGMENT, true, false);
        // A base offset that is too high looks like what compaction leaves, and makes the one
        // behind it too low.
        if in_batch < 8 && (at < second || dumped.exit == Exit::Ok) {
            let next = dumped.err.contains(&format!(" at byte {second}: "));
            assert!(next || dumped.exit == Exit::Ok || dumped.err.contains(" at byte 0: "));
            continue;
        }
        assert_eq!(dumped.exit, Exit::Damaged, "byte {at}");
        let position = if at < second { 0 } else { second };
        let expected = format!("damage: {SEGMENT} at byte {position}: ");
        assert!(dumped.err.contains(&expected), "byte {at}: {}", dumped.err);
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_shows_its_whole_batches() {
    let whole = segment();
    let first = batch(5, &[(b"a", Some(b"1")), (b"b", None)]).len();
    for len in 1..whole.len() {
        let dumped = dump(
            &disk(&[(SEGMENT, whole[..len].to_vec())]),
            SEGMENT,
            false,
            true,
        );
        let lines = dumped.lines();
        let damaged = lines.iter().any(|line| line["kind"] == "damage");
        assert_eq!(damaged, len != first, "cut at {len}");
        let batches = lines.iter().filter(|line| line["kind"] == "batch").count();
        assert_eq!(batches, usize::from(len >= first), "cut at {len}");
    }
}

#[test]
fn zeros_at_the_end_are_room_and_no_damage() {
    let mut bytes = segment();
    bytes.extend([0; 5000]);
    let dumped = dump(&disk(&[(SEGMENT, bytes)]), SEGMENT, false, false);
    assert_eq!(dumped.exit, Exit::Ok, "{}", dumped.err);
    assert!(dumped.out.contains("5000 bytes of zeros"), "{}", dumped.out);
}

#[test]
fn committed_offsets_are_decoded() {
    let key = OffsetCommitKey {
        group: "g".into(),
        topic: "orders".into(),
        partition: 3,
    };
    let value = OffsetCommitValue {
        offset: 42,
        leader_epoch: 7,
        commit_timestamp: 9,
        ..OffsetCommitValue::default()
    };
    let (key, value) = (
        key.encode_key().unwrap(),
        value.encode_versioned(4).unwrap(),
    );
    let path = "/d/__consumer_offsets-3/00000000000000000000.log";
    let records: [(&[u8], Option<&[u8]>); 3] =
        [(&key, Some(&value)), (&key, None), (b"\x00", Some(b"?"))];
    let disk = disk(&[(path, batch(0, &records).to_vec())]);
    let lines = dump(&disk, path, true, true).lines();
    let decoded = &lines[1]["decoded"];
    assert_eq!(decoded["type"], "offset");
    assert_eq!(decoded["group"], "g");
    assert_eq!(decoded["partition"], 3);
    assert_eq!(decoded["value"]["offset"], 42);
    assert!(lines[2]["decoded"]["value"].is_null());
    assert!(lines[3]["decoded"]["undecodable"].is_string());
}

#[test]
fn indexes_are_checked_against_their_segment() {
    let index = "/d/orders-0/00000000000000000005.index";
    let second = batch(5, &[(b"a", Some(b"1")), (b"b", None)]).len() as u32;
    let entry = |offset: u32, position: u32| {
        let mut bytes = offset.to_be_bytes().to_vec();
        bytes.extend(position.to_be_bytes());
        bytes
    };
    let check = |entries: Vec<u8>| {
        let disk = disk(&[(SEGMENT, segment()), (index, entries)]);
        dump(&disk, index, false, false)
    };
    let mut right = entry(2, second);
    right.extend([0; 80]);
    let dumped = check(right);
    assert_eq!(dumped.exit, Exit::Ok, "{}", dumped.err);
    assert!(
        dumped
            .out
            .contains(&format!("7                     {second}\n")),
        "{}",
        dumped.out
    );
    for wrong in [
        entry(2, second + 1),
        entry(1, second),
        entry(2, second)[..7].to_vec(),
    ] {
        let dumped = check(wrong);
        assert_eq!(dumped.exit, Exit::Damaged, "{}", dumped.out);
        assert!(
            dumped.err.contains(&format!("damage: {index} at byte 0: ")),
            "{}",
            dumped.err
        );
    }
}

#[test]
fn small_files_are_read_and_their_damage_is_told() {
    let path = "/d/leader-epoch-checkpoint";
    let text = |text: &str| {
        dump(
            &disk(&[(path, text.as_bytes().to_vec())]),
            path,
            false,
            true,
        )
    };
    let lines = text("0\n2\n0 0\n3 17\n").lines();
    assert_eq!(lines[1]["leader_epoch"], 3);
    assert_eq!(lines[1]["start_offset"], 17);
    for wrong in ["1\n0\n", "0\n2\n0 0\n", "0\n1\n0 x\n", "0\n1\n0 0 0\n", "x"] {
        assert_eq!(text(wrong).exit, Exit::Damaged, "{wrong:?}");
    }
    let offsets = "/d/replication-offset-checkpoint";
    let disk = disk(&[(offsets, b"0\n1\norders 2 99\n".to_vec())]);
    assert_eq!(dump(&disk, offsets, false, true).lines()[0]["offset"], 99);
}

#[test]
fn producer_snapshots_are_checked_by_their_crc() {
    let mut body = 1_i32.to_be_bytes().to_vec();
    body.extend(77_i64.to_be_bytes());
    body.extend(2_i16.to_be_bytes());
    body.extend(9_i32.to_be_bytes());
    body.extend(40_i64.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(1_700_000_000_000_i64.to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body.extend(33_i64.to_be_bytes());
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &body) as u32;
    let mut bytes = 1_i16.to_be_bytes().to_vec();
    bytes.extend(crc.to_be_bytes());
    bytes.extend(body);
    let path = "/d/orders-0/00000000000000000041.snapshot";
    let lines = dump(&disk(&[(path, bytes.clone())]), path, false, true).lines();
    assert_eq!(lines[0]["producer_id"], 77);
    assert_eq!(lines[0]["transaction_start_offset"], 33);
    bytes[20] ^= 1;
    let dumped = dump(&disk(&[(path, bytes)]), path, false, false);
    assert_eq!(dumped.exit, Exit::Damaged);
    assert!(dumped.err.contains("stored crc"), "{}", dumped.err);
}

#[test]
fn what_is_no_file_of_a_log_is_refused_by_name() {
    let disk = disk(&[("/d/notes.txt", b"x".to_vec())]);
    assert_eq!(dump(&disk, "/d/notes.txt", false, false).exit, Exit::Usage);
    assert_eq!(
        dump(&disk, "/d/missing.log", false, false).exit,
        Exit::NotFound
    );
    let folder = dump(&disk, "/d", false, false);
    assert_eq!((folder.exit, folder.out.as_str()), (Exit::Ok, ""));
}
