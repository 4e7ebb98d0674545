//! Reading: from memory where the newest batches are, else from the segments.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ottla_model::{LeaderEpoch, Offset, TimestampMs};
use ottla_record::{Batch, BatchHeader, DecompressLimit};
use ottla_record::{first_record_from, record_with_max_timestamp};

use crate::aborted::{Promise, Range, Search};
use crate::core::Core;
use crate::segment::Segment;
use crate::transactions::{AbortedEntry, AbortedTransaction};
use crate::walk::{Step, Walker, misplaced};
use crate::{Error, Probe, replay};

/// How far a read may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpTo {
    /// As consumers of committed records: what cannot be lost any more and is decided. The result
    /// names the aborted transactions.
    LastStable,
    /// As consumers: what cannot be lost any more.
    HighWatermark,
    /// As followers and coordinators: everything that was written.
    LogEnd,
}

/// Whole batches, as they go onto the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadResult {
    /// The bytes, in pieces; together they are whole batches.
    pub chunks: Vec<Bytes>,
    /// The length of all pieces.
    pub bytes: usize,
    /// The first batch's base offset, which may lie before the offset that was asked for.
    pub base_offset: Option<Offset>,
    /// Where to go on.
    pub next_offset: Offset,
    /// With [`UpTo::LastStable`], the aborted transactions that have records among these: each one
    /// from its first offset up to the next abort marker of its producer.
    pub aborted: Vec<AbortedTransaction>,
    /// The log's last stable offset at the time of the read.
    pub last_stable_offset: Offset,
    /// The log's high watermark at the time of the read.
    pub high_watermark: Offset,
    /// The log's first offset at the time of the read.
    pub log_start_offset: Offset,
    /// The log's end at the time of the read.
    pub log_end_offset: Offset,
}

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's timestamp.
    pub timestamp: TimestampMs,
    /// Its offset.
    pub offset: Offset,
    /// The leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

/// A read's bounds.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) from: Offset,
    pub(crate) max_bytes: usize,
    pub(crate) min_one_batch: bool,
    pub(crate) up_to: UpTo,
}

impl Core {
    /// What can be said without the disk: `None` when the disk is needed.
    pub(crate) fn try_read_cached(&self, ask: Ask) -> Option<Result<ReadResult, Error>> {
        // While the log is being cut, whoever may wait reads from disk.
        let _uncut = self.cuts.try_read()?;
        self.read_cached(ask)
    }

    fn read_cached(&self, ask: Ask) -> Option<Result<ReadResult, Error>> {
        let (empty, limit) = match self.prepare(ask) {
            Ok(prepared) => prepared,
            Err(error) => return Some(Err(error)),
        };
        if ask.from >= limit {
            return Some(Ok(empty));
        }
        // Before the batches: a segment that takes another one's place knows less.
        let segments = self.segments_with_aborted(ask);
        let slice = self
            .tail
            .read(ask.from, limit, ask.max_bytes, ask.min_one_batch)?;
        let range = Range {
            from: ask.from,
            to: slice.next_offset,
        };
        let aborted = match segments {
            Some(segments) => cached_aborted(&segments, range)?,
            None => Vec::new(),
        };
        let probe = &self.context.probe;
        Probe::add(&probe.cache_hits, 1);
        Probe::add(&probe.bytes_out, slice.bytes as u64);
        Some(Ok(ReadResult {
            chunks: slice.chunks,
            bytes: slice.bytes,
            base_offset: slice.base_offset,
            next_offset: slice.next_offset,
            aborted,
            ..empty
        }))
    }

    /// Reads from memory or from disk.
    pub(crate) fn read_blocking(&self, ask: Ask) -> Result<ReadResult, Error> {
        let _uncut = self.cuts.read();
        if let Some(result) = self.read_cached(ask) {
            return result;
        }
        Probe::add(&self.context.probe.cache_misses, 1);
        let (mut result, limit) = self.prepare(ask)?;
        let segments = self.segments.load_full();
        let found = self.read_segments(&segments, ask, limit).and_then(|slice| {
            let aborted = match &slice {
                Some(slice) => self.aborted(&segments, ask, slice.next_offset)?,
                None => Vec::new(),
            };
            Ok(slice.map(|slice| (slice, aborted)))
        });
        // A segment may have been deleted under the read; then the offset is out of range by now.
        let found = found.or_else(|error| self.prepare(ask).and(Err(error)))?;
        if let Some((slice, aborted)) = found {
            result.aborted = aborted;
            let probe = &self.context.probe;
            Probe::add(&probe.bytes_out, slice.bytes.len() as u64);
            Probe::add(&probe.bytes_out_disk, slice.bytes.len() as u64);
            result.base_offset = Some(slice.base_offset);
            result.next_offset = slice.next_offset;
            result.bytes = slice.bytes.len();
            result.chunks.push(slice.bytes);
        }
        Ok(result)
    }

    /// Checks the range; an empty result and the offset at which the read must end.
    fn prepare(&self, ask: Ask) -> Result<(ReadResult, Offset), Error> {
        if self.deleted.load(Ordering::Acquire) {
            return Err(self.closed());
        }
        let offsets = self.offsets();
        if ask.from < offsets.log_start_offset || ask.from > offsets.log_end_offset {
            return Err(Error::OffsetOutOfRange {
                offset: ask.from,
                log_start_offset: offsets.log_start_offset,
                log_end_offset: offsets.log_end_offset,
            });
        }
        let limit = match ask.up_to {
            UpTo::LastStable => offsets.last_stable_offset,
            UpTo::HighWatermark => offsets.high_watermark,
            UpTo::LogEnd => offsets.log_end_offset,
        };
        let empty = ReadResult {
            chunks: Vec::new(),
            bytes: 0,
            base_offset: None,
            next_offset: ask.from,
            aborted: Vec::new(),
            last_stable_offset: offsets.last_stable_offset,
            high_watermark: offsets.high_watermark,
            log_start_offset: offsets.log_start_offset,
            log_end_offset: offsets.log_end_offset,
        };
        Ok((empty, limit))
    }

    fn read_segments(
        &self,
        segments: &[Arc<Segment>],
        ask: Ask,
        limit: Offset,
    ) -> Result<Option<Slice>, Error> {
        for segment in segments.iter().skip(first_segment(segments, ask.from)) {
            if segment.base_offset >= limit {
                break;
            }
            // A segment without the offset has a gap there: the next one goes on.
            if let Some((position, header)) = self.find(segment, ask.from)? {
                return self.read_batches(segment, position, &header, ask, limit);
            }
        }
        Ok(None)
    }

    /// The segments whose transaction indexes a read needs, if it needs any.
    fn segments_with_aborted(&self, ask: Ask) -> Option<Arc<Vec<Arc<Segment>>>> {
        let is_needed = ask.up_to == UpTo::LastStable && self.has_aborted.load(Ordering::Acquire);
        is_needed.then(|| self.segments.load_full())
    }

    /// The aborted transactions with records from the offset that was asked for up to `to`.
    fn aborted(
        &self,
        segments: &[Arc<Segment>],
        ask: Ask,
        to: Offset,
    ) -> Result<Vec<AbortedTransaction>, Error> {
        let mut found = Vec::new();
        if self.segments_with_aborted(ask).is_none() {
            return Ok(found);
        }
        let range = Range { from: ask.from, to };
        for at in first_segment(segments, range.from)..segments.len() {
            let Some(segment) = segments.get(at) else {
                break;
            };
            if let Some(promise) = segment.aborted.unchecked() {
                self.check_aborted(segments, at, promise)?;
            }
            if segment.search_aborted(range, &mut found)? == Search::Complete {
                break;
            }
        }
        Ok(found)
    }

    /// All transactions that begin below `end` and were aborted.
    pub(crate) fn aborted_below(&self, end: Offset) -> Result<Vec<AbortedEntry>, Error> {
        let _uncut = self.cuts.read();
        let segments = self.segments.load_full();
        let mut found = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            if let Some(promise) = segment.aborted.unchecked() {
                self.check_aborted(&segments, at, promise)?;
            }
            let entries = segment.all_aborted()?.into_iter();
            found.extend(entries.filter(|entry| entry.first_offset < end));
        }
        Ok(found)
    }

    /// Looks into a transaction index for the first time; one that is not what it should be is made
    /// again.
    fn check_aborted(
        &self,
        segments: &[Arc<Segment>],
        at: usize,
        promise: Option<Promise>,
    ) -> Result<(), Error> {
        let Some(segment) = segments.get(at) else {
            return Ok(());
        };
        if let Some(entries) = segment.read_aborted(promise)? {
            segment.aborted.set_written(&entries);
            return Ok(());
        }
        let disk = &*self.context.disk;
        let end = Offset::MAX;
        let entries = replay::aborted_in_segment(disk, &self.dir, segments, at, end)?;
        segment.replace_aborted(&entries)
    }

    /// The first batch of the segment that ends at or after `offset`.
    fn find(&self, segment: &Segment, offset: Offset) -> Result<Option<(u64, BatchHeader)>, Error> {
        let (file, size) = (segment.log()?, segment.size()?);
        let gaps = self.has_gaps();
        let base = segment.base_offset;
        let from_start = || Walker::from_start(&*file, size, base, gaps);
        let hint = segment.position_hint(offset)?;
        let mut walker = match hint {
            Some((position, _)) => Walker::from_middle(&*file, position, size, base, gaps),
            None => from_start(),
        };
        let mut unproven = hint;
        let mut last = None;
        loop {
            let step = walker
                .next(false)
                .map_err(Error::io("read", &segment.log_path()))?;
            if let Some((position, last_offset)) = unproven.take()
                && !matches!(&step, Step::Batch { header, .. } if header.last_offset() == last_offset)
            {
                // The index points into the middle of something, or its batch is damaged: go the
                // long way, which finds out.
                tracing::warn!(path = %segment.log_path().display(), position, "a wrong index entry");
                walker = from_start();
                continue;
            }
            match step {
                Step::Batch { position, header } if header.last_offset() >= offset => {
                    return Ok(Some((position, header)));
                }
                Step::Batch { position, header } => last = Some((position, header)),
                Step::End => {
                    // The segment seems to end before the offset: is its last batch whole?
                    if let Some((position, header)) = last {
                        self.load(segment, position, &header)?;
                    }
                    return Ok(None);
                }
                Step::Bad { position, reason } => {
                    return Err(self.corrupt(segment, position, offset, reason));
                }
            }
        }
    }

    fn read_batches(
        &self,
        segment: &Arc<Segment>,
        position: u64,
        first: &BatchHeader,
        ask: Ask,
        limit: Offset,
    ) -> Result<Option<Slice>, Error> {
        if first.last_offset() >= limit {
            if first.base_offset < limit {
                // No append ends inside a batch: its length in offsets may be damaged.
                self.load(segment, position, first)?;
            }
            return Ok(None);
        }
        let first_len = first.total_len();
        if first_len > ask.max_bytes && !ask.min_one_batch {
            return Ok(None);
        }
        let left = segment.size()?.saturating_sub(position);
        let want = usize::try_from(left).unwrap_or(usize::MAX);
        let buffer = read_at(segment, position, want.min(ask.max_bytes.max(first_len)))?;
        let gaps = self.has_gaps();
        let mut end = 0;
        let mut next_offset = ask.from;
        let mut expected = segment.base_offset;
        while let Ok(header) = BatchHeader::parse(buffer.get(end..).unwrap_or_default()) {
            let Some(bytes) = buffer.get(end..end + header.total_len()) else {
                break;
            };
            if header.last_offset() >= limit && header.base_offset >= expected {
                break;
            }
            let at = position + end as u64;
            let exact = end > 0 && !gaps;
            if let Err(reason) = sound(&buffer.slice_ref(bytes), expected, exact) {
                if end > 0 {
                    // What lies before the damage is good; the next read meets the damage.
                    break;
                }
                return Err(self.corrupt(segment, at, ask.from, reason));
            }
            end += bytes.len();
            next_offset = header.last_offset() + 1;
            expected = next_offset;
        }
        if end == 0 {
            let reason = "the batch is cut off".to_owned();
            return Err(self.corrupt(segment, position, ask.from, reason));
        }
        Ok(Some(Slice {
            bytes: buffer.slice(..end),
            base_offset: first.base_offset,
            next_offset,
        }))
    }

    fn corrupt(&self, segment: &Segment, position: u64, offset: Offset, reason: String) -> Error {
        self.report_corrupt(segment, position, &reason);
        Error::Corrupt {
            path: segment.log_path(),
            position,
            offset,
            reason,
        }
    }

    /// The first record at or after `timestamp` that consumers may see.
    pub(crate) fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
        decompress: DecompressLimit,
    ) -> Result<Option<TimestampOffset>, Error> {
        let _uncut = self.cuts.read();
        let offsets = self.offsets();
        for segment in self.segments.load_full().iter() {
            if segment.max_timestamp()?.0 < timestamp {
                continue;
            }
            let relative = segment.load_indexes()?.relative_offset_for(timestamp);
            let mut from =
                (segment.base_offset + i64::from(relative)).max(offsets.log_start_offset);
            while let Some((position, header)) = self.find(segment, from)? {
                if header.base_offset >= offsets.high_watermark {
                    return Ok(None);
                }
                from = header.last_offset() + 1;
                if header.max_timestamp < timestamp {
                    continue;
                }
                let batch = self.load(segment, position, &header)?;
                let found =
                    first_record_from(&batch, offsets.log_start_offset, timestamp, decompress)
                        .map_err(|e| self.corrupt(segment, position, from, e.to_string()))?;
                if let Some((offset, timestamp)) = found {
                    let found = TimestampOffset {
                        timestamp,
                        offset,
                        leader_epoch: header.partition_leader_epoch,
                    };
                    return Ok((offset < offsets.high_watermark).then_some(found));
                }
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp; of several the first (KIP-734).
    pub(crate) fn max_timestamp_offset(
        &self,
        decompress: DecompressLimit,
    ) -> Result<Option<TimestampOffset>, Error> {
        let _uncut = self.cuts.read();
        let mut largest: Option<(TimestampMs, Offset, Arc<Segment>)> = None;
        for segment in self.segments.load_full().iter() {
            let (timestamp, offset) = segment.max_timestamp()?;
            if timestamp >= 0 && largest.as_ref().is_none_or(|l| timestamp > l.0) {
                largest = Some((timestamp, offset, Arc::clone(segment)));
            }
        }
        let Some((_, offset, segment)) = largest else {
            return Ok(None);
        };
        let Some((position, header)) = self.find(&segment, offset)? else {
            return Ok(None);
        };
        let batch = self.load(&segment, position, &header)?;
        let found = record_with_max_timestamp(&batch, decompress)
            .map_err(|e| self.corrupt(&segment, position, offset, e.to_string()))?;
        Ok(found.map(|(offset, timestamp)| TimestampOffset {
            timestamp,
            offset,
            leader_epoch: header.partition_leader_epoch,
        }))
    }

    fn load(&self, segment: &Segment, position: u64, header: &BatchHeader) -> Result<Batch, Error> {
        let bytes = read_at(segment, position, header.total_len())?;
        let batch = Batch::parse(bytes).and_then(|batch| batch.verify_crc().map(|()| batch));
        batch.map_err(|e| self.corrupt(segment, position, header.base_offset, e.to_string()))
    }
}

/// The place of the segment that has `offset`, if any has it.
fn first_segment(segments: &[Arc<Segment>], offset: Offset) -> usize {
    let next = segments.partition_point(|s| s.base_offset <= offset);
    next.saturating_sub(1)
}

/// The aborted transactions of a range, if memory has them.
fn cached_aborted(segments: &[Arc<Segment>], range: Range) -> Option<Vec<AbortedTransaction>> {
    let mut found = Vec::new();
    for segment in segments.iter().skip(first_segment(segments, range.from)) {
        match segment.aborted.search(range, &mut found) {
            Search::Complete => break,
            Search::GoOn => {}
            Search::NeedsDisk => return None,
        }
    }
    Some(found)
}

struct Slice {
    bytes: Bytes,
    base_offset: Offset,
    next_offset: Offset,
}

fn read_at(segment: &Segment, position: u64, len: usize) -> Result<Bytes, Error> {
    let mut buffer = vec![0; len];
    let read = segment
        .log()?
        .read_at(&mut buffer, position)
        .map_err(Error::io("read", &segment.log_path()))?;
    buffer.truncate(read);
    Ok(buffer.into())
}

/// Whether the batch is what was written: its CRC, and its place, which the CRC does not cover.
fn sound(bytes: &Bytes, expected: Offset, exact: bool) -> Result<(), String> {
    let batch = Batch::parse(bytes.clone()).map_err(|e| e.to_string())?;
    batch.verify_crc().map_err(|e| e.to_string())?;
    misplaced(batch.header(), expected, exact).map_or(Ok(()), Err)
}
