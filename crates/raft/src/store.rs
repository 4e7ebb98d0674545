//! The log, the vote, and what is known to be committed: openraft's log store.
//!
//! ```text
//! append ─▶ tail in memory (readable at once) ─▶ queue ─▶ writer: one batch, one flush ─▶ callbacks
//! ```
//!
//! Changes are carried out one after the other in the order in which they come. Appends that wait
//! together are written as one batch and flushed once. When the disk is full, the append that found
//! it so is tried again until there is room ([`Store::retry`]), and everything behind it waits:
//! nothing is lost, and nothing is acknowledged meanwhile.

mod format;
mod reader;
mod recovery;
mod vote;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use ottla_model::Sabotage;
use ottla_runtime::disk::is_full;
use ottla_runtime::{Runtime, Workers, fail_stop};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::member::Position;
use crate::observer::Observer;
use crate::openraft_config::{Entry, LogId, Types, Vote};
use writer::{Segment, Writer, Written};

/// Reads bytes in every way in which the log's files are read.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn read_any(bytes: &Bytes) {
    drop(format::SegmentHeader::decode(bytes));
    drop(format::decode_entry(bytes, 0));
    drop(format::decode_batch(bytes, 0));
    drop(vote::decode(bytes));
    assert!(!format::good_batch_follows(bytes, bytes.len(), 0));
}

/// So many bytes of the newest entries stay in memory.
const CACHE_BYTES: usize = 4 << 20;
/// A batch has no more than so many bytes, unless a single append has.
const BATCH_BYTES: usize = 8 << 20;

/// The log store. Clones are the same store.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    dir: PathBuf,
    workers: Workers,
    tail: Mutex<Tail>,
    /// Locked only while one piece of disk work runs; nothing else competes for it.
    writer: Mutex<Writer>,
    observer: Option<Arc<dyn Observer>>,
}

/// What is known of the log without reading the disk.
struct Tail {
    vote: Option<Vote>,
    committed: Option<Position>,
    committed_saved: Option<Position>,
    /// The last entry that is gone.
    purged: Option<Position>,
    /// The last entry, or the last one that is gone.
    last: Option<Position>,
    segments: Vec<Segment>,
    /// The newest entries, without a hole up to `last`.
    cache: VecDeque<Entry>,
    cache_bytes: usize,
    /// The index after the last entry that is flushed: older ones need not be in memory.
    flushed: u64,
    /// Counts truncations: bytes that were read across one may be anything.
    truncations: u64,
    queue: VecDeque<Change>,
    /// Whether a worker is at it.
    busy: bool,
    full: bool,
}

/// A change that is to be made on disk.
enum Change {
    Append(Append),
    Vote(Vote, oneshot::Sender<()>),
    Truncate(Option<Position>, oneshot::Sender<()>),
    Purge(Position, oneshot::Sender<()>),
    Committed(Position),
    /// Tells that everything before it is done.
    Barrier(oneshot::Sender<()>),
}

struct Append {
    frames: Vec<Bytes>,
    last: Position,
    done: IOFlushed<Types>,
}

impl Tail {
    fn next(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    fn first(&self) -> u64 {
        self.purged.map_or(0, |purged| purged.index + 1)
    }

    fn cache_base(&self) -> u64 {
        self.next() - self.cache.len() as u64
    }

    fn push(&mut self, entry: Entry, bytes: usize) {
        self.last = Some(Position::of(&entry.log_id));
        self.cache.push_back(entry);
        self.cache_bytes += bytes;
    }

    /// Learns where entries were appended on disk.
    fn follow_appends(&mut self, written: &[Segment]) {
        if let Some((known, written)) = self.segments.iter_mut().zip(written).next_back() {
            let new = &written.positions[known.positions.len()..];
            known.positions.extend_from_slice(new);
            known.end = written.end;
        }
        let new = written.iter().skip(self.segments.len());
        self.segments.extend(new.cloned());
    }

    /// Forgets the oldest entries in memory that the disk has.
    fn evict(&mut self) {
        while self.cache_bytes > CACHE_BYTES && self.cache_base() < self.flushed {
            let Some(entry) = self.cache.pop_front() else {
                return;
            };
            self.cache_bytes -= size_of_entry(&entry).min(self.cache_bytes);
        }
    }

    fn truncate(&mut self, after: Option<Position>) {
        let base = self.cache_base();
        let next = after.map_or(0, |after| after.index + 1);
        let keep = usize::try_from(next.saturating_sub(base)).unwrap_or(usize::MAX);
        for entry in self.cache.drain(keep.min(self.cache.len())..) {
            self.cache_bytes -= size_of_entry(&entry).min(self.cache_bytes);
        }
        self.last = after;
        self.truncations += 1;
    }

    fn purge(&mut self, upto: Position) {
        if self.last.is_none_or(|last| last.index < upto.index) {
            self.cache.clear();
            self.cache_bytes = 0;
            self.last = Some(upto);
        }
        while self.cache_base() <= upto.index {
            let Some(entry) = self.cache.pop_front() else {
                break;
            };
            self.cache_bytes -= size_of_entry(&entry).min(self.cache_bytes);
        }
        self.purged = self.purged.max(Some(upto));
    }
}

/// About what an entry takes in the log.
fn size_of_entry(entry: &Entry) -> usize {
    use openraft::EntryPayload;
    let payload = match &entry.payload {
        EntryPayload::Normal(command) => command.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    payload + 64
}

impl Store {
    /// Reads the log, or makes it. `snapshot` is the last entry of the newest snapshot. Blocks.
    pub(crate) fn open(
        runtime: &Runtime,
        dir: &Path,
        snapshot: Option<Position>,
        segment_bytes: u64,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, Error> {
        let recovered = recovery::recover(&runtime.disk, dir, snapshot, segment_bytes)?;
        let writer = recovered.writer;
        let tail = Tail {
            vote: recovered.vote,
            committed: recovered.committed,
            committed_saved: recovered.committed,
            purged: writer.segments[0].before,
            last: writer.last,
            segments: writer.segments.clone(),
            cache: VecDeque::new(),
            cache_bytes: 0,
            flushed: writer.next(),
            truncations: 0,
            queue: VecDeque::new(),
            busy: false,
            full: false,
        };
        Ok(Store(Arc::new(Inner {
            runtime: runtime.clone(),
            dir: dir.to_owned(),
            workers: runtime.tasks.workers("raft-log", 1),
            tail: Mutex::new(tail),
            writer: Mutex::new(writer),
            observer,
        })))
    }

    /// The vote that is on disk.
    pub(crate) fn vote(&self) -> Option<Vote> {
        self.0.tail.lock().vote
    }

    /// Whether the last append found no room.
    pub(crate) fn is_full(&self) -> bool {
        self.0.tail.lock().full
    }

    /// Tries again what found no room.
    pub(crate) fn retry(&self) {
        self.0.kick();
    }

    /// Notes down what is committed, if that is more than was noted before.
    pub(crate) fn note_committed(&self) {
        let mut tail = self.0.tail.lock();
        let Some(committed) = tail.committed else {
            return;
        };
        // A note about what is not on disk yet would look like a loss after a crash.
        if committed.index >= tail.flushed || tail.committed_saved >= Some(committed) {
            return;
        }
        tail.committed_saved = Some(committed);
        tail.queue.push_back(Change::Committed(committed));
        drop(tail);
        self.0.kick();
    }

    /// Waits until everything that was asked for is done, and lets the worker go. A full disk is
    /// not waited for.
    pub(crate) async fn close(&self) {
        self.note_committed();
        if !self.is_full() {
            self.change(Change::Barrier).await;
        }
        self.0.workers.close();
    }

    async fn change(&self, change: impl FnOnce(oneshot::Sender<()>) -> Change) {
        let (done, wait) = oneshot::channel();
        self.0.tail.lock().queue.push_back(change(done));
        self.0.kick();
        // The worker ends only with the process.
        wait.await.ok();
    }
}

impl Inner {
    /// Sets a worker to the queue, unless one is at it.
    fn kick(self: &Arc<Self>) {
        let mut tail = self.tail.lock();
        if tail.busy || tail.queue.is_empty() {
            return;
        }
        tail.busy = true;
        drop(tail);
        let this = Arc::clone(self);
        self.workers.submit(move || this.work());
    }

    fn next_change(&self) -> Option<Vec<Change>> {
        let mut tail = self.tail.lock();
        let Some(first) = tail.queue.pop_front() else {
            tail.busy = false;
            return None;
        };
        let mut run = vec![first];
        let mut bytes = 0;
        while let Some(Change::Append(append)) = run.last() {
            bytes += append.frames.iter().map(Bytes::len).sum::<usize>();
            if bytes > BATCH_BYTES || !matches!(tail.queue.front(), Some(Change::Append(_))) {
                break;
            }
            run.extend(tail.queue.pop_front());
        }
        Some(run)
    }

    /// Makes one change on disk, or several appends together.
    fn work(self: Arc<Self>) {
        let Some(run) = self.next_change() else {
            return;
        };
        let mut appends = Vec::new();
        for change in run {
            match change {
                Change::Append(append) => appends.push(append),
                other => {
                    if let Err(unmade) = self.make(other) {
                        self.stall(vec![unmade]);
                        return;
                    }
                }
            }
        }
        if appends.is_empty() {
            self.go_on();
            return;
        }
        let Some(last) = appends.last().map(|append| append.last) else {
            return;
        };
        let frames: Vec<Bytes> = appends
            .iter()
            .flat_map(|append| append.frames.iter().cloned())
            .collect();
        let written = self.writer.lock().write(&frames, last);
        match written {
            Ok(Written::Whole) => {
                let this = Arc::clone(&self);
                self.workers.proceed(move || this.flush(appends, last));
            }
            Ok(Written::DiskFull(error)) => {
                self.tell_full(&error);
                self.stall(appends.into_iter().map(Change::Append).collect());
            }
            Err(error) => fail_stop(error),
        }
    }

    fn flush(self: Arc<Self>, appends: Vec<Append>, last: Position) {
        let writer = self.writer.lock();
        let began = self.runtime.clock.instant();
        if !Sabotage::ForgetsMetadata.is_on()
            && let Err(error) = writer.flush()
        {
            fail_stop(error);
        }
        if let Some(observer) = &self.observer {
            let now = self.runtime.clock.instant();
            observer.flushed(now.saturating_duration_since(began));
        }
        {
            let mut tail = self.tail.lock();
            tail.follow_appends(&writer.segments);
            tail.flushed = last.index + 1;
            tail.full = false;
            tail.evict();
        }
        drop(writer);
        for append in appends {
            append.done.io_completed(Ok(()));
        }
        self.go_on();
    }

    /// What is left of the queue comes next, as another piece of work.
    fn go_on(self: Arc<Self>) {
        self.tail.lock().busy = false;
        self.kick();
    }

    /// Makes a change that is no append; gives it back when the disk has no room for it.
    fn make(&self, change: Change) -> Result<(), Change> {
        let mut writer = self.writer.lock();
        let made = match &change {
            Change::Vote(vote, _) => writer.save_vote(vote).map(|()| Written::Whole),
            Change::Truncate(after, _) => writer.truncate(*after),
            Change::Purge(upto, _) => writer.purge(*upto),
            Change::Committed(committed) => {
                writer.save_committed(*committed).map(|()| Written::Whole)
            }
            Change::Barrier(_) | Change::Append(_) => Ok(Written::Whole),
        };
        match made {
            Ok(Written::Whole) => {}
            Ok(Written::DiskFull(error)) => {
                self.tell_full(&error);
                return Err(change);
            }
            // Both copies are good still, or one is.
            Err(Error::Io { source, .. })
                if matches!(change, Change::Vote(..)) && is_full(&source) =>
            {
                self.tell_full(&source);
                return Err(change);
            }
            Err(error) => fail_stop(error),
        }
        let mut tail = self.tail.lock();
        match &change {
            Change::Vote(vote, _) => tail.vote = Some(*vote),
            Change::Truncate(..) | Change::Purge(..) => {
                tail.segments.clone_from(&writer.segments);
                tail.flushed = writer.next();
            }
            _ => {}
        }
        drop(tail);
        if let Change::Vote(_, done)
        | Change::Truncate(_, done)
        | Change::Purge(_, done)
        | Change::Barrier(done) = change
        {
            // Whoever asked may have gone away; what was asked for is done all the same.
            done.send(()).ok();
        }
        Ok(())
    }

    /// Puts back what found no room.
    fn stall(&self, changes: Vec<Change>) {
        let mut tail = self.tail.lock();
        for change in changes.into_iter().rev() {
            tail.queue.push_front(change);
        }
        tail.full = true;
        tail.busy = false;
    }

    fn tell_full(&self, error: &io::Error) {
        if !self.tail.lock().full {
            tracing::error!(
                folder = %self.dir.display(),
                %error,
                "the disk has no room for the log: nothing can be proposed until there is some"
            );
        }
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let tail = self.0.tail.lock();
        Ok(LogState {
            last_purged_log_id: tail.purged.map(Position::log_id),
            last_log_id: tail.last.map(Position::log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.change(|done| Change::Vote(*vote, done)).await;
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.0.tail.lock().committed = committed.as_ref().map(Position::of);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.0.tail.lock().committed.map(Position::log_id))
    }

    async fn append<I>(&mut self, entries: I, done: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut tail = self.0.tail.lock();
        let mut frames = Vec::new();
        for entry in entries {
            if entry.log_id.index != tail.next() {
                fail_stop(format!(
                    "entry {} was to be appended to a log that goes on with entry {}",
                    entry.log_id.index,
                    tail.next()
                ));
            }
            frames.push(format::encode_entry(&entry));
            let bytes = size_of_entry(&entry);
            tail.push(entry, bytes);
        }
        match tail.last {
            Some(last) if !frames.is_empty() => {
                tail.queue
                    .push_back(Change::Append(Append { frames, last, done }));
            }
            _ => {
                drop(tail);
                done.io_completed(Ok(()));
                return Ok(());
            }
        }
        drop(tail);
        self.0.kick();
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let after = last.as_ref().map(Position::of);
        {
            let mut tail = self.0.tail.lock();
            if after.is_some_and(|after| after.index >= tail.next()) {
                return Ok(());
            }
            tail.truncate(after);
        }
        self.change(|done| Change::Truncate(after, done)).await;
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let upto = Position::of(&upto);
        self.0.tail.lock().purge(upto);
        self.change(|done| Change::Purge(upto, done)).await;
        Ok(())
    }
}

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod tests;
