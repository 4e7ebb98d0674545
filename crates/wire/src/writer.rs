//! Writes Kafka's primitive types into a list of buffers.

use bytes::{BufMut, Bytes, BytesMut};
use ottla_model::Uuid;

use crate::chunks::Chunks;
use crate::error::EncodeError;
use crate::tags::{TagWriter, UnknownTags};
use crate::text::Text;

/// Chunks of records below this size are copied: another entry for `writev` costs more.
const COPY_BELOW: usize = 256;

const MAX_STRING: usize = i16::MAX as usize;
const MAX_LENGTH: usize = i32::MAX as usize - 1;

type Result<T> = std::result::Result<T, EncodeError>;

/// Collects a message: small values in buffers of its own, records as the buffers that they
/// already are.
///
/// ```text
///   head (its first 4 bytes become the length)   parts: records, small values, records …   tail
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    /// The first buffer, once another follows. It stays writable for the length prefix.
    head: Option<BytesMut>,
    parts: Vec<Bytes>,
    tail: BytesMut,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `bytes` of small values.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            tail: BytesMut::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// The bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        let head = self.head.as_ref().map_or(0, BytesMut::len);
        head + self.parts.iter().map(Bytes::len).sum::<usize>() + self.tail.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything in order, records uncopied.
    #[must_use]
    pub fn into_parts(mut self) -> Vec<Bytes> {
        let mut all = Vec::with_capacity(self.parts.len() + 2);
        all.extend(self.head.take().map(BytesMut::freeze));
        all.append(&mut self.parts);
        if !self.tail.is_empty() {
            all.push(self.tail.freeze());
        }
        all
    }

    /// Everything in one buffer.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.head.is_none() {
            return self.tail.freeze();
        }
        Chunks::from(self.into_parts()).into_contiguous()
    }

    /// Overwrites the first four bytes, which must have been written as a placeholder.
    pub(crate) fn set_length_prefix(&mut self, length: u32) {
        let first = self.head.as_mut().unwrap_or(&mut self.tail);
        if let Some(prefix) = first.first_chunk_mut::<4>() {
            *prefix = length.to_be_bytes();
        }
    }

    /// One byte, 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.tail.put_u8(u8::from(value));
    }

    /// One byte.
    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    /// Two bytes, big-endian.
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, value: u16) {
        self.tail.put_u16(value);
    }

    /// Four bytes, big-endian.
    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, value: u32) {
        self.tail.put_u32(value);
    }

    /// Eight bytes, big-endian.
    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    /// Eight bytes, big-endian IEEE 754.
    pub fn f64(&mut self, value: f64) {
        self.tail.put_f64(value);
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.tail.put_slice(&value.0);
    }

    /// An unsigned variable-length integer, seven bits a byte, lowest first.
    pub fn uvarint(&mut self, value: u32) {
        let (bytes, len) = uvarint_bytes(value);
        self.tail.put_slice(bytes.get(..len).unwrap_or(&bytes));
    }

    /// A length or count; `None` is null. `wide`: four bytes in the inflexible form, else two.
    fn length(&mut self, length: Option<usize>, flex: bool, wide: bool) -> Result<()> {
        let limit = if wide { MAX_LENGTH } else { MAX_STRING };
        if let Some(length) = length
            && length > limit
        {
            return Err(EncodeError::TooLong { length, limit });
        }
        // The checks above make these casts exact.
        match (flex, wide) {
            (true, _) => self.uvarint(length.map_or(0, |length| length as u32 + 1)),
            (false, true) => self.i32(length.map_or(-1, |length| length as i32)),
            (false, false) => self.i16(length.map_or(-1, |length| length as i16)),
        }
        Ok(())
    }

    /// A string that may be null; `flex` chooses the compact length.
    pub fn opt_text(&mut self, text: Option<&Text>, flex: bool) -> Result<()> {
        self.length(text.map(Text::len), flex, false)?;
        self.tail
            .put_slice(text.map_or(&[], |text| text.as_bytes()));
        Ok(())
    }

    /// A string.
    pub fn text(&mut self, text: &Text, flex: bool) -> Result<()> {
        self.opt_text(Some(text), flex)
    }

    /// Bytes that may be null. They are copied: records are what is not.
    pub fn opt_bytes(&mut self, bytes: Option<&Bytes>, flex: bool) -> Result<()> {
        self.length(bytes.map(Bytes::len), flex, true)?;
        self.tail.put_slice(bytes.map_or(&[], |bytes| bytes));
        Ok(())
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &Bytes, flex: bool) -> Result<()> {
        self.opt_bytes(Some(bytes), flex)
    }

    /// Records that may be null.
    pub fn opt_records(&mut self, records: Option<&Chunks>, flex: bool) -> Result<()> {
        self.length(records.map(Chunks::len), flex, true)?;
        for chunk in records.into_iter().flatten() {
            self.chunk(chunk);
        }
        Ok(())
    }

    /// Records.
    pub fn records(&mut self, records: &Chunks, flex: bool) -> Result<()> {
        self.opt_records(Some(records), flex)
    }

    /// Appends a buffer as it is, without a length; small ones are copied.
    pub fn chunk(&mut self, chunk: &Bytes) {
        if chunk.len() < COPY_BELOW {
            self.tail.put_slice(chunk);
            return;
        }
        let before = self.tail.split();
        match self.head {
            None => self.head = Some(before),
            Some(_) if before.is_empty() => {}
            Some(_) => self.parts.push(before.freeze()),
        }
        self.parts.push(chunk.clone());
    }

    /// The byte before a struct that may be null.
    pub fn present(&mut self, present: bool) {
        self.i8(if present { 1 } else { -1 });
    }

    /// An array that may be null.
    pub fn opt_array<T>(
        &mut self,
        items: Option<&[T]>,
        flex: bool,
        element: impl Fn(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.length(items.map(<[T]>::len), flex, true)?;
        items
            .unwrap_or_default()
            .iter()
            .try_for_each(|item| element(self, item))
    }

    /// An array.
    pub fn array<T>(
        &mut self,
        items: &[T],
        flex: bool,
        element: impl Fn(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.opt_array(Some(items), flex, element)
    }

    /// The tagged fields of a struct without known ones.
    pub(crate) fn unknown_tags(
        &mut self,
        flex: bool,
        unknown: &UnknownTags,
        name: &'static str,
        version: i16,
    ) -> Result<()> {
        if !flex {
            return unknown.must_be_empty(name, version);
        }
        if unknown.is_empty() {
            self.uvarint(0);
            return Ok(());
        }
        self.open_tags(0, unknown).finish(self)
    }

    /// Begins the tagged fields of a struct, of which `known` will be written.
    pub(crate) fn open_tags<'a>(
        &mut self,
        known: usize,
        unknown: &'a UnknownTags,
    ) -> TagWriter<'a> {
        // A struct cannot hold 2^32 tagged fields.
        self.uvarint((known + unknown.as_slice().len()) as u32);
        TagWriter::new(unknown)
    }

    /// One tagged field. Its size stands before it, and is known after it: it is moved up.
    pub(crate) fn tag(
        &mut self,
        tag: u32,
        value: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.uvarint(tag);
        let start = self.tail.len();
        // Tagged fields hold no records (the schema's parser sees to it): `tail` only grows.
        value(self)?;
        let end = self.tail.len();
        let size = end - start;
        let limit = MAX_LENGTH;
        let (bytes, len) =
            uvarint_bytes(u32::try_from(size).map_err(|_| EncodeError::TooLong {
                length: size,
                limit,
            })?);
        self.tail.resize(end + len, 0);
        self.tail.copy_within(start..end, start + len);
        self.tail[start..start + len].copy_from_slice(&bytes[..len]);
        Ok(())
    }

    /// The value of an unknown tagged field, with its size.
    pub(crate) fn compact_raw(&mut self, value: &Bytes) -> Result<()> {
        let (length, limit) = (value.len(), MAX_LENGTH);
        let size = u32::try_from(length).map_err(|_| EncodeError::TooLong { length, limit })?;
        self.uvarint(size);
        self.tail.put_slice(value);
        Ok(())
    }
}

fn uvarint_bytes(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0u8; 5];
    let mut len = 0;
    for slot in &mut bytes {
        len += 1;
        if value < 0x80 {
            *slot = value as u8;
            break;
        }
        *slot = value as u8 | 0x80;
        value >>= 7;
    }
    (bytes, len)
}

/// The value of a field that must not be null in this version.
pub(crate) fn required<'a, T>(
    value: &'a Option<T>,
    field: &'static str,
    version: i16,
) -> Result<&'a T> {
    value
        .as_ref()
        .ok_or(EncodeError::UnexpectedNull { field, version })
}
