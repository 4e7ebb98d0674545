//! One connection with one session, frame by frame.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use ottla_jute::{
    ConnectRequest, ConnectResponse, ErrorCode, Reader, Record, ReplyHeader, Request, Response,
    WatcherEvent, frame, xid,
};

const READ_AT_ONCE: usize = 64 * 1024;
/// Longer frames than any server of a test sends.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// What a client must show to be given its session again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session's number.
    pub id: i64,
    /// Its secret.
    pub password: Bytes,
    /// The timeout that the server granted.
    pub timeout_ms: i32,
}

/// What became of a handshake.
#[derive(Debug)]
pub enum Opened {
    /// There is a session.
    Session(Connection),
    /// The session that was asked for is gone, or the password is wrong.
    Expired,
    /// The server closed the connection without an answer, or nobody listens.
    Closed,
}

/// What arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole frame, without its length.
    Frame(Bytes),
    /// Nothing in time.
    Late,
    /// The connection has ended.
    Closed,
}

/// A frame of a server behind the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The answer to a request.
    Reply {
        /// Which request, how far the server is, and what went wrong.
        header: ReplyHeader,
        /// What follows the header.
        body: Bytes,
    },
    /// A watch has fired.
    Event {
        /// The transaction that it is about; -1 from servers that do not tell.
        zxid: i64,
        /// What happened.
        event: WatcherEvent,
    },
}

impl Frame {
    /// Takes a frame apart.
    pub fn decode(bytes: &Bytes) -> Result<Frame> {
        let mut reader = Reader::shared(bytes);
        let header = ReplyHeader::read(&mut reader).context("a frame without a header")?;
        if header.xid == xid::NOTIFICATION {
            let event = WatcherEvent::read(&mut reader).context("an event")?;
            let zxid = header.zxid;
            return Ok(Frame::Event { zxid, event });
        }
        let body = bytes.slice_ref(reader.rest());
        Ok(Frame::Reply { header, body })
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out.
    Done {
        /// How far the server is.
        zxid: i64,
        /// What it says.
        response: Response,
    },
    /// It failed.
    Failed {
        /// How far the server is.
        zxid: i64,
        /// Why.
        error: ErrorCode,
    },
    /// Nothing is known of it: the connection ended, or the time is up.
    Lost,
}

/// A connection whose handshake is done. Dropping it closes the socket and leaves the session be.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: BytesMut,
    session: Session,
    next_xid: i32,
    is_closed: bool,
    events: VecDeque<(i64, WatcherEvent)>,
}

impl Connection {
    /// Asks for a new session.
    pub fn open(address: SocketAddr, timeout_ms: i32, limit: Duration) -> Result<Connection> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id: 0,
            password: Some(Bytes::from_static(&[0; 16])),
            read_only: Some(false),
        };
        match Connection::handshake(address, &request, limit)? {
            Opened::Session(connection) => Ok(connection),
            Opened::Expired | Opened::Closed => bail!("{address} gives no session"),
        }
    }

    /// Asks for a session that there was before.
    pub fn resume(
        address: SocketAddr,
        session: &Session,
        last_zxid_seen: i64,
        limit: Duration,
    ) -> Result<Opened> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms: session.timeout_ms,
            session_id: session.id,
            password: Some(session.password.clone()),
            read_only: Some(false),
        };
        Connection::handshake(address, &request, limit)
    }

    /// Sends a first frame and waits for the answer. An error is something that no server should
    /// send, or silence.
    pub fn handshake(
        address: SocketAddr,
        request: &ConnectRequest,
        limit: Duration,
    ) -> Result<Opened> {
        let deadline = Instant::now() + limit;
        let Ok(stream) = TcpStream::connect_timeout(&address, limit) else {
            return Ok(Opened::Closed);
        };
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream,
            received: BytesMut::new(),
            session: Session {
                id: 0,
                password: Bytes::new(),
                timeout_ms: 0,
            },
            next_xid: 1,
            is_closed: false,
            events: VecDeque::new(),
        };
        let mut out = BytesMut::new();
        frame(&mut out, |writer| request.write(writer));
        connection.send_bytes(&out);
        let answer = match connection.receive(deadline)? {
            Received::Frame(bytes) => bytes,
            Received::Closed => return Ok(Opened::Closed),
            Received::Late => bail!("{address} does not answer a handshake within {limit:?}"),
        };
        let response = ConnectResponse::decode(&answer).context("the answer to a handshake")?;
        if response.session_id == 0 || response.timeout_ms <= 0 {
            return Ok(Opened::Expired);
        }
        connection.session = Session {
            id: response.session_id,
            password: response.password.unwrap_or_default(),
            timeout_ms: response.timeout_ms,
        };
        Ok(Opened::Session(connection))
    }

    /// What the session can be resumed with.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The socket alone, for whoever reads answers in another way.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Whether the other side has ended it.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Events that arrived while answers were awaited, in their order, with their transactions.
    pub fn take_events(&mut self) -> impl Iterator<Item = (i64, WatcherEvent)> + '_ {
        self.events.drain(..)
    }

    /// Sends bytes as they are. A connection that has ended shows it when something is received.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).is_err() {
            // What arrived before can still be read.
            let _ = self.stream.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Sends a request with any operation and any body.
    pub fn send(&mut self, xid: i32, op: i32, body: &[u8]) {
        let mut out = BytesMut::with_capacity(body.len() + 12);
        frame(&mut out, |writer| {
            writer.int(xid);
            writer.int(op);
            writer.raw(body);
        });
        self.send_bytes(&out);
    }

    /// A number for the next request.
    pub fn next_xid(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        xid
    }

    /// The next frame.
    pub fn receive(&mut self, deadline: Instant) -> Result<Received> {
        loop {
            if let Some(frame) = self.whole_frame()? {
                return Ok(Received::Frame(frame));
            }
            if self.is_closed {
                return Ok(Received::Closed);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Ok(Received::Late);
            };
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_micros(100))))?;
            match self.read_some() {
                Ok(0) => self.is_closed = true,
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => self.is_closed = true,
                },
            }
        }
    }

    fn read_some(&mut self) -> io::Result<usize> {
        let before = self.received.len();
        self.received.resize(before + READ_AT_ONCE, 0);
        let outcome = self.stream.read(&mut self.received[before..]);
        self.received
            .truncate(before + outcome.as_ref().map_or(0, |count| *count));
        outcome
    }

    fn whole_frame(&mut self) -> Result<Option<Bytes>> {
        let Some(length) = self.received.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(i32::from_be_bytes(*length));
        let length = length
            .ok()
            .filter(|length| *length <= FRAME_BYTES_MAX)
            .context("the server sends a frame whose length makes no sense")?;
        if self.received.len() < length + 4 {
            return Ok(None);
        }
        self.received.advance(4);
        Ok(Some(self.received.split_to(length).freeze()))
    }

    /// Sends a request and waits for its answer; events on the way are kept for
    /// [`Connection::take_events`]. An error is something that no server should send.
    pub fn call(&mut self, request: &Request, limit: Duration) -> Result<Answer> {
        let deadline = Instant::now() + limit;
        let op = request.op_code();
        let mut body = BytesMut::new();
        request.write(&mut ottla_jute::Writer::new(&mut body));
        let number = match request {
            Request::Ping => xid::PING,
            Request::Auth(_) => xid::AUTH,
            Request::SetWatches(_) | Request::SetWatches2(_) => xid::SET_WATCHES,
            _ => self.next_xid(),
        };
        self.send(number, op.code(), &body);
        loop {
            let bytes = match self.receive(deadline)? {
                Received::Frame(bytes) => bytes,
                Received::Late | Received::Closed => return Ok(Answer::Lost),
            };
            match Frame::decode(&bytes)? {
                Frame::Event { zxid, event } => self.events.push_back((zxid, event)),
                Frame::Reply { header, body } => {
                    // Answers come in the order of requests, and nothing else is under way.
                    if header.xid != number {
                        bail!("an answer to request {} instead of {number}", header.xid);
                    }
                    let zxid = header.zxid;
                    let error = ErrorCode::try_from(header.err)?;
                    if error != ErrorCode::Ok {
                        return Ok(Answer::Failed { zxid, error });
                    }
                    let response = Response::decode(op, &body)
                        .with_context(|| format!("the answer to {op}"))?;
                    return Ok(Answer::Done { zxid, response });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use ottla_jute::{GetData, Stat, reply};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn granted() -> ConnectResponse {
        ConnectResponse {
            protocol_version: 0,
            timeout_ms: 4000,
            session_id: 7,
            password: Some(Bytes::from_static(b"secret")),
            read_only: Some(false),
        }
    }

    /// A server that reads one frame and sends one answer, over and over.
    fn server(answers: Vec<BytesMut>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut rest = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut rest).unwrap();
                // In pieces, so that frames arrive torn.
                for piece in answer.chunks(5) {
                    stream.write_all(piece).unwrap();
                    stream.flush().unwrap();
                }
            }
        });
        address
    }

    fn get_data() -> Request {
        let path = "/a".to_owned();
        Request::GetData(GetData { path, watch: true })
    }

    #[test]
    fn answers_are_read_and_events_on_the_way_are_kept() {
        let mut hello = BytesMut::new();
        frame(&mut hello, |writer| granted().write(writer));
        let event = WatcherEvent {
            kind: 3,
            state: 3,
            path: "/a".to_owned(),
        };
        let header = |xid, zxid, err| ReplyHeader { xid, zxid, err };
        let response = Response::GetData {
            data: Some(Bytes::from_static(b"x")),
            stat: Stat::default(),
        };
        let mut first = BytesMut::new();
        reply(&mut first, header(-1, 5, 0), |writer| event.write(writer));
        reply(&mut first, header(1, 6, 0), |writer| response.write(writer));
        let mut second = BytesMut::new();
        reply(&mut second, header(2, 6, -101), |_| {});
        let address = server(vec![hello, first, second]);
        let mut connection = Connection::open(address, 4000, LIMIT).unwrap();
        assert_eq!(connection.session().id, 7);
        let done = connection.call(&get_data(), LIMIT).unwrap();
        assert_eq!(done, Answer::Done { zxid: 6, response });
        assert_eq!(connection.take_events().collect::<Vec<_>>(), [(5, event)]);
        let failed = connection.call(&get_data(), LIMIT).unwrap();
        let error = ErrorCode::NoNode;
        assert_eq!(failed, Answer::Failed { zxid: 6, error });
        let lost = connection.call(&get_data(), LIMIT).unwrap();
        assert_eq!(lost, Answer::Lost);
        assert!(connection.is_closed());
    }

    #[test]
    fn a_session_that_is_gone_is_told_from_a_server_that_is() {
        let mut hello = BytesMut::new();
        let mut gone = granted();
        (gone.session_id, gone.timeout_ms) = (0, 0);
        frame(&mut hello, |writer| gone.write(writer));
        let session = Session {
            id: 7,
            password: Bytes::new(),
            timeout_ms: 4000,
        };
        let address = server(vec![hello]);
        let opened = Connection::resume(address, &session, 0, LIMIT).unwrap();
        assert!(matches!(opened, Opened::Expired), "{opened:?}");
        let address = server(vec![]);
        let opened = Connection::resume(address, &session, 0, LIMIT).unwrap();
        assert!(matches!(opened, Opened::Closed), "{opened:?}");
    }
}
