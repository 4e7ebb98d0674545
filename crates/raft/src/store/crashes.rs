//! Power failures at every change of the disk, compared with a model.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ottla_runtime::Random;
use ottla_runtime::disk::{Disk, Entry as Name, File, Lock, OpenMode, SimDisk};
use parking_lot::Mutex;

use super::format::encode_entry;
use super::recovery::{Recovered, recover};
use super::writer::{Segment, Writer, Written};
use crate::member::Position;
use crate::openraft_config::{Command, Entry, LeaderId, Payload, Vote};
use openraft::vote::RaftLeaderId;

/// A disk that keeps what a power failure before each of its changes would leave.
#[derive(Clone)]
struct Watched {
    disk: SimDisk,
    copies: Arc<Mutex<Vec<SimDisk>>>,
    next: Arc<AtomicU64>,
}

impl Watched {
    fn about_to_change(&self) {
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        let copy = self.disk.crashed_copy(seed);
        self.copies.lock().push(copy);
    }
}

struct WatchedFile(Watched, Arc<dyn File>);

impl File for WatchedFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.1.read_at(buf, position)
    }
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.0.about_to_change();
        self.1.write_at(parts, position)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.about_to_change();
        self.1.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.1.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.about_to_change();
        self.1.set_len(len)
    }
}

impl Disk for Watched {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.about_to_change();
        let file = self.disk.open(path, mode)?;
        Ok(Arc::new(WatchedFile(self.clone(), file)))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Name>> {
        self.disk.list(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.about_to_change();
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.about_to_change();
        self.disk.rename(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.about_to_change();
        self.disk.sync_dir(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }
    fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.total_bytes(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(path)
    }
}

fn dir() -> PathBuf {
    PathBuf::from("/data/raft")
}

fn entry(at: Position, size: u64) -> Entry {
    let payload = format!("{at} {}", "y".repeat(size as usize));
    Entry {
        log_id: at.log_id(),
        payload: Payload::Normal(Command(Bytes::from(payload))),
    }
}

/// What must be there after a power failure.
#[derive(Clone, Default)]
struct Model {
    /// All entries, the last purged one excluded.
    entries: Vec<Position>,
    purged: Option<Position>,
    vote: Option<Vote>,
}

impl Model {
    fn last(&self) -> Option<Position> {
        self.entries.last().copied().or(self.purged)
    }

    fn next(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }
}

/// All entries of a log, read from its segments.
fn entries_of(writer: &Writer) -> Vec<Position> {
    let read = |segment: &Segment| -> Vec<Position> {
        let mut bytes = vec![0; segment.end as usize];
        segment.file.read_at(&mut bytes, 0).unwrap();
        let bytes = Bytes::from(bytes);
        let indexes = segment.base..;
        let entries = indexes.zip(&segment.positions).map(|(index, at)| {
            let (entry, _) = super::format::decode_entry(&bytes.slice(*at as usize..), index)
                .expect("what was recovered is good");
            Position::of(&entry.log_id)
        });
        entries.collect()
    };
    writer.segments.iter().flat_map(read).collect()
}

/// What was left must be the state before the change or the one after it; a truncation may have
/// come half the way, and entries that were purged may be there still.
fn check(left: &SimDisk, before: &Model, after: &Model, what: &str) {
    let disk: Arc<dyn Disk> = Arc::new(left.clone());
    let snapshot = before.purged.max(after.purged);
    let open = || -> Recovered {
        recover(&disk, &dir(), snapshot, 700).unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let mut recovered = open();
    let found = entries_of(&recovered.writer);
    let vote = recovered.vote;
    assert!(
        vote == before.vote || vote == after.vote,
        "{what}: {vote:?}, not {:?} or {:?}",
        before.vote,
        after.vote
    );
    let first = snapshot.map_or(0, |snapshot| snapshot.index + 1);
    let kept: Vec<Position> = found
        .iter()
        .copied()
        .filter(|at| at.index >= first)
        .collect();
    let visible = |model: &Model| -> Vec<Position> {
        let entries = model.entries.iter().copied();
        entries.filter(|at| at.index >= first).collect()
    };
    let (old, new) = (visible(before), visible(after));
    let is_prefix = |short: &[Position], long: &[Position]| long.starts_with(short);
    let good = if new.len() < old.len() {
        // Entries go from the end on.
        is_prefix(&kept, &old) && is_prefix(&new, &kept)
    } else {
        kept == old || kept == new
    };
    assert!(
        good,
        "{what}: {kept:?} is left, which is neither {old:?} nor {new:?}"
    );
    // What was found counts: it survives the next power failure, and the log goes on behind it.
    left.crash();
    recovered = open();
    assert_eq!(
        entries_of(&recovered.writer),
        found,
        "{what}: the second start differs"
    );
    assert_eq!(
        recovered.vote, vote,
        "{what}: the second start has another vote"
    );
    let at = Position {
        term: 1_000,
        index: recovered.writer.next(),
    };
    let frames = [encode_entry(&entry(at, 5))];
    assert!(matches!(
        recovered.writer.write(&frames, at),
        Ok(Written::Whole)
    ));
    recovered.writer.flush().unwrap();
    left.crash();
    assert_eq!(entries_of(&open().writer).last(), Some(&at), "{what}");
}

/// Makes one random change, on disk and in the model.
fn change(random: &Random, writer: &mut Writer, model: &mut Model, term: &mut u64) -> String {
    match random.below(10) {
        0 => {
            *term += 1;
            let vote = Vote {
                leader_id: LeaderId::new(*term, random.below(3)),
                committed: random.below(2) == 0,
            };
            writer.save_vote(&vote).unwrap();
            model.vote = Some(vote);
            format!("vote {vote}")
        }
        1 | 2 if !model.entries.is_empty() => {
            let keep = random.below(model.entries.len() as u64) as usize;
            model.entries.truncate(keep);
            *term += 1;
            let after = model.last();
            assert!(matches!(writer.truncate(after), Ok(Written::Whole)));
            format!("truncate after {after:?}")
        }
        3 if !model.entries.is_empty() => {
            let gone = random.below(model.entries.len() as u64) as usize;
            let upto = model.entries[gone];
            model.entries.drain(..=gone);
            model.purged = Some(upto);
            assert!(matches!(writer.purge(upto), Ok(Written::Whole)));
            format!("purge up to {upto}")
        }
        4 if random.below(4) == 0 => {
            // A snapshot that is ahead of the log.
            let upto = Position {
                term: *term,
                index: model.next() + random.below(5),
            };
            model.entries.clear();
            model.purged = Some(upto);
            assert!(matches!(writer.purge(upto), Ok(Written::Whole)));
            format!("purge ahead up to {upto}")
        }
        _ => {
            let count = 1 + random.below(5);
            let mut frames = Vec::new();
            for _ in 0..count {
                let at = Position {
                    term: *term,
                    index: model.next(),
                };
                frames.push(encode_entry(&entry(at, random.below(90))));
                model.entries.push(at);
            }
            let last = model.last().unwrap();
            assert!(matches!(writer.write(&frames, last), Ok(Written::Whole)));
            writer.flush().unwrap();
            format!("append {count} up to {last}")
        }
    }
}

#[test]
fn a_power_failure_at_any_change_of_the_disk_loses_nothing_that_was_flushed() {
    for seed in 0..30 {
        let disk = SimDisk::new(seed);
        Disk::create_dir_all(&disk, &dir()).unwrap();
        let watched = Watched {
            disk,
            copies: Arc::default(),
            next: Arc::new(AtomicU64::new(seed * 1_000_000)),
        };
        let as_disk: Arc<dyn Disk> = Arc::new(watched.clone());
        let random = Random::from_seed(seed);
        let mut model = Model::default();
        let mut term = 1;
        let Recovered { mut writer, .. } = recover(&as_disk, &dir(), None, 700).unwrap();
        for left in std::mem::take(&mut *watched.copies.lock()) {
            check(
                &left,
                &model,
                &model,
                &format!("seed {seed}: the first start"),
            );
        }
        for number in 0..60 {
            let before = model.clone();
            let what = change(&random, &mut writer, &mut model, &mut term);
            let what = format!("seed {seed}, change {number}: {what}");
            for left in std::mem::take(&mut *watched.copies.lock()) {
                check(&left, &before, &model, &what);
            }
            // And without a power failure in between.
            let now = watched.disk.crashed_copy(number);
            check(&now, &model, &model, &what);
        }
    }
}

#[test]
fn damage_before_the_last_batch_stops_with_file_and_position() {
    let disk = SimDisk::new(1);
    Disk::create_dir_all(&disk, &dir()).unwrap();
    let as_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let Recovered { mut writer, .. } = recover(&as_disk, &dir(), None, 1 << 20).unwrap();
    let mut ends = vec![writer.active().end];
    for index in 0..3 {
        let at = Position { term: 1, index };
        let frames = [encode_entry(&entry(at, 20))];
        assert!(matches!(writer.write(&frames, at), Ok(Written::Whole)));
        writer.flush().unwrap();
        ends.push(writer.active().end);
    }
    drop(writer);
    let path = super::writer::path_of(&dir(), 0);
    for position in ends[0]..ends[2] {
        assert!(disk.damage(&path, position, 0x11));
        match recover(&as_disk, &dir(), None, 1 << 20) {
            Err(crate::Error::Corrupt {
                path: file,
                position: at,
                ..
            }) => {
                assert_eq!(file, path);
                let batch = if position < ends[1] { ends[0] } else { ends[1] };
                assert_eq!(at, batch, "byte {position}");
            }
            other => panic!("byte {position}: {:?}", other.map(|_| ())),
        }
        assert!(disk.damage(&path, position, 0x11));
    }
    // The last one looks like one that a crash has torn.
    assert!(disk.damage(&path, ends[2] + 30, 0x11));
    let Recovered { writer, .. } = recover(&as_disk, &dir(), None, 1 << 20).unwrap();
    assert_eq!(writer.next(), 2);
}

#[test]
fn entries_that_were_noted_as_committed_are_missed() {
    let disk = SimDisk::new(1);
    Disk::create_dir_all(&disk, &dir()).unwrap();
    let as_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let Recovered { mut writer, .. } = recover(&as_disk, &dir(), None, 1 << 20).unwrap();
    for index in 0..2 {
        let at = Position { term: 1, index };
        let frames = [encode_entry(&entry(at, 20))];
        assert!(matches!(writer.write(&frames, at), Ok(Written::Whole)));
        writer.flush().unwrap();
    }
    let second = writer.active().end - 5;
    writer
        .save_committed(Position { term: 1, index: 1 })
        .unwrap();
    drop(writer);
    assert!(recover(&as_disk, &dir(), None, 1 << 20).is_ok());
    assert!(disk.damage(&super::writer::path_of(&dir(), 0), second, 1));
    let error = recover(&as_disk, &dir(), None, 1 << 20)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, crate::Error::Lost { .. }), "{error}");
}

#[test]
fn both_copies_of_the_vote_must_be_damaged_to_stop() {
    let disk = SimDisk::new(1);
    Disk::create_dir_all(&disk, &dir()).unwrap();
    let as_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let Recovered { mut writer, .. } = recover(&as_disk, &dir(), None, 1 << 20).unwrap();
    let vote = Vote {
        leader_id: LeaderId::new(7, 3),
        committed: true,
    };
    writer.save_vote(&vote).unwrap();
    drop(writer);
    for slot in [0, 512] {
        assert!(disk.damage(&dir().join("vote"), slot + 9, 0x40));
        let recovered = recover(&as_disk, &dir(), None, 1 << 20).unwrap();
        assert_eq!(recovered.vote, Some(vote));
    }
    for slot in [0, 512] {
        assert!(disk.damage(&dir().join("vote"), slot + 9, 0x40));
    }
    let error = recover(&as_disk, &dir(), None, 1 << 20)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, crate::Error::Corrupt { .. }), "{error}");
}
