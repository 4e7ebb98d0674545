//! Finding out from the log itself what producers and transactions were.

use std::path::Path;
use std::sync::Arc;

use ottla_model::Offset;
use ottla_runtime::Disk;

use crate::layout::{self, SNAPSHOT_SUFFIX};
use crate::producer_state::ProducerState;
use crate::segment::Segment;
use crate::transactions::AbortedEntry;
use crate::walk::{Step, Walker, resync};
use crate::{Error, checkpoint, producer_snapshot};

/// Goes through the headers of the batches from `from` up to `to`, and their markers. What was
/// aborted goes to `aborted`. Damage in what was flushed is stepped over: it is reported by whoever
/// reads it.
pub(crate) fn replay(
    segments: &[Arc<Segment>],
    (from, to): (Offset, Offset),
    high_watermark: Offset,
    producers: &mut ProducerState,
    mut aborted: impl FnMut(AbortedEntry),
) -> Result<(), Error> {
    let first = segments.partition_point(|s| s.base_offset <= from);
    for segment in segments.iter().skip(first.saturating_sub(1)) {
        if segment.base_offset >= to || from >= to {
            break;
        }
        let (file, size) = (segment.log()?, segment.size()?);
        let failed = |e| Error::io("read", &segment.log_path())(e);
        let mut walker = Walker::new(&*file, 0, size, segment.base_offset);
        loop {
            match walker.next(false).map_err(failed)? {
                Step::End => break,
                Step::Batch { header, .. } if header.base_offset >= to => break,
                Step::Batch { position, header } => {
                    if header.base_offset >= from && header.has_producer() {
                        let marker = walker.marker(position, &header).map_err(failed)?;
                        let found = producers.replay(&header, marker, high_watermark);
                        found.map(&mut aborted);
                    }
                }
                Step::Bad { position, .. } => {
                    let expected = walker.next_offset();
                    let next = resync(&*file, position + 1, size, expected).map_err(failed)?;
                    let Some(next) = next else { break };
                    walker.jump(next);
                }
            }
        }
    }
    Ok(())
}

/// The aborted transactions whose markers are in the segment at `at`, below `to`: from the newest
/// producer snapshot before it and the batches behind that.
pub(crate) fn aborted_in_segment(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Arc<Segment>],
    at: usize,
    to: Offset,
) -> Result<Vec<AbortedEntry>, Error> {
    let mut producers = ProducerState::default();
    let mut from = 0;
    for segment in segments.iter().take(at + 1).rev() {
        let path = layout::file(dir, segment.base_offset, SNAPSHOT_SUFFIX);
        let bytes = checkpoint::read_if_exists(disk, &path)?;
        if let Some(Ok(state)) = bytes.map(|bytes| producer_snapshot::decode(&bytes)) {
            producers = state;
            from = segment.base_offset;
            break;
        }
    }
    let base = segments.get(at).map_or(0, |s| s.base_offset);
    let end = segments.get(at + 1).map_or(to, |s| to.min(s.base_offset));
    let mut found = Vec::new();
    replay(segments, (from, end), end, &mut producers, |entry| {
        if entry.last_offset >= base {
            found.push(entry);
        }
    })?;
    Ok(found)
}
