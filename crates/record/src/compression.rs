//! The four compressions of records, with a hard cap on what comes out.

mod gzip;
mod lz4;
mod snappy;
mod zstandard;

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use bytes::Bytes;

use crate::Error;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in the framing of xerial's Java library.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard, RFC 8878 (KIP-110).
    Zstd,
}

/// The most bytes that decompressing one batch may give.
///
/// A few kilobytes can stand for hundreds of megabytes, so nothing is decompressed without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecompressLimit(pub usize);

impl Compression {
    /// All of them, in the order of their ids.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// The number in the attributes of a batch.
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The compression with this number.
    pub fn from_id(id: u8) -> Result<Self, Error> {
        let found = Compression::ALL.into_iter().find(|c| c.id() == id);
        found.ok_or(Error::UnknownCompression { id })
    }

    /// The name that configurations use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The compression with this name. `producer` and `uncompressed`, which `compression.type` of
    /// a topic also allows, are the caller's business.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        let found = Compression::ALL.into_iter().find(|c| c.name() == name);
        found.ok_or_else(|| Error::UnknownCompressionName {
            name: name.to_owned(),
        })
    }

    /// Compresses records as Kafka's clients do.
    ///
    /// `level` is `compression.gzip.level` (1 to 9, -1 for the default) or
    /// `compression.zstd.level` (-131072 to 22), clamped to its bounds; `None` is the codec's
    /// default. Snappy has no levels, and LZ4 is always the fast variant.
    pub fn compress(self, records: &[u8], level: Option<i32>) -> Result<Vec<u8>, Error> {
        let result = match self {
            Compression::None => return Ok(records.to_vec()),
            Compression::Gzip => gzip::compress(records, level),
            Compression::Snappy => snappy::compress(records),
            Compression::Lz4 => lz4::compress(records),
            Compression::Zstd => zstandard::compress(records, level),
        };
        result.map_err(|reason| Error::Compress {
            codec: self,
            reason,
        })
    }

    /// Decompresses the body of a batch. More than `limit` bytes are an error, found before memory
    /// for them is taken; codecs' own buffers (at most 8 MiB, for LZ4) come on top.
    pub fn decompress(self, body: &Bytes, limit: DecompressLimit) -> Result<Bytes, Error> {
        let result = match self {
            Compression::None => return Ok(body.clone()),
            Compression::Gzip => gzip::decompress(body, limit),
            Compression::Snappy => snappy::decompress(body, limit),
            Compression::Lz4 => lz4::decompress(body, limit),
            Compression::Zstd => zstandard::decompress(body, limit),
        };
        match result {
            Ok(records) => Ok(records.into()),
            Err(Failure::Limit) => Err(Error::DecompressLimit {
                codec: self,
                limit: limit.0,
            }),
            Err(Failure::Corrupt(reason)) => Err(Error::Decompress {
                codec: self,
                reason,
            }),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Compression::from_name(name)
    }
}

/// Why one codec gave up; [`Compression::decompress`] adds which one it was.
#[derive(Debug)]
enum Failure {
    Limit,
    Corrupt(String),
}

fn corrupt(reason: impl fmt::Display) -> Failure {
    Failure::Corrupt(reason.to_string())
}

/// A first guess at the decompressed size: records commonly shrink to a quarter.
fn first_capacity(compressed: usize, limit: DecompressLimit) -> usize {
    compressed.saturating_mul(4).max(4096).min(limit.0)
}

/// Reads to the end into a vector whose capacity never exceeds the limit.
fn read_capped(
    mut reader: impl Read,
    compressed: usize,
    limit: DecompressLimit,
) -> Result<Vec<u8>, Failure> {
    let mut out = vec![0; first_capacity(compressed, limit)];
    let mut len = 0;
    loop {
        let Some(free) = out.get_mut(len..).filter(|free| !free.is_empty()) else {
            if out.len() == limit.0 {
                // Full to the brim is fine if nothing more comes.
                return match reader.read(&mut [0]).map_err(corrupt)? {
                    0 => Ok(out),
                    _ => Err(Failure::Limit),
                };
            }
            let wanted = out.len().saturating_mul(2).min(limit.0);
            out.reserve_exact(wanted - out.len());
            out.resize(wanted, 0);
            continue;
        };
        match reader.read(free).map_err(corrupt)? {
            0 => {
                out.truncate(len);
                return Ok(out);
            }
            read => len += read,
        }
    }
}
