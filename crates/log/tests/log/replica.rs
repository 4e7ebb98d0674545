//! Random leaders: a follower takes what they send, is cut where a new one differs, and has at any
//! time what follows from its batches alone; also after a power failure at any moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::{Log, LogConfig, LogDir};
use ottla_model::Offset;
use ottla_record::{Batch, EndTxnMarker, end_txn_marker};
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Random, Runtime};
use parking_lot::Mutex;

use crate::follower::{at, fetch};
use crate::history::{Fact, History, Summary};
use crate::power::PowerDisk;
use crate::world::*;

/// What the leaders sent, and what must be left of it.
#[derive(Default)]
struct Model {
    batches: BTreeMap<Offset, Batch>,
    history: History,
    start: Offset,
    end: Offset,
    epoch: i32,
    /// Everything before it was answered, and nobody is cutting it.
    floor: Offset,
    named: u64,
}

impl Model {
    fn push(&mut self, batch: Batch) {
        let fact = Fact::of(&batch);
        self.end = fact.last + 1;
        self.history.facts.insert(fact.base, fact);
        self.batches.insert(batch.header().base_offset, batch);
    }

    /// Forgets what ends behind `offset`.
    fn cut(&mut self, offset: Offset) {
        let stays = |fact: &Fact| fact.last < offset;
        self.history.facts.retain(|_, fact| stays(fact));
        self.batches
            .retain(|_, batch| batch.header().last_offset() < offset);
        let last = self.batches.values().last();
        self.end = last.map_or(self.start, |b| b.header().last_offset() + 1);
        self.floor = self.floor.min(self.end);
    }

    fn begin_anew(&mut self, offset: Offset) {
        self.batches.clear();
        self.history = History::default();
        (self.start, self.end, self.floor) = (offset, offset, offset);
    }

    fn data(&mut self, random: &Random, all: &Summary) -> Batch {
        self.named += 1;
        let filler = "x".repeat(random.below(90) as usize);
        let values: Vec<String> = (0..1 + random.below(3))
            .map(|i| format!("{}/{i}/{filler}", self.named))
            .collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let id = random.below(6) as i64;
        let (epoch, sequence) = all.producers.get(&id).copied().unwrap_or((0, -1));
        match id {
            0 => batch(&values),
            1 => idempotent(id, epoch, sequence + 1, &values),
            _ => transactional(id, epoch, sequence + 1, &values),
        }
    }

    fn next(&mut self, random: &Random) -> Batch {
        let all = self.history.summary();
        let open: Vec<i64> = all.open.keys().copied().collect();
        let batch = if !open.is_empty() && random.below(3) == 0 {
            let id = open[random.below(open.len() as u64) as usize];
            let end = EndTxnMarker {
                committed: random.below(2) == 0,
                coordinator_epoch: 0,
            };
            // Even ones are of transaction version 1, odd ones of version 2.
            let epoch = all.producers[&id].0 + (id % 2) as i16;
            end_txn_marker(0, 0, 0, id, epoch, end).unwrap()
        } else {
            self.data(random, &all)
        };
        let batch = at(self.end, self.epoch, batch);
        self.push(batch.clone());
        batch
    }

    /// The log is a beginning of what was sent, at least up to the floor, and says of it what
    /// follows from it.
    async fn compare(&mut self, log: &Log, random: &Random) {
        let offsets = log.offsets();
        let (start, end) = (offsets.log_start_offset, offsets.log_end_offset);
        assert!(end >= self.floor && end <= self.end, "{offsets:?}");
        assert!(start <= self.start);
        self.start = start;
        self.cut(end);
        assert_eq!(self.end, end);
        self.floor = end;
        let found = fetch(log, start);
        let expected = self.batches.values();
        let expected = expected.filter(|b| b.header().last_offset() >= start);
        assert_eq!(found, expected.cloned().collect::<Vec<_>>());
        for batch in &found {
            let header = batch.header();
            let epoch = log.leader_epoch_at(header.last_offset());
            assert_eq!(epoch, Some(header.partition_leader_epoch));
        }
        let latest = found.last().map(|b| b.header().partition_leader_epoch);
        assert!(latest <= log.latest_leader_epoch());
        log.set_replicated_offset(end);
        assert_eq!(log.high_watermark(), end);
        self.history.compare_transactions(log, random).await;
    }
}

struct Story {
    random: Random,
    model: Arc<Mutex<Model>>,
}

impl Story {
    async fn append(&self, log: &Log) -> bool {
        let mut waiting = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            let mut model = self.model.lock();
            let count = 1 + self.random.below(3);
            let batches: Vec<_> = (0..count).map(|_| model.next(&self.random)).collect();
            waiting.push((model.end, log.append_as_follower(batches)));
        }
        for (end, answer) in waiting {
            if answer.await.is_err() {
                return false;
            }
            self.model.lock().floor = end;
        }
        true
    }

    async fn cut(&self, log: &Log) -> bool {
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let reach = if self.random.below(2) == 0 { 8 } else { 60 };
        let offset = end - (self.random.below(reach) as i64).min(end - start);
        self.model.lock().floor = 0;
        if log.truncate_to(offset).await.is_err() {
            return false;
        }
        let mut model = self.model.lock();
        model.cut(offset);
        if model.end < start {
            model.begin_anew(start);
        }
        model.floor = model.end;
        model.epoch += 1;
        true
    }

    async fn begin_anew(&self, log: &Log) -> bool {
        let end = log.log_end_offset();
        let offset = (end - 40).max(0) + self.random.below(80) as i64;
        self.model.lock().floor = 0;
        if log.truncate_fully_and_start_at(offset).await.is_err() {
            return false;
        }
        let mut model = self.model.lock();
        model.begin_anew(offset);
        model.epoch += 1;
        true
    }

    async fn step(&self, dir: &LogDir, log: &Log) -> bool {
        let work = match self.random.below(16) {
            0 => log.roll().await,
            1 => log.flush().await,
            2 | 3 => dir.checkpoint(self.random.below(2) == 0).await,
            4 => {
                let (start, end) = (log.log_start_offset(), log.high_watermark());
                let to = start + self.random.below((end - start) as u64 / 3 + 1) as i64;
                self.model.lock().start = to;
                dir.delete_records_before(log, to).await.map(drop)
            }
            5 | 6 => return self.cut(log).await,
            7 if self.random.below(4) == 0 => return self.begin_anew(log).await,
            _ => return self.append(log).await,
        };
        work.is_ok()
    }
}

fn config(seed: u64) -> LogConfig {
    LogConfig {
        segment_bytes: 500 + (seed % 7) * 300,
        ..small()
    }
}

async fn open_replica(runtime: &Runtime, seed: u64) -> (LogDir, Log) {
    let dir = open_dir(runtime);
    let log = dir.open_replica(partition(0), TOPIC_ID, config(seed));
    let log = log.await.unwrap();
    (dir, log)
}

async fn compare(story: &Story, log: &Log) {
    let mut model = std::mem::take(&mut *story.model.lock());
    model.compare(log, &story.random).await;
    *story.model.lock() = model;
}

#[test]
fn a_follower_has_what_its_leaders_sent_through_cuts_and_restarts() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let story = Story {
            random: Random::from_seed(seed),
            model: Arc::default(),
        };
        for life in 0..5 {
            let story = &story;
            run(&disk, |runtime| async move {
                let (dir, log) = open_replica(&runtime, seed).await;
                for _ in 0..25 {
                    compare(story, &log).await;
                    assert!(story.step(&dir, &log).await);
                }
                compare(story, &log).await;
                if life % 2 == 0 {
                    dir.close().await.unwrap();
                }
            });
            // A clean end, a killed process, or no power.
            if life == 3 {
                disk.crash();
            }
        }
    }
}

/// Plays the story of a seed until the power fails at the given change, and then looks at what is
/// left. `false` when the story was over before.
fn fails_at(seed: u64, change: u64, after: bool) -> bool {
    let below = SimDisk::new(seed ^ (change << 8));
    let power = PowerDisk::new(&below, change, after);
    let story = Story {
        random: Random::from_seed(seed),
        model: Arc::default(),
    };
    let (failing, playing) = (&power, &story);
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(&below, |mut runtime| async move {
            runtime.disk = Arc::new(failing.clone());
            let play = async {
                let (dir, log) = open_replica(&runtime, seed).await;
                for _ in 0..30 {
                    log.set_replicated_offset(log.log_end_offset());
                    if !playing.step(&dir, &log).await {
                        return;
                    }
                }
                drop(dir.close().await);
            };
            tokio::select! {
                biased;
                () = failing.failed() => {}
                () = play => {}
            }
        });
    }));
    assert!(lived.is_ok() || power.is_off());
    for _ in 0..2 {
        // The second time from what the recovery wrote.
        run(&below, |runtime| async move {
            let (dir, log) = open_replica(&runtime, seed).await;
            if log.log_start_offset() > playing.model.lock().start || log.log_end_offset() == 0 {
                // It was being thrown away.
                let mut model = playing.model.lock();
                assert!(log.log_end_offset() == log.log_start_offset() && model.floor == 0);
                model.begin_anew(log.log_start_offset());
            }
            compare(playing, &log).await;
            assert!(playing.append(&log).await);
            assert!(playing.cut(&log).await);
            compare(playing, &log).await;
            dir.close().await.unwrap();
        });
    }
    power.is_off()
}

#[test]
fn a_follower_survives_a_power_failure_at_every_change_of_the_disk() {
    for seed in 0..4 {
        let mut change = 0;
        while fails_at(seed, change, change % 2 == seed % 2) {
            change += 1;
        }
        assert!(change > 60, "the story is too short");
    }
}

/// What is known of the producers. Of the batches a snapshot has the last one only, as Kafka's does.
async fn producers(log: &Log) -> Vec<(i64, i16, i32, i32, Option<Offset>)> {
    let known = log.active_producers().await.unwrap().into_iter();
    known
        .map(|(id, entry)| {
            let sequence = entry.last_sequence();
            let start = entry.transaction_start;
            (id, entry.epoch, entry.coordinator_epoch, sequence, start)
        })
        .collect()
}

#[test]
fn a_followers_transactions_are_its_leaders() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        run(&disk, |runtime| async move {
            let dir = open_dir(&runtime);
            let random = Random::from_seed(seed);
            let open = |n| dir.open_replica(partition(n), TOPIC_ID, config(seed + n as u64));
            let (a, b) = (open(0).await.unwrap(), open(1).await.unwrap());
            let mut model = Model::default();
            for _ in 0..60 {
                let batches: Vec<_> = (0..1 + random.below(4))
                    .map(|_| model.next(&random))
                    .collect();
                let high_watermark = model.end - random.below(6) as i64;
                for log in [&a, &b] {
                    log.append_as_follower(batches.clone()).await.unwrap();
                    log.set_replicated_offset(high_watermark);
                }
                if random.below(5) == 0 {
                    // One of them was somewhere else in between.
                    let back =
                        b.log_end_offset() - (random.below(20) as i64).min(b.log_end_offset());
                    b.truncate_to(back).await.unwrap();
                    let missed = fetch(&a, b.log_end_offset());
                    if !missed.is_empty() {
                        b.append_as_follower(missed).await.unwrap();
                    }
                    b.set_replicated_offset(a.high_watermark());
                }
                let state = |log: &Log| (log.offsets(), log.oldest_open_transaction());
                let (of_a, of_b) = (state(&a), state(&b));
                assert_eq!(of_a.1, of_b.1);
                assert_eq!(of_a.0.high_watermark, of_b.0.high_watermark);
                assert!(of_a.0.last_stable_offset <= of_b.0.last_stable_offset);
                assert_eq!(producers(&a).await, producers(&b).await);
                if of_a.0.last_stable_offset == of_b.0.last_stable_offset {
                    let committed = read_committed(&a, 0).unwrap();
                    assert_eq!(read_committed(&b, 0).unwrap(), committed);
                }
            }
        });
    }
}
