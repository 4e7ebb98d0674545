//! One connection to one broker.
//!
//! Requests are written in the order of the calls, and responses come in the same order, so that
//! many calls can be under way.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use bytes::{BufMut, Bytes, BytesMut};
use ottla_model::ErrorCode;
use ottla_runtime::net::Stream;
use ottla_runtime::{Runtime, Shutdown, TaskKind};
use ottla_wire::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use ottla_wire::{
    ApiKey, Frame, Reader, Request, Response, decode_response_header, encode_request,
};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::{mpsc, oneshot};

use crate::{ClientOptions, Error};

/// Where a response goes; the text says why there is none.
type Reply = oneshot::Sender<Result<Bytes, String>>;

struct Call {
    frame: Frame,
    correlation_id: i32,
    /// `None` when the broker sends no response.
    reply: Option<Reply>,
}

/// The calling side. The connection ends when this is dropped.
pub struct Link {
    address: String,
    calls: mpsc::Sender<Call>,
    /// Announced when a response is overdue: those behind it would be, too.
    broken: Shutdown,
    next_correlation_id: AtomicI32,
    served: HashMap<ApiKey, (i16, i16)>,
    runtime: Runtime,
    options: ClientOptions,
}

impl Link {
    /// Connects, and learns what the broker serves.
    ///
    /// # Errors
    /// When nobody answers there in time, or what answers does not speak Kafka's protocol.
    pub async fn open(
        runtime: &Runtime,
        options: &ClientOptions,
        host: &str,
        port: u16,
    ) -> Result<Self, Error> {
        let address = format!("{host}:{port}");
        let network = &runtime.network;
        let connected = network.connect(host, port, options.connect_timeout).await;
        let stream = connected.map_err(|source| Error::Connect {
            address: address.clone(),
            source,
        })?;
        let (calls, queue) = mpsc::channel(options.max_in_flight.max(1));
        let broken = runtime.shutdown().child();
        let connection = run(stream, queue, broken.clone(), options.max_response_bytes);
        let tasks = &runtime.tasks;
        tasks.spawn(TaskKind::Connection, "connection to a broker", connection);
        let mut link = Link {
            address,
            calls,
            broken,
            next_correlation_id: AtomicI32::new(0),
            served: HashMap::new(),
            runtime: runtime.clone(),
            options: options.clone(),
        };
        link.served = link.handshake().await?;
        Ok(link)
    }

    /// Where it goes.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether requests can still be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.calls.is_closed() && !self.broken.is_announced()
    }

    /// The newest version of an API that both sides know.
    ///
    /// # Errors
    /// When there is none.
    pub fn version(&self, api: ApiKey) -> Result<i16, Error> {
        self.version_within(api, api.stable_versions())
    }

    /// The newest version of an API that both sides know, among these.
    ///
    /// # Errors
    /// When there is none.
    pub fn version_within(&self, api: ApiKey, wanted: RangeInclusive<i16>) -> Result<i16, Error> {
        let served = self.served.get(&api).copied();
        let chosen = served.and_then(|(first, last)| {
            let version = last.min(*wanted.end());
            (version >= first && wanted.contains(&version)).then_some(version)
        });
        chosen.ok_or_else(|| Error::Unsupported {
            address: self.address.clone(),
            api,
            wanted,
            served: served.map(|(first, last)| first..=last),
        })
    }

    /// Asks in the given version and waits for the response.
    ///
    /// # Errors
    /// When the connection ends or the response does not come in time, is none, or cannot be read.
    pub async fn call(&self, version: i16, request: &Request) -> Result<Response, Error> {
        let api = request.api();
        let mut reader = self.exchange(version, request).await?;
        Response::decode(api, version, &mut reader)
            .map_err(|error| Error::undecodable(&self.address, api, &error))
    }

    /// Sends a request to which no response comes.
    ///
    /// # Errors
    /// When the connection has ended, or the request cannot be written in that version.
    pub async fn cast(&self, version: i16, request: &Request) -> Result<(), Error> {
        self.send(version, request, None).await
    }

    async fn send(
        &self,
        version: i16,
        request: &Request,
        reply: Option<Reply>,
    ) -> Result<(), Error> {
        let api = request.api();
        let correlation_id = self.next_correlation_id.fetch_add(1, Relaxed);
        let client_id = Some(self.options.client_id.as_str().into());
        let header = RequestHeader::new(api, version, correlation_id, client_id);
        let frame =
            encode_request(&header, request).map_err(|source| Error::Encode { api, source })?;
        let call = Call {
            frame,
            correlation_id,
            reply,
        };
        let sent = self.calls.send(call).await;
        sent.map_err(|_| self.disconnected(api, "it was closed"))
    }

    /// The response to a request, from behind its header on.
    async fn exchange(&self, version: i16, request: &Request) -> Result<Reader, Error> {
        let (api, after) = (request.api(), self.options.request_timeout);
        let (tx, rx) = oneshot::channel();
        let answered = async {
            self.send(version, request, Some(tx)).await?;
            match rx.await {
                Ok(Ok(frame)) => Ok(frame),
                Ok(Err(reason)) => Err(self.disconnected(api, reason)),
                Err(_) => Err(self.disconnected(api, "it was closed")),
            }
        };
        let Some(answered) = self.runtime.clock.timeout(after, answered).await else {
            self.broken.announce();
            let address = self.address.clone();
            return Err(Error::Timeout {
                address,
                api,
                after,
            });
        };
        let mut reader = Reader::new(answered?);
        decode_response_header(api, version, &mut reader)
            .map_err(|error| Error::undecodable(&self.address, api, &error))?;
        Ok(reader)
    }

    fn disconnected(&self, api: ApiKey, reason: impl Into<String>) -> Error {
        Error::Disconnected {
            address: self.address.clone(),
            api,
            reason: reason.into(),
        }
    }

    /// ApiVersions, in an older version when the broker does not know ours (KIP-511).
    async fn handshake(&self) -> Result<HashMap<ApiKey, (i16, i16)>, Error> {
        let api = ApiKey::ApiVersions;
        let mut version = *api.stable_versions().end();
        let answer = loop {
            let mut body = ApiVersionsRequest::default();
            if version >= 3 {
                body.client_software_name = "ottla".into();
                body.client_software_version = env!("CARGO_PKG_VERSION").into();
            }
            let mut reader = self.exchange(version, &body.into()).await?;
            // The error code comes first in all versions; with this one the rest is version 0.
            let unsupported = reader.clone().i16() == Ok(ErrorCode::UnsupportedVersion.code());
            let read_as = if unsupported { 0 } else { version };
            let answer = ApiVersionsResponse::decode(read_as, &mut reader)
                .map_err(|error| Error::undecodable(&self.address, api, &error))?;
            if !unsupported || version == 0 {
                break answer;
            }
            let mut keys = answer.api_keys.iter();
            let served = keys.find(|key| key.api_key == api.to_i16());
            // Lower than before in any case, so that this ends.
            version = served
                .map_or(0, |key| key.max_version)
                .clamp(0, version - 1);
        };
        Error::check(api, &self.address, answer.error_code, None)?;
        let served = answer.api_keys.iter().filter_map(|key| {
            let api = ApiKey::from_i16(key.api_key)?;
            Some((api, (key.min_version, key.max_version)))
        });
        Ok(served.collect())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.broken.announce();
    }
}

/// Calls whose responses are still to come, oldest first.
type Pending = Mutex<VecDeque<(i32, Reply)>>;

/// The connection's task: writes calls and hands out responses until one side ends it.
async fn run(
    stream: Stream,
    mut queue: mpsc::Receiver<Call>,
    broken: Shutdown,
    max_response_bytes: usize,
) -> Result<(), io::Error> {
    let (reading, writing) = tokio::io::split(stream);
    let pending = Pending::default();
    let ended = tokio::select! {
        biased;
        ended = write_calls(writing, &mut queue, &pending) => ended,
        ended = read_responses(reading, &pending, max_response_bytes) => ended,
        () = broken.announced() => Err(io::Error::other("it was given up")),
    };
    queue.close();
    let reason = match &ended {
        Ok(()) => "it was closed".to_owned(),
        Err(error) => error.to_string(),
    };
    let unanswered = pending.into_inner().into_iter().map(|(_, reply)| reply);
    for reply in unanswered.chain(std::iter::from_fn(|| queue.try_recv().ok()?.reply)) {
        // A caller that no longer waits needs no reason.
        drop(reply.send(Err(reason.clone())));
    }
    ended
}

async fn write_calls(
    writing: impl tokio::io::AsyncWrite + Unpin,
    queue: &mut mpsc::Receiver<Call>,
    pending: &Pending,
) -> io::Result<()> {
    let mut writing = BufWriter::new(writing);
    while let Some(first) = queue.recv().await {
        let mut next = Some(first);
        while let Some(call) = next {
            if let Some(reply) = call.reply {
                pending.lock().push_back((call.correlation_id, reply));
            }
            for part in call.frame.parts() {
                writing.write_all(part).await?;
            }
            next = queue.try_recv().ok();
        }
        writing.flush().await?;
    }
    Ok(())
}

async fn read_responses(
    reading: impl AsyncRead + Unpin,
    pending: &Pending,
    max_response_bytes: usize,
) -> io::Result<()> {
    let mut reading = BufReader::new(reading);
    loop {
        let length = reading.read_i32().await?;
        let wrong = || io::Error::other(format!("it announced a response of {length} bytes"));
        let length = usize::try_from(length).map_err(|_| wrong())?;
        if !(4..=max_response_bytes).contains(&length) {
            return Err(wrong());
        }
        let mut frame = BytesMut::new();
        while frame.len() < length {
            // Memory grows with what has come, not with what was announced.
            let missing = length - frame.len();
            frame.reserve(missing.min(frame.len().max(64 * 1024)));
            let room = missing.min(frame.capacity() - frame.len());
            if reading.read_buf(&mut (&mut frame).limit(room)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let frame = frame.freeze();
        let id = Reader::new(frame.clone()).i32().map_err(io::Error::other)?;
        let waiting = pending.lock().pop_front();
        match waiting {
            Some((expected, reply)) if expected == id => drop(reply.send(Ok(frame))),
            Some((expected, _)) => {
                let text = format!("it answered request {id} instead of {expected}");
                return Err(io::Error::other(text));
            }
            None => return Err(io::Error::other("it answered what was not asked")),
        }
    }
}
