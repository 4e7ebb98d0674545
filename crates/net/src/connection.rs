//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use ottla_runtime::Instant;
use ottla_runtime::Shutdown;
use ottla_runtime::net::Stream;
use ottla_wire::messages::RequestHeader;
use ottla_wire::{ApiKey, Reader, Request, decode_request_header};
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::dispatch::{Dispatch, Incoming, Outcome};
use crate::error::Ended;
use crate::frames::{FrameReader, PREFIX};
use crate::limits::{Memory, Place};
use crate::peer::Peer;
use crate::probe::{Closed, ListenerProbe};
use crate::replies::{Answer, Backlog, Held, Queued, ReplyWriter};
use crate::server::Shared;

pub(crate) struct Connection<D> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) listener: Arc<ListenerProbe>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) shutdown: Shutdown,
    pub(crate) place: Place,
}

impl<D: Dispatch> Connection<D> {
    /// Serves the peer until it goes, misbehaves, or the node stops.
    pub(crate) async fn serve(self, stream: Stream) -> Result<(), Infallible> {
        let ended = self.exchange(stream).await;
        let reason = match &ended {
            Ok(()) if self.shutdown.is_announced() => Closed::Drain,
            Ok(()) => Closed::Peer,
            Err(ended) => ended.closed(),
        };
        self.listener.count_closed(reason);
        if let Err(ended) = ended {
            self.log(&ended);
        }
        drop(self.place);
        Ok(())
    }

    /// Reads and writes at the same time, within one task.
    async fn exchange(&self, stream: Stream) -> Result<(), Ended> {
        let (shared, backlog) = (&*self.shared, Backlog::default());
        let (reading, writing) = tokio::io::split(stream);
        let slots = Arc::new(Semaphore::new(shared.options.max_in_flight.max(1)));
        // The slots bound the queue; one more place is for the end.
        let (sender, queue) = mpsc::channel(shared.options.max_in_flight.max(1) + 1);
        let clock = &shared.runtime.clock;
        let requests = Requests {
            connection: self,
            frames: FrameReader::new(reading, clock.clone(), &shared.options),
            slots,
            queue: sender,
            backlog: &backlog,
        };
        let replies = ReplyWriter {
            stream: writing,
            queue,
            backlog: &backlog,
            clock,
            options: &shared.options,
            probe: &shared.probe,
            listener: &self.listener,
        };
        let both = async { tokio::try_join!(requests.run(), replies.run()).map(drop) };
        let drain_timeout = shared.options.drain_timeout;
        let overdue = async {
            self.shutdown.announced().await;
            clock.sleep(drain_timeout).await;
        };
        tokio::select! {
            biased;
            result = both => result,
            () = overdue => Err(Ended::Drain(drain_timeout)),
        }
    }

    fn log(&self, ended: &Ended) {
        let (peer, connection) = (&self.peer, self.peer.connection_id());
        if matches!(ended.closed(), Closed::Broken | Closed::Idle) {
            tracing::debug!(%peer, connection, "closed: {ended}");
        } else if let Some(suppressed) = self.shared.log_limit.pass() {
            tracing::warn!(%peer, connection, suppressed, "closed the connection: {ended}");
        }
    }
}

/// The reading half.
struct Requests<'a, D, R> {
    connection: &'a Connection<D>,
    frames: FrameReader<R>,
    slots: Arc<Semaphore>,
    /// Dropping it tells the writing half that nothing more comes.
    queue: mpsc::Sender<Queued>,
    backlog: &'a Backlog,
}

/// A frame's body with what it holds.
struct Frame {
    bytes: Bytes,
    arrived: Instant,
    memory: Memory,
    slot: OwnedSemaphorePermit,
}

/// Whether another request can be read.
enum Next {
    Frame(Frame),
    /// The peer has ended its side.
    Nothing,
    /// The peer sent what cannot be a request.
    Bad(Ended, OwnedSemaphorePermit),
}

impl<D: Dispatch, R: AsyncRead + Unpin> Requests<'_, D, R> {
    /// Reads requests and brings them into their ordered stage, until the peer ends its side or
    /// the node stops.
    async fn run(mut self) -> Result<(), Ended> {
        let shutdown = self.connection.shutdown.child();
        let mut announced = std::pin::pin!(shutdown.announced());
        while !shutdown.is_announced() {
            let next = tokio::select! {
                biased;
                next = self.next() => next?,
                () = &mut announced => break,
            };
            match next {
                Next::Frame(frame) => {
                    if !self.handle(frame).await {
                        break;
                    }
                }
                Next::Nothing => break,
                Next::Bad(ended, slot) => {
                    let held = Held {
                        _slot: slot,
                        _memory: Memory::default(),
                    };
                    self.enqueue(Answer::End(ended), None, held).await;
                    break;
                }
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Next, Ended> {
        let shared = &*self.connection.shared;
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return Ok(Next::Nothing);
        };
        self.backlog
            .at_most(shared.options.max_queued_reply_bytes)
            .await;
        let others_allowed = shared.options.max_in_flight.max(1) - 1;
        let is_quiet = || {
            let nothing_in_work = self.slots.available_permits() == others_allowed;
            // Both are asked: an answer that was just given counts as life.
            !self.backlog.take_any_written() && nothing_in_work
        };
        let length = match self.frames.length(&is_quiet).await {
            Ok(Some(length)) => length,
            Ok(None) => return Ok(Next::Nothing),
            Err(bad @ Ended::BadLength(_)) => return Ok(Next::Bad(bad, slot)),
            Err(ended) => return Err(ended),
        };
        // The peer's next request may be on its way when the answer to the last one mutes it.
        let limit = shared.options.idle_timeout;
        let (mute, clock) = (self.connection.peer.mute(), &shared.runtime.clock);
        while !mute.over(clock, limit).await {
            if is_quiet() {
                return Err(Ended::Idle(limit));
            }
        }
        let (bytes, memory) = self.frames.body(length, &shared.memory).await?;
        self.connection.listener.count_in(PREFIX + bytes.len());
        Ok(Next::Frame(Frame {
            bytes,
            arrived: shared.runtime.clock.instant(),
            memory,
            slot,
        }))
    }

    /// Brings one request into its ordered stage; false when it was the last one.
    async fn handle(&mut self, frame: Frame) -> bool {
        let Connection { shared, peer, .. } = self.connection;
        let frame_bytes = frame.bytes.len();
        let (answer, api) = match decode(&**shared, peer, frame.bytes) {
            Ok((api, header, Some(body))) => {
                let incoming = Incoming {
                    api,
                    header,
                    body,
                    frame_bytes,
                    arrived: frame.arrived,
                };
                let outcome = shared.dispatch.dispatch(peer, incoming).await;
                (Answer::Outcome(outcome), Some(api))
            }
            Ok((api, header, None)) => {
                let reply = shared.dispatch.unsupported_api_versions(peer, &header);
                (Answer::Outcome(Outcome::Ready(reply)), Some(api))
            }
            Err(ended) => (Answer::End(ended), None),
        };
        let goes_on = matches!(answer, Answer::Outcome(_));
        let held = Held {
            _slot: frame.slot,
            _memory: frame.memory,
        };
        let timing = api.map(|api| (api, frame.arrived));
        self.enqueue(answer, timing, held).await && goes_on
    }

    async fn enqueue(&self, answer: Answer, timing: Option<(ApiKey, Instant)>, held: Held) -> bool {
        self.backlog.add(&answer);
        let queued = Queued {
            answer,
            timing,
            held,
        };
        self.queue.send(queued).await.is_ok()
    }
}

/// A decoded request; without a body it is ApiVersions in a version that is not served, which
/// gets an answer nevertheless.
type Decoded = (ApiKey, RequestHeader, Option<Request>);

/// Decodes a request, or says what is wrong with it and who sent it.
fn decode<D: Dispatch>(shared: &Shared<D>, peer: &Peer, frame: Bytes) -> Result<Decoded, Ended> {
    let mut reader = Reader::new(frame);
    let header = decode_request_header(&mut reader)
        .map_err(|error| Ended::Malformed(format!("the header of a request is broken: {error}")))?;
    let version = header.request_api_version;
    let client = header.client_id.as_deref().unwrap_or_default();
    let Some(api) = header.api() else {
        return Err(Ended::Unsupported(format!(
            "client {client:?} sent API key {} in version {version}, which is not known here",
            header.request_api_key
        )));
    };
    let served = shared.dispatch.versions(peer, api);
    if !served.as_ref().is_some_and(|v| v.contains(&version)) {
        if api == ApiKey::ApiVersions {
            return Ok((api, header, None));
        }
        shared.probe.api(api).count_error();
        let served = match served {
            Some(v) => format!("versions {} to {} are served", v.start(), v.end()),
            None => "this API is not served".to_owned(),
        };
        return Err(Ended::Unsupported(format!(
            "client {client:?} sent {api} in version {version}, but {served}"
        )));
    }
    match Request::decode(api, version, &mut reader) {
        Ok(body) => Ok((api, header, Some(body))),
        Err(error) => {
            shared.probe.api(api).count_error();
            Err(Ended::Malformed(format!(
                "client {client:?} sent {api} in version {version} with a broken body: {error}"
            )))
        }
    }
}
