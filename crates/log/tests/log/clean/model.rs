//! What a compacted log must look like, whatever was compacted.

use std::collections::BTreeMap;

use ottla_log::{Append, Cleaned, Cleaner, CleanerHandle, CleanerOptions, Log, LogConfig, LogDir};
use ottla_log::{Error, UpTo};
use ottla_record::{Batch, BatchBuilder, BatchOptions, Compression, split_batches};

use crate::world::*;

/// A key, and its value unless it is a tombstone.
pub(crate) type Pair = (String, Option<String>);

/// Many small segments, of a compacted log.
pub(crate) fn compacted() -> LogConfig {
    LogConfig {
        compact: true,
        delete: false,
        segment_bytes: 700,
        index_interval_bytes: 150,
        delete_retention_ms: 1000,
        ..LogConfig::default()
    }
}

pub(crate) fn pair(key: &str, value: &str) -> Pair {
    (key.to_owned(), Some(value.to_owned()))
}

pub(crate) fn tombstone(key: &str) -> Pair {
    (key.to_owned(), None)
}

pub(crate) fn keyed(options: BatchOptions, timestamp: i64, pairs: &[Pair]) -> Batch {
    let mut builder = BatchBuilder::new(options);
    for (i, (key, value)) in pairs.iter().enumerate() {
        let (at, value) = (timestamp + i as i64, value.as_ref().map(String::as_bytes));
        builder
            .append(at, Some(key.as_bytes()), value, &[])
            .unwrap();
    }
    builder.build_batch().unwrap()
}

pub(crate) fn compressed(compression: Compression) -> BatchOptions {
    BatchOptions {
        compression,
        ..BatchOptions::default()
    }
}

/// A cleaner with small buffers, so that little data takes many steps.
pub(crate) fn cleaner(dir: &LogDir) -> CleanerHandle {
    let options = CleanerOptions {
        io_buffer_bytes: 8192,
        decompressed_bytes_max: LIMIT.0,
        ..CleanerOptions::default()
    };
    Cleaner::new(dir, options).1
}

pub(crate) async fn clean(dir: &LogDir, log: &Log) -> Option<Cleaned> {
    cleaner(dir).clean(log).await.unwrap()
}

/// Everything that was appended, and up to where it may have been compacted.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) records: BTreeMap<i64, Pair>,
    pub(crate) end: i64,
    /// Nothing from here on was ever touched.
    pub(crate) touched: i64,
}

impl Model {
    pub(crate) async fn append(&mut self, log: &Log, pairs: &[Pair]) {
        self.append_batch(log, keyed(BatchOptions::default(), 1000, pairs), pairs)
            .await;
    }

    pub(crate) async fn append_batch(&mut self, log: &Log, batch: Batch, pairs: &[Pair]) {
        let append = Append::from_client(vec![batch], 0);
        let appended = log.append(append).await.unwrap();
        assert_eq!(appended.base_offset, self.end, "offsets go on");
        for (i, pair) in pairs.iter().enumerate() {
            self.records.insert(self.end + i as i64, pair.clone());
        }
        self.end += pairs.len() as i64;
    }

    pub(crate) async fn clean(&mut self, dir: &LogDir, log: &Log) -> Option<Cleaned> {
        let cleaned = clean(dir, log).await;
        if let Some(cleaned) = &cleaned {
            self.touched = self.touched.max(cleaned.to);
        }
        cleaned
    }

    /// The values of all keys that have one.
    pub(crate) fn latest(&self, from: i64) -> BTreeMap<String, String> {
        latest(self.records.range(from..).map(|(_, pair)| pair))
    }

    /// Compares what the log has with what it must have.
    pub(crate) fn check(&self, log: &Log) {
        assert_eq!(log.log_end_offset(), self.end);
        let start = log.log_start_offset();
        let found = read_pairs(log).unwrap();
        let mut before = start - 1;
        for (offset, pair) in &found {
            assert!(*offset > before, "offset {offset} after {before}");
            before = *offset;
            assert_eq!(self.records.get(offset), Some(pair), "offset {offset}");
        }
        assert_eq!(
            latest(found.iter().map(|(_, pair)| pair)),
            self.latest(start),
            "the newest values"
        );
        let untouched = self.records.range(self.touched.max(start)..);
        let kept: Vec<i64> = found.iter().map(|(o, _)| *o).collect();
        for (offset, _) in untouched {
            assert!(kept.contains(offset), "offset {offset} was touched");
        }
    }
}

fn latest<'a>(pairs: impl Iterator<Item = &'a Pair>) -> BTreeMap<String, String> {
    let mut latest = BTreeMap::new();
    for (key, value) in pairs {
        match value {
            Some(value) => latest.insert(key.clone(), value.clone()),
            None => latest.remove(key),
        };
    }
    latest
}

/// All records from the log's start.
pub(crate) fn read_pairs(log: &Log) -> Result<Vec<(i64, Pair)>, Error> {
    let mut found = Vec::new();
    let mut at = log.log_start_offset();
    let batches = read_batches(log)?.into_iter();
    for batch in batches.filter(|b| !b.header().attributes.is_control()) {
        for record in batch.records(LIMIT).unwrap() {
            let record = record.unwrap();
            if record.offset >= at {
                let text = |b: bytes::Bytes| String::from_utf8(b.to_vec()).unwrap();
                let pair = (text(record.key.unwrap()), record.value.map(text));
                found.push((record.offset, pair));
            }
        }
        at = at.max(batch.header().last_offset() + 1);
    }
    Ok(found)
}

/// All batches from the log's start.
pub(crate) fn read_batches(log: &Log) -> Result<Vec<Batch>, Error> {
    let mut batches = Vec::new();
    let mut at = log.log_start_offset();
    loop {
        let result = log.read_blocking(at, 500, true, UpTo::LogEnd)?;
        if result.chunks.is_empty() {
            return Ok(batches);
        }
        assert!(result.next_offset > at, "a read that does not move on");
        let bytes: Vec<u8> = result.chunks.concat();
        for batch in split_batches(bytes.into()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            batches.push(batch);
        }
        at = result.next_offset;
    }
}
