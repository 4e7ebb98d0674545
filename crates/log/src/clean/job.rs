//! One cleaning of one log, in steps that take at most a buffer each, so that it can wait, give way
//! and be stopped in between.

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_model::{Offset, TimestampMs};
use ottla_record::{Batch, visit_keys};

use super::filter::{Counted, LastRecords, Outcome, Rules, filter};
use super::offset_map::OffsetMap;
use super::output::{Mark, Output};
use super::pick::Candidate;
use super::reader::SegmentReader;
use super::sizes::{Sizes, in_reach};
use super::swap;
use super::transactions::Transactions;
use super::{Cleaned, CleanerOptions};
use crate::core::Core;
use crate::segment::Segment;
use crate::transactions::AbortedEntry;
use crate::{Error, LogConfig, index};

/// What a step did, and what comes next.
pub(crate) enum Step {
    /// So many bytes were read and written.
    Bytes(u64),
    /// The next group begins: [`Job::begin_group`] wants to know the producers.
    Group,
    /// The owner shall make this swap.
    Swap {
        old: Vec<Arc<Segment>>,
        new: Arc<Segment>,
    },
    Done,
}

/// What became of a batch of a group.
enum Rewritten {
    Done,
    /// It does not stay as it is, and there is nothing to write to yet.
    Changed,
    /// The segment would become too large.
    NoRoom,
}

/// A cleaning under way.
pub(crate) struct Job {
    core: Arc<Core>,
    options: CleanerOptions,
    config: Arc<LogConfig>,
    now_ms: TimestampMs,
    segments: Vec<Arc<Segment>>,
    first_dirty: Offset,
    end: Offset,
    map: OffsetMap,
    aborted: Vec<AbortedEntry>,
    transactions: Transactions,
    phase: Phase,
    cleaned: Cleaned,
}

enum Phase {
    /// The keys of the dirty section go into the map.
    Map {
        next: usize,
        reader: Option<SegmentReader>,
    },
    /// The segments that are still to do.
    Groups(VecDeque<Arc<Segment>>),
    Rewrite(Box<Rewrite>),
}

/// A group on its way into one segment.
struct Rewrite {
    /// The segments behind the group.
    left: VecDeque<Arc<Segment>>,
    /// The segments of the group; the last one is being read.
    group: Vec<Arc<Segment>>,
    source_bytes: u64,
    last_records: LastRecords,
    high_watermark: Offset,
    reader: Option<SegmentReader>,
    /// Nothing is written for a single segment as long as all of it stays.
    output: Option<Output>,
    counted: Counted,
    /// How everything was before the segment that is being read.
    before: (Transactions, Counted),
    /// Where the segment that is being read begins, if it is not sure that it fits in.
    tentative: Option<Mark>,
}

impl Job {
    pub(crate) fn new(candidate: Candidate, options: CleanerOptions, now_ms: TimestampMs) -> Self {
        let core = Arc::clone(&candidate.log.0);
        let random = core.context.random.bytes16();
        let map = OffsetMap::new(random, options.map_bytes(), options.load_factor);
        let cleaned = Cleaned {
            from: candidate.first_dirty,
            to: candidate.first_dirty,
            ..Cleaned::default()
        };
        let first = candidate
            .segments
            .partition_point(|s| s.base_offset <= candidate.first_dirty);
        Job {
            config: core.config.load_full(),
            core,
            options,
            now_ms,
            segments: candidate.segments,
            first_dirty: candidate.first_dirty,
            end: candidate.end,
            map,
            aborted: Vec::new(),
            transactions: Transactions::default(),
            phase: Phase::Map {
                next: first.saturating_sub(1),
                reader: None,
            },
            cleaned,
        }
    }

    /// What was done so far.
    pub(crate) fn cleaned(&self) -> Cleaned {
        self.cleaned
    }

    /// Finds what the whole cleaning needs: which transactions were aborted. Blocks.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        self.aborted = self.core.aborted_below(self.end)?;
        self.transactions = Transactions::new(self.aborted.clone());
        Ok(())
    }

    /// The next step. Blocks.
    pub(crate) fn step(&mut self) -> Result<Step, Error> {
        match &mut self.phase {
            Phase::Map { .. } => self.map_step().map(Step::Bytes),
            Phase::Groups(groups) if groups.is_empty() => Ok(Step::Done),
            Phase::Groups(_) => Ok(Step::Group),
            Phase::Rewrite(_) => self.rewrite_step(),
        }
    }

    fn map_step(&mut self) -> Result<u64, Error> {
        let Phase::Map { next, reader } = &mut self.phase else {
            return Ok(0);
        };
        let Some(segment) = self.segments.get(*next).filter(|_| !self.map.is_full()) else {
            self.begin_groups();
            return Ok(0);
        };
        let open = match reader.take() {
            Some(open) => Ok(open),
            None => SegmentReader::new(segment, self.options.read_bytes()),
        };
        let reader = reader.insert(open?);
        let (batches, bytes) = reader.next(&self.core)?;
        self.cleaned.map_bytes += bytes;
        if batches.is_empty() {
            *next += 1;
            let ends = self.segments.get(*next).map_or(self.end, |s| s.base_offset);
            self.map.mapped_up_to(ends - 1);
            self.phase = Phase::Map {
                next: *next,
                reader: None,
            };
            return Ok(bytes);
        }
        for batch in &batches {
            if self.map.is_full() {
                break;
            }
            self.map_batch(batch)?;
        }
        Ok(bytes)
    }

    fn map_batch(&mut self, batch: &Batch) -> Result<(), Error> {
        let header = batch.header();
        let is_control = header.attributes.is_control();
        if is_control {
            self.transactions.on_control(batch);
        } else if !self.transactions.on_records(header) && header.last_offset() >= self.first_dirty
        {
            let (map, first_dirty) = (&mut self.map, self.first_dirty);
            visit_keys(batch, self.options.decompress_limit(), |record| {
                if let Some(key) = record.key.filter(|_| record.offset >= first_dirty) {
                    map.put(key, record.offset);
                }
            })
            .map_err(|e| self.uncleanable(batch, &e))?;
        }
        if header.last_offset() >= self.first_dirty {
            self.map.mapped_up_to(header.last_offset());
        }
        Ok(())
    }

    fn begin_groups(&mut self) {
        let to = self.map.latest_offset() + 1;
        self.cleaned.to = self.cleaned.to.max(to);
        self.cleaned.keys = self.map.keys() as u64;
        self.cleaned.map_memory_bytes = self.map.bytes() as u64;
        let segments = self.segments.iter();
        let due = segments.take_while(|s| s.base_offset < to).cloned();
        self.phase = Phase::Groups(due.collect());
        self.transactions = Transactions::new(std::mem::take(&mut self.aborted));
    }

    /// Begins with the next group. Blocks.
    pub(crate) fn begin_group(&mut self, last_records: LastRecords) -> Result<(), Error> {
        let Phase::Groups(left) = &mut self.phase else {
            return Ok(());
        };
        let mut left = std::mem::take(left);
        let Some(first) = left.pop_front() else {
            return Ok(());
        };
        let sizes = Sizes::of(&first)?;
        let mut output = None;
        if self.follows(first.base_offset, sizes, &left)? {
            // Two small segments become one, even if everything in them stays.
            output = Some(Output::create(&self.core, &first)?);
        }
        self.phase = Phase::Rewrite(Box::new(Rewrite {
            left,
            group: vec![first],
            source_bytes: sizes.log,
            last_records,
            high_watermark: self.core.offsets().high_watermark,
            reader: None,
            output,
            counted: Counted::default(),
            before: (self.transactions.clone(), Counted::default()),
            tentative: None,
        }));
        Ok(())
    }

    /// Whether the next of `left` fits behind `sizes` in a segment from `base` on, whatever stays of
    /// it.
    fn follows(
        &self,
        base: Offset,
        sizes: Sizes,
        left: &VecDeque<Arc<Segment>>,
    ) -> Result<bool, Error> {
        let Some(next) = left.front() else {
            return Ok(false);
        };
        let fits = sizes.plus(&Sizes::of(next)?).fit(&self.config);
        Ok(fits && in_reach(base, self.end_of_first(left)))
    }

    /// Where the first of `left` ends.
    fn end_of_first(&self, left: &VecDeque<Arc<Segment>>) -> Offset {
        let next = left.get(1).map(|next| next.base_offset);
        let behind = || {
            let first = left.front().map_or(0, |first| first.base_offset);
            let mut later = self.segments.iter().map(|s| s.base_offset);
            later.find(|&base| base > first).unwrap_or(self.end)
        };
        next.unwrap_or_else(behind)
    }

    fn rewrite_step(&mut self) -> Result<Step, Error> {
        let Phase::Rewrite(rewrite) = &mut self.phase else {
            return Ok(Step::Done);
        };
        let core = Arc::clone(&self.core);
        let Some(segment) = rewrite.group.last() else {
            return self.end_group();
        };
        let open = match rewrite.reader.take() {
            Some(open) => Ok(open),
            None => SegmentReader::new(segment, self.options.read_bytes()),
        };
        let reader = rewrite.reader.insert(open?);
        let (batches, read) = reader.next(&core)?;
        self.cleaned.read_bytes += read;
        if batches.is_empty() {
            return self.end_segment();
        }
        for batch in &batches {
            match self.rewrite_batch(batch)? {
                Rewritten::Done => {}
                // Something goes after all: the segment is written from its beginning.
                Rewritten::Changed => {
                    self.restart()?;
                    return Ok(Step::Bytes(read));
                }
                Rewritten::NoRoom => return self.end_group_before(),
            }
        }
        let Phase::Rewrite(rewrite) = &mut self.phase else {
            return Ok(Step::Done);
        };
        let written = match &mut rewrite.output {
            Some(output) => output.write(&core)?,
            None => 0,
        };
        self.cleaned.written_bytes += written;
        Ok(Step::Bytes(read + written))
    }

    /// Decides about a batch, and writes what stays of it.
    fn rewrite_batch(&mut self, batch: &Batch) -> Result<Rewritten, Error> {
        let Phase::Rewrite(rewrite) = &mut self.phase else {
            return Ok(Rewritten::Done);
        };
        let rules = Rules {
            map: &self.map,
            now_ms: self.now_ms,
            horizon_ms: self.now_ms.saturating_add(self.config.delete_retention_ms),
            last_records: &rewrite.last_records,
            high_watermark: rewrite.high_watermark,
            limit: self.options.decompress_limit(),
        };
        let counted = &mut rewrite.counted;
        let filtered = filter(batch, &rules, &mut self.transactions, counted);
        let (outcome, entry) = filtered.map_err(|e| uncleanable(&self.core, batch, &e))?;
        let kept = match &outcome {
            Outcome::Same => Some(batch),
            Outcome::Replaced(new) => Some(new),
            Outcome::Dropped => None,
        };
        let Some(output) = &mut rewrite.output else {
            return Ok(match outcome {
                Outcome::Same => Rewritten::Done,
                _ => Rewritten::Changed,
            });
        };
        if let Some(kept) = kept {
            let added = Sizes {
                log: kept.bytes().len() as u64,
                offsets: index::OFFSET_ENTRY_LEN as u64,
                times: index::TIME_ENTRY_LEN as u64,
            };
            if rewrite.tentative.is_some() && !output.sizes().plus(&added).fit(&self.config) {
                return Ok(Rewritten::NoRoom);
            }
            output.push(&self.core, kept)?;
        }
        if let Some(entry) = entry {
            output.push_aborted(entry);
        }
        Ok(Rewritten::Done)
    }

    fn restart(&mut self) -> Result<(), Error> {
        let Phase::Rewrite(rewrite) = &mut self.phase else {
            return Ok(());
        };
        if let Some(segment) = rewrite.group.last() {
            rewrite.output = Some(Output::create(&self.core, segment)?);
        }
        rewrite.reader = None;
        (self.transactions, rewrite.counted) = rewrite.before.clone();
        Ok(())
    }

    /// A segment is read to its end: perhaps the next one has room in the same output.
    fn end_segment(&mut self) -> Result<Step, Error> {
        let Phase::Rewrite(rewrite) = &self.phase else {
            return Ok(Step::Done);
        };
        let (Some(output), Some(next)) = (&rewrite.output, rewrite.left.front()) else {
            return self.end_group();
        };
        let base = rewrite.group.first().map_or(0, |first| first.base_offset);
        let (written, source) = (output.sizes(), Sizes::of(next)?);
        let is_sure = self.follows(base, written, &rewrite.left)?;
        // As much may stay of the next one as did of those before.
        let share = written.log as f64 / rewrite.source_bytes.max(1) as f64;
        let expected = written.log as f64 + source.log as f64 * share.min(1.0);
        let is_likely = in_reach(base, self.end_of_first(&rewrite.left))
            && expected < self.config.segment_bytes as f64 * 0.9;
        if !is_sure && !is_likely {
            return self.end_group();
        }
        let core = Arc::clone(&self.core);
        let Phase::Rewrite(rewrite) = &mut self.phase else {
            return Ok(Step::Done);
        };
        let bytes = match &mut rewrite.output {
            Some(output) => {
                let bytes = output.write(&core)?;
                rewrite.tentative = (!is_sure).then(|| output.mark());
                bytes
            }
            None => 0,
        };
        self.cleaned.written_bytes += bytes;
        rewrite.before = (self.transactions.clone(), rewrite.counted);
        rewrite.reader = None;
        rewrite.source_bytes += source.log;
        rewrite.group.extend(rewrite.left.pop_front());
        if let (Some(output), Some(segment)) = (&mut rewrite.output, rewrite.group.last()) {
            output.extends_over(&core, segment);
        }
        Ok(Step::Bytes(bytes))
    }

    /// The segment that is being read does not fit in: the group ends before it.
    fn end_group_before(&mut self) -> Result<Step, Error> {
        let Phase::Rewrite(rewrite) = &mut self.phase else {
            return Ok(Step::Done);
        };
        if let (Some(output), Some(mark)) = (&mut rewrite.output, rewrite.tentative.take()) {
            output.back_to(mark)?;
        }
        if let Some(segment) = rewrite.group.pop() {
            rewrite.left.push_front(segment);
        }
        (self.transactions, rewrite.counted) = rewrite.before.clone();
        self.end_group()
    }

    fn end_group(&mut self) -> Result<Step, Error> {
        let ended = std::mem::replace(&mut self.phase, Phase::Groups(VecDeque::new()));
        let Phase::Rewrite(rewrite) = ended else {
            return Ok(Step::Done);
        };
        let Rewrite {
            left,
            group,
            output,
            counted,
            ..
        } = *rewrite;
        self.phase = Phase::Groups(left);
        self.cleaned.segments += group.len() as u64;
        self.cleaned.records += counted.seen;
        self.cleaned.records_kept += counted.kept;
        self.cleaned.records_invalid += counted.invalid;
        self.cleaned.tombstones_dropped += counted.tombstones_dropped;
        let Some(output) = output else {
            self.cleaned.unchanged_segments += 1;
            return Ok(Step::Bytes(0));
        };
        let base = group.first().map_or(0, |s| s.base_offset);
        let finished = output
            .finish(&self.core)
            .and_then(|new| swap::prepare(&self.core, &new).map(|()| new));
        match finished {
            Ok(new) => Ok(Step::Swap { old: group, new }),
            Err(error) => {
                swap::discard(&self.core, base);
                Err(error)
            }
        }
    }

    /// Removes what is half done. Blocks.
    pub(crate) fn discard(&self) {
        if let Phase::Rewrite(rewrite) = &self.phase
            && rewrite.output.is_some()
            && let Some(first) = rewrite.group.first()
        {
            swap::discard(&self.core, first.base_offset);
        }
    }

    fn uncleanable(&self, batch: &Batch, error: &ottla_record::Error) -> Error {
        uncleanable(&self.core, batch, error)
    }
}

fn uncleanable(core: &Core, batch: &Batch, error: &ottla_record::Error) -> Error {
    Error::Uncleanable {
        log: core.partition.to_string(),
        reason: format!(
            "the batch at offset {}: {error}",
            batch.header().base_offset
        ),
    }
}
