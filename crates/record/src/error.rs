//! What can be wrong with the bytes of a batch.

use ottla_model::ErrorCode;

use crate::Compression;

/// Why bytes are not a batch, or why a batch's records cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end before the batch does.
    #[error("the record batch ends early: {needed} bytes are needed, {available} are there")]
    Truncated {
        /// Bytes that the batch needs.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The length field is smaller than a header.
    #[error("the record batch has the illegal length {length}; at least 49 is expected")]
    BatchLength {
        /// The length field.
        length: i32,
    },
    /// Bytes follow the one batch that was expected.
    #[error("{extra} bytes follow the record batch of {batch} bytes")]
    BytesAfterBatch {
        /// The batch's length in bytes.
        batch: usize,
        /// Bytes behind it.
        extra: usize,
    },
    /// Another message format.
    #[error("the record batch has magic {magic}; only 2 is supported")]
    Magic {
        /// The magic byte.
        magic: i8,
    },
    /// The bytes are not those that were written.
    #[error(
        "the record batch is corrupt: stored crc {stored:#010x}, computed crc {computed:#010x}"
    )]
    Crc {
        /// The CRC in the header.
        stored: u32,
        /// The CRC of the bytes.
        computed: u32,
    },
    /// The record count is negative.
    #[error("the record batch has the illegal record count {count}")]
    RecordCount {
        /// The count in the header.
        count: i32,
    },
    /// A record's bytes do not make a record.
    #[error("record {index} of the batch is malformed: {reason}")]
    Record {
        /// The record's position in its batch, from 0.
        index: i32,
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes follow the last record.
    #[error("{extra} bytes follow the last of the batch's {count} records")]
    BytesAfterRecords {
        /// The record count of the header.
        count: i32,
        /// Bytes behind the last record.
        extra: usize,
    },
    /// The attributes name a compression that does not exist.
    #[error("unknown compression type id {id}")]
    UnknownCompression {
        /// The three bits of the attributes.
        id: u8,
    },
    /// The configuration names a compression that does not exist.
    #[error("unknown compression '{name}'; use none, gzip, snappy, lz4 or zstd")]
    UnknownCompressionName {
        /// The name.
        name: String,
    },
    /// The compressed records are damaged.
    #[error("the {codec} data of the record batch cannot be decompressed: {reason}")]
    Decompress {
        /// The compression.
        codec: Compression,
        /// What the library said.
        reason: String,
    },
    /// The records are larger than the caller allowed.
    #[error("the {codec} data of the record batch decompresses to more than {limit} bytes")]
    DecompressLimit {
        /// The compression.
        codec: Compression,
        /// The limit in bytes.
        limit: usize,
    },
    /// The compressor failed.
    #[error("the records cannot be compressed with {codec}: {reason}")]
    Compress {
        /// The compression.
        codec: Compression,
        /// What the library said.
        reason: String,
    },
    /// A batch under construction outgrew the format.
    #[error("the record batch cannot be built: {reason}")]
    Build {
        /// What does not fit.
        reason: &'static str,
    },
    /// The batch is not a control batch, or its control record is malformed.
    #[error("the control batch is malformed: {reason}")]
    Control {
        /// What is wrong.
        reason: &'static str,
    },
}

impl Error {
    /// The protocol's code: what Kafka answers when a producer's batch has this fault.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Truncated { .. }
            | Error::BatchLength { .. }
            | Error::BytesAfterBatch { .. }
            | Error::Crc { .. } => ErrorCode::CorruptMessage,
            Error::Magic { magic: 0 | 1 } => ErrorCode::InvalidRecord,
            Error::Magic { .. } => ErrorCode::CorruptMessage,
            // Not CORRUPT_MESSAGE, which makes clients send the same bytes again: the CRC was right,
            // so the network did no harm.
            Error::Decompress { .. }
            | Error::RecordCount { .. }
            | Error::Record { .. }
            | Error::BytesAfterRecords { .. }
            | Error::Control { .. } => ErrorCode::InvalidRecord,
            Error::UnknownCompression { .. } => ErrorCode::UnsupportedCompressionType,
            Error::UnknownCompressionName { .. } => ErrorCode::InvalidConfig,
            Error::DecompressLimit { .. } => ErrorCode::MessageTooLarge,
            Error::Compress { .. } | Error::Build { .. } => ErrorCode::UnknownServerError,
        }
    }
}
