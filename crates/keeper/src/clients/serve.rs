//! One connection at work: a reading half and a writing half.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ottla_jute::Id;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::clients::connection::{Connection, Next};
use crate::clients::{handshake, requests};
use crate::server::Server;
use crate::throttle::LargeRequests;
use crate::words::{self, Word};

/// A connection in the clear, or over TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub(crate) type Stream = Box<dyn Duplex>;

/// So many bytes are asked of the system at a time.
const READ_BYTES: usize = 64 << 10;
/// How long the last bytes may take to leave.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(5);
pub(crate) const LENGTH_LEN: usize = 4;

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    /// Whether it came over TLS.
    pub(crate) secure: bool,
    /// What its certificate proves.
    pub(crate) identities: Vec<Id>,
}

/// Frames from a stream.
pub(crate) struct Frames<R> {
    reader: R,
    buffer: BytesMut,
    bytes_max: usize,
    large: Option<Arc<LargeRequests>>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn new(reader: R, bytes_max: usize, large: Option<Arc<LargeRequests>>) -> Self {
        Frames {
            reader,
            buffer: BytesMut::new(),
            bytes_max,
            large,
        }
    }

    /// Reads some more. False at the end of the stream.
    async fn read(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.reader.read_buf(&mut self.buffer).await? > 0)
    }

    /// The frame that is here whole, if there is one.
    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_LEN>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        let fits = usize::try_from(length)
            .ok()
            .filter(|l| *l <= self.bytes_max);
        let Some(length) = fits else {
            let most = self.bytes_max;
            let reason = match is_tls(self.buffer.chunk()) {
                true => "it speaks TLS, and this port does not; is secureClientPort meant?".into(),
                false => format!("a frame of {length} bytes; jute.maxbuffer is {most}"),
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        };
        if self.buffer.len() < LENGTH_LEN + length {
            if let Some(large) = &self.large {
                large.check(length)?;
            }
            return Ok(None);
        }
        self.buffer.advance(LENGTH_LEN);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// The next frame; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// The frames that are here, at least one; none at the end of the stream.
    async fn burst(&mut self, frames: &mut Vec<Bytes>) -> io::Result<bool> {
        let Some(first) = self.next().await? else {
            return Ok(false);
        };
        frames.push(first);
        while let Some(frame) = self.take()? {
            frames.push(frame);
        }
        Ok(true)
    }

    /// So many bytes, no frame; none when the stream ends before.
    pub(crate) async fn exactly<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        loop {
            if let Some(bytes) = self.buffer.first_chunk::<N>() {
                let bytes = *bytes;
                self.buffer.advance(N);
                return Ok(Some(bytes));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Throws away what comes until the stream ends, or so many bytes have come.
    pub(crate) async fn discard(&mut self, most: usize) -> io::Result<()> {
        let mut seen = 0;
        while seen < most {
            self.buffer.clear();
            if !self.read().await? {
                return Ok(());
            }
            seen += self.buffer.len();
        }
        Ok(())
    }

    /// The first four bytes: a word, or the length of the first frame, which stays.
    pub(crate) async fn first(&mut self) -> io::Result<Option<[u8; LENGTH_LEN]>> {
        loop {
            if let Some(first) = self.buffer.first_chunk::<LENGTH_LEN>() {
                return Ok(Some(*first));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }
}

/// Whether a stream begins like TLS: a record of a handshake, and the version.
fn is_tls(first: &[u8]) -> bool {
    matches!(first, [22, 3, ..])
}

/// Serves a connection until it ends.
pub(crate) async fn serve(server: Arc<Server>, stream: Stream, origin: Origin) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(stream);
    let limits = &server.config.limits;
    let large = server.throttles.large.clone();
    let mut frames = Frames::new(reader, limits.jute_max_buffer_bytes, large);
    let clock = server.runtime.clock.clone();
    let now = (clock.instant(), clock.now_ms());
    let number = server.next_connection();
    let mut identities = vec![Id::new("ip", origin.peer.ip().to_canonical().to_string())];
    identities.extend(origin.identities);
    let connection = Connection::new(number, origin.peer, origin.secure, identities, now.0, now.1);
    let connection = Arc::new(connection);
    let registered = Registered::new(&server, &connection);
    let first = in_time(&server, frames.first()).await?;
    let Some(first) = first else { return Ok(()) };
    if let Some(word) = Word::of(first) {
        frames.buffer.advance(LENGTH_LEN);
        let served = words::serve(&server, &connection, word, &mut frames, &mut writer);
        return Box::pin(served).await;
    }
    let reading = read(&server, &connection, &mut frames);
    let writing = write(&connection, &mut writer);
    let ended = tokio::select! {
        biased;
        ended = reading => Some(ended),
        ended = writing => {
            ended?;
            None
        }
    };
    if matches!(ended, Some(Ok(()))) && connection.session() != 0 && !connection.is_ending() {
        server.meters.connections_dropped.add(1);
    }
    // What was read to the end may still have answers on their way.
    drop(registered);
    match ended {
        Some(Err(error)) => Err(error),
        Some(Ok(())) => {
            let flushing = write(&connection, &mut writer);
            clock.timeout(FLUSH_LIMIT, flushing).await.unwrap_or(Ok(()))
        }
        None => Ok(()),
    }
}

/// Waits for the beginning of a session, but not for ever.
async fn in_time<T>(server: &Server, first: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let limit = server.handshake_limit();
    let first = server.runtime.clock.timeout(limit, first).await;
    first.unwrap_or_else(|| {
        server.meters.sessionless_expired.add(1);
        Err(io::ErrorKind::TimedOut.into())
    })
}

/// The connection is known to the server while this lives.
struct Registered<'a>(&'a Server, &'a Connection);

impl<'a> Registered<'a> {
    fn new(server: &'a Server, connection: &'a Arc<Connection>) -> Self {
        let mut connections = server.connections.lock();
        connections.insert(connection.number, Arc::clone(connection));
        Registered(server, connection)
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let Registered(server, connection) = self;
        server.connections.lock().remove(&connection.number);
        server.watches.lock().remove_watcher(connection.number);
        // Whoever answers them has found the connection before it was removed, and finds nothing.
        let waiting = connection.work().give_up();
        server.throttles.ended(waiting);
        // Nothing is added that nobody would read.
        connection.close();
    }
}

async fn read<R: AsyncRead + Unpin>(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    frames: &mut Frames<R>,
) -> io::Result<()> {
    let first = in_time(server, frames.next()).await?;
    let Some(first) = first else { return Ok(()) };
    requests::count_received(server, connection, std::slice::from_ref(&first));
    handshake::begin(server, connection, &first).await?;
    let mut burst = Vec::new();
    loop {
        if !frames.burst(&mut burst).await? {
            return Ok(());
        }
        connection.hear();
        requests::take(server, connection, &mut burst).await?;
        while connection.unsent_bytes() > requests::UNSENT_BYTES && !connection.is_ending() {
            connection.room().await;
        }
        while connection.work().waiting.len() > requests::WAITING_MAX && !connection.is_ending() {
            connection.room().await;
        }
        while server.is_full() && !connection.work().waiting.is_empty() && !connection.is_ending() {
            connection.room().await;
        }
        server.outbox.room().await;
        if connection.is_ending() {
            // The writer ends the connection; nothing more is taken from it.
            std::future::pending::<()>().await;
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(connection: &Connection, writer: &mut W) -> io::Result<()> {
    loop {
        match connection.next().await {
            Next::Send(bytes) => {
                writer.write_all(&bytes).await?;
                connection.make_room();
            }
            Next::Close => {
                writer.flush().await?;
                return writer.shutdown().await;
            }
            Next::Abort => return Ok(()),
        }
    }
}
