//! A machine with a simulated disk, which can lose its power and start again.

use std::future::Future;
use std::path::{Path, PathBuf};

use ottla_log::{Append, Error, Log, LogConfig, LogDir, LogDirOptions, UpTo};
use ottla_log::{TransactionMarker, Verification};
use ottla_model::{Offset, TopicId, TopicName, TopicPartition, Uuid};
use ottla_record::{
    Batch, BatchBuilder, BatchOptions, ControlType, DecompressLimit, split_batches,
};
use ottla_runtime::Runtime;
use ottla_runtime::disk::SimDisk;

pub(crate) const ROOT: &str = "/data";
pub(crate) const LIMIT: DecompressLimit = DecompressLimit(16 << 20);
pub(crate) const TOPIC_ID: TopicId = Uuid([7; 16]);

pub(crate) fn root() -> PathBuf {
    PathBuf::from(ROOT)
}

pub(crate) fn partition(n: i32) -> TopicPartition {
    TopicPartition::new(TopicName::new("orders").unwrap(), n)
}

/// Small segments and dense indexes, so that little data shows much.
pub(crate) fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 200,
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    }
}

pub(crate) fn options() -> LogDirOptions {
    LogDirOptions {
        checkpoint_min_bytes: 1,
        ..LogDirOptions::default()
    }
}

/// Runs one life of the machine's process on virtual time; `None` when it was killed after
/// `limit_us`.
pub(crate) fn live<F: Future>(
    disk: &SimDisk,
    seed: u64,
    limit_us: Option<u64>,
    life: impl FnOnce(Runtime) -> F,
) -> Option<F::Output> {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    tokio.block_on(async {
        let runtime = Runtime::simulated(seed, disk.clone());
        match limit_us {
            None => Some(life(runtime).await),
            Some(us) => {
                let limit = std::time::Duration::from_micros(us);
                tokio::time::timeout(limit, life(runtime)).await.ok()
            }
        }
    })
}

/// One life that nobody kills.
pub(crate) fn run<F: Future>(disk: &SimDisk, life: impl FnOnce(Runtime) -> F) -> F::Output {
    live(disk, 1, None, life).unwrap()
}

pub(crate) fn open_dir(runtime: &Runtime) -> LogDir {
    LogDir::open(runtime, options(), Path::new(ROOT)).unwrap().0
}

pub(crate) async fn open(runtime: &Runtime, config: LogConfig) -> (LogDir, Log) {
    let dir = open_dir(runtime);
    let log = dir.open_log(partition(0), TOPIC_ID, config).await.unwrap();
    (dir, log)
}

/// A batch of records with the given values, and timestamps from `timestamp` on.
pub(crate) fn batch_at(timestamp: i64, values: &[&str]) -> Batch {
    build(timestamp, values, BatchOptions::default())
}

pub(crate) fn batch(values: &[&str]) -> Batch {
    batch_at(1000, values)
}

/// A batch of an idempotent producer.
pub(crate) fn idempotent(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Batch {
    let options = BatchOptions {
        producer_id: id,
        producer_epoch: epoch,
        base_sequence: sequence,
        ..BatchOptions::default()
    };
    build(1000, values, options)
}

/// A batch of a transactional producer.
pub(crate) fn transactional(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Batch {
    let options = BatchOptions {
        producer_id: id,
        producer_epoch: epoch,
        base_sequence: sequence,
        transactional: true,
        ..BatchOptions::default()
    };
    build(1000, values, options)
}

/// As a client of `version` 1 or 2 appends it: verified first, if that is needed.
pub(crate) fn verified(log: &Log, batch: Batch, version: i16) -> Append {
    let header = *batch.header();
    let (id, epoch) = (header.producer_id, header.producer_epoch);
    let verification = log.verification(id, epoch, header.base_sequence, version >= 2);
    match verification.unwrap() {
        Verification::Ongoing => client(batch),
        Verification::Needed(guard) => client(batch).with_guard(guard),
    }
}

/// The end of a transaction, as a coordinator of epoch 0 writes it.
pub(crate) fn marker(id: i64, epoch: i16, commit: bool, version: i16) -> Append {
    let marker = TransactionMarker {
        producer_id: id,
        producer_epoch: epoch,
        coordinator_epoch: 0,
        commit,
        transaction_version: version,
    };
    Append::transaction_marker(marker, 0)
}

/// What a consumer of committed records sees, as the clients do it: it leaves out what the result
/// says was aborted.
pub(crate) fn read_committed(log: &Log, from: Offset) -> Result<Vec<(Offset, String)>, Error> {
    let mut records = Vec::new();
    let mut at = from;
    loop {
        let cached = log.try_read_cached(at, 700, true, UpTo::LastStable);
        let result = log.read_blocking(at, 700, true, UpTo::LastStable)?;
        if let Some(cached) = cached {
            assert_eq!(cached?, result);
        }
        if result.chunks.is_empty() {
            return Ok(records);
        }
        let mut aborted = result.aborted;
        aborted.sort_by_key(|a| a.first_offset);
        let mut aborting = std::collections::BTreeSet::new();
        let bytes: Vec<u8> = result.chunks.concat();
        for batch in split_batches(bytes.into()) {
            let batch = batch.unwrap();
            let header = *batch.header();
            let begun = aborted.partition_point(|a| a.first_offset <= header.last_offset());
            aborting.extend(aborted.drain(..begun).map(|a| a.producer_id));
            if header.attributes.is_control() {
                let (control_type, _) = batch.control_record(LIMIT).unwrap();
                if control_type == ControlType::Abort {
                    aborting.remove(&header.producer_id);
                }
                continue;
            }
            if header.attributes.is_transactional() && aborting.contains(&header.producer_id) {
                continue;
            }
            for record in batch.records(LIMIT).unwrap() {
                let record = record.unwrap();
                if record.offset >= at {
                    let value = record.value.unwrap();
                    records.push((record.offset, String::from_utf8(value.to_vec()).unwrap()));
                }
            }
        }
        assert!(result.next_offset > at && result.next_offset <= result.last_stable_offset);
        at = result.next_offset;
    }
}

fn build(timestamp: i64, values: &[&str], options: BatchOptions) -> Batch {
    let mut builder = BatchBuilder::new(options);
    for (i, value) in values.iter().enumerate() {
        let at = timestamp + i as i64;
        builder
            .append(at, None, Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder.build_batch().unwrap()
}

pub(crate) fn client(batch: Batch) -> Append {
    Append::from_client(vec![batch], 0)
}

/// All records of a log from its start, each batch checked as a strict consumer would.
pub(crate) fn read_all(log: &Log, up_to: UpTo) -> Result<Vec<(Offset, String)>, Error> {
    read_from(log, log.log_start_offset(), up_to)
}

pub(crate) fn read_from(
    log: &Log,
    from: Offset,
    up_to: UpTo,
) -> Result<Vec<(Offset, String)>, Error> {
    let mut records = Vec::new();
    let mut at = from;
    loop {
        let result = log.read_blocking(at, 700, true, up_to)?;
        if result.chunks.is_empty() {
            return Ok(records);
        }
        assert!(result.next_offset > at, "a read that does not move on");
        assert_eq!(
            result.bytes,
            result.chunks.iter().map(|c| c.len()).sum::<usize>()
        );
        let bytes: Vec<u8> = result.chunks.concat();
        for batch in split_batches(bytes.into()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            for record in batch.records(LIMIT).unwrap() {
                let record = record.unwrap();
                if record.offset >= at {
                    let value = record.value.unwrap();
                    records.push((record.offset, String::from_utf8(value.to_vec()).unwrap()));
                }
            }
        }
        at = result.next_offset;
    }
}
