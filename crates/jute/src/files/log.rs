//! The transaction log.
//!
//! ```text
//!   | "ZKLG" | version 2 | id |        the header, 16 bytes
//!   | Adler-32 (8) | length (4) | TxnHeader | transaction | TxnDigest, since 3.6 | 'B' |   …
//!   | zeros |                          the file is made longer than needed
//! ```

use std::io::Read;

use bytes::Bytes;

use super::adler::Adler32;
use super::stream::Stream;
use super::transaction::{Txn, TxnDigest, TxnHeader};
use crate::error::Error;
use crate::reader::Reader;
use crate::record::Record;

/// Behind each transaction, to see that it was written to its end.
const END_OF_RECORD: u8 = b'B';

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Who, when, and its number.
    pub header: TxnHeader,
    /// What it did.
    pub txn: Txn,
    /// The state behind it.
    pub digest: Option<TxnDigest>,
}

impl LogEntry {
    fn read(bytes: &Bytes) -> Result<Self, Error> {
        let reader = &mut Reader::shared(bytes);
        let header = TxnHeader::read(reader)?;
        let txn = Txn::read(header.op, reader)?;
        let digest = TxnDigest::read(reader).ok();
        Ok(LogEntry {
            header,
            txn,
            digest,
        })
    }
}

/// Reads one file of the log. It ends at the zeros behind the last transaction, or where a crash
/// has cut that one off ([`LogReader::is_torn`]); everything else is an error.
pub struct LogReader<R> {
    stream: Stream<R>,
    ended: bool,
    torn: bool,
}

impl<R: Read> LogReader<R> {
    /// Reads the header.
    pub fn new(source: R) -> Result<Self, Error> {
        let mut stream = Stream::new(source);
        stream.file_header(*b"ZKLG", "transaction log")?;
        Ok(LogReader {
            stream,
            ended: false,
            torn: false,
        })
    }

    /// Whether the last transaction was not written to its end. ZooKeeper leaves such a one out, as
    /// it was never acknowledged.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    fn read_entry(&mut self) -> Result<Option<LogEntry>, Error> {
        if self.stream.at_end()? {
            return Ok(None);
        }
        let at = self.stream.position();
        let stored = match self.stream.long() {
            Ok(stored) => stored,
            Err(error) => return self.torn_unless_broken(error),
        };
        let bytes = match self.stream.buffer_or_null() {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return self.torn_unless_broken(error),
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        match self.stream.byte() {
            Ok(END_OF_RECORD) => {}
            Ok(_) => {
                self.torn = true;
                return Ok(None);
            }
            Err(error) => return self.torn_unless_broken(error),
        }
        let computed = Adler32::of(&bytes);
        if computed != stored {
            return Err(Error::Checksum {
                what: "transaction",
                at,
                stored,
                computed,
            });
        }
        LogEntry::read(&bytes).map(Some)
    }

    fn torn_unless_broken(&mut self, error: Error) -> Result<Option<LogEntry>, Error> {
        match error {
            Error::Ended { .. } => {
                self.torn = true;
                Ok(None)
            }
            error => Err(error),
        }
    }
}

impl<R: Read> Iterator for LogReader<R> {
    type Item = Result<LogEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.read_entry().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}
