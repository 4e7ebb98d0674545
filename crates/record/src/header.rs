//! The 61 bytes before the records.

use std::fmt;

use ottla_model::{LeaderEpoch, NO_PRODUCER_ID, NO_SEQUENCE, Offset, ProducerEpoch, ProducerId};
use ottla_model::{NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_TIMESTAMP, TimestampMs};

use crate::{Compression, Error};

/// Bytes from the base offset to the record count.
pub const HEADER_LEN: usize = 61;
/// Bytes before those that `batch_length` counts: the base offset and the length itself.
pub const LENGTH_OVERHEAD: usize = 12;
/// The magic byte of the only format that Kafka 4 writes.
pub const MAGIC: i8 = 2;

/// The CRC covers the batch from here.
pub(crate) const CRC_START: usize = 21;
pub(crate) const MAGIC_AT: usize = 16;
const MIN_BATCH_LENGTH: i32 = (HEADER_LEN - LENGTH_OVERHEAD) as i32;

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Whose clock the timestamps of a batch come from (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The leader's, when it appended: every record has the batch's max timestamp.
    LogAppendTime,
}

/// Kafka's name: `CreateTime` or `LogAppendTime`.
impl fmt::Display for TimestampType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        })
    }
}

/// The flags of a batch; bits that Kafka does not define are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    /// How the records are compressed; an error when the three bits name nothing.
    pub fn compression(self) -> Result<Compression, Error> {
        Compression::from_id((self.0 & COMPRESSION_MASK) as u8)
    }

    /// Whose clock the timestamps come from.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the records belong to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether the records are for the brokers and not for consumers.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Whether the base timestamp says when compaction may drop the batch's tombstones (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    /// The same flags with another compression.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Attributes((self.0 & !COMPRESSION_MASK) | i16::from(compression.id()))
    }

    /// The same flags with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(
            LOG_APPEND_TIME,
            timestamp_type == TimestampType::LogAppendTime,
        )
    }

    /// The same flags, transactional or not.
    #[must_use]
    pub fn with_transactional(self, on: bool) -> Self {
        self.with(TRANSACTIONAL, on)
    }

    /// The same flags, control batch or not.
    #[must_use]
    pub fn with_control(self, on: bool) -> Self {
        self.with(CONTROL, on)
    }

    /// The same flags, with or without a delete horizon.
    #[must_use]
    pub fn with_delete_horizon(self, on: bool) -> Self {
        self.with(DELETE_HORIZON, on)
    }

    fn with(self, bit: i16, on: bool) -> Self {
        Attributes(if on { self.0 | bit } else { self.0 & !bit })
    }
}

/// The fields of a batch before its records, in the order of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record, also after compaction removed it. A producer sends 0.
    pub base_offset: Offset,
    /// Bytes after this field; the whole batch has 12 more.
    pub batch_length: i32,
    /// The epoch of the leader that appended the batch.
    pub partition_leader_epoch: LeaderEpoch,
    /// The format: 2.
    pub magic: i8,
    /// CRC-32C from the attributes to the end.
    pub crc: u32,
    /// Compression and flags.
    pub attributes: Attributes,
    /// The last record's offset minus the base offset, also after compaction.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to.
    pub base_timestamp: TimestampMs,
    /// The largest timestamp, or the time of the append.
    pub max_timestamp: TimestampMs,
    /// The idempotent producer, or -1.
    pub producer_id: ProducerId,
    /// The producer's epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// The first record's sequence, or -1.
    pub base_sequence: i32,
    /// How many records follow; compaction may have left fewer than the offsets suggest.
    pub record_count: i32,
}

/// An empty, uncompressed batch at offset 0, of nobody.
impl Default for BatchHeader {
    fn default() -> Self {
        BatchHeader {
            base_offset: 0,
            batch_length: MIN_BATCH_LENGTH,
            partition_leader_epoch: NO_LEADER_EPOCH,
            magic: MAGIC,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: -1,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            record_count: 0,
        }
    }
}

impl BatchHeader {
    /// Reads a header from the front of `bytes`, which may go on behind it.
    ///
    /// Magic and length are checked, so that [`BatchHeader::total_len`] can be trusted to be at
    /// least [`HEADER_LEN`]. The CRC is not: see [`crate::Batch::verify_crc`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let truncated = || Error::Truncated {
            needed: HEADER_LEN,
            available: bytes.len(),
        };
        // Magic before size: batches of older formats are shorter, and should be named as such.
        let magic = *bytes.get(MAGIC_AT).ok_or_else(truncated)? as i8;
        if magic != MAGIC {
            return Err(Error::Magic { magic });
        }
        let head: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or_else(truncated)?;
        let batch_length = i32::from_be_bytes(field(head, 8));
        if batch_length < MIN_BATCH_LENGTH {
            return Err(Error::BatchLength {
                length: batch_length,
            });
        }
        Ok(BatchHeader {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length,
            partition_leader_epoch: i32::from_be_bytes(field(head, 12)),
            magic,
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: Attributes(i16::from_be_bytes(field(head, CRC_START))),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            record_count: i32::from_be_bytes(field(head, 57)),
        })
    }

    /// The whole batch in bytes. A negative `batch_length`, which `parse` refuses, counts as 0.
    #[must_use]
    pub fn total_len(&self) -> usize {
        LENGTH_OVERHEAD + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// The offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset
            .wrapping_add(i64::from(self.last_offset_delta))
    }

    /// The sequence of the last record, or -1 without a producer. After `i32::MAX` comes 0.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        increment_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// Whether an idempotent producer wrote the batch.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The bytes of the header, with the CRC as it stands in the field.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(slot) = out.get_mut(at..at + bytes.len()) {
                slot.copy_from_slice(bytes);
            }
        };
        put(0, &self.base_offset.to_be_bytes());
        put(8, &self.batch_length.to_be_bytes());
        put(12, &self.partition_leader_epoch.to_be_bytes());
        put(MAGIC_AT, &self.magic.to_be_bytes());
        put(17, &self.crc.to_be_bytes());
        put(CRC_START, &self.attributes.0.to_be_bytes());
        put(23, &self.last_offset_delta.to_be_bytes());
        put(27, &self.base_timestamp.to_be_bytes());
        put(35, &self.max_timestamp.to_be_bytes());
        put(43, &self.producer_id.to_be_bytes());
        put(51, &self.producer_epoch.to_be_bytes());
        put(53, &self.base_sequence.to_be_bytes());
        put(57, &self.record_count.to_be_bytes());
        out
    }

    /// Sets the CRC for `body`, the bytes after the header, and encodes.
    pub(crate) fn seal(&mut self, body: &[u8]) -> [u8; HEADER_LEN] {
        self.crc = 0;
        let mut head = self.encode();
        self.crc = crc32c(&head[CRC_START..], body);
        head[17..CRC_START].copy_from_slice(&self.crc.to_be_bytes());
        head
    }
}

/// The sequence `by` records later; after `i32::MAX` comes 0 (KIP-98).
#[must_use]
pub(crate) fn increment_sequence(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    if sum > i64::from(i32::MAX) {
        (sum - i64::from(i32::MAX) - 1) as i32
    } else {
        sum as i32
    }
}

/// CRC-32C of two pieces as if they were one.
pub(crate) fn crc32c(first: &[u8], second: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(first);
    digest.update(second);
    digest.finalize() as u32
}

fn field<const N: usize>(head: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(bytes) = head.get(at..at + N) {
        out.copy_from_slice(bytes);
    }
    out
}
