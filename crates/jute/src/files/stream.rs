//! Jute's primitives from a stream, with the checksum of all that was read.

use std::io::Read;

use bytes::Bytes;

use super::adler::Adler32;
use crate::error::Error;

/// No field of a file is longer. ZooKeeper's own bound (`jute.maxbuffer`) is 1 MiB unless somebody
/// raised it.
pub(super) const FIELD_BYTES_MAX: usize = 256 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// A stream of bytes.
pub(super) struct Stream<R> {
    source: R,
    buffer: Box<[u8]>,
    /// The part of `buffer` that was not taken yet.
    from: usize,
    to: usize,
    /// The bytes that were taken.
    position: u64,
    checksum: Adler32,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(source: R) -> Self {
        Stream {
            source,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            from: 0,
            to: 0,
            position: 0,
            checksum: Adler32::new(),
        }
    }

    /// The number of bytes that were taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The checksum of the bytes that were taken.
    pub(super) fn checksum(&self) -> i64 {
        self.checksum.value()
    }

    /// Makes sure that something is in the buffer, unless the stream has ended.
    fn fill(&mut self) -> Result<(), Error> {
        while self.from == self.to {
            match self.source.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => (self.from, self.to) = (0, count.min(self.buffer.len())),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Error::Source {
                        at: self.position,
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&mut self) -> Result<bool, Error> {
        self.fill()?;
        Ok(self.from == self.to)
    }

    /// Hands over the next bytes in pieces.
    fn take(&mut self, length: usize, mut piece: impl FnMut(&[u8])) -> Result<(), Error> {
        let mut missing = length;
        while missing > 0 {
            self.fill()?;
            let have = self.buffer.get(self.from..self.to).unwrap_or_default();
            if have.is_empty() {
                return Err(Error::Ended {
                    needed: length,
                    remaining: length - missing,
                });
            }
            let have = have.get(..missing).unwrap_or(have);
            self.checksum.update(have);
            piece(have);
            missing -= have.len();
            self.from += have.len();
            self.position += have.len() as u64;
        }
        Ok(())
    }

    /// The next bytes as they are.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        let mut at = 0;
        self.take(N, |piece| {
            array[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        })?;
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.bytes::<1>()?[0])
    }

    pub(super) fn int(&mut self) -> Result<i32, Error> {
        self.bytes().map(i32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<i64, Error> {
        self.bytes().map(i64::from_be_bytes)
    }

    /// `buffer`, or null. Memory is taken as the bytes come, whatever the length says.
    pub(super) fn buffer_or_null(&mut self) -> Result<Option<Bytes>, Error> {
        let length = match self.int()? {
            -1 => return Ok(None),
            length => usize::try_from(length).map_err(|_| Error::BadLength {
                what: "buffer",
                length,
            })?,
        };
        if length > FIELD_BYTES_MAX {
            return Err(Error::TooLong {
                length,
                max: FIELD_BYTES_MAX,
            });
        }
        let mut bytes = Vec::with_capacity(length.min(BUFFER_BYTES));
        self.take(length, |piece| bytes.extend_from_slice(piece))?;
        Ok(Some(bytes.into()))
    }

    /// `ustring`, or null.
    pub(super) fn string_or_null(&mut self) -> Result<Option<String>, Error> {
        let Some(bytes) = self.buffer_or_null()? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes.into()).map_err(|error| Error::NotUtf8 {
            at: error.utf8_error().valid_up_to(),
        })?;
        Ok(Some(text))
    }

    /// A number as text of so many digits, as old digests are written; `None` if it is none.
    pub(super) fn hexadecimal(&mut self, digits: usize) -> Result<Option<i64>, Error> {
        // A long has no more than 16 digits and a sign.
        if digits > 17 {
            return Err(Error::TooLong {
                length: digits,
                max: 17,
            });
        }
        let mut text = Vec::new();
        self.take(digits, |piece| text.extend_from_slice(piece))?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        Ok(i64::from_str_radix(text, 16).ok())
    }

    pub(super) fn string(&mut self) -> Result<String, Error> {
        self.string_or_null()?.ok_or(Error::Null)
    }

    /// The header of a file: its magic number, the version of its format, and an id without a
    /// meaning (`FileHeader`).
    pub(super) fn file_header(&mut self, magic: [u8; 4], what: &'static str) -> Result<(), Error> {
        let found = self.bytes::<4>()?;
        if found != magic {
            return Err(Error::NotThisFile {
                what,
                found: u32::from_be_bytes(found),
            });
        }
        let version = self.int()?;
        if version != FORMAT_VERSION {
            return Err(Error::FileVersion { what, version });
        }
        self.long()?;
        Ok(())
    }
}

/// The only version that there is.
pub(super) const FORMAT_VERSION: i32 = 2;
