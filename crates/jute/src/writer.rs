//! Writes jute's primitives.

use bytes::{BufMut, BytesMut};

/// Appends to bytes.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// Appends to these bytes.
    #[must_use]
    pub fn new(out: &'a mut BytesMut) -> Self {
        Writer { out }
    }

    /// The number of bytes so far, those that were there before included.
    #[must_use]
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// `byte`.
    pub fn byte(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    /// `boolean`.
    pub fn boolean(&mut self, value: bool) {
        self.out.put_u8(u8::from(value));
    }

    /// `int`.
    pub fn int(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    /// `long`.
    pub fn long(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    /// The length of a string, a buffer or a vector. Whatever is longer than the protocol can say
    /// has been refused long before: frames are bounded by `jute.maxbuffer`.
    pub fn length(&mut self, length: usize) {
        let length = i32::try_from(length);
        debug_assert!(length.is_ok(), "longer than a frame can be");
        self.out.put_i32(length.unwrap_or(i32::MAX));
    }

    /// `ustring`.
    pub fn string(&mut self, value: &str) {
        self.length(value.len());
        self.out.extend_from_slice(value.as_bytes());
    }

    /// `ustring`, or null.
    pub fn string_or_null(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.int(-1),
        }
    }

    /// `buffer`.
    pub fn buffer(&mut self, value: &[u8]) {
        self.length(value.len());
        self.out.extend_from_slice(value);
    }

    /// `buffer`, or null.
    pub fn buffer_or_null(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.buffer(value),
            None => self.int(-1),
        }
    }

    /// Overwrites four bytes that were written before, at a place that [`Writer::position`] gave.
    pub(crate) fn patch_int(&mut self, at: usize, value: i32) {
        let place = self.out.get_mut(at..at + 4);
        debug_assert!(place.is_some(), "nothing was written there");
        if let Some(place) = place {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
}
