//! What a broker checks before it takes a producer's records.
//!
//! | checked | how |
//! |---|---|
//! | one batch, magic 2, lengths, size, CRC, base offset 0, count against offsets, no control batch, sequence, transaction flag | always, from the header |
//! | record framing, count against records, dense offsets, keys on compacted topics, timestamps, honest max timestamp | always for uncompressed batches, by walking the records without allocating |
//! | the same for compressed batches | only when a rule needs it, see below |
//!
//! Kafka decompresses every compressed batch to look into it. Ottla does when it must: the topic is
//! compacted (keys), `message.timestamp.before.max.ms` is bounded (the header does not have the
//! smallest timestamp), the header's timestamps are out of bounds or disagree with each other (the
//! producer learns which record it was), the topic's `compression.type` asks for another
//! compression, or [`Rules::look_into_compressed`] says always. Otherwise the compressed bytes are
//! stored unseen. The CRC proves that they are what the producer sent. If a producer compressed
//! rubbish, consumers of that topic see the error that they would see with any broken producer; the
//! broker itself never reads such bytes without a limit, and every reader returns an error.

mod records;

use bytes::Bytes;
use ottla_model::{ErrorCode, TimestampMs};

use crate::header::{HEADER_LEN, LENGTH_OVERHEAD, MAGIC_AT};
use crate::recompress::assemble_with;
use crate::record::MIN_RECORD_LEN;
use crate::{Batch, BatchHeader, Compression, DecompressLimit, Error, TimestampType};
use records::check_records;

/// More record errors than this are counted but not listed: a batch can hold 150,000 tiny records
/// in 1 MiB, and each listed error is a hundred bytes of answer.
pub const MAX_RECORD_ERRORS: usize = 100;

/// The smallest length field of any format; what is smaller is not a batch at all.
const MIN_LENGTH_V0: i32 = 14;
/// The first version of Produce that may carry zstd (KIP-110).
const FIRST_ZSTD_VERSION: i16 = 7;

/// What the topic and the request ask of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The version of the Produce request, at least 3.
    pub api_version: i16,
    /// `max.message.bytes` of the topic.
    pub max_message_bytes: usize,
    /// `segment.bytes` of the topic: a batch must fit into one segment.
    pub segment_bytes: usize,
    /// The broker's clock.
    pub now_ms: TimestampMs,
    /// `message.timestamp.type` of the topic.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` means unbounded.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` means unbounded.
    pub after_max_ms: i64,
    /// Whether `cleanup.policy` has `compact`: every record needs a key.
    pub compacted: bool,
    /// `compression.type` of the topic with its level; `None` is `producer`.
    pub compression: Option<(Compression, Option<i32>)>,
    /// Whether compressed batches are looked into even where no rule needs it.
    pub look_into_compressed: bool,
    /// The most that one compressed batch may become.
    pub decompress_limit: DecompressLimit,
}

/// Kafka's defaults, at time 0.
impl Default for Rules {
    fn default() -> Self {
        Rules {
            api_version: i16::MAX,
            max_message_bytes: 1_048_588,
            segment_bytes: 1 << 30,
            now_ms: 0,
            timestamp_type: TimestampType::CreateTime,
            before_max_ms: i64::MAX,
            after_max_ms: 3_600_000,
            compacted: false,
            compression: None,
            look_into_compressed: false,
            decompress_limit: DecompressLimit(64 << 20),
        }
    }
}

/// What may be appended after [`crate::stamp`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedRecords {
    /// The batches, in their order: exactly one since Produce version 3.
    pub batches: Vec<Batch>,
    /// How many records there are.
    pub record_count: i32,
    /// The largest timestamp: with log append time the broker's clock, else the records', which
    /// may be -1.
    pub max_timestamp: TimestampMs,
    /// What to give to [`crate::stamp`]: the broker's clock if the topic has log append time.
    pub log_append_time: Option<TimestampMs>,
    /// Whether the bytes differ from those of the request: compressed anew, or a wrong max
    /// timestamp put right.
    pub rewritten: bool,
}

/// Why records are refused, in the shape of a Produce response (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Invalid {
    /// The partition's error code.
    pub code: ErrorCode,
    /// The partition's error message.
    pub message: String,
    /// The records that caused it, where that is known; at most [`MAX_RECORD_ERRORS`].
    pub record_errors: Vec<RecordError>,
}

/// One refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// The record's position in its batch, from 0.
    pub batch_index: i32,
    /// Why it is refused.
    pub message: String,
}

impl Invalid {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Invalid {
            code,
            message: message.into(),
            record_errors: Vec::new(),
        }
    }

    fn record(message: impl Into<String>) -> Self {
        Invalid::new(ErrorCode::InvalidRecord, message)
    }
}

impl From<Error> for Invalid {
    fn from(error: Error) -> Self {
        Invalid::new(error.code(), error.to_string())
    }
}

/// Decides whether a producer's records for one partition may be appended.
///
/// `bytes` are the records of a Produce request (version 3 or later) for one partition. Nothing is
/// copied unless the topic asks for another compression, or the max timestamp is wrong.
pub fn produce(bytes: Bytes, rules: &Rules) -> Result<ValidatedRecords, Invalid> {
    let batch = only_batch(bytes, rules)?;
    let compression = check_header(&batch, rules)?;
    let target = rules
        .compression
        .filter(|&(target, _)| target != compression);
    let mut valid = ValidatedRecords {
        record_count: batch.header().record_count,
        max_timestamp: batch.header().max_timestamp,
        log_append_time: None,
        rewritten: false,
        batches: Vec::new(),
    };
    let mut rewritten = None;
    if compression == Compression::None || target.is_some() || needs_look(batch.header(), rules) {
        let records = batch.decompressed(rules.decompress_limit)?;
        valid.max_timestamp = check_records(batch.header(), &records, rules)?;
        let header = BatchHeader {
            max_timestamp: valid.max_timestamp,
            ..*batch.header()
        };
        if let Some((target, level)) = target {
            rewritten = Some(assemble_with(header, &records, target, level)?);
        } else if header != *batch.header() && rules.timestamp_type == TimestampType::CreateTime {
            rewritten = Some(Batch::assemble(header, &batch.body())?);
        }
    }
    if let Some(batch) = &rewritten {
        check_size(batch.bytes().len(), rules)?;
        valid.rewritten = true;
    }
    if rules.timestamp_type == TimestampType::LogAppendTime {
        valid.max_timestamp = rules.now_ms;
        valid.log_append_time = Some(rules.now_ms);
    }
    valid.batches.push(rewritten.unwrap_or(batch));
    Ok(valid)
}

/// Exactly one batch of format 2. What Kafka answers to other shapes, in its order.
fn only_batch(mut bytes: Bytes, rules: &Rules) -> Result<Batch, Invalid> {
    let version = rules.api_version;
    let length = bytes.get(8..LENGTH_OVERHEAD).and_then(|l| l.first_chunk());
    let Some(length) = length.map(|&length| i32::from_be_bytes(length)) else {
        return Err(Invalid::record(format!(
            "Produce requests with version {version} must have at least one record batch per \
             partition"
        )));
    };
    if length < MIN_LENGTH_V0 {
        return Err(Error::BatchLength { length }.into());
    }
    if let Some(0 | 1) = bytes.get(MAGIC_AT) {
        return Err(Invalid::record(format!(
            "Produce requests with version {version} are only allowed to contain record batches \
             with magic version 2"
        )));
    }
    let header = BatchHeader::parse(&bytes)?;
    let needed = header.total_len();
    let available = bytes.len();
    if needed > available {
        return Err(Error::Truncated { needed, available }.into());
    }
    let first = bytes.split_to(needed);
    if let Some(&magic) = bytes.get(MAGIC_AT) {
        return Err(if (0..=2).contains(&magic) {
            Invalid::record(format!(
                "Produce requests with version {version} are only allowed to contain exactly one \
                 record batch per partition"
            ))
        } else {
            Error::Magic { magic: magic as i8 }.into()
        });
    }
    if !bytes.is_empty() {
        return Err(Error::BytesAfterBatch {
            batch: needed,
            extra: bytes.len(),
        }
        .into());
    }
    Ok(Batch::from_parts(header, first))
}

fn check_header(batch: &Batch, rules: &Rules) -> Result<Compression, Invalid> {
    let header = batch.header();
    if header.base_offset != 0 {
        return Err(Invalid::record(format!(
            "The base offset of the record batch should be 0, but it is {}",
            header.base_offset
        )));
    }
    check_size(batch.bytes().len(), rules)?;
    batch.verify_crc()?;
    let compression = header.attributes.compression()?;
    if compression == Compression::Zstd && rules.api_version < FIRST_ZSTD_VERSION {
        return Err(Invalid::new(
            ErrorCode::UnsupportedCompressionType,
            format!(
                "Produce requests with version {} are not allowed to use ZStandard compression",
                rules.api_version
            ),
        ));
    }
    check_count(header)?;
    check_producer(header)?;
    Ok(compression)
}

fn check_size(len: usize, rules: &Rules) -> Result<(), Invalid> {
    if len > rules.max_message_bytes {
        return Err(Invalid::new(
            ErrorCode::MessageTooLarge,
            format!(
                "The record batch has {len} bytes, which exceeds the maximum configured value of \
                 {} (max.message.bytes)",
                rules.max_message_bytes
            ),
        ));
    }
    if len > rules.segment_bytes {
        return Err(Invalid::new(
            ErrorCode::RecordListTooLarge,
            format!(
                "The record batch has {len} bytes, which exceeds the maximum configured segment \
                 size of {} (segment.bytes)",
                rules.segment_bytes
            ),
        ));
    }
    Ok(())
}

fn check_count(header: &BatchHeader) -> Result<(), Invalid> {
    let count = header.record_count;
    if header.last_offset_delta < 0 {
        return Err(Invalid::record(format!(
            "The batch has an invalid offset range: [0, {}]",
            header.last_offset_delta
        )));
    }
    if count <= 0 {
        return Err(Invalid::record(format!(
            "Invalid reported count for record batch: {count}"
        )));
    }
    if i64::from(header.last_offset_delta) + 1 != i64::from(count) {
        return Err(Invalid::record(format!(
            "Inconsistent batch offset range [0, {}] and count of records {count}",
            header.last_offset_delta
        )));
    }
    let body = header.total_len().saturating_sub(HEADER_LEN);
    if header.attributes.compression() == Ok(Compression::None)
        && count as usize > body / MIN_RECORD_LEN
    {
        return Err(Invalid::record(format!(
            "{count} records cannot fit into {body} bytes"
        )));
    }
    Ok(())
}

/// Kafka lets a transactional batch without a producer id and a delete horizon through, though no
/// client sends them; what they would do to transactions and to timestamps is nobody's intention.
fn check_producer(header: &BatchHeader) -> Result<(), Invalid> {
    let attributes = header.attributes;
    if attributes.is_control() {
        return Err(Invalid::record(
            "Clients are not allowed to write control records",
        ));
    }
    if header.has_producer() && header.base_sequence < 0 {
        return Err(Invalid::record(format!(
            "Invalid sequence number {} in record batch with producer id {}",
            header.base_sequence, header.producer_id
        )));
    }
    if header.has_producer() && header.producer_epoch < 0 {
        return Err(Invalid::record(format!(
            "Invalid producer epoch {} in record batch with producer id {}",
            header.producer_epoch, header.producer_id
        )));
    }
    if attributes.is_transactional() && !header.has_producer() {
        return Err(Invalid::record(
            "A transactional record batch must have a producer id",
        ));
    }
    if attributes.has_delete_horizon() {
        return Err(Invalid::record(
            "Clients are not allowed to set the delete horizon of a record batch",
        ));
    }
    Ok(())
}

/// Whether a rule cannot be decided from the header of a compressed batch.
fn needs_look(header: &BatchHeader, rules: &Rules) -> bool {
    let create_time = rules.timestamp_type == TimestampType::CreateTime;
    let too_late = |timestamp: i64| timestamp.saturating_sub(rules.now_ms) > rules.after_max_ms;
    rules.look_into_compressed
        || rules.compacted
        || header.attributes.timestamp_type() == TimestampType::LogAppendTime
        || (create_time
            && (rules.before_max_ms != i64::MAX
                || header.max_timestamp < header.base_timestamp
                || too_late(header.max_timestamp)
                || too_late(header.base_timestamp)))
}
