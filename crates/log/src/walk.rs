//! Going through a segment batch by batch, without ever holding more than a small buffer.

use std::io;

use ottla_model::Offset;
use ottla_record::{Batch, BatchHeader, DecompressLimit, EndTxnMarker, HEADER_LEN};
use ottla_runtime::disk::File;

/// Read ahead when only headers are looked at: most batches are smaller.
const HEADERS_BUFFER: usize = 16 << 10;
/// Read ahead when everything is read.
const BODY_BUFFER: usize = 256 << 10;
/// No marker is larger; a control batch that claims to be is not read.
const MARKER_LEN_MAX: usize = 4096;
/// The CRC covers a batch from here.
const CRC_FROM: u64 = 21;

/// Steps over the batches of one file.
pub(crate) struct Walker<'a> {
    file: &'a dyn File,
    /// Where the file's batches end.
    end: u64,
    position: u64,
    /// Batches must not begin before this offset.
    expected: Offset,
    /// Whether they must begin exactly there: the CRC does not cover the base offset.
    exact: bool,
    gaps: bool,
    buffer: Vec<u8>,
    buffer_at: u64,
}

/// What stands at the walker's position.
pub(crate) enum Step {
    /// A batch; the walker went past it.
    Batch { position: u64, header: BatchHeader },
    /// Nothing: the end.
    End,
    /// Not a whole and sound batch; the walker stays.
    Bad { position: u64, reason: String },
}

impl<'a> Walker<'a> {
    /// Begins at `position`, where a batch begins that is at or behind `expected`.
    pub(crate) fn new(file: &'a dyn File, position: u64, end: u64, expected: Offset) -> Self {
        Walker {
            file,
            end,
            position,
            expected,
            exact: false,
            gaps: true,
            buffer: Vec::new(),
            buffer_at: 0,
        }
    }

    /// From the first batch of a segment on. Unless the log may have `gaps`, each batch must begin
    /// where the one before ends.
    pub(crate) fn from_start(
        file: &'a dyn File,
        end: u64,
        base_offset: Offset,
        gaps: bool,
    ) -> Self {
        Walker {
            exact: true,
            gaps,
            ..Walker::new(file, 0, end, base_offset)
        }
    }

    /// As [`Walker::from_start`], but beginning with the batch at `position`.
    pub(crate) fn from_middle(
        file: &'a dyn File,
        position: u64,
        end: u64,
        base_offset: Offset,
        gaps: bool,
    ) -> Self {
        Walker {
            gaps,
            exact: position == 0,
            ..Walker::new(file, position, end, base_offset)
        }
    }

    /// The offset that follows the last batch.
    pub(crate) fn next_offset(&self) -> Offset {
        self.expected
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Takes the last step back: the batch is not what it seemed.
    pub(crate) fn back_to(&mut self, position: u64, expected: Offset) {
        self.position = position;
        self.expected = expected;
    }

    /// Goes on elsewhere.
    pub(crate) fn jump(&mut self, position: u64) {
        self.position = position;
        self.exact = false;
    }

    /// The next batch; its body is read only when its CRC is wanted.
    pub(crate) fn next(&mut self, verify_crc: bool) -> io::Result<Step> {
        if self.position >= self.end {
            return Ok(Step::End);
        }
        let position = self.position;
        let ahead = if verify_crc {
            BODY_BUFFER
        } else {
            HEADERS_BUFFER
        };
        let head = self.bytes(position, HEADER_LEN, ahead)?;
        let header = match BatchHeader::parse(head) {
            Ok(header) => header,
            Err(error) => return Ok(bad(position, error.to_string())),
        };
        if let Some(reason) = self.implausible(&header) {
            return Ok(bad(position, reason));
        }
        if verify_crc {
            let computed = self.crc(position, header.total_len() as u64)?;
            if computed != header.crc {
                let stored = header.crc;
                let reason = format!("stored crc {stored:#010x}, computed {computed:#010x}");
                return Ok(bad(position, reason));
            }
        }
        self.position += header.total_len() as u64;
        self.expected = header.last_offset() + 1;
        self.exact = true;
        Ok(Step::Batch { position, header })
    }

    /// What the control batch at `position` says about its producer's transaction. `None` when that
    /// is nothing: compaction has emptied it, it is about something else, or it is damaged. A
    /// damaged marker decides nothing, so that no aborted record is taken for a committed one.
    pub(crate) fn marker(
        &mut self,
        position: u64,
        header: &BatchHeader,
    ) -> io::Result<Option<EndTxnMarker>> {
        let len = header.total_len();
        if !header.attributes.is_control() || len > MARKER_LEN_MAX {
            return Ok(None);
        }
        let bytes = self.bytes(position, len, HEADERS_BUFFER)?.to_vec();
        let parse = || {
            let batch = Batch::parse(bytes.into())?;
            batch.verify_crc()?;
            let (control_type, value) = batch.control_record(DecompressLimit(MARKER_LEN_MAX))?;
            EndTxnMarker::parse(control_type, &value)
        };
        Ok(parse().ok())
    }

    /// The length that the header at the position claims, if it could be a batch's: a way past a
    /// batch whose body is damaged.
    pub(crate) fn claimed_end(&mut self) -> io::Result<Option<u64>> {
        let position = self.position;
        let head = self.bytes(position, HEADER_LEN, HEADERS_BUFFER)?;
        let Ok(header) = BatchHeader::parse(head) else {
            return Ok(None);
        };
        let end = position + header.total_len() as u64;
        Ok((end <= self.end).then_some(end))
    }

    fn implausible(&self, header: &BatchHeader) -> Option<String> {
        let left = self.end - self.position;
        if header.total_len() as u64 > left {
            let len = header.total_len();
            return Some(format!("{len} bytes are announced and {left} are left"));
        }
        let ends = header
            .base_offset
            .checked_add(header.last_offset_delta.into());
        if header.last_offset_delta < 0 || ends.is_none_or(|end| end == Offset::MAX) {
            return Some(format!("last offset delta {}", header.last_offset_delta));
        }
        misplaced(header, self.expected, !self.gaps && self.exact)
    }

    fn crc(&mut self, position: u64, len: u64) -> io::Result<u32> {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        let (mut at, end) = (position + CRC_FROM, position + len);
        while at < end {
            let want = (end - at).min(BODY_BUFFER as u64) as usize;
            let bytes = self.bytes(at, want, BODY_BUFFER)?;
            if bytes.is_empty() {
                break;
            }
            digest.update(bytes);
            at += bytes.len() as u64;
        }
        Ok(digest.finalize() as u32)
    }

    /// Up to `want` bytes at `position`; fewer only at the end.
    fn bytes(&mut self, position: u64, want: usize, ahead: usize) -> io::Result<&[u8]> {
        let want = want.min(usize::try_from(self.end - position).unwrap_or(usize::MAX));
        let buffered = position
            .checked_sub(self.buffer_at)
            .filter(|start| start + want as u64 <= self.buffer.len() as u64);
        let start = match buffered {
            Some(start) => start as usize,
            None => {
                let len = (want.max(ahead) as u64).min(self.end - position) as usize;
                self.buffer.resize(len, 0);
                let read = self.file.read_at(&mut self.buffer, position)?;
                self.buffer.truncate(read);
                self.buffer_at = position;
                0
            }
        };
        let end = (start + want).min(self.buffer.len());
        Ok(self.buffer.get(start..end).unwrap_or_default())
    }
}

/// What is wrong with a batch's base offset, if anything.
pub(crate) fn misplaced(header: &BatchHeader, expected: Offset, exact: bool) -> Option<String> {
    let base = header.base_offset;
    let is_wrong = base < expected || (exact && base != expected);
    is_wrong.then(|| format!("base offset {base} where {expected} is expected"))
}

fn bad(position: u64, reason: String) -> Step {
    Step::Bad { position, reason }
}

/// Looks for the next sound batch behind `from`: byte by byte, since a damaged header says nothing
/// about where its batch ends.
pub(crate) fn resync(
    file: &dyn File,
    from: u64,
    end: u64,
    expected: Offset,
) -> io::Result<Option<u64>> {
    let mut at = from;
    let mut buffer = vec![0; BODY_BUFFER];
    while at + (HEADER_LEN as u64) <= end {
        let len = ((end - at) as usize).min(buffer.len());
        let read = file.read_at(&mut buffer[..len], at)?;
        let window = buffer.get(..read).unwrap_or_default();
        let candidates = window.len().saturating_sub(HEADER_LEN - 1);
        if candidates == 0 {
            return Ok(None);
        }
        for start in 0..candidates {
            let head = window.get(start..).unwrap_or_default();
            // The magic byte first: it rules out nearly all positions cheaply.
            let is_near = |h: &BatchHeader| {
                h.base_offset >= expected && h.base_offset - expected <= i64::from(i32::MAX)
            };
            if head.get(16) != Some(&2) || !BatchHeader::parse(head).is_ok_and(|h| is_near(&h)) {
                continue;
            }
            let position = at + start as u64;
            let mut walker = Walker::new(file, position, end, expected);
            if matches!(walker.next(true)?, Step::Batch { .. }) {
                return Ok(Some(position));
            }
        }
        at += candidates as u64;
    }
    Ok(None)
}
