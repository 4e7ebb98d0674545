//! What compaction of 1 GiB costs: `cargo bench -p ottla-log --bench compaction`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ottla_log::{Append, Cleaner, CleanerOptions, Log, LogConfig, LogDir, LogDirOptions};
use ottla_model::{TopicId, TopicName, TopicPartition};
use ottla_record::{BatchBuilder, BatchOptions};
use ottla_runtime::{Random, Runtime, system};

type Failed = Box<dyn std::error::Error>;

const TOTAL_BYTES: u64 = 1 << 30;
const KEYS: u64 = 500_000;

fn main() -> Result<(), Failed> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    tokio.block_on(measure())
}

#[expect(clippy::print_stdout, reason = "the measurement")]
async fn measure() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::real();
    let (dir, _) = LogDir::open(&runtime, LogDirOptions::default(), folder.path())?;
    let config = LogConfig {
        compact: true,
        wait_for_disk: false,
        segment_bytes: 100 << 20,
        ..LogConfig::default()
    };
    let partition = TopicPartition::new(TopicName::new("bench")?, 0);
    let log = dir.open_log(partition, TopicId::ZERO, config).await?;
    fill(&log).await?;
    let peak = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let watching = watch_memory(Arc::clone(&peak), Arc::clone(&done));
    let watching = tokio::spawn(watching);
    let before = system::resident_memory_bytes().unwrap_or(0);
    let (cpu, began) = (system::processor_seconds(), runtime.clock.instant());
    let (_service, cleaner) = Cleaner::new(&dir, CleanerOptions::default());
    let cleaned = cleaner.clean(&log).await?.ok_or("nothing was cleaned")?;
    let cpu = system::processor_seconds()
        .zip(cpu)
        .map_or(0.0, |(b, a)| b - a);
    let wall = runtime.clock.instant().duration_since(began);
    done.store(true, Ordering::Relaxed);
    watching.await?;
    let gib = cleaned.map_bytes as f64 / f64::from(1 << 30);
    let peak = peak.load(Ordering::Relaxed).saturating_sub(before);
    println!("{cleaned:#?}");
    println!(
        "{gib:.2} GiB dirty: {:.2} CPU s/GiB, {:.1} s, at most {} MiB of memory",
        cpu / gib,
        wall.as_secs_f64(),
        peak >> 20
    );
    Ok(())
}

/// Records of 100 bytes to 1 KiB, in batches of about 16 KiB.
async fn fill(log: &Log) -> Result<(), Failed> {
    let random = Random::from_seed(1);
    let noise: Vec<u8> = (0..4096).map(|_| random.next_u64() as u8).collect();
    let mut written = 0;
    let mut last = None;
    while written < TOTAL_BYTES {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        while builder.size_estimate() < 16 << 10 {
            let key = format!("some-key-{:08}", random.below(KEYS));
            let (from, len) = (
                random.below(3000) as usize,
                100 + random.below(924) as usize,
            );
            let value = noise.get(from..from + len).unwrap_or_default();
            builder.append(1000, Some(key.as_bytes()), Some(value), &[])?;
        }
        let batch = builder.build_batch()?;
        written += batch.bytes().len() as u64;
        let appending = log.append(Append::from_client(vec![batch], 0));
        if let Some(earlier) = last.replace(appending) {
            earlier.await?;
        }
    }
    if let Some(last) = last {
        last.await?;
    }
    log.roll().await?;
    Ok(())
}

async fn watch_memory(peak: Arc<AtomicU64>, done: Arc<AtomicBool>) {
    while !done.load(Ordering::Relaxed) {
        let now = system::resident_memory_bytes().unwrap_or(0);
        peak.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
