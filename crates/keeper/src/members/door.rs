//! The port on which other servers call.
//!
//! ```text
//! accept ─▶ Hello ─▶ admitted? ─▶ Meet:    questions, one after the other
//!                                 Raft:    messages, many at once        (door/raft_lane)
//!                                 Forward: frames for the leader         (door/forward_lane)
//! ```
//!
//! Whatever a stranger sends ends its own connection, with a line in the log (but not with a flood
//! of them), and nothing else. Those who have not said who they are get little memory, little time,
//! and few places.

mod forward_lane;
mod raft_lane;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ottla_raft::NodeId;
use ottla_runtime::net::{Listener, Stream};
use ottla_runtime::{Runtime, Service, Shutdown, TaskKind};
use parking_lot::Mutex;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::changes::{ChangeError, Join, Membership, Reconfigured};
use super::frames::{Broken, FrameReader, write_one};
use super::hello::{ANSWER_BYTES_MAX, HELLO_BYTES_MAX, Hello, HelloAnswer, Purpose};
use super::here::{Here, Refusal};
use super::peers::PeerTransport;
use super::questions::{
    JoinQuestion, JoinRefusal, Question, encode_change_answer, encode_join_answer,
};
use super::stream::Duplex;
use crate::error::Error;

/// How many connections there may be whose purpose is not known yet, and how many altogether.
const STRANGERS_MAX: usize = 128;
const CONNECTIONS_MAX: usize = 4096;
/// How long accepting rests when the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a port is tried whose name or address is not there yet: in Kubernetes, a pod's own name
/// is known a little after its start.
const LISTEN_PATIENCE_MS: i64 = 15_000;
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

type Reader = FrameReader<ReadHalf<Box<dyn Duplex>>>;
type Writer = WriteHalf<Box<dyn Duplex>>;

/// What all accepted connections share.
pub(crate) struct Reception {
    pub(crate) here: Arc<Here>,
    pub(crate) peers: PeerTransport,
    /// Where servers ask to be taken in, once this one has a group.
    pub(crate) membership: OnceLock<Membership>,
    /// The stream of each server that forwards to this one.
    forwards: Mutex<BTreeMap<NodeId, forward_lane::Current>>,
    strangers: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

/// The running half: bound already, it accepts once it runs.
pub(crate) struct Door {
    reception: Arc<Reception>,
    listener: Listener,
}

impl Reception {
    pub(crate) fn new(here: &Arc<Here>, peers: &PeerTransport) -> Arc<Self> {
        Arc::new(Reception {
            here: Arc::clone(here),
            peers: peers.clone(),
            membership: OnceLock::new(),
            forwards: Mutex::default(),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    pub(crate) fn door(self: &Arc<Self>, listener: Listener) -> Door {
        Door {
            reception: Arc::clone(self),
            listener,
        }
    }
}

impl Service for Door {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let here = &self.reception.here;
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => self.reception.take_in(stream, from),
                Err(error) => {
                    self.reception
                        .complain(None, &format!("accepting failed: {error}"));
                    let resting = here.runtime.clock.sleep(ACCEPT_PAUSE);
                    tokio::select! {
                        biased;
                        () = shutdown.announced() => return Ok(()),
                        () = resting => {}
                    }
                }
            }
        }
    }
}

impl Reception {
    fn take_in(self: &Arc<Self>, stream: Stream, from: SocketAddr) {
        let place = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let Some((stranger, connection)) = place(&self.strangers).zip(place(&self.connections))
        else {
            self.complain(Some(from), "there are too many connections of servers");
            return;
        };
        let reception = Arc::clone(self);
        let serving = async move {
            let shutdown = reception.here.runtime.shutdown().clone();
            let served = tokio::select! {
                biased;
                () = shutdown.announced() => Ok(()),
                served = reception.serve(stream, from, stranger) => served,
            };
            drop(connection);
            match served {
                Ok(()) => {}
                Err(Ended::Strange(reason)) => reception.complain(Some(from), &reason),
                Err(Ended::Known(server, error)) => {
                    tracing::debug!(server, %from, %error, "a connection of a server has ended");
                }
            }
            Ok::<(), Infallible>(())
        };
        let tasks = &self.here.runtime.tasks;
        tasks.spawn(TaskKind::Connection, "answering a server", serving);
    }

    fn complain(&self, from: Option<SocketAddr>, reason: &str) {
        if let Some(suppressed) = self.here.log_limit.pass() {
            let from = from.map_or_else(|| "-".to_owned(), |from| from.to_string());
            tracing::warn!(%from, %reason, suppressed, "the port of the servers");
        }
    }

    /// From the first byte of a connection to its last one.
    async fn serve(
        &self,
        stream: Stream,
        address: SocketAddr,
        stranger: OwnedSemaphorePermit,
    ) -> Result<(), Ended> {
        let limit = self.here.hello_limit();
        let greeted = self
            .here
            .runtime
            .clock
            .timeout(limit, self.greet(stream, address));
        let Some(greeted) = greeted.await else {
            let ms = limit.as_millis();
            return Err(Ended::Strange(format!(
                "it has not said who it is in {ms} ms"
            )));
        };
        let (mut reader, mut writer, hello) = greeted.map_err(Ended::Strange)?;
        let from = hello.from;
        if let Err(refusal) = self.here.admit(&hello) {
            let answer = HelloAnswer::Refused(refusal.reason().to_owned()).encode();
            // The reason is told here, too, if it does not arrive there.
            let told = write_one(&mut writer, &answer);
            drop(self.here.runtime.clock.timeout(limit, told).await);
            return match refusal {
                Refusal::Wrong(reason) => Err(Ended::Strange(reason)),
                Refusal::NotYet(reason) => Err(Ended::Known(from, Broken::Other(reason))),
            };
        }
        drop(stranger);
        self.peers.heard(from);
        let ended = |broken| Ended::Known(from, broken);
        // A server forwards over one stream at a time: the older one has ended before this one is
        // accepted, so that nothing of it comes later.
        let seat = match hello.purpose {
            Purpose::Forward => Some(self.take_seat(from).await.map_err(ended)?),
            Purpose::Meet | Purpose::Raft => None,
        };
        let answer = HelloAnswer::Accepted(Box::new(self.here.introduction()));
        let answered = write_one(&mut writer, &answer.encode()).await;
        answered.map_err(|error| ended(error.into()))?;
        reader.set_limits(ANSWER_BYTES_MAX, self.here.silence());
        let served = match seat {
            Some(seat) => self.serve_forward(from, seat, reader, writer).await,
            None if hello.purpose == Purpose::Raft => self.serve_raft(from, reader, writer).await,
            None => self.serve_questions(&hello, reader, writer).await,
        };
        served.map_err(ended)
    }

    async fn greet(
        &self,
        stream: Stream,
        address: SocketAddr,
    ) -> Result<(Reader, Writer, Hello), String> {
        let here = &self.here;
        let stream = here.wrap.accepted(stream, address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let (read, writer) = tokio::io::split(stream);
        let clock = &here.runtime.clock;
        let mut reader = FrameReader::new(read, clock, HELLO_BYTES_MAX, here.hello_limit());
        let first = reader.next().await.map_err(|error| match error {
            Broken::TooLarge { .. } => "it speaks another protocol".to_owned(),
            error => error.to_string(),
        })?;
        let hello = Hello::decode(first)?;
        Ok((reader, writer, hello))
    }

    async fn serve_questions(
        &self,
        hello: &Hello,
        mut reader: Reader,
        mut writer: Writer,
    ) -> Result<(), Broken> {
        loop {
            let question = match reader.next().await {
                Ok(question) => Question::decode(question).map_err(Broken::Other)?,
                Err(Broken::Closed) => return Ok(()),
                Err(error) => return Err(error),
            };
            let answer = match question {
                Question::Join(join) => encode_join_answer(&self.join(hello, join).await),
                Question::Change(to) => encode_change_answer(&self.change(hello, to).await),
            };
            write_one(&mut writer, &answer).await?;
        }
    }

    async fn join(&self, hello: &Hello, question: JoinQuestion) -> Result<(), JoinRefusal> {
        let here = &self.here;
        let Some(membership) = self.membership.get() else {
            return Err(JoinRefusal::NotLeader(here.id));
        };
        if hello.ensemble_id.is_none() {
            let reason = "a server has to know its ensemble before it joins it";
            return Err(JoinRefusal::NotNow(reason.to_owned()));
        }
        if question.member.directory_id != hello.from_directory {
            let reason = "a server speaks of another directory than its own";
            return Err(JoinRefusal::NotNow(reason.to_owned()));
        }
        let join = Join {
            id: hello.from,
            member: question.member,
            wants_vote: question.wants_vote,
        };
        membership.join(join).await
    }

    /// A client of another server wants the ensemble changed.
    async fn change(&self, hello: &Hello, to: Reconfigured) -> Result<(), ChangeError> {
        match self.membership.get() {
            Some(membership) if hello.ensemble_id.is_some() => membership.change(to).await,
            _ => Err(ChangeError::NotLeader),
        }
    }
}

/// Opens a port. A name that cannot be resolved yet is tried for a while.
pub(crate) async fn listen(runtime: &Runtime, host: &str, port: u16) -> Result<Listener, Error> {
    let clock = &runtime.clock;
    let give_up_ms = clock.monotonic_ms() + LISTEN_PATIENCE_MS;
    loop {
        let source = match runtime.network.listen(host, port).await {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        let in_vain = matches!(
            source.kind(),
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied
        );
        if in_vain || runtime.shutdown().is_announced() || clock.monotonic_ms() >= give_up_ms {
            let host = match host {
                "" => "*".to_owned(),
                host => host.to_owned(),
            };
            return Err(Error::Listen { host, port, source });
        }
        clock.sleep(LISTEN_AGAIN).await;
    }
}

/// How a connection has ended.
enum Ended {
    /// Who called is not known, or is somebody else than it should be.
    Strange(String),
    /// A server's connection, and why.
    Known(NodeId, Broken),
}
