//! The other end of [`Transport`](crate::Transport): what members ask of this one.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::TransferLeaderError;
use ottla_runtime::disk::{File, OpenMode};

use crate::error::Error;
use crate::member::{NodeId, Position};
use crate::openraft_config::{SnapshotMeta, Vote};
use crate::rpc::{
    Answer, Envelope, Request, Response, SnapshotAnswer, SnapshotPart, TransferAnswer,
    encode_response,
};
use crate::service::Shared;
use crate::snapshot::{SnapshotFile, Snapshots};

/// A snapshot that is being received.
#[derive(Default)]
pub(crate) enum Incoming {
    /// There is none.
    #[default]
    Nothing,
    /// A part of one is being worked on.
    Busy,
    /// Some of its parts are here.
    Partly(Received),
}

/// The parts that are here.
pub(crate) struct Received {
    from: NodeId,
    last: Position,
    total: u64,
    file: Arc<dyn File>,
    path: PathBuf,
    /// The byte that is expected next.
    next: u64,
}

/// Frees the place for the next snapshot when a request is given up in the middle.
struct Working<'a>(&'a Shared, Option<Incoming>);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        *self.0.incoming.lock() = self.1.take().unwrap_or_default();
    }
}

impl Shared {
    /// Answers a request. An error means that the bytes are none.
    pub(crate) async fn receive(&self, bytes: Bytes) -> Result<Bytes, Error> {
        let len = bytes.len();
        let decoded = Request::decode(bytes);
        let (envelope, request) = decoded.map_err(|reason| Error::Malformed { len, reason })?;
        let response = match self.admit(&envelope) {
            Ok(()) => {
                self.peers.heard(envelope.from);
                self.answer(envelope.from, request).await
            }
            Err(refusal) => Err(refusal.to_string()),
        };
        Ok(encode_response(&response))
    }

    /// Checks who speaks to whom.
    fn admit(&self, envelope: &Envelope) -> Result<(), Error> {
        let here = &self.envelope;
        if envelope.group != here.group {
            return Err(Error::ForeignGroup {
                theirs: String::from_utf8_lossy(&envelope.group).into_owned(),
                ours: String::from_utf8_lossy(&here.group).into_owned(),
            });
        }
        if envelope.to != here.from {
            return Err(Error::WrongMember {
                wanted: envelope.to,
                id: here.from,
            });
        }
        let (wanted, directory) = (envelope.to_directory, here.from_directory);
        // A founder may not know the others' directories; then any will do.
        if wanted != directory && !wanted.is_zero() {
            return Err(Error::WrongDirectory {
                id: here.from,
                wanted,
                here: directory,
            });
        }
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        if let Some(known) = metrics.membership_config.get_node(&envelope.from)
            && known.directory_id != envelope.from_directory
            && !known.directory_id.is_zero()
        {
            return Err(Error::ReplacedMember {
                id: envelope.from,
                theirs: envelope.from_directory,
                known: known.directory_id,
            });
        }
        Ok(())
    }

    async fn answer(&self, from: NodeId, request: Request) -> Response {
        match request {
            Request::Append(request) => {
                let answer = self.raft.append_entries(request).await;
                answer.map(|a| a.encode()).map_err(|e| e.to_string())
            }
            Request::Vote(request) => {
                let answer = self.raft.vote(request).await;
                answer.map(|a| a.encode()).map_err(|e| e.to_string())
            }
            Request::PreVote(request) => {
                let answer = self.raft.pre_vote(request).await;
                answer.map(|a| a.encode()).map_err(|e| e.to_string())
            }
            Request::TransferLeader(request) => {
                let answer = self.raft.handle_transfer_leader(request).await;
                let answer = match answer.map_err(|e| e.to_string())? {
                    Ok(()) => TransferAnswer::Accepted,
                    Err(TransferLeaderError::VoteChanged { actual, .. }) => {
                        TransferAnswer::VoteChanged(actual)
                    }
                    Err(TransferLeaderError::LogNotFlushed { .. }) => TransferAnswer::NotFlushed,
                };
                Ok(answer.encode())
            }
            Request::Snapshot(part) => {
                let answer = self.take_part(from, part).await;
                answer.map(|a| a.encode())
            }
        }
    }

    /// Takes a part of a snapshot; the last one installs it.
    async fn take_part(&self, from: NodeId, part: SnapshotPart) -> Result<SnapshotAnswer, String> {
        if let Some(vote) = self.store.vote()
            && vote.partial_cmp(&part.vote) == Some(std::cmp::Ordering::Greater)
        {
            return Ok(SnapshotAnswer { vote, next: 0 });
        }
        let incoming = std::mem::replace(&mut *self.incoming.lock(), Incoming::Busy);
        let received = match incoming {
            Incoming::Busy => return Err("another part of a snapshot is still at work".to_owned()),
            Incoming::Nothing => None,
            Incoming::Partly(received) => Some(received),
        };
        let mut working = Working(self, None);
        let vote = part.vote;
        let received = match received {
            Some(received)
                if received.from == from
                    && received.last == part.last
                    && received.total == part.total
                    && part.position > 0 =>
            {
                received
            }
            other => {
                if part.position > 0 {
                    // The beginning is missing (this member has started anew).
                    working.1 = other.map(Incoming::Partly);
                    return Ok(SnapshotAnswer { vote, next: 0 });
                }
                self.begin(from, &part, other)
                    .await
                    .map_err(|e| e.to_string())?
            }
        };
        if part.position != received.next {
            let next = received.next;
            working.1 = Some(Incoming::Partly(received));
            return Ok(SnapshotAnswer { vote, next });
        }
        let (received, meta) = self
            .write(received, part.bytes)
            .await
            .map_err(|e| e.to_string())?;
        let next = received.next;
        match meta {
            None => {
                working.1 = Some(Incoming::Partly(received));
                Ok(SnapshotAnswer { vote, next })
            }
            Some((meta, file)) => self.install(vote, meta, file).await,
        }
    }

    async fn begin(
        &self,
        from: NodeId,
        part: &SnapshotPart,
        old: Option<Received>,
    ) -> Result<Received, Error> {
        let (last, total) = (part.last, part.total);
        let snapshots = self.snapshots.clone();
        // A name of its own: an earlier attempt may be writing still.
        let number = self.runtime.random.next_u64();
        let work = move || {
            if let Some(old) = old {
                // It may have been cleared away already.
                drop(snapshots.disk.remove_file(&old.path));
            }
            let path = snapshots.unfinished(&format!("received-{number:016x}"));
            let opened = snapshots.disk.open(&path, OpenMode::CreateNew);
            Ok(Received {
                from,
                last,
                total,
                file: opened.map_err(Error::io("create", &path))?,
                path,
                next: 0,
            })
        };
        self.runtime.tasks.blocking(work).await
    }

    /// Writes bytes; when they are the last ones, all is flushed and checked.
    async fn write(
        &self,
        mut received: Received,
        bytes: Bytes,
    ) -> Result<(Received, Option<(SnapshotMeta, SnapshotFile)>), Error> {
        let snapshots = self.snapshots.clone();
        let work = move || {
            let path = received.path.clone();
            received
                .file
                .write_at(&[IoSlice::new(&bytes)], received.next)
                .map_err(Error::io("write", &path))?;
            received.next += bytes.len() as u64;
            if received.next < received.total {
                return Ok((received, None));
            }
            let checked = check(&snapshots, &received);
            if checked.is_err() {
                // The sender begins anew.
                drop(snapshots.disk.remove_file(&path));
            }
            checked.map(|whole| (received, Some(whole)))
        };
        self.runtime.tasks.blocking(work).await
    }

    async fn install(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        file: SnapshotFile,
    ) -> Result<SnapshotAnswer, String> {
        let total = file.len;
        let path = file.path.clone();
        let snapshot = openraft::Snapshot {
            meta,
            snapshot: file,
        };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        let answer = installed.map_err(|error| error.to_string())?;
        let disk = Arc::clone(&self.snapshots.disk);
        let remove = move || {
            // It is there still when it was of no use: a newer one is here, or another leader.
            if disk.exists(&path) {
                drop(disk.remove_file(&path));
            }
        };
        self.runtime.tasks.blocking(remove).await;
        Ok(SnapshotAnswer {
            vote: answer.vote,
            next: total,
        })
    }
}

fn check(
    snapshots: &Snapshots,
    received: &Received,
) -> Result<(SnapshotMeta, SnapshotFile), Error> {
    received
        .file
        .sync_data()
        .map_err(Error::io("flush", &received.path))?;
    let (meta, file) = snapshots.open(received.path.clone())?;
    let corrupt = |reason: String| Error::Corrupt {
        path: received.path.clone(),
        position: 0,
        reason,
    };
    if meta.last_log_id.as_ref().map(Position::of) != Some(received.last) {
        return Err(corrupt(
            "it is another snapshot than was announced".to_owned(),
        ));
    }
    file.verify().map_err(corrupt)?;
    Ok((meta, file))
}
