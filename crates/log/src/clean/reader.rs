//! Reading a segment from its start, a buffer at a time, every batch checked.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::Offset;
use ottla_record::{Batch, BatchHeader, HEADER_LEN};

use crate::Error;
use crate::core::Core;
use crate::segment::Segment;
use crate::walk::misplaced;

/// A place in a segment.
pub(crate) struct SegmentReader {
    segment: Arc<Segment>,
    position: u64,
    end: u64,
    expected: Offset,
    buffer_bytes: usize,
}

impl SegmentReader {
    pub(crate) fn new(segment: &Arc<Segment>, buffer_bytes: usize) -> Result<Self, Error> {
        Ok(SegmentReader {
            end: segment.size()?,
            expected: segment.base_offset,
            segment: Arc::clone(segment),
            position: 0,
            buffer_bytes,
        })
    }

    /// The next batches, and how many bytes were read; no batches at the end. A damaged batch is an
    /// error: compaction must not copy it, nor leave it out.
    pub(crate) fn next(&mut self, core: &Core) -> Result<(Vec<Batch>, u64), Error> {
        let mut batches = Vec::new();
        if self.position >= self.end {
            return Ok((batches, 0));
        }
        let mut buffer = self.read(self.buffer_bytes)?;
        let first = BatchHeader::parse(&buffer).map_err(|e| self.bad(core, e.to_string()))?;
        if first.total_len() > buffer.len() {
            if first.total_len() as u64 > self.end - self.position {
                return Err(self.bad(core, "the batch is cut off".to_owned()));
            }
            buffer = self.read(first.total_len())?;
        }
        let read = buffer.len() as u64;
        loop {
            let Ok(header) = BatchHeader::parse(&buffer) else {
                if buffer.len() >= HEADER_LEN {
                    return Err(self.bad(core, "no batch begins here".to_owned()));
                }
                break;
            };
            let len = header.total_len();
            if len > buffer.len() {
                break;
            }
            let bytes = buffer.split_to(len);
            batches.push(self.check(core, bytes)?);
            self.position += len as u64;
        }
        if batches.is_empty() {
            return Err(self.bad(core, "the batch is cut off".to_owned()));
        }
        Ok((batches, read))
    }

    fn check(&mut self, core: &Core, bytes: Bytes) -> Result<Batch, Error> {
        let batch = Batch::parse(bytes).and_then(|batch| batch.verify_crc().map(|()| batch));
        let batch = batch.map_err(|e| self.bad(core, e.to_string()))?;
        let header = batch.header();
        if let Some(reason) = misplaced(header, self.expected, false) {
            return Err(self.bad(core, reason));
        }
        if header.last_offset_delta < 0 {
            return Err(self.bad(core, "the batch has no offsets".to_owned()));
        }
        self.expected = header.last_offset() + 1;
        Ok(batch)
    }

    fn read(&self, want: usize) -> Result<Bytes, Error> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let mut buffer = vec![0; want.min(left)];
        let read = self
            .segment
            .log()?
            .read_at(&mut buffer, self.position)
            .map_err(Error::io("read", &self.segment.log_path()))?;
        buffer.truncate(read);
        Ok(buffer.into())
    }

    fn bad(&self, core: &Core, reason: String) -> Error {
        core.report_corrupt(&self.segment, self.position, &reason);
        Error::Corrupt {
            path: self.segment.log_path(),
            position: self.position,
            offset: self.expected,
            reason,
        }
    }
}
