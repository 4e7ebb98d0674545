//! Compressed snapshots (`zookeeper.snapshot.compression.method`).

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

/// How a snapshot is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As a gzip file.
    Gzip,
    /// As snappy-java's stream: a header, and blocks of raw Snappy with their lengths.
    Snappy,
}

/// The bytes of a snapshot, decompressed as they are read.
pub struct Decompressed<R>(Kind<R>);

enum Kind<R> {
    None(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Snappy(SnappyBlocks<R>),
}

impl<R: Read> Decompressed<R> {
    /// Decompresses a file's bytes.
    pub fn new(compression: Compression, source: R) -> Self {
        Decompressed(match compression {
            Compression::None => Kind::None(source),
            Compression::Gzip => Kind::Gzip(Box::new(MultiGzDecoder::new(source))),
            Compression::Snappy => Kind::Snappy(SnappyBlocks::new(source)),
        })
    }
}

/// What was looked at, and the rest.
pub type LookedAt<R> = io::Chain<Cursor<Vec<u8>>, R>;

impl<R: Read> Decompressed<LookedAt<R>> {
    /// Decompresses bytes whose first ones tell how they are compressed, if they are.
    pub fn of_any(mut source: R) -> io::Result<Self> {
        let mut first = Vec::with_capacity(MAGIC.len());
        source
            .by_ref()
            .take(MAGIC.len() as u64)
            .read_to_end(&mut first)?;
        let compression = if first == MAGIC {
            Compression::Snappy
        } else if first.starts_with(&GZIP_MAGIC) {
            Compression::Gzip
        } else {
            Compression::None
        };
        let whole = Cursor::new(first).chain(source);
        Ok(Decompressed::new(compression, whole))
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::None(source) => source.read(out),
            Kind::Gzip(source) => source.read(out),
            Kind::Snappy(source) => source.read(out),
        }
    }
}

/// What a gzip file begins with.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// What snappy-java's streams begin with; a version and the oldest version that can read it follow,
/// of four bytes each.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER_BYTES: usize = 16;
/// A writer's blocks are of 32 KiB unless it asks for more.
const BLOCK_BYTES_MAX: usize = 16 << 20;

struct SnappyBlocks<R> {
    source: R,
    began: bool,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> SnappyBlocks<R> {
    fn new(source: R) -> Self {
        SnappyBlocks {
            source,
            began: false,
            block: Vec::new(),
            at: 0,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut header = [0; HEADER_BYTES];
        self.source.read_exact(&mut header)?;
        if !header.starts_with(&MAGIC) {
            return Err(damaged(
                "it does not begin as a stream of snappy-java does".into(),
            ));
        }
        self.began = true;
        Ok(())
    }

    /// Reads the next block; `false` at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut length = Vec::with_capacity(4);
        self.source.by_ref().take(4).read_to_end(&mut length)?;
        if length.is_empty() {
            return Ok(false);
        }
        let length: [u8; 4] = length
            .try_into()
            .map_err(|_| damaged("it ends inside the length of a block".into()))?;
        let length = u32::from_be_bytes(length) as usize;
        if length > BLOCK_BYTES_MAX {
            return Err(damaged(format!("a block of {length} bytes is too long")));
        }
        let mut compressed = Vec::new();
        self.source
            .by_ref()
            .take(length as u64)
            .read_to_end(&mut compressed)?;
        if compressed.len() < length {
            return Err(damaged("it ends inside a block".into()));
        }
        let size = snap::raw::decompress_len(&compressed).map_err(|e| damaged(e.to_string()))?;
        if size > BLOCK_BYTES_MAX {
            return Err(damaged(format!("a block of {size} bytes is too long")));
        }
        self.block = snap::raw::Decoder::new()
            .decompress_vec(&compressed)
            .map_err(|e| damaged(e.to_string()))?;
        self.at = 0;
        Ok(true)
    }
}

fn damaged(reason: String) -> io::Error {
    let message = format!("the compressed snapshot is damaged: {reason}; take another one");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl<R: Read> Read for SnappyBlocks<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.began {
            self.begin()?;
        }
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let rest = self.block.get(self.at..).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}
