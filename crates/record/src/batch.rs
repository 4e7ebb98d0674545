//! A view over one batch, and the way from a run of bytes to batches.

use bytes::Bytes;

use crate::header::{CRC_START, HEADER_LEN, LENGTH_OVERHEAD, crc32c};
use crate::{BatchHeader, DecompressLimit, Error, Records};

/// Exactly one batch: its bytes and its parsed header. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Takes bytes that are exactly one batch. Magic and length are checked, the CRC is not.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let header = BatchHeader::parse(&bytes)?;
        let batch = header.total_len();
        if bytes.len() < batch {
            return Err(Error::Truncated {
                needed: batch,
                available: bytes.len(),
            });
        }
        if bytes.len() > batch {
            return Err(Error::BytesAfterBatch {
                batch,
                extra: bytes.len() - batch,
            });
        }
        Ok(Batch { header, bytes })
    }

    /// Puts `body` behind a header, whose length and CRC are set to fit. This copies the body.
    pub fn assemble(mut header: BatchHeader, body: &[u8]) -> Result<Self, Error> {
        let total = HEADER_LEN + body.len();
        header.batch_length = i32::try_from(total - LENGTH_OVERHEAD).map_err(|_| Error::Build {
            reason: "more than 2 GiB of records",
        })?;
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(&header.seal(body));
        bytes.extend_from_slice(body);
        Ok(Batch::from_parts(header, bytes.into()))
    }

    /// For callers that have just made both.
    pub(crate) fn from_parts(header: BatchHeader, bytes: Bytes) -> Self {
        debug_assert_eq!(header.total_len(), bytes.len());
        Batch { header, bytes }
    }

    /// The parsed header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The records' bytes, perhaps compressed; the same memory.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.bytes.slice(HEADER_LEN..)
    }

    /// Compares the CRC of the header with that of the bytes.
    pub fn verify_crc(&self) -> Result<(), Error> {
        let computed = crc32c(self.bytes.get(CRC_START..).unwrap_or_default(), &[]);
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(Error::Crc {
                stored: self.header.crc,
                computed,
            })
        }
    }

    /// The records' bytes, decompressed. Uncompressed batches give the same memory, and `limit`
    /// does not concern them. Compressed ones never take more memory than the limit.
    pub fn decompressed(&self, limit: DecompressLimit) -> Result<Bytes, Error> {
        let compression = self.header.attributes.compression()?;
        compression.decompress(&self.body(), limit)
    }

    /// Iterates the records. The first bad record ends the iteration with an error, as do bytes
    /// behind the last record.
    pub fn records(&self, limit: DecompressLimit) -> Result<Records, Error> {
        Records::of(self, limit)
    }
}

/// Cuts a run of batches. Strict: a partial batch or garbage at the end is an error, and nothing
/// comes after an error. A reader of fetched bytes, whose last batch may be cut off, stops at
/// [`Error::Truncated`].
pub fn split_batches(bytes: Bytes) -> impl Iterator<Item = Result<Batch, Error>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = split_first(&mut rest);
        if next.is_err() {
            rest = Bytes::new();
        }
        Some(next)
    })
}

fn split_first(rest: &mut Bytes) -> Result<Batch, Error> {
    let header = BatchHeader::parse(rest)?;
    let needed = header.total_len();
    if needed > rest.len() {
        return Err(Error::Truncated {
            needed,
            available: rest.len(),
        });
    }
    let bytes = rest.split_to(needed);
    Ok(Batch { header, bytes })
}
