//! Transactions in one partition: what is decided, what was aborted, and that both survive.

use std::sync::Arc;

use ottla_log::{AbortedTransaction, Append, AppendError, Housekeeping};
use ottla_log::{Log, LogConfig, LogDir};
use ottla_log::{UpTo, Verification};
use ottla_record::{Batch, EndTxnMarker, end_txn_marker};
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Random, Runtime};
use parking_lot::Mutex;

use crate::history::{History, Summary};
use crate::power::PowerDisk;
use crate::world::*;

fn texts(records: Vec<(i64, String)>) -> Vec<String> {
    records.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn committed_records_are_seen_when_decided_and_aborted_ones_never() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let mut watch = log.watch();
        let append = |batch| log.append(verified(&log, batch, 1));
        append(transactional(1, 0, 0, &["a1", "a2"])).await.unwrap();
        append(transactional(2, 0, 0, &["b1"])).await.unwrap();
        log.append(client(batch(&["plain"]))).await.unwrap();
        assert_eq!(log.last_stable_offset(), 0);
        assert_eq!(log.high_watermark(), 4);
        assert!(read_committed(&log, 0).unwrap().is_empty());
        watch.offsets();
        log.append(marker(1, 0, false, 1)).await.unwrap();
        assert!(watch.changed().await && watch.offsets().last_stable_offset == 2);
        assert_eq!(log.oldest_open_transaction().unwrap().first_offset, 2);
        let appended = log.append(marker(2, 0, true, 1)).await.unwrap();
        assert_eq!(appended.base_offset, 5);
        assert!(watch.last_stable_past(5).await);
        assert_eq!(texts(read_committed(&log, 0).unwrap()), ["b1", "plain"]);
        let read = log.read_blocking(0, 9999, true, UpTo::LastStable).unwrap();
        let expected = AbortedTransaction {
            producer_id: 1,
            first_offset: 0,
        };
        assert_eq!(read.aborted, [expected]);
        let read = log.read_blocking(0, 9999, true, UpTo::HighWatermark);
        assert!(read.unwrap().aborted.is_empty());
        let behind = log.read_blocking(5, 9999, true, UpTo::LastStable);
        assert!(behind.unwrap().aborted.is_empty());
        assert_eq!(log.oldest_open_transaction(), None);
    });
}

#[test]
fn an_open_transaction_asks_nobody_and_a_late_answer_is_refused() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let refused = log.append(client(transactional(1, 0, 0, &["a"]))).await;
        assert!(matches!(refused, Err(AppendError::InvalidTxnState { .. })));
        let Verification::Needed(guard) = log.verification(1, 0, 0, false).unwrap() else {
            panic!("nothing is open");
        };
        // The coordinator says yes, but meanwhile it has aborted the transaction.
        log.append(marker(1, 0, false, 1)).await.unwrap();
        let late = client(transactional(1, 0, 0, &["a"])).with_guard(guard);
        assert!(matches!(
            log.append(late).await,
            Err(AppendError::InvalidTxnState { .. })
        ));
        let append = |batch| log.append(verified(&log, batch, 1));
        append(transactional(1, 0, 0, &["b"])).await.unwrap();
        assert_eq!(log.verification(1, 0, 1, false), Ok(Verification::Ongoing));
        let open = log.active_producers().await.unwrap();
        assert_eq!(open[0].1.transaction_start, Some(1));
        assert_eq!(open[0].1.coordinator_epoch, 0);
        let plain = log.append(client(idempotent(1, 0, 1, &["c"]))).await;
        assert!(matches!(plain, Err(AppendError::InvalidTxnState { .. })));
        assert!(matches!(
            log.append(marker(1, 0, true, 2)).await,
            Err(AppendError::InvalidProducerEpoch { .. })
        ));
        log.append(marker(1, 1, true, 2)).await.unwrap();
        assert!(matches!(
            log.verification(1, 0, 1, true),
            Err(AppendError::InvalidProducerEpoch {
                current_epoch: 1,
                ..
            })
        ));
    });
}

#[test]
fn a_marker_above_the_high_watermark_decides_nothing_yet() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        log.set_replicated_offset(0);
        let batch = transactional(1, 0, 0, &["a"]);
        log.append(verified(&log, batch, 1)).await.unwrap();
        log.append(marker(1, 0, false, 1)).await.unwrap();
        log.append(client(batch_at(5, &["b"]))).await.unwrap();
        let stable = |high_watermark| {
            log.set_replicated_offset(high_watermark);
            log.last_stable_offset()
        };
        assert_eq!([stable(0), stable(1), stable(2), stable(3)], [0, 0, 2, 3]);
        assert_eq!(read_committed(&log, 0).unwrap(), [(2, "b".to_owned())]);
    });
}

#[test]
fn a_coordinator_writes_into_transactions_without_sequences() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let offsets = || vec![transactional(1, 0, -1, &["offset"])];
        let refused = log.append(Append::from_coordinator(offsets(), 0)).await;
        assert!(matches!(refused, Err(AppendError::InvalidTxnState { .. })));
        let Ok(Verification::Needed(guard)) = log.verification(1, 0, -1, true) else {
            panic!("nothing is open");
        };
        let first = Append::from_coordinator(offsets(), 0).with_guard(guard);
        log.append(first).await.unwrap();
        let second = log.append(Append::from_coordinator(offsets(), 0)).await;
        assert!(!second.unwrap().duplicate);
        assert_eq!(log.last_stable_offset(), 0);
        log.append(marker(1, 1, true, 2)).await.unwrap();
        assert_eq!(read_committed(&log, 0).unwrap().len(), 2);
    });
}

#[test]
fn verification_can_be_switched_off() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        dir.update_producer_rules(86_400_000, false);
        let unverified = client(transactional(1, 0, 0, &["a"]));
        log.append(unverified).await.unwrap();
        assert_eq!(log.last_stable_offset(), 0);
    });
}

#[test]
fn silent_producers_expire_and_open_transactions_grow_late() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (dir, log) = open(&runtime, small()).await;
        runtime.tasks.run("housekeeping", Housekeeping::new(&dir));
        log.append(client(idempotent(1, 0, 0, &["a"])))
            .await
            .unwrap();
        let batch = transactional(2, 0, 0, &["b"]);
        log.append(verified(&log, batch, 1)).await.unwrap();
        assert_eq!(log.oldest_open_transaction().unwrap().last_timestamp, 1000);
        let late_ms = 900_000 + 300_000;
        let age = || dir.oldest_transaction_age_ms();
        runtime.clock.jump_ms(5000);
        runtime.clock.jump_ms(late_ms - age());
        assert_eq!(
            (age(), dir.partitions_with_late_transactions()),
            (late_ms, 0)
        );
        runtime.clock.jump_ms(1);
        assert_eq!(dir.partitions_with_late_transactions(), 1);
        runtime.clock.jump_ms(90_000_000);
        tokio::time::sleep(std::time::Duration::from_secs(601)).await;
        let known = log.active_producers().await.unwrap();
        let known: Vec<i64> = known.into_iter().map(|(id, _)| id).collect();
        assert_eq!(known, [2]);
        dir.close().await.unwrap();
        runtime.tasks.stop().await;
    });
}

/// One producer after the other, many kinds of work: what random people do to a partition.
struct Story {
    random: Random,
    history: Arc<Mutex<History>>,
    named: u64,
}

impl Story {
    fn data(&mut self, all: &Summary) -> (Batch, i16) {
        self.named += 1;
        let filler = "x".repeat(self.random.below(90) as usize);
        let values: Vec<String> = (0..1 + self.random.below(3))
            .map(|i| format!("{}/{i}/{filler}", self.named))
            .collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let id = self.random.below(6) as i64;
        let (epoch, sequence) = all.producers.get(&id).copied().unwrap_or((0, -1));
        match id {
            0 => (batch(&values), 0),
            1 => (idempotent(id, epoch, sequence + 1, &values), 0),
            // Even ones are of transaction version 1, odd ones of version 2.
            _ => {
                let version = 1 + (id % 2) as i16;
                (transactional(id, epoch, sequence + 1, &values), version)
            }
        }
    }

    fn end(&self, id: i64, all: &Summary) -> (Append, Batch) {
        let version = 1 + (id % 2) as i16;
        let (epoch, _) = all.producers[&id];
        let epoch = if version == 2 { epoch + 1 } else { epoch };
        let commit = self.random.below(2) == 0;
        let marked = EndTxnMarker {
            committed: commit,
            coordinator_epoch: 0,
        };
        let batch = end_txn_marker(0, 0, 0, id, epoch, marked).unwrap();
        (marker(id, epoch, commit, version), batch)
    }

    /// Some appends at the same time, of different producers. `false` when the log is gone.
    async fn append(&mut self, log: &Log) -> bool {
        let all = self.history.lock().summary();
        let mut busy = std::collections::BTreeSet::new();
        let mut waiting = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let open: Vec<i64> = all.open.keys().copied().collect();
            let (append, batch) = if !open.is_empty() && self.random.below(3) == 0 {
                let id = open[self.random.below(open.len() as u64) as usize];
                self.end(id, &all)
            } else {
                let (batch, version) = self.data(&all);
                let append = if version == 0 {
                    client(batch.clone())
                } else {
                    verified(log, batch.clone(), version)
                };
                (append, batch)
            };
            let id = batch.header().producer_id;
            if id < 0 || busy.insert(id) {
                waiting.push((batch, log.append(append)));
            }
        }
        for (batch, answer) in waiting {
            let answer = answer.await;
            if !self.history.lock().note(&batch, answer) {
                return false;
            }
        }
        true
    }

    async fn step(&mut self, dir: &LogDir, log: &Log) -> bool {
        let work = match self.random.below(14) {
            0 => log.roll().await,
            1 => log.flush().await,
            2 | 3 => dir.checkpoint(self.random.below(2) == 0).await,
            4 => {
                let (start, end) = (log.log_start_offset(), log.high_watermark());
                let to = start + self.random.below((end - start) as u64 / 3 + 1) as i64;
                dir.delete_records_before(log, to).await.map(drop)
            }
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

#[test]
fn random_transactions_are_told_right_through_rolls_deletes_and_restarts() {
    for seed in 0..30 {
        let disk = SimDisk::new(seed);
        let random = Random::from_seed(seed);
        let history = Arc::new(Mutex::new(History::default()));
        for life in 0..5 {
            let mut story = Story {
                random: random.clone(),
                history: Arc::clone(&history),
                named: life << 32,
            };
            run(&disk, |runtime| async move {
                let (dir, log) = open(&runtime, config(seed)).await;
                story.history.lock().compare_with_batches(&log);
                for _ in 0..25 {
                    compare(&story, &log).await;
                    assert!(story.step(&dir, &log).await);
                }
                compare(&story, &log).await;
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

async fn compare(story: &Story, log: &Log) {
    let history = std::mem::take(&mut *story.history.lock());
    history.compare_transactions(log, &story.random).await;
    *story.history.lock() = history;
}

/// Plays the story of a seed until the power fails at the given change, and then looks at what is
/// left. `false` when the story was over before.
fn fails_at(seed: u64, change: u64, after: bool) -> bool {
    let below = SimDisk::new(seed ^ (change << 8));
    let power = PowerDisk::new(&below, change, after);
    let history = Arc::new(Mutex::new(History::default()));
    let mut story = Story {
        random: Random::from_seed(seed),
        history: Arc::clone(&history),
        named: 0,
    };
    let (failing, playing) = (&power, &mut story);
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(&below, |mut runtime| async move {
            runtime.disk = Arc::new(failing.clone());
            let play = async {
                let (dir, log) = open(&runtime, config(seed)).await;
                for _ in 0..30 {
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
    let known = &history;
    let look = |runtime: Runtime| async move {
        let random = Random::from_seed(seed);
        let (dir, log) = open(&runtime, config(seed)).await;
        let mut history = std::mem::take(&mut *known.lock());
        history.compare_with_batches(&log);
        history.compare_transactions(&log, &random).await;
        dir.close().await.unwrap();
        history
    };
    let mut found = run(&below, look);
    // And once more, from what the recovery wrote.
    run(&below, |runtime| async move {
        let (_dir, log) = open(&runtime, config(seed)).await;
        found.compare_with_batches(&log);
        found
            .compare_transactions(&log, &Random::from_seed(seed))
            .await;
    });
    power.is_off()
}

#[test]
fn transactions_survive_a_power_failure_at_every_change_of_the_disk() {
    for seed in 0..2 {
        let mut change = 0;
        while fails_at(seed, change, change % 2 == seed % 2) {
            change += 1;
        }
        assert!(change > 60, "the story is too short");
    }
}
