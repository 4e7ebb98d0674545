//! A random workload of keys, tombstones and transactions, with cleanings, restarts and power
//! failures in between: both kinds of consumers always find the newest value of every key.

use std::collections::{BTreeMap, BTreeSet};

use ottla_log::{Log, LogConfig, LogDir, UpTo};
use ottla_record::{BatchOptions, Compression, split_batches};
use ottla_runtime::Random;
use ottla_runtime::disk::SimDisk;

use super::model::*;
use crate::world::*;

const PRODUCERS: i64 = 3;

/// What became of the transaction of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

#[derive(Clone)]
struct Written {
    pair: Pair,
    fate: Fate,
}

/// What was written, and what may have become of it.
#[derive(Default)]
struct World {
    records: BTreeMap<i64, Written>,
    end: i64,
    /// The offsets of each producer's open transaction.
    open: BTreeMap<i64, Vec<i64>>,
    sequences: BTreeMap<i64, i32>,
    touched: i64,
    cleanings: u32,
    removed: u64,
}

impl World {
    fn pairs(&mut self, random: &Random) -> Vec<Pair> {
        let count = 1 + random.below(3);
        let mut pairs = Vec::new();
        for i in 0..count {
            let key = format!("key {}", random.below(8));
            let is_tombstone = random.below(4) == 0;
            let filler = "x".repeat(random.below(40) as usize);
            let value = (!is_tombstone).then(|| format!("{}/{i} {filler}", self.end));
            pairs.push((key, value));
        }
        pairs
    }

    async fn append(&mut self, log: &Log, random: &Random, producer: Option<i64>) {
        let pairs = self.pairs(random);
        let mut options = BatchOptions {
            compression: Compression::ALL[random.below(5) as usize],
            ..BatchOptions::default()
        };
        if let Some(id) = producer {
            options.producer_id = id;
            options.producer_epoch = 0;
            options.transactional = true;
            options.base_sequence = *self.sequences.entry(id).or_default();
        }
        let batch = keyed(options, 1000, &pairs);
        let append = match producer {
            Some(_) => verified(log, batch, 1),
            None => client(batch),
        };
        let appended = log.append(append).await.unwrap();
        assert_eq!(appended.base_offset, self.end);
        for pair in pairs {
            let fate = match producer {
                Some(id) => {
                    *self.sequences.entry(id).or_default() += 1;
                    self.open.entry(id).or_default().push(self.end);
                    Fate::Open
                }
                None => Fate::Committed,
            };
            self.records.insert(self.end, Written { pair, fate });
            self.end += 1;
        }
    }

    async fn end_transaction(&mut self, log: &Log, id: i64, commit: bool) {
        let appended = log.append(marker(id, 0, commit, 1)).await.unwrap();
        assert_eq!(appended.base_offset, self.end);
        self.end += 1;
        for offset in self.open.remove(&id).unwrap_or_default() {
            let fate = if commit {
                Fate::Committed
            } else {
                Fate::Aborted
            };
            self.records.get_mut(&offset).unwrap().fate = fate;
        }
    }

    fn last_stable(&self) -> i64 {
        let firsts = self.open.values().filter_map(|offsets| offsets.first());
        firsts.min().copied().unwrap_or(self.end)
    }

    fn newest(
        &self,
        range: std::ops::Range<i64>,
        counts: impl Fn(Fate) -> bool,
    ) -> BTreeMap<String, String> {
        let visible = self.records.range(range).filter(|(_, w)| counts(w.fate));
        newest(visible.map(|(_, w)| &w.pair))
    }

    fn check(&self, log: &Log) {
        assert_eq!(log.log_end_offset(), self.end);
        assert_eq!(log.last_stable_offset(), self.last_stable());
        let committed = consume(log, UpTo::LastStable);
        let all = consume(log, UpTo::HighWatermark);
        for (offset, pair) in committed.iter().chain(&all) {
            assert_eq!(&self.records[offset].pair, pair, "offset {offset}");
        }
        for offset in committed.keys() {
            assert_eq!(
                self.records[offset].fate,
                Fate::Committed,
                "offset {offset}"
            );
        }
        let stable = self.last_stable();
        let is_committed = |fate| fate == Fate::Committed;
        assert_eq!(
            newest(committed.values()),
            self.newest(0..stable, is_committed)
        );
        // Those who read everything may see aborted records, until compaction takes them; apart
        // from these they find the same.
        let left: Vec<&Pair> = all
            .iter()
            .filter(|(offset, _)| self.records[*offset].fate != Fate::Aborted)
            .map(|(_, pair)| pair)
            .collect();
        let not_aborted = |fate| fate != Fate::Aborted;
        assert_eq!(
            newest(left.into_iter()),
            self.newest(0..self.end, not_aborted)
        );
        for (offset, written) in self.records.range(self.touched..) {
            assert_eq!(
                all.get(offset),
                Some(&written.pair),
                "offset {offset} was touched"
            );
        }
    }

    async fn clean(&mut self, dir: &LogDir, log: &Log) {
        let stable = self.last_stable();
        let Some(cleaned) = clean(dir, log).await else {
            return;
        };
        assert!(cleaned.to <= stable, "{cleaned:?} beyond {stable}");
        let active = log.segments().unwrap().last().unwrap().base_offset;
        assert!(
            cleaned.to <= active,
            "{cleaned:?} in the active segment {active}"
        );
        self.touched = self.touched.max(cleaned.to);
        self.cleanings += 1;
        self.removed += cleaned.records - cleaned.records_kept;
    }
}

fn newest<'a>(pairs: impl Iterator<Item = &'a Pair>) -> BTreeMap<String, String> {
    let mut newest = BTreeMap::new();
    for (key, value) in pairs {
        match value {
            Some(value) => newest.insert(key.clone(), value.clone()),
            None => newest.remove(key),
        };
    }
    newest
}

/// What a consumer sees, as the clients do it.
fn consume(log: &Log, up_to: UpTo) -> BTreeMap<i64, Pair> {
    let mut found = BTreeMap::new();
    let mut at = 0;
    loop {
        let result = log.read_blocking(at, 400, true, up_to).unwrap();
        if result.chunks.is_empty() {
            return found;
        }
        let mut aborted = result.aborted;
        aborted.sort_by_key(|a| a.first_offset);
        let mut aborting = BTreeSet::new();
        for batch in split_batches(result.chunks.concat().into()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let header = *batch.header();
            let begun = aborted.partition_point(|a| a.first_offset <= header.last_offset());
            aborting.extend(aborted.drain(..begun).map(|a| a.producer_id));
            if header.attributes.is_control() {
                aborting.remove(&header.producer_id);
                continue;
            }
            if header.attributes.is_transactional() && aborting.contains(&header.producer_id) {
                continue;
            }
            for record in batch.records(LIMIT).unwrap() {
                let record = record.unwrap();
                if record.offset >= at {
                    let text = |b: bytes::Bytes| String::from_utf8(b.to_vec()).unwrap();
                    let pair = (text(record.key.unwrap()), record.value.map(text));
                    assert_eq!(found.insert(record.offset, pair), None);
                }
            }
        }
        at = result.next_offset;
    }
}

fn config(seed: u64) -> LogConfig {
    LogConfig {
        segment_bytes: 500 + (seed % 7) * 300,
        delete_retention_ms: (seed % 3) as i64 * 1000,
        ..compacted()
    }
}

async fn live_on(world: &mut World, dir: &LogDir, log: &Log, random: &Random, steps: u64) {
    for _ in 0..steps {
        let id = random.below(PRODUCERS as u64) as i64;
        match random.below(20) {
            0..8 => world.append(log, random, None).await,
            8..13 => world.append(log, random, Some(id)).await,
            13..16 => {
                if world.open.contains_key(&id) {
                    world.end_transaction(log, id, random.below(2) == 0).await;
                }
            }
            16 => log.roll().await.unwrap(),
            17 => dir.checkpoint(true).await.unwrap(),
            _ => {
                world.clean(dir, log).await;
                world.check(log);
            }
        }
    }
    world.check(log);
}

fn one_seed(seed: u64) -> (u32, u64) {
    let disk = &SimDisk::new(seed);
    let random = &Random::from_seed(seed);
    let mut store = World::default();
    for life in 0..6 {
        let world = &mut store;
        live(disk, seed * 10 + life, None, |runtime| async move {
            // Time goes on, so that tombstones and markers become due.
            runtime.clock.jump_ms(10_000 + life as i64 * 1500);
            let (dir, log) = open(&runtime, config(seed)).await;
            world.check(&log);
            let steps = 20 + random.below(60);
            live_on(world, &dir, &log, random, steps).await;
            if random.below(2) == 0 {
                dir.close().await.unwrap();
            }
        });
        if random.below(3) == 0 {
            // Neither checkpoints nor snapshots are needed.
            for path in disk.files() {
                let name = path.to_str().unwrap();
                if name.ends_with(".snapshot") || name.ends_with("recovery-point-offset-checkpoint")
                {
                    ottla_runtime::Disk::remove_file(disk, &path).unwrap();
                }
            }
        }
        disk.crash();
    }
    (store.cleanings, store.removed)
}

#[test]
fn consumers_find_every_newest_value_whatever_was_compacted() {
    let (mut cleanings, mut removed) = (0, 0);
    for seed in 0..25 {
        let (a, b) = one_seed(seed);
        (cleanings, removed) = (cleanings + a, removed + b);
    }
    assert!(cleanings > 200 && removed > 2000, "{cleanings} {removed}");
}
