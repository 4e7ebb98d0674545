//! Builds batches, for our own tools and internal topics.

use bytes::Bytes;
use ottla_model::{LeaderEpoch, NO_LEADER_EPOCH, Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_model::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP};

use crate::header::{HEADER_LEN, MAGIC};
use crate::varint::{put_varlong, varlong_len};
use crate::{Attributes, Batch, BatchHeader, Compression, Error, Header, TimestampType};

/// What a batch says besides its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// How the records are compressed.
    pub compression: Compression,
    /// See [`Compression::compress`].
    pub level: Option<i32>,
    /// With [`TimestampType::LogAppendTime`] the records' timestamps are those of the batch.
    pub timestamp_type: TimestampType,
    /// The idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// The producer's epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// The first record's sequence, or -1.
    pub base_sequence: i32,
    /// Whether the records belong to a transaction.
    pub transactional: bool,
    /// Whether the records are control records.
    pub control: bool,
    /// The first record's offset.
    pub base_offset: Offset,
    /// The epoch of the leader that appends the batch, or -1.
    pub leader_epoch: LeaderEpoch,
}

/// What a producer without idempotence and compression sends.
impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions {
            compression: Compression::None,
            level: None,
            timestamp_type: TimestampType::CreateTime,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            base_offset: 0,
            leader_epoch: NO_LEADER_EPOCH,
        }
    }
}

/// Collects records and makes one batch of them.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    options: BatchOptions,
    records: Vec<u8>,
    count: i32,
    last_offset_delta: i32,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
}

impl BatchBuilder {
    /// Begins an empty batch.
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        BatchBuilder {
            options,
            records: Vec::new(),
            count: 0,
            last_offset_delta: -1,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// Appends a record with the next offset, and returns that offset.
    ///
    /// An error when the batch would outgrow 2 GiB; the batch is then as it was before.
    pub fn append(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<Offset, Error> {
        let offset = self
            .options
            .base_offset
            .wrapping_add(i64::from(self.last_offset_delta) + 1);
        self.append_at(offset, timestamp, key, value, headers)?;
        Ok(offset)
    }

    /// Appends a record at an offset behind those before, as compaction does, which leaves gaps.
    pub fn append_at(
        &mut self,
        offset: Offset,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), Error> {
        let build = |reason| Error::Build { reason };
        let delta = offset
            .checked_sub(self.options.base_offset)
            .and_then(|delta| i32::try_from(delta).ok())
            .filter(|&delta| delta > self.last_offset_delta)
            .ok_or(build("offsets must grow, and span less than 2^31"))?;
        let base_timestamp = if self.count == 0 {
            timestamp
        } else {
            self.base_timestamp
        };
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let len = record_len(timestamp_delta, delta, key, value, headers);
        let total = self.records.len() + varlong_len(len as i64) + len;
        if total > i32::MAX as usize - HEADER_LEN {
            return Err(build("more than 2 GiB of records"));
        }
        self.records.reserve(total - self.records.len());
        let out = &mut self.records;
        put_varlong(out, len as i64);
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varlong(out, i64::from(delta));
        put_sized(out, key);
        put_sized(out, value);
        put_varlong(out, headers.len() as i64);
        for header in headers {
            put_sized(out, Some(&header.key));
            put_sized(out, header.value.as_deref());
        }
        self.count += 1;
        self.last_offset_delta = delta;
        self.base_timestamp = base_timestamp;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(())
    }

    /// How many records were appended.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.count
    }

    /// Whether no record was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The batch's size in bytes without compression; compression makes it smaller, as a rule.
    #[must_use]
    pub fn size_estimate(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// The batch as bytes; see [`BatchBuilder::build_batch`].
    pub fn build(self) -> Result<Bytes, Error> {
        self.build_batch().map(|batch| batch.bytes().clone())
    }

    /// Compresses the records and writes the header. An error when the compressor fails.
    pub fn build_batch(self) -> Result<Batch, Error> {
        let options = self.options;
        let header = BatchHeader {
            base_offset: options.base_offset,
            batch_length: 0,
            partition_leader_epoch: options.leader_epoch,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes(0)
                .with_compression(options.compression)
                .with_timestamp_type(options.timestamp_type)
                .with_transactional(options.transactional)
                .with_control(options.control),
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            record_count: self.count,
        };
        if options.compression == Compression::None {
            return Batch::assemble(header, &self.records);
        }
        let body = options.compression.compress(&self.records, options.level)?;
        Batch::assemble(header, &body)
    }
}

fn record_len(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header],
) -> usize {
    let headers_len: usize = headers
        .iter()
        .map(|header| sized_len(Some(&header.key)) + sized_len(header.value.as_deref()))
        .sum();
    1 + varlong_len(timestamp_delta)
        + varlong_len(i64::from(offset_delta))
        + sized_len(key)
        + sized_len(value)
        + varlong_len(headers.len() as i64)
        + headers_len
}

fn sized_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(bytes.len() as i64) + bytes.len())
}

fn put_sized(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
