//! The power fails at any moment: what was acknowledged is there, and nothing else is wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_log::{AppendError, LogConfig, LogDir, UpTo};
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Random, Runtime};
use parking_lot::Mutex;

use crate::world::*;

/// What the clients know; it outlives the machine.
#[derive(Default)]
struct Clients {
    /// Acknowledged values by offset.
    acked: BTreeMap<i64, String>,
    /// Each producer's next sequence, and the values that it sent and has no answer for.
    producers: HashMap<i64, Producer>,
    log_start: i64,
}

#[derive(Default)]
struct Producer {
    next_sequence: i32,
    pending: Vec<(i32, Vec<String>)>,
    last_acked: Option<(i32, Vec<String>, i64)>,
    last_offset: i64,
}

fn config(seed: u64) -> LogConfig {
    LogConfig {
        segment_bytes: 600 + (seed % 5) * 700,
        ..small()
    }
}

/// Sends what is pending and then new records, one batch at a time, as a careful producer does.
async fn produce(log: ottla_log::Log, id: i64, clients: Arc<Mutex<Clients>>, random: Random) {
    loop {
        let (sequence, values) = {
            let mut clients = clients.lock();
            let producer = clients.producers.entry(id).or_default();
            if producer.pending.is_empty() {
                let sequence = producer.next_sequence;
                let count = 1 + random.below(4);
                let filler = "x".repeat(random.below(120) as usize);
                let values: Vec<String> = (0..count)
                    .map(|i| format!("{id}/{}/{filler}", i64::from(sequence) + i as i64))
                    .collect();
                producer.next_sequence += count as i32;
                producer.pending.push((sequence, values));
            }
            producer.pending[0].clone()
        };
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let appended = log
            .append(client(idempotent(id, 0, sequence, &texts)))
            .await;
        let appended = match appended {
            Ok(appended) => appended,
            Err(AppendError::Closed) => return,
            Err(other) => panic!("producer {id} at {sequence}: {other}"),
        };
        let mut clients = clients.lock();
        let producer = clients.producers.get_mut(&id).unwrap();
        assert!(appended.base_offset > producer.last_offset || producer.last_acked.is_none());
        producer.last_offset = appended.last_offset;
        producer.pending.clear();
        producer.last_acked = Some((sequence, values.clone(), appended.base_offset));
        for (i, value) in values.into_iter().enumerate() {
            let before = clients.acked.insert(appended.base_offset + i as i64, value);
            assert_eq!(before, None, "an offset was given out twice");
        }
    }
}

/// Everything else that happens to a log.
async fn disturb(dir: LogDir, log: ottla_log::Log, clients: Arc<Mutex<Clients>>, random: Random) {
    loop {
        tokio::time::sleep(std::time::Duration::from_micros(random.below(40_000))).await;
        match random.below(6) {
            0 => log.flush().await.unwrap(),
            1 => log.roll().await.unwrap(),
            2 | 3 => dir.checkpoint(random.below(2) == 0).await.unwrap(),
            4 => {
                let end = log.high_watermark();
                let start = log.log_start_offset();
                let to = start + (random.below((end - start) as u64 + 1) / 3) as i64;
                // Known before it is done: a crash may leave either.
                clients.lock().log_start = to;
                dir.delete_records_before(&log, to).await.unwrap();
            }
            _ => {
                let open = log.append(client(batch(&["of nobody"])));
                drop(open);
            }
        }
    }
}

async fn verify(log: &ottla_log::Log, clients: &Mutex<Clients>, seed: u64) {
    let records = read_all(log, UpTo::LogEnd).unwrap();
    let by_offset: HashMap<i64, &String> = records.iter().map(|(o, v)| (*o, v)).collect();
    assert_eq!(
        by_offset.len(),
        records.len(),
        "seed {seed}: an offset twice"
    );
    let offsets = log.offsets();
    assert_eq!(
        records.len() as i64,
        offsets.log_end_offset - offsets.log_start_offset,
        "seed {seed}: a hole"
    );
    let mut again = Vec::new();
    {
        let clients = clients.lock();
        assert!(
            offsets.log_start_offset <= clients.log_start,
            "seed {seed}: too much was deleted"
        );
        for (offset, value) in clients.acked.range(offsets.log_start_offset..) {
            assert_eq!(
                by_offset.get(offset),
                Some(&value),
                "seed {seed}: offset {offset} lost"
            );
        }
        let mut seen: HashMap<&str, i64> = HashMap::new();
        for (offset, value) in &records {
            if value != "of nobody"
                && let Some(other) = seen.insert(value, *offset)
            {
                panic!("seed {seed}: {value} is at {other} and at {offset}");
            }
        }
        for (id, producer) in &clients.producers {
            if let Some((sequence, values, offset)) = &producer.last_acked
                && producer.pending.is_empty()
            {
                again.push((*id, *sequence, values.clone(), *offset));
            }
        }
    }
    for (id, sequence, values, offset) in again {
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let appended = log
            .append(client(idempotent(id, 0, sequence, &texts)))
            .await
            .unwrap();
        assert!(
            appended.duplicate,
            "seed {seed}: producer {id} was forgotten"
        );
        assert_eq!(appended.base_offset, offset);
    }
}

fn one_seed(seed: u64) {
    let disk = SimDisk::new(seed);
    let random = Random::from_seed(seed);
    let clients = Arc::new(Mutex::new(Clients::default()));
    for life in 0..5 {
        let limit = (life < 4).then(|| 20_000 + random.below(400_000));
        let (clients, random) = (Arc::clone(&clients), random.clone());
        let story = |runtime: Runtime| async move {
            let (dir, log) = open(&runtime, config(seed)).await;
            verify(&log, &clients, seed).await;
            if life == 4 {
                return;
            }
            for id in 0..3 {
                tokio::spawn(produce(
                    log.clone(),
                    id,
                    Arc::clone(&clients),
                    random.clone(),
                ));
            }
            disturb(dir, log, clients, random).await;
        };
        live(&disk, seed * 10 + life, limit, story);
        disk.crash();
    }
    assert!(!clients.lock().acked.is_empty());
}

#[test]
fn acknowledged_records_survive_power_failures_at_any_moment() {
    for seed in 0..100 {
        one_seed(seed);
    }
}
