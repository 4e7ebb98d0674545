//! openraft's network: requests become bytes, and [`Transport`] carries them.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::async_runtime::{AsyncRuntime, Select2};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use ottla_runtime::Runtime;

use crate::async_runtime::SeededRuntime;
use crate::member::{Member, NodeId, Position};
use crate::observer::Observer;
use crate::openraft_config::{Types, Vote};
use crate::peers::{Peer, Peers};
use crate::rpc::{
    Answer, Envelope, Request, SnapshotAnswer, SnapshotPart, TransferAnswer, decode_response,
};
use crate::snapshot::SnapshotFile;
use crate::transport::Transport;

/// The bytes of a snapshot that go into one request.
const SNAPSHOT_PART: usize = 256 << 10;
/// A part of a snapshot is given up after so many tries.
const SNAPSHOT_TRIES: usize = 5;
/// The last part is answered when the snapshot was checked, restored and flushed.
const SNAPSHOT_INSTALL: Duration = Duration::from_secs(60);
/// A learner that has answered within so many milliseconds gets no heartbeat.
const LEARNER_BEAT_MS: i64 = 500;
/// Each so many bytes of a request give it another second.
const BYTES_PER_SECOND: u64 = 1 << 20;

type Snapshot = openraft::type_config::alias::SnapshotOf<Types, SnapshotFile>;

/// Makes clients for openraft.
pub(crate) struct Factory<T> {
    pub(crate) runtime: Runtime,
    pub(crate) transport: Arc<T>,
    pub(crate) peers: Arc<Peers>,
    /// Who speaks; the target is filled in.
    pub(crate) envelope: Envelope,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// How long an answer may take that needs a flush.
    pub(crate) limit: Duration,
}

/// Speaks to one member.
pub(crate) struct Client<T> {
    /// Whether it is only for heartbeats.
    beats: bool,
    runtime: Runtime,
    transport: Arc<T>,
    peers: Arc<Peers>,
    peer: Arc<Peer>,
    member: Member,
    envelope: Envelope,
    observer: Option<Arc<dyn Observer>>,
    limit: Duration,
}

impl<T: Transport> RaftNetworkFactory<Types> for Factory<T> {
    type Network = Client<T>;

    async fn new_client(&mut self, target: NodeId, member: &Member) -> Client<T> {
        Client {
            beats: false,
            runtime: self.runtime.clone(),
            transport: Arc::clone(&self.transport),
            peers: Arc::clone(&self.peers),
            peer: self.peers.get(target),
            member: member.clone(),
            envelope: Envelope {
                to: target,
                to_directory: member.directory_id,
                ..self.envelope.clone()
            },
            observer: self.observer.clone(),
            limit: self.limit,
        }
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, member: &Member) -> Client<T> {
        Client {
            beats: true,
            ..self.new_client(target, member).await
        }
    }
}

impl<T: Transport> Client<T> {
    async fn call<A: Answer>(
        &self,
        kind: RPCTypes,
        request: &Request,
        limit: Duration,
    ) -> Result<A, RPCError<Types>> {
        let bytes = request.encode(&self.envelope);
        let to = self.envelope.to;
        let limit = limit + Duration::from_millis(bytes.len() as u64 * 1000 / BYTES_PER_SECOND);
        let member = self.peers.whereabouts(to, &self.member);
        let calling = self.transport.call(to, &member, bytes);
        let Some(called) = self.runtime.clock.timeout(limit, calling).await else {
            self.peer.failed(to, "no answer");
            return Err(RPCError::Timeout(Timeout {
                action: kind,
                id: self.envelope.from,
                target: to,
                timeout: limit,
            }));
        };
        let unreachable = |reason: String| {
            self.peer.failed(to, &reason);
            RPCError::Unreachable(Unreachable::from_string(reason))
        };
        let response = called.map_err(|error| unreachable(error.to_string()))?;
        let body = match decode_response(response) {
            Ok(Ok(body)) => body,
            Ok(Err(refusal)) => return Err(unreachable(format!("refused: {refusal}"))),
            Err(reason) => return Err(unreachable(format!("a bad answer: {reason}"))),
        };
        let answer =
            A::of(body).map_err(|reason| unreachable(format!("a bad answer: {reason}")))?;
        self.peer.answered(to);
        Ok(answer)
    }

    /// Whether a heartbeat may be left out. There may be hundreds of learners; they elect nobody,
    /// and nobody counts their answers, so it is enough to hear from them now and then. (What is
    /// committed they are told by replication.)
    fn can_wait(&self) -> bool {
        let silent_ms = self.peer.silent_ms();
        silent_ms.is_some_and(|ms| ms < LEARNER_BEAT_MS) && self.peers.is_learner(self.envelope.to)
    }

    async fn send_part(&self, part: SnapshotPart) -> Result<SnapshotAnswer, RPCError<Types>> {
        let is_last = part.position + part.bytes.len() as u64 == part.total;
        let limit = if is_last {
            SNAPSHOT_INSTALL
        } else {
            self.limit
        };
        let request = Request::Snapshot(part);
        let mut tries = 0;
        loop {
            self.peer.pause().await;
            let answer = self.call(RPCTypes::InstallSnapshot, &request, limit).await;
            tries += 1;
            if answer.is_ok() || tries == SNAPSHOT_TRIES {
                return answer;
            }
        }
    }

    /// Sends the file piece by piece; the other side says where to go on.
    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: &Snapshot,
    ) -> Result<SnapshotResponse<Types>, RPCError<Types>> {
        let file = &snapshot.snapshot;
        let last = snapshot.meta.last_log_id.as_ref().map(Position::of);
        let last = last.unwrap_or_default();
        let mut position = 0;
        loop {
            let piece = file.clone();
            let read = move || piece.read(position, SNAPSHOT_PART);
            let bytes = self.runtime.tasks.blocking(read).await;
            let bytes = match bytes {
                Ok(bytes) if !bytes.is_empty() => bytes,
                Ok(_) => return Err(broken("the snapshot is shorter than it was")),
                Err(error) => return Err(broken(&error.to_string())),
            };
            let part = SnapshotPart {
                vote,
                last,
                total: file.len,
                position,
                bytes,
            };
            let answer = self.send_part(part).await?;
            let overruled = answer.vote.partial_cmp(&vote) == Some(std::cmp::Ordering::Greater);
            if overruled || answer.next == file.len {
                return Ok(SnapshotResponse::new(answer.vote));
            }
            if answer.next > file.len {
                return Err(broken(
                    "a bad answer: it wants more than all of the snapshot",
                ));
            }
            position = answer.next;
        }
    }
}

fn broken(reason: &str) -> RPCError<Types> {
    RPCError::Network(NetworkError::new(&io::Error::other(reason.to_owned())))
}

impl<T: Transport> RaftNetworkV2<Types> for Client<T> {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        if self.beats && self.can_wait() {
            return Ok(AppendEntriesResponse::Success);
        }
        self.peer.pause().await;
        self.call(RPCTypes::AppendEntries, &Request::Append(rpc), self.limit)
            .await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        // An election cannot wait for a pause to end, and there are few of them.
        self.call(RPCTypes::Vote, &Request::Vote(rpc), self.limit)
            .await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(RPCTypes::Vote, &Request::PreVote(rpc), self.limit)
            .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let sending = pin!(self.send_snapshot(vote, &snapshot));
        let cancel = pin!(cancel);
        match SeededRuntime::select2(cancel, sending).await {
            Select2::First(closed) => Err(StreamingError::Closed(closed)),
            Select2::Second(sent) => {
                let sent = sent.map_err(StreamingError::from)?;
                if let Some(observer) = &self.observer {
                    observer.snapshot_sent();
                }
                Ok(sent)
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Types>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let (from, last) = (*req.from_leader(), req.last_log_id().copied());
        let request = Request::TransferLeader(req);
        let answer = self
            .call(RPCTypes::TransferLeader, &request, self.limit)
            .await?;
        Ok(match answer {
            TransferAnswer::Accepted => Ok(()),
            TransferAnswer::VoteChanged(actual) => Err(TransferLeaderError::VoteChanged {
                expected: from,
                actual,
            }),
            TransferAnswer::NotFlushed => Err(TransferLeaderError::LogNotFlushed {
                expected: last,
                actual: None,
            }),
        })
    }
}
