//! One connection to one server: how it is made, and its frames.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ottla_jute::{
    AuthPacket, ConnectRequest, ConnectResponse, ErrorCode, Reader, Record, ReplyHeader, Request,
    SetWatches2, xid,
};
use ottla_net::tls::Tls;
use ottla_runtime::{Instant, Runtime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::failure::Failure;
use crate::keeper::connection::{Credentials, Target};
use crate::keeper::servers::Server;

/// How long connecting to one server may take, and its answer to the first frame.
const DIAL_LIMIT: Duration = Duration::from_secs(5);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a new round through the servers waits.
const ROUND_PAUSE: Duration = Duration::from_millis(200);
/// A longer answer is no answer. ZooKeeper's servers send at most what their `jute.maxbuffer` let in,
/// and lists of children.
const FRAME_BYTES_MAX: usize = 256 << 20;
const READ_BYTES: usize = 64 << 10;
const LENGTH_LEN: usize = 4;
/// A session's password before there is a session.
const NO_PASSWORD: Bytes = Bytes::from_static(&[0; 16]);

/// A connection in the clear, or over TLS.
pub(in crate::keeper) trait Duplex:
    AsyncRead + AsyncWrite + Unpin + Send
{
}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Connects to a server.
pub(in crate::keeper) async fn dial(
    runtime: &Runtime,
    server: &Server,
    tls: Option<&Tls>,
    limit: Duration,
) -> Result<Box<dyn Duplex>, String> {
    let connecting = runtime.network.connect(&server.host, server.port, limit);
    let stream = connecting.await.map_err(|error| told(&error))?;
    match tls {
        None => Ok(Box::new(stream)),
        Some(tls) => match tls.connect(stream, &server.host).await {
            Ok(secured) => Ok(Box::new(secured)),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// The system's reason, without its number.
fn told(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// What a client must know to come back.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The session; 0 for none.
    pub(super) id: i64,
    password: Bytes,
    /// The timeout that was agreed on.
    pub(super) timeout: Duration,
    /// The newest change that was seen.
    pub(super) last_zxid: i64,
}

/// Why a server did not become the session's.
pub(super) enum Refusal {
    /// There is nobody, or nobody who takes connections.
    NoConnection(String),
    /// It ended the connection, or did not answer.
    NoSession(String),
    /// The session is over.
    Expired,
    /// The credentials are wrong.
    Credentials,
}

/// Makes connections to the servers of a list, one after the other.
pub(super) struct Dialer {
    pub(super) runtime: Runtime,
    servers: Vec<Server>,
    /// The one to try next.
    next: usize,
    tls: Option<Tls>,
    auth: Vec<Credentials>,
    timeout_ms: i32,
}

impl Dialer {
    pub(super) fn new(runtime: &Runtime, target: &Target, tls: Option<Tls>) -> Self {
        let servers = target.servers.list.clone();
        // Not all clients of a list begin with its first server.
        let next = runtime.random.below(servers.len() as u64);
        Dialer {
            runtime: runtime.clone(),
            next: usize::try_from(next).unwrap_or(0),
            servers,
            tls,
            auth: target.auth.clone(),
            timeout_ms: i32::try_from(target.session_timeout.as_millis()).unwrap_or(i32::MAX),
        }
    }

    /// Proves one more identity on the connections to come.
    pub(super) fn add_auth(&mut self, credentials: Credentials) {
        if !self.auth.contains(&credentials) {
            self.auth.push(credentials);
        }
    }

    /// Nobody, before there is a session.
    pub(super) fn nobody(&self) -> Identity {
        Identity {
            id: 0,
            password: NO_PASSWORD,
            timeout: Duration::from_millis(u64::try_from(self.timeout_ms).unwrap_or(0)),
            last_zxid: 0,
        }
    }

    /// Opens a session. When nobody takes the connection there is no second round.
    pub(super) async fn first(&mut self, limit: Duration) -> Result<(Link, Identity), Failure> {
        let clock = self.runtime.clock.clone();
        let mut identity = self.nobody();
        let until = clock.instant() + limit;
        loop {
            let refusals = match self.round(&mut identity, until).await {
                Ok(link) => return Ok((link, identity)),
                Err(refusals) => refusals,
            };
            if refusals
                .iter()
                .any(|(_, r)| matches!(r, Refusal::Credentials))
            {
                return Err(Failure::Refused(ErrorCode::AuthFailed));
            }
            let reasons = refusals
                .iter()
                .filter_map(|(server, refusal)| match refusal {
                    Refusal::NoConnection(reason) | Refusal::NoSession(reason) => {
                        Some(format!("{server} ({reason})"))
                    }
                    _ => None,
                });
            let tried = reasons.collect::<Vec<_>>().join(", ");
            let is_connected = |r: &Refusal| !matches!(r, Refusal::NoConnection(_));
            if !refusals.iter().any(|(_, refusal)| is_connected(refusal)) {
                return Err(Failure::Unreachable { tried });
            }
            if clock.instant() + ROUND_PAUSE >= until {
                return Err(Failure::NoSession { limit, last: tried });
            }
            clock.sleep(ROUND_PAUSE).await;
        }
    }

    /// Tries every server once; why none has taken the session.
    pub(super) async fn round(
        &mut self,
        identity: &mut Identity,
        until: Instant,
    ) -> Result<Link, Vec<(Server, Refusal)>> {
        let mut refusals = Vec::new();
        for _ in 0..self.servers.len() {
            let at = self.next % self.servers.len();
            self.next = at + 1;
            let Some(server) = self.servers.get(at).cloned() else {
                continue;
            };
            match self.attempt(&server, identity, until).await {
                Ok(link) => return Ok(link),
                Err(refusal) => {
                    let is_last = matches!(refusal, Refusal::Expired | Refusal::Credentials);
                    refusals.push((server, refusal));
                    if is_last {
                        break;
                    }
                }
            }
        }
        Err(refusals)
    }

    async fn attempt(
        &self,
        server: &Server,
        identity: &mut Identity,
        until: Instant,
    ) -> Result<Link, Refusal> {
        let clock = &self.runtime.clock;
        let left = until.saturating_duration_since(clock.instant());
        let dialling = dial(
            &self.runtime,
            server,
            self.tls.as_ref(),
            left.min(DIAL_LIMIT),
        );
        let stream = dialling.await.map_err(Refusal::NoConnection)?;
        let mut link = Link::new(server.clone(), stream);
        let left = until.saturating_duration_since(clock.instant());
        let limit = left.min(HANDSHAKE_LIMIT);
        let shaking = async {
            link.open(identity, self.timeout_ms).await?;
            for credentials in &self.auth {
                link.prove(credentials).await?;
            }
            Ok(())
        };
        match clock.timeout(limit, shaking).await {
            Some(Ok(())) => Ok(link),
            Some(Err(refusal)) => Err(refusal),
            None => Err(Refusal::NoSession("no answer in time".to_owned())),
        }
    }
}

/// A connection with a session.
pub(super) struct Link {
    pub(super) server: Server,
    stream: Box<dyn Duplex>,
    buffer: BytesMut,
}

impl Link {
    fn new(server: Server, stream: Box<dyn Duplex>) -> Self {
        Link {
            server,
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// Sends the first frame and takes the answer.
    async fn open(&mut self, identity: &mut Identity, timeout_ms: i32) -> Result<(), Refusal> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: identity.last_zxid,
            timeout_ms,
            session_id: identity.id,
            password: Some(identity.password.clone()),
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        ottla_jute::frame(&mut out, |writer| request.write(writer));
        let no_session = |error: io::Error| Refusal::NoSession(told(&error));
        self.stream.write_all(&out).await.map_err(no_session)?;
        self.stream.flush().await.map_err(no_session)?;
        let frame = self.next().await.map_err(no_session)?;
        let response = ConnectResponse::decode(&frame)
            .map_err(|_| Refusal::NoSession("it does not speak ZooKeeper's protocol".to_owned()))?;
        if response.session_id == 0 || response.timeout_ms <= 0 {
            return Err(match identity.id {
                0 => Refusal::NoSession("it opens no sessions".to_owned()),
                _ => Refusal::Expired,
            });
        }
        identity.id = response.session_id;
        identity.password = response.password.unwrap_or(NO_PASSWORD);
        let timeout_ms = u64::try_from(response.timeout_ms).unwrap_or(0);
        identity.timeout = Duration::from_millis(timeout_ms);
        Ok(())
    }

    /// Proves an identity.
    async fn prove(&mut self, credentials: &Credentials) -> Result<(), Refusal> {
        let packet = Request::Auth(AuthPacket {
            kind: 0,
            scheme: Some(credentials.scheme.clone()),
            auth: Some(Bytes::copy_from_slice(
                credentials.secret.expose().as_bytes(),
            )),
        });
        let no_session = |error: io::Error| Refusal::NoSession(told(&error));
        self.send(xid::AUTH, &packet).await.map_err(no_session)?;
        let frame = self.next().await.map_err(no_session)?;
        let header = ReplyHeader::read(&mut Reader::shared(&frame));
        let header = header.map_err(|error| Refusal::NoSession(error.to_string()))?;
        if header.err == 0 {
            Ok(())
        } else {
            Err(Refusal::Credentials)
        }
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, xid: i32, request: &Request) -> io::Result<()> {
        let mut out = BytesMut::new();
        ottla_jute::request_frame(&mut out, xid, request);
        self.stream.write_all(&out).await?;
        self.stream.flush().await
    }

    /// Sets watches anew.
    pub(super) async fn watch(&mut self, requests: Vec<SetWatches2>) -> io::Result<()> {
        for request in requests {
            let request = Request::SetWatches2(request);
            self.send(xid::SET_WATCHES, &request).await?;
        }
        Ok(())
    }

    /// The next frame. May be cancelled: no byte is lost.
    pub(super) async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                let reason = "the server has ended the connection";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
            }
        }
    }

    /// The frame that is here whole, if there is one.
    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_LEN>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        let fits = usize::try_from(length)
            .ok()
            .filter(|l| *l <= FRAME_BYTES_MAX);
        let Some(length) = fits else {
            let reason =
                format!("a frame of {length} bytes; it does not speak ZooKeeper's protocol");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        };
        if self.buffer.len() < LENGTH_LEN + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_LEN);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}
