//! Record batches of Kafka's message format v2: view, validate, build, compress (KIP-98).
//!
//! Batches stay the bytes that a client sent. [`Batch`] is a view over them, [`validate::produce`]
//! decides whether a broker may take them, and [`stamp`] renews only the 61 bytes of the header.
//!
//! ```text
//!  0 base offset            i64 \  not covered by the CRC, so that a leader may set
//!  8 batch length           i32  | the offset and the epoch without reading the rest
//! 12 partition leader epoch i32  |
//! 16 magic (2)              i8   |
//! 17 crc                    u32 /  CRC-32C of everything from `attributes` to the end
//! 21 attributes             i16    bits 0-2 compression, 3 timestamp type, 4 transactional,
//! 23 last offset delta      i32         5 control, 6 delete horizon
//! 27 base timestamp         i64
//! 35 max timestamp          i64
//! 43 producer id            i64
//! 51 producer epoch         i16
//! 53 base sequence          i32
//! 57 record count           i32
//! 61 records, compressed as a whole
//! ```
//!
//! Architecture invariant: this crate does no IO, and knows no time and no randomness. Bytes from
//! outside end in an [`Error`], never in a panic or in more memory than the caller allowed.

mod batch;
mod builder;
mod compression;
mod control;
mod error;
mod header;
mod lookup;
mod recompress;
mod record;
mod retain;
mod stamp;
pub mod validate;
mod varint;

pub use batch::{Batch, split_batches};
pub use builder::{BatchBuilder, BatchOptions};
pub use compression::{Compression, DecompressLimit};
pub use control::{ControlType, EndTxnMarker, control_batch, end_txn_marker};
pub use error::Error;
pub use header::{Attributes, BatchHeader, HEADER_LEN, LENGTH_OVERHEAD, MAGIC, TimestampType};
pub use lookup::{first_record_at_or_after, first_record_from, record_with_max_timestamp};
pub use recompress::recompress;
pub use record::{Header, Record, Records};
pub use retain::{KeyedRecord, Retained, retain, visit_keys, without_records};
pub use stamp::{StampedBatch, stamp};
