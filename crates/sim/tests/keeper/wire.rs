//! The protocol, spoken by a client inside the simulation.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_jute::{
    ConnectRequest, ConnectResponse, ErrorCode, OpCode, Reader, Record, ReplyHeader, Request,
    Response, WatcherEvent,
};
use ottla_runtime::Network;
use ottla_runtime::net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A client gives a server up after so long.
const LIMIT: Duration = Duration::from_millis(1_500);

/// What comes from a server.
pub(crate) enum Received {
    Reply(ReplyHeader, Bytes),
    Event(i64, WatcherEvent),
}

/// A connection with a session.
pub(crate) struct Wire {
    stream: Stream,
    xid: i32,
}

/// Why there is no session.
pub(crate) enum NoSession {
    Expired,
    Unreachable,
}

/// A session as its client knows it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: i64,
    pub(crate) password: Bytes,
}

impl Wire {
    pub(crate) async fn connect(
        network: Network,
        host: &str,
        timeout_ms: i32,
        last_zxid_seen: i64,
        known: Option<&Session>,
    ) -> Result<(Wire, Session), NoSession> {
        let connecting = async {
            let mut stream = network.connect(host, 2181, LIMIT).await.ok()?;
            let request = ConnectRequest {
                protocol_version: 0,
                last_zxid_seen,
                timeout_ms,
                session_id: known.map_or(0, |s| s.id),
                password: Some(
                    known.map_or_else(|| Bytes::from_static(&[0; 16]), |s| s.password.clone()),
                ),
                read_only: Some(false),
            };
            let mut out = BytesMut::new();
            ottla_jute::frame(&mut out, |writer| request.write(writer));
            stream.write_all(&out).await.ok()?;
            let answer = frame(&mut stream).await?;
            Some((stream, ConnectResponse::decode(&answer).ok()?))
        };
        let connected = tokio::time::timeout(LIMIT, connecting).await;
        let (stream, answer) = connected.ok().flatten().ok_or(NoSession::Unreachable)?;
        if answer.session_id == 0 {
            return Err(NoSession::Expired);
        }
        let session = Session {
            id: answer.session_id,
            password: answer.password.unwrap_or_default(),
        };
        Ok((Wire { stream, xid: 0 }, session))
    }

    /// Sends a request; none when the connection is gone.
    pub(crate) async fn send(&mut self, request: &Request) -> Option<i32> {
        self.xid += 1;
        let mut out = BytesMut::new();
        ottla_jute::request_frame(&mut out, self.xid, request);
        let sending = self.stream.write_all(&out);
        tokio::time::timeout(LIMIT, sending).await.ok()?.ok()?;
        Some(self.xid)
    }

    /// What comes next; none when the connection is gone or silent.
    pub(crate) async fn receive(&mut self) -> Option<Received> {
        let frame = tokio::time::timeout(LIMIT, frame(&mut self.stream)).await;
        let frame = frame.ok()??;
        let mut reader = Reader::shared(&frame);
        let header = ReplyHeader::read(&mut reader).expect("a header");
        if header.xid == ottla_jute::xid::NOTIFICATION {
            let event = WatcherEvent::read(&mut reader).expect("an event");
            return Some(Received::Event(header.zxid, event));
        }
        Some(Received::Reply(header, frame.slice(16..)))
    }
}

/// A reply's body.
pub(crate) fn body(op: OpCode, header: ReplyHeader, body: &Bytes) -> Result<Response, ErrorCode> {
    match ErrorCode::try_from(header.err).expect("a known code") {
        ErrorCode::Ok => Ok(Response::decode(op, body).expect("a response")),
        code => Err(code),
    }
}

async fn frame(stream: &mut Stream) -> Option<Bytes> {
    let length = stream.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).ok()?];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}
