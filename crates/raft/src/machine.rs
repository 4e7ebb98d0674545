//! The state machine as openraft sees it: it applies entries, and makes and installs snapshots.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use ottla_runtime::disk::is_full;
use ottla_runtime::{Runtime, fail_stop};
use parking_lot::Mutex;

use crate::error::Error;
use crate::member::Position;
use crate::observer::Observer;
use crate::openraft_config::{LogId, SnapshotMeta, StoredMembership, Types};
use crate::snapshot::{SnapshotFile, Snapshots};
use crate::state_machine::{StateMachine, View};

/// So many entries are applied before the result is published and the task gives way to others.
const ENTRIES_AT_ONCE: usize = 256;
/// How long a snapshot that found no room waits before the next try.
const FULL_RETRY: Duration = Duration::from_secs(1);

type Snapshot = openraft::type_config::alias::SnapshotOf<Types, SnapshotFile>;

/// The owner of the state.
pub(crate) struct Machine {
    runtime: Runtime,
    snapshots: Snapshots,
    /// Away only while a snapshot is restored on another thread. It has one owner; openraft asks for
    /// a type that could be shared, and the lock, which is never taken, makes it one.
    state: Mutex<Option<Box<dyn StateMachine>>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// The bytes of entries that were applied since the last snapshot was begun.
    growth: Arc<AtomicU64>,
    /// The newest snapshot; the builder puts it there.
    newest: Arc<Mutex<Option<(SnapshotMeta, SnapshotFile)>>>,
    observer: Option<Arc<dyn Observer>>,
}

impl Machine {
    /// `newest` is the snapshot on disk, which openraft will have restored.
    pub(crate) fn new(
        runtime: Runtime,
        snapshots: Snapshots,
        state: Box<dyn StateMachine>,
        newest: Option<(SnapshotMeta, SnapshotFile)>,
        growth: Arc<AtomicU64>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Machine {
            runtime,
            snapshots,
            state: Mutex::new(Some(state)),
            applied: None,
            membership: StoredMembership::default(),
            growth,
            newest: Arc::new(Mutex::new(newest)),
            observer,
        }
    }

    fn state(&mut self) -> &mut dyn StateMachine {
        match self.state.get_mut() {
            Some(state) => &mut **state,
            None => fail_stop("the state was used while a snapshot was being restored"),
        }
    }

    fn apply_one(&mut self, log_id: LogId, payload: &crate::openraft_config::Payload) -> Bytes {
        let at = Position::of(&log_id);
        let reply = match payload {
            EntryPayload::Blank => Bytes::new(),
            EntryPayload::Normal(command) => {
                self.growth
                    .fetch_add(command.0.len() as u64, Ordering::Relaxed);
                match self.state().apply(at, &command.0) {
                    Ok(reply) => reply,
                    Err(reason) => fail_stop(format!(
                        "entry {at} of the replicated log cannot be applied: {reason}"
                    )),
                }
            }
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership.clone());
                Bytes::new()
            }
        };
        self.applied = Some(log_id);
        reply
    }

    async fn restore(&mut self, at: Position, file: SnapshotFile) {
        let Some(mut state) = self.state.get_mut().take() else {
            fail_stop("two snapshots were to be restored at once");
        };
        let work = move || {
            let restored = state.restore(at, &mut file.chunks());
            // What the state machine did not care to read may be damaged all the same.
            (state, restored.and_then(|()| file.verify()))
        };
        let (state, restored) = self.runtime.tasks.blocking(work).await;
        if let Err(reason) = restored {
            fail_stop(format!(
                "the snapshot up to entry {at} cannot be restored: {reason}"
            ));
        }
        *self.state.get_mut() = Some(state);
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut entries = entries.ready_chunks(ENTRIES_AT_ONCE);
        while let Some(some) = entries.next().await {
            let mut replies = Vec::new();
            for item in some {
                let (entry, responder) = item?;
                let reply = self.apply_one(entry.log_id, &entry.payload);
                if let Some(responder) = responder {
                    replies.push((responder, reply));
                }
            }
            if let Some(applied) = self.applied {
                self.state().applied(Position::of(&applied));
            }
            // Whoever proposed an entry sees what it has changed.
            for (responder, reply) in replies {
                responder.send(reply);
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.growth.store(0, Ordering::Relaxed);
        Builder {
            runtime: self.runtime.clone(),
            snapshots: self.snapshots.clone(),
            view: Mutex::new(Some(self.state().snapshot())),
            meta: SnapshotMeta {
                last_log_id: self.applied,
                last_membership: self.membership.clone(),
            },
            newest: Arc::clone(&self.newest),
            observer: self.observer.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        file: SnapshotFile,
    ) -> Result<(), io::Error> {
        let Some(last) = meta.last_log_id else {
            return Ok(());
        };
        let snapshots = self.snapshots.clone();
        let adopted = {
            let meta = meta.clone();
            let adopt = move || {
                let adopted = snapshots.adopt(&meta, &file)?;
                snapshots.remove_others(&adopted.path)?;
                Ok::<_, Error>(adopted)
            };
            self.runtime.tasks.blocking(adopt).await
        };
        let file = adopted.map_err(io::Error::other)?;
        self.restore(Position::of(&last), file.clone()).await;
        self.applied = Some(last);
        self.membership = meta.last_membership.clone();
        self.growth.store(0, Ordering::Relaxed);
        *self.newest.lock() = Some((meta.clone(), file));
        self.state().applied(Position::of(&last));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let newest = self.newest.lock().clone();
        Ok(newest.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// Writes a snapshot beside the machine's further work.
pub(crate) struct Builder {
    runtime: Runtime,
    snapshots: Snapshots,
    /// Away only while it is written on another thread. The lock is for the same reason as that of
    /// [`Machine::state`].
    view: Mutex<Option<View>>,
    meta: SnapshotMeta,
    newest: Arc<Mutex<Option<(SnapshotMeta, SnapshotFile)>>>,
    observer: Option<Arc<dyn Observer>>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let mut told = false;
        loop {
            let Some(view) = self.view.get_mut().take() else {
                return Err(io::Error::other(
                    "a snapshot was to be written twice at once",
                ));
            };
            let (snapshots, meta) = (self.snapshots.clone(), self.meta.clone());
            let began = self.runtime.clock.instant();
            let write = move || {
                let written = snapshots.write(&meta, view());
                (view, written)
            };
            let (view, written) = self.runtime.tasks.blocking(write).await;
            *self.view.get_mut() = Some(view);
            let error = match written {
                Ok(file) => {
                    if let Some(observer) = &self.observer {
                        let now = self.runtime.clock.instant();
                        observer.snapshot_written(now.saturating_duration_since(began));
                    }
                    return Ok(self.finish(file).await);
                }
                Err(error) => error,
            };
            match &error {
                Error::Io { source, .. } if is_full(source) => {}
                _ => return Err(io::Error::other(error)),
            }
            if !told {
                tracing::error!(%error, "the disk has no room for a snapshot; trying again");
                told = true;
            }
            if self.runtime.shutdown().is_announced() {
                return Err(io::Error::other(error));
            }
            self.runtime.clock.sleep(FULL_RETRY).await;
        }
    }
}

impl Builder {
    async fn finish(&self, file: SnapshotFile) -> Snapshot {
        // A newer one may have been installed meanwhile; then this one is of no use.
        let newest = {
            let mut newest = self.newest.lock();
            let is_newest = newest
                .as_ref()
                .is_none_or(|(known, _)| known.last_log_id <= self.meta.last_log_id);
            if is_newest {
                *newest = Some((self.meta.clone(), file.clone()));
            }
            newest.as_ref().map(|(_, file)| file.path.clone())
        };
        if let Some(newest) = newest {
            let snapshots = self.snapshots.clone();
            let remove = move || snapshots.remove_others(&newest);
            if let Err(error) = self.runtime.tasks.blocking(remove).await {
                tracing::warn!(%error, "an old snapshot stays until the next one");
            }
        }
        Snapshot {
            meta: self.meta.clone(),
            snapshot: file,
        }
    }
}
