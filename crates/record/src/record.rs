//! Records inside a batch, and the one place that knows their framing.

use std::ops::Range;

use bytes::Bytes;
use ottla_model::{Offset, TimestampMs};

use crate::varint::Cursor;
use crate::{Batch, BatchHeader, DecompressLimit, Error, TimestampType};

/// The smallest record: length, attributes, two deltas, two null sizes, no headers.
pub(crate) const MIN_RECORD_LEN: usize = 7;

/// One record; its bytes share the batch's memory, or that of the decompressed records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The offset in the partition.
    pub offset: Offset,
    /// The record's own timestamp, or the batch's for log append time.
    pub timestamp: TimestampMs,
    /// The key; `None` and empty differ.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers in their order; keys may repeat.
    pub headers: Vec<Header>,
}

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The key: UTF-8 by convention, not checked.
    pub key: Bytes,
    /// The value.
    pub value: Option<Bytes>,
}

impl Header {
    /// Names a value.
    pub fn new(key: impl Into<Bytes>, value: Option<Bytes>) -> Self {
        Header {
            key: key.into(),
            value,
        }
    }
}

/// Where the parts of one record lie in the bytes that it was read from. All lengths, those of the
/// headers too, have been checked against the bytes.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) end: usize,
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Option<Range<usize>>,
    /// The record's own flags, which nobody uses yet.
    pub(crate) attributes: u8,
    /// Where the key's length stands: from here on nothing depends on the batch.
    pub(crate) key_at: usize,
    headers_at: usize,
    header_count: i32,
}

impl Frame {
    /// Reads the record that begins at `at`, without allocating. The error says what is wrong.
    #[inline]
    pub(crate) fn read(bytes: &[u8], at: usize) -> Result<Self, &'static str> {
        let mut cursor = Cursor::new(bytes, at);
        let len = cursor.varint().ok_or("its length cannot be read")?;
        let len = usize::try_from(len).map_err(|_| "its length is negative")?;
        if len > cursor.remaining() {
            return Err("its length exceeds the batch");
        }
        let end = cursor.at() + len;
        // From here nothing may reach beyond the record, even where the batch goes on.
        let mut cursor = Cursor::new(bytes.get(..end).unwrap_or_default(), cursor.at());
        let attributes = cursor.byte().ok_or("its attributes are missing")?;
        let timestamp_delta = cursor.varlong().ok_or("its timestamp cannot be read")?;
        let offset_delta = cursor.varint().ok_or("its offset cannot be read")?;
        let key_at = cursor.at();
        let key = sized(&mut cursor).ok_or("its key exceeds the record")?;
        let value = sized(&mut cursor).ok_or("its value exceeds the record")?;
        let header_count = cursor.varint().ok_or("its header count cannot be read")?;
        if header_count < 0 {
            return Err("its header count is negative");
        }
        let headers_at = cursor.at();
        for _ in 0..header_count {
            sized(&mut cursor)
                .ok_or("a header key exceeds the record")?
                .ok_or("a header key is null")?;
            sized(&mut cursor).ok_or("a header value exceeds the record")?;
        }
        if cursor.remaining() != 0 {
            return Err("bytes follow its last header");
        }
        Ok(Frame {
            end,
            timestamp_delta,
            offset_delta,
            key,
            value,
            attributes,
            key_at,
            headers_at,
            header_count,
        })
    }

    fn headers(&self, bytes: &Bytes) -> Vec<Header> {
        let mut cursor = Cursor::new(bytes, self.headers_at);
        // Each header takes two bytes at least, and `read` has walked them: the count is honest.
        let mut headers = Vec::with_capacity(self.header_count as usize);
        for _ in 0..self.header_count {
            let (Some(Some(key)), Some(value)) = (sized(&mut cursor), sized(&mut cursor)) else {
                break;
            };
            headers.push(Header {
                key: bytes.slice(key),
                value: value.map(|value| bytes.slice(value)),
            });
        }
        headers
    }
}

/// A length and that many bytes; a negative length is null, whatever the number, as in Kafka.
#[inline]
fn sized(cursor: &mut Cursor<'_>) -> Option<Option<Range<usize>>> {
    let len = cursor.varint()?;
    let Ok(len) = usize::try_from(len) else {
        return Some(None);
    };
    let start = cursor.at();
    cursor.skip(len)?;
    Some(Some(start..cursor.at()))
}

/// The timestamp of a record: its own, or the batch's for log append time.
pub(crate) fn timestamp_of(header: &BatchHeader, frame: &Frame) -> TimestampMs {
    match header.attributes.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp.wrapping_add(frame.timestamp_delta),
        TimestampType::LogAppendTime => header.max_timestamp,
    }
}

/// Walks the framing of decompressed records and hands each to `visit` with its index.
///
/// An error when a record is malformed, or when count and bytes disagree.
pub(crate) fn walk(
    header: &BatchHeader,
    bytes: &[u8],
    mut visit: impl FnMut(i32, &Frame) -> Result<(), Error>,
) -> Result<(), Error> {
    let count = header.record_count;
    let mut at = 0;
    for index in 0..count {
        let frame = Frame::read(bytes, at).map_err(|reason| Error::Record { index, reason })?;
        at = frame.end;
        visit(index, &frame)?;
    }
    match bytes.len() - at {
        0 => Ok(()),
        extra => Err(Error::BytesAfterRecords { count, extra }),
    }
}

/// Iterates the records of a batch; see [`Batch::records`].
#[derive(Debug, Clone)]
pub struct Records {
    header: BatchHeader,
    bytes: Bytes,
    at: usize,
    index: i32,
    ended: bool,
}

impl Records {
    pub(crate) fn of(batch: &Batch, limit: DecompressLimit) -> Result<Self, Error> {
        let header = *batch.header();
        let count = header.record_count;
        if count < 0 {
            return Err(Error::RecordCount { count });
        }
        // Compaction keeps the header of a batch whose records are all gone; the body may be empty
        // even though the attributes still say "gzip".
        let bytes = if count == 0 {
            Bytes::new()
        } else {
            batch.decompressed(limit)?
        };
        Ok(Records {
            header,
            bytes,
            at: 0,
            index: 0,
            ended: count == 0,
        })
    }

    fn read(&mut self) -> Result<Record, Error> {
        let frame = Frame::read(&self.bytes, self.at).map_err(|reason| Error::Record {
            index: self.index,
            reason,
        })?;
        self.at = frame.end;
        let slice = |range: &Range<usize>| self.bytes.slice(range.clone());
        Ok(Record {
            offset: self
                .header
                .base_offset
                .wrapping_add(i64::from(frame.offset_delta)),
            timestamp: timestamp_of(&self.header, &frame),
            key: frame.key.as_ref().map(slice),
            value: frame.value.as_ref().map(slice),
            headers: frame.headers(&self.bytes),
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let count = self.header.record_count;
        if self.index == count {
            self.ended = true;
            let extra = self.bytes.len() - self.at;
            return (extra > 0).then_some(Err(Error::BytesAfterRecords { count, extra }));
        }
        let record = self.read();
        self.index += 1;
        self.ended = record.is_err();
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.header.record_count - self.index).max(0) as usize;
        let fits = (self.bytes.len() - self.at) / MIN_RECORD_LEN;
        (0, Some(if self.ended { 0 } else { left.min(fits) + 1 }))
    }
}
