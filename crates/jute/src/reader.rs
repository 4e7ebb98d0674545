//! Reads jute's primitives from bytes in memory.

use bytes::Bytes;

use crate::error::Error;

/// A place in bytes. Nothing is read beyond their end, and nothing larger than them is allocated.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The memory that the bytes are part of, if buffers may share it.
    shared: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    /// Reads from a slice; buffers are copied.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader {
            rest: bytes,
            shared: None,
        }
    }

    /// Reads from shared bytes; buffers are slices of them and keep all of them in memory.
    #[must_use]
    pub fn shared(bytes: &'a Bytes) -> Self {
        Reader {
            rest: bytes,
            shared: Some(bytes),
        }
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The number of bytes that were not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next bytes as they are.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let ended = Error::Ended {
            needed: length,
            remaining: self.rest.len(),
        };
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ended)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let ended = Error::Ended {
            needed: N,
            remaining: self.rest.len(),
        };
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ended)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// `byte`.
    pub fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    /// `boolean`: one byte, true unless it is 0.
    pub fn boolean(&mut self) -> Result<bool, Error> {
        Ok(self.byte()? != 0)
    }

    /// `int`.
    pub fn int(&mut self) -> Result<i32, Error> {
        self.array().map(i32::from_be_bytes)
    }

    /// `long`.
    pub fn long(&mut self) -> Result<i64, Error> {
        self.array().map(i64::from_be_bytes)
    }

    /// A length; `None` is null.
    fn length(&mut self, what: &'static str) -> Result<Option<usize>, Error> {
        match self.int()? {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map(Some)
                .map_err(|_| Error::BadLength { what, length }),
        }
    }

    /// `ustring`, or null.
    pub fn string_or_null(&mut self) -> Result<Option<&'a str>, Error> {
        let Some(length) = self.length("string")? else {
            return Ok(None);
        };
        let bytes = self.take(length)?;
        let not_utf8 = |error: std::str::Utf8Error| Error::NotUtf8 {
            at: error.valid_up_to(),
        };
        std::str::from_utf8(bytes).map(Some).map_err(not_utf8)
    }

    /// `ustring` that may not be null.
    pub fn string(&mut self) -> Result<&'a str, Error> {
        self.string_or_null()?.ok_or(Error::Null)
    }

    /// `buffer`, or null, without a copy.
    pub fn slice_or_null(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let Some(length) = self.length("buffer")? else {
            return Ok(None);
        };
        self.take(length).map(Some)
    }

    /// `buffer`, or null.
    pub fn buffer_or_null(&mut self) -> Result<Option<Bytes>, Error> {
        let slice = self.slice_or_null()?;
        Ok(slice.map(|slice| match self.shared {
            Some(shared) => shared.slice_ref(slice),
            None => Bytes::copy_from_slice(slice),
        }))
    }

    /// The length of a vector whose elements have at least so many bytes each; null is empty, as
    /// it is for ZooKeeper wherever that matters.
    ///
    /// More elements than the remaining bytes can hold are an error, so that the caller may
    /// reserve for so many.
    pub fn vector(&mut self, element_bytes_min: usize) -> Result<usize, Error> {
        let length = self.length("vector")?.unwrap_or(0);
        let needed = length.saturating_mul(element_bytes_min.max(1));
        if needed > self.remaining() {
            return Err(Error::Ended {
                needed,
                remaining: self.remaining(),
            });
        }
        Ok(length)
    }
}
