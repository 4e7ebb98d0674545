//! Opening a log that is on disk.
//!
//! ```text
//!  segments:   [ 0 ......... ][ 1000 ......│............... ]
//!                                     recovery point      end
//!              trusted: not read           read again, batch by batch, with CRC
//! ```
//!
//! Behind the recovery point a write may have been torn, but only one: each group of appends is
//! flushed before the next one is written. So damage is cut off only at the end of the last segment
//! and within the last group's reach. Any other damage is in data that was once whole: it stays, is
//! reported, and is never served.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_model::{Offset, TopicId, TopicPartition, Uuid};
use ottla_runtime::disk::{File, OpenMode};

use crate::aborted::{self, Promises};
use crate::clean::complete_swaps;
use crate::core::Context;
use crate::epochs::Epochs;
use crate::index::{self, Indexes};
use crate::layout::{self, FileKind, INDEX_SUFFIX, SNAPSHOT_SUFFIX};
use crate::layout::{TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};
use crate::owner::{Active, GROUP_BYTES_MAX};
use crate::producer_state::ProducerState;
use crate::progress::RecoveryProgress;
use crate::segment::Segment;
use crate::walk::{Step, Walker, resync};
use crate::{Error, LogConfig, Probe, checkpoint, producer_snapshot, replay, roll};

/// What is known before the folder is looked at.
pub(crate) struct Recovery {
    pub(crate) context: Arc<Context>,
    pub(crate) progress: Arc<RecoveryProgress>,
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: TopicId,
    pub(crate) config: Arc<LogConfig>,
    /// Whether compaction may have left gaps.
    pub(crate) gaps: bool,
    /// The data folder.
    pub(crate) root: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) recovery_point: Offset,
    pub(crate) log_start_offset: Offset,
    /// What is decided below it is decided for good.
    pub(crate) high_watermark: Offset,
}

/// A log as found.
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) active: Option<Active>,
    pub(crate) producers: ProducerState,
    pub(crate) epochs: Epochs,
    pub(crate) epochs_dirty: bool,
    pub(crate) log_start_offset: Offset,
    pub(crate) next_offset: Offset,
    pub(crate) recovery_point: Offset,
    pub(crate) snapshot_offset: Option<Offset>,
    pub(crate) promises: Promises,
    pub(crate) has_aborted: bool,
    pub(crate) bytes_since_checkpoint: u64,
    pub(crate) folder_exists: bool,
}

impl Recovered {
    /// A log of which nothing is on disk.
    pub(crate) fn empty() -> Self {
        Recovered {
            segments: Vec::new(),
            active: None,
            producers: ProducerState::default(),
            epochs: Epochs::default(),
            epochs_dirty: false,
            log_start_offset: 0,
            next_offset: 0,
            recovery_point: 0,
            snapshot_offset: None,
            promises: Promises::new(),
            has_aborted: false,
            bytes_since_checkpoint: 0,
            folder_exists: false,
        }
    }
}

/// The files of a folder that count.
struct Folder {
    bases: Vec<Offset>,
    snapshots: Vec<Offset>,
    transaction_indexes: BTreeSet<Offset>,
    changed: bool,
}

/// What became of one segment.
struct Scanned {
    active: Active,
    next_offset: Offset,
    /// Bytes behind the recovery point.
    new_bytes: u64,
    /// The file's end is damage that must stay: nothing can be appended here.
    frozen: bool,
}

impl Recovery {
    pub(crate) fn run(self) -> Result<Recovered, Error> {
        if !self.is_this_topic()? {
            self.set_aside()?;
            return Ok(Recovered::empty());
        }
        let mut folder = self.clean_folder()?;
        let mut recovered = Recovered::empty();
        recovered.folder_exists = true;
        let first = folder.bases.first().copied().unwrap_or(0);
        recovered.log_start_offset = self.log_start_offset.max(first);
        recovered.recovery_point = self.recovery_point.max(first);
        recovered.epochs = self.load_epochs()?;
        self.open_segments(&folder, &mut recovered);
        self.find_aborted(&folder, &mut recovered)?;
        self.load_producers(&mut folder, &mut recovered)?;
        self.scan_segments(&mut recovered)?;
        let end = recovered.next_offset;
        recovered.epochs_dirty |= recovered.epochs.truncate_from_end(end + 1);
        if folder.changed || end > recovered.recovery_point {
            let disk = &self.context.disk;
            disk.sync_dir(&self.dir)
                .map_err(Error::io("flush", &self.dir))?;
        }
        Ok(recovered)
    }

    /// Whether the folder belongs to this topic, and not to a deleted one of the same name.
    fn is_this_topic(&self) -> Result<bool, Error> {
        let path = self.dir.join(layout::PARTITION_METADATA_FILE);
        let bytes = checkpoint::read_if_exists(&*self.context.disk, &path)?;
        let found = bytes.and_then(|b| checkpoint::parse_partition_metadata(&b));
        Ok(found.is_none_or(|id| id == self.topic_id || self.topic_id.is_zero()))
    }

    fn set_aside(&self) -> Result<(), Error> {
        let id = Uuid(self.context.random.bytes16());
        let to = self.root.join(layout::deleted_folder(&self.partition, id));
        tracing::warn!(
            folder = %self.dir.display(),
            to = %to.display(),
            "the folder belongs to an earlier topic of the same name; it is put aside and removed"
        );
        let disk = &self.context.disk;
        disk.rename(&self.dir, &to)
            .and_then(|()| disk.sync_dir(&self.root))
            .map_err(Error::io("rename", &self.dir))?;
        self.context.trash.lock().push((0, to));
        Ok(())
    }

    /// Lists the folder, and removes what an interrupted deletion or write left behind.
    fn clean_folder(&self) -> Result<Folder, Error> {
        let disk = &*self.context.disk;
        complete_swaps(disk, &self.dir)?;
        let entries = disk.list(&self.dir).map_err(Error::io("list", &self.dir))?;
        let mut folder = Folder {
            bases: Vec::new(),
            snapshots: Vec::new(),
            transaction_indexes: BTreeSet::new(),
            changed: false,
        };
        let mut indexes = Vec::new();
        let mut garbage = Vec::new();
        for entry in entries.into_iter().filter(|e| !e.is_dir) {
            match layout::classify(&entry.name) {
                FileKind::Log(base) => folder.bases.push(base),
                FileKind::Index(base) => indexes.push((base, entry.name)),
                FileKind::TransactionIndex(base) => {
                    folder.transaction_indexes.insert(base);
                    indexes.push((base, entry.name));
                }
                FileKind::Snapshot(offset) => folder.snapshots.push(offset),
                FileKind::Garbage => garbage.push(entry.name),
                FileKind::Other => {}
            }
        }
        folder.bases.sort_unstable();
        folder.snapshots.sort_unstable();
        // Whole segments below the log start were about to be deleted.
        while let Some(&second) = folder.bases.get(1)
            && second <= self.log_start_offset
        {
            let base = folder.bases.remove(0);
            garbage.push(format!("{base:020}{}", layout::LOG_SUFFIX));
        }
        let has_log = |base: &Offset| folder.bases.binary_search(base).is_ok();
        let orphans = indexes.into_iter().filter(|(base, _)| !has_log(base));
        garbage.extend(orphans.map(|(_, name)| name));
        for name in garbage {
            folder.changed = true;
            roll::remove_if_exists(disk, &self.dir.join(name))?;
        }
        Ok(folder)
    }

    fn load_epochs(&self) -> Result<Epochs, Error> {
        let path = self.dir.join(layout::LEADER_EPOCH_FILE);
        let Some(bytes) = checkpoint::read_if_exists(&*self.context.disk, &path)? else {
            return Ok(Epochs::default());
        };
        Ok(Epochs::parse(&bytes).unwrap_or_else(|reason| {
            tracing::error!(path = %path.display(), reason, "leader epochs are lost");
            Epochs::default()
        }))
    }

    fn open_segments(&self, folder: &Folder, recovered: &mut Recovered) {
        let context = &self.context;
        let now = context.clock.now_ms();
        let open = |&base: &Offset| Arc::new(Segment::on_disk(context, &self.dir, base, now));
        recovered.segments = folder.bases.iter().map(open).collect();
    }

    /// The producers as of the recovery point: the newest snapshot up to it, and then the headers
    /// of the batches in between, if any.
    fn load_producers(&self, folder: &mut Folder, recovered: &mut Recovered) -> Result<(), Error> {
        let disk = &*self.context.disk;
        while let Some(&newest) = folder.snapshots.last() {
            let path = layout::file(&self.dir, newest, SNAPSHOT_SUFFIX);
            if newest <= recovered.recovery_point {
                let bytes = disk.read(&path).map_err(Error::io("read", &path))?;
                match producer_snapshot::decode(&bytes) {
                    Ok(state) => {
                        recovered.producers = state;
                        recovered.snapshot_offset = Some(newest);
                        break;
                    }
                    Err(reason) => {
                        tracing::warn!(path = %path.display(), reason, "a damaged producer snapshot");
                    }
                }
            }
            // A later one may speak of records that are lost. It must not come back.
            roll::remove_if_exists(disk, &path)?;
            folder.snapshots.pop();
            folder.changed = true;
        }
        let from = recovered.snapshot_offset.unwrap_or(0);
        self.replay_headers(recovered, from)
    }

    fn replay_headers(&self, recovered: &mut Recovered, from: Offset) -> Result<(), Error> {
        let range = (from, recovered.recovery_point);
        let producers = &mut recovered.producers;
        let high_watermark = self.high_watermark;
        replay::replay(
            &recovered.segments,
            range,
            high_watermark,
            producers,
            |_| {},
        )
    }

    /// Which segments have a transaction index, or should have one.
    fn find_aborted(&self, folder: &Folder, recovered: &mut Recovered) -> Result<(), Error> {
        let path = self.dir.join(layout::TRANSACTION_INDEX_FILE);
        if let Some(bytes) = checkpoint::read_if_exists(&*self.context.disk, &path)? {
            recovered.promises = aborted::parse_promises(&bytes).unwrap_or_else(|reason| {
                tracing::warn!(path = %path.display(), reason, "a damaged checkpoint");
                Promises::new()
            });
        }
        for segment in &recovered.segments {
            let base = segment.base_offset;
            let promise = recovered.promises.get(&base).copied();
            if promise.is_some() || folder.transaction_indexes.contains(&base) {
                segment.aborted.set_unchecked(promise);
                recovered.has_aborted = true;
            }
        }
        Ok(())
    }

    /// The transaction index of a segment that is scanned: what it has up to the recovery point.
    /// What follows is found in the log again.
    fn trust_aborted(
        &self,
        recovered: &Recovered,
        at: usize,
        segment: &Segment,
    ) -> Result<(), Error> {
        let Some(promise) = segment.aborted.unchecked() else {
            return Ok(());
        };
        let point = recovered.recovery_point;
        let disk = &*self.context.disk;
        let Some(mut trusted) = segment.read_aborted(promise)? else {
            let segments = &recovered.segments;
            let found = replay::aborted_in_segment(disk, &self.dir, segments, at, point)?;
            return segment.replace_aborted(&found);
        };
        trusted.retain(|entry| entry.last_offset < point);
        segment.aborted.set_written(&trusted);
        let path = segment.path(TRANSACTION_INDEX_SUFFIX);
        let len = (trusted.len() * aborted::ENTRY_LEN) as u64;
        match disk.open(&path, OpenMode::Write) {
            // Entries behind the recovery point may speak of records that are lost.
            Ok(file) => aborted::cut(&*file, len).map_err(Error::io("cut", &path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    /// Goes through what lies behind the recovery point.
    fn scan_segments(&self, recovered: &mut Recovered) -> Result<(), Error> {
        let point = recovered.recovery_point;
        let count = recovered.segments.len();
        let first = recovered
            .segments
            .partition_point(|s| s.base_offset <= point)
            .saturating_sub(1);
        recovered.next_offset = recovered.segments.first().map_or(0, |s| s.base_offset);
        let mut last_frozen = false;
        for i in first..count {
            let Some(segment) = recovered.segments.get(i).cloned() else {
                break;
            };
            let is_last = i + 1 == count;
            if segment.base_offset > point {
                self.keep_snapshot(&segment, recovered)?;
            }
            self.trust_aborted(recovered, i, &segment)?;
            let scanned = self.scan(&segment, is_last, recovered)?;
            recovered.next_offset = recovered.next_offset.max(scanned.next_offset);
            recovered.bytes_since_checkpoint += scanned.new_bytes;
            let (timestamp, offset) = scanned.active.max_timestamp;
            segment.set_max_timestamp(timestamp, offset);
            if scanned.new_bytes > 0 {
                // After a kill the kernel still had what it did not write: now it is written.
                let file = segment.log()?;
                file.sync_data()
                    .map_err(Error::io("flush", &segment.log_path()))?;
            }
            if is_last && !scanned.frozen {
                recovered.active = Some(scanned.active);
            } else {
                self.seal(&segment, &scanned)?;
                last_frozen = is_last;
            }
        }
        let promised = point.max(recovered.log_start_offset);
        if recovered.next_offset < promised || last_frozen {
            self.go_on_behind_the_damage(recovered, promised)?;
        }
        Ok(())
    }

    /// Each segment has the producers as of its start, so that they are known when the segments
    /// before it are gone. Those behind the recovery point were not believed.
    fn keep_snapshot(&self, segment: &Segment, recovered: &Recovered) -> Result<(), Error> {
        let bytes = producer_snapshot::encode(&recovered.producers);
        let path = segment.path(SNAPSHOT_SUFFIX);
        match roll::write_renamed(&*self.context.disk, &path, &bytes) {
            Err(error) if error.is_full() => Ok(()),
            other => other,
        }
    }

    /// Offsets that were given out once are never given out again.
    fn go_on_behind_the_damage(
        &self,
        recovered: &mut Recovered,
        promised: Offset,
    ) -> Result<(), Error> {
        if !recovered.segments.is_empty() && recovered.next_offset < promised {
            Probe::add(&self.context.probe.corrupt_batches, 1);
            tracing::error!(
                log = %self.partition,
                found_up_to = recovered.next_offset,
                flushed_up_to = promised,
                "records that were on disk are missing; the log goes on behind them"
            );
        }
        recovered.next_offset = recovered.next_offset.max(promised);
        if let Some(active) = recovered.active.take() {
            let scanned = Scanned {
                next_offset: recovered.next_offset,
                active,
                new_bytes: 0,
                frozen: true,
            };
            let segment = Arc::clone(&scanned.active.segment);
            if segment.base_offset == recovered.next_offset {
                recovered.active = Some(scanned.active);
                return Ok(());
            }
            self.seal(&segment, &scanned)?;
        }
        Ok(())
    }

    /// Writes the indexes of a segment that is not active.
    fn seal(&self, segment: &Segment, scanned: &Scanned) -> Result<(), Error> {
        let indexes = segment.indexes.write().take().unwrap_or_default();
        if segment.aborted.unwritten() > 0 {
            segment.write_aborted(true)?;
        }
        if scanned.new_bytes == 0 && !scanned.frozen {
            return Ok(());
        }
        let mut indexes = indexes;
        scanned.active.push_time(&mut indexes);
        let disk = &self.context.disk;
        let write = |suffix: &str, bytes: &[u8]| {
            let path = segment.path(suffix);
            disk.open(&path, OpenMode::Create)
                .and_then(|file| roll::rewrite_index(&*file, bytes))
                .map_err(Error::io("write", &path))
        };
        write(INDEX_SUFFIX, &index::encode_offsets(&indexes.offsets))?;
        write(TIME_INDEX_SUFFIX, &index::encode_times(&indexes.times))
    }

    /// Finds a segment's end. What lies before the recovery point is only stepped over, from the
    /// last index entry on.
    fn scan(
        &self,
        segment: &Arc<Segment>,
        is_last: bool,
        recovered: &mut Recovered,
    ) -> Result<Scanned, Error> {
        let path = segment.log_path();
        let failed = |e| Error::io("read", &path)(e);
        let (file, size) = (segment.log()?, segment.size()?);
        let point = recovered.recovery_point;
        let (mut indexes, mut active) = self.trusted_indexes(segment, point, size)?;
        let start = active.size;
        let mut from_index = start > 0;
        let promised = indexes.offsets.last();
        let promised = promised.map(|e| segment.base_offset + i64::from(e.relative_offset));
        let gaps = self.gaps;
        let mut walker = Walker::from_middle(&*file, start, size, segment.base_offset, gaps);
        let mut new_bytes = 0;
        let mut frozen = false;
        let interval = self.config.index_interval_bytes;
        loop {
            let verify = walker.next_offset() >= point;
            let mut step = walker.next(verify).map_err(failed)?;
            if from_index
                && !matches!(&step, Step::Batch { header, .. } if promised == Some(header.last_offset()))
            {
                // The last index entry is wrong: step over the whole segment instead.
                from_index = false;
                indexes = Indexes::default();
                active = Active::new(segment);
                walker = Walker::from_start(&*file, size, segment.base_offset, gaps);
                continue;
            }
            from_index = false;
            if let Step::Batch { position, header } = &step
                && header.base_offset < point
                && header.last_offset() >= point
            {
                // The recovery point lies between batches, so this length in offsets is wrong.
                let reason = format!("it reaches over the recovery point {point}");
                walker.back_to(*position, header.base_offset);
                let position = *position;
                step = Step::Bad { position, reason };
            }
            match step {
                Step::End => break,
                Step::Batch { position, header } => {
                    active.bytes_since_index += position - active.size;
                    active.size = position;
                    active.note(&mut indexes, &header, interval);
                    let epoch = header.partition_leader_epoch;
                    if header.base_offset >= point {
                        new_bytes += header.total_len() as u64;
                        let marker = walker.marker(position, &header).map_err(failed)?;
                        let producers = &mut recovered.producers;
                        let aborted = producers.replay(&header, marker, self.high_watermark);
                        if let Some(entry) = aborted {
                            segment.aborted.push(entry);
                            recovered.has_aborted = true;
                        }
                        recovered.epochs_dirty |=
                            recovered.epochs.assign(epoch, header.base_offset);
                        self.progress.add_bytes(header.total_len() as u64);
                    }
                }
                Step::Bad { position, reason } => {
                    let damage = Damage {
                        file: &*file,
                        path: &path,
                        position,
                        size,
                        expected: walker.next_offset(),
                    };
                    let was_flushed = damage.expected < point || !is_last;
                    if !was_flushed && !damage.is_in_an_older_group(&self.config)? {
                        self.cut(&damage, &reason)?;
                        break;
                    }
                    self.context.report_corrupt(&path, position, &reason);
                    match damage.next_sound(&mut walker)? {
                        Some(next) => walker.jump(next),
                        None => {
                            frozen = true;
                            break;
                        }
                    }
                }
            }
        }
        segment.set_size(if frozen { size } else { walker.position() });
        active.size = walker.position();
        if active.first_timestamp.is_none() || start > 0 {
            let mut front = Walker::new(&*file, 0, size, segment.base_offset);
            if let Step::Batch { header, .. } = front.next(false).map_err(failed)? {
                active.first_timestamp = Some(header.max_timestamp);
            }
        }
        *segment.indexes.write() = Some(indexes);
        Ok(Scanned {
            active,
            next_offset: walker.next_offset(),
            new_bytes,
            frozen,
        })
    }

    /// The index entries before the recovery point, and the segment up to the last of them.
    fn trusted_indexes(
        &self,
        segment: &Arc<Segment>,
        point: Offset,
        size: u64,
    ) -> Result<(Indexes, Active), Error> {
        let mut active = Active::new(segment);
        let mut indexes = Indexes::default();
        if point > segment.base_offset {
            indexes = segment.load_indexes()?;
            indexes.truncate((point - segment.base_offset).unsigned_abs(), size);
        }
        let base = segment.base_offset;
        active.offsets_written = indexes.offsets.len();
        active.times_written = indexes.times.len();
        if let Some(last) = indexes.offsets.last() {
            active.size = last.position.into();
        }
        if let Some(last) = indexes.times.last() {
            active.max_timestamp = (last.timestamp, base + i64::from(last.relative_offset));
        }
        Ok((indexes, active))
    }

    fn cut(&self, damage: &Damage<'_>, reason: &str) -> Result<(), Error> {
        let bytes = damage.size - damage.position;
        tracing::warn!(
            path = %damage.path.display(),
            position = damage.position,
            bytes,
            reason,
            "cutting off the torn end of a log: an append that was never acknowledged"
        );
        Probe::add(&self.context.probe.truncated_bytes, bytes);
        // Flushed at once: bytes behind the new end must not come back after new appends.
        damage
            .file
            .set_len(damage.position)
            .and_then(|()| damage.file.sync_data())
            .map_err(Error::io("cut", damage.path))
    }
}

/// A place in a segment where a batch should be and is not.
struct Damage<'a> {
    file: &'a dyn File,
    path: &'a Path,
    position: u64,
    size: u64,
    expected: Offset,
}

impl Damage<'_> {
    /// Whether sound batches follow further away than one group reaches: then this one was flushed
    /// before they were written.
    fn is_in_an_older_group(&self, config: &LogConfig) -> Result<bool, Error> {
        let beyond = self.position + GROUP_BYTES_MAX;
        if !config.wait_for_disk || beyond >= self.size {
            return Ok(false);
        }
        let sound = resync(self.file, beyond, self.size, self.expected)
            .map_err(Error::io("read", self.path))?;
        Ok(sound.is_some())
    }

    /// Where to go on: behind the damaged batch if its length is right, else at the next one found.
    fn next_sound(&self, walker: &mut Walker<'_>) -> Result<Option<u64>, Error> {
        let failed = |e| Error::io("read", self.path)(e);
        if let Some(claimed) = walker.claimed_end().map_err(failed)? {
            let mut probe = Walker::new(self.file, claimed, self.size, self.expected);
            if claimed == self.size {
                return Ok(None);
            }
            if matches!(probe.next(true).map_err(failed)?, Step::Batch { .. }) {
                return Ok(Some(claimed));
            }
        }
        resync(self.file, self.position + 1, self.size, self.expected).map_err(failed)
    }
}

impl Context {
    /// Reports a damaged batch by file and position.
    pub(crate) fn report_corrupt(&self, path: &Path, position: u64, reason: &str) {
        self.probe.corrupt_batches.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            path = %path.display(),
            position,
            reason,
            "corrupt record batch: it is not served; restore the file from a replica or a backup, \
             or let consumers skip it"
        );
    }
}
