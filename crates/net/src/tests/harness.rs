//! A server whose dispatch is a closure, and a client that speaks frames.
//!
//! SaslAuthenticate serves as the request, because it carries any bytes both ways.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_model::ErrorCode;
use ottla_runtime::{Runtime, Service, Shutdown};
use ottla_wire::messages::{
    ApiVersionsResponse, RequestHeader, SaslAuthenticateRequest, SaslAuthenticateResponse,
};
use ottla_wire::{
    ApiKey, Frame, Reader, Request, Response, decode_response_header, encode_request,
    encode_response,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::{Dispatch, Handle, Incoming, ListenerOptions, Options, Outcome, Peer, Reply, Server};

const API: ApiKey = ApiKey::SaslAuthenticate;
const VERSION: i16 = 2;
/// Far more than any test needs; it only turns a hang into a failure.
const HANG: Duration = Duration::from_secs(30);

type Answer = dyn Fn(i32, Bytes) -> Outcome + Send + Sync;

/// Answers by a closure from correlation id and payload.
pub(crate) struct Script(Box<Answer>);

impl Dispatch for Script {
    fn versions(&self, _: &Peer, api: ApiKey) -> Option<RangeInclusive<i16>> {
        match api {
            API => Some(0..=VERSION),
            ApiKey::ApiVersions => Some(0..=4),
            _ => None,
        }
    }

    fn unsupported_api_versions(&self, _: &Peer, header: &RequestHeader) -> Reply {
        let body = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..ApiVersionsResponse::default()
        };
        let id = header.correlation_id;
        encode_response(id, ApiKey::ApiVersions, 0, &body.into())
            .unwrap()
            .into()
    }

    async fn dispatch(&self, _: &Arc<Peer>, incoming: Incoming) -> Outcome {
        let Request::SaslAuthenticate(body) = incoming.body else {
            return Reply::Close("not expected here".into()).into();
        };
        (self.0)(incoming.header.correlation_id, body.auth_bytes)
    }
}

/// The response frame to a request.
pub(crate) fn response(id: i32, payload: impl Into<Bytes>) -> Frame {
    let body = SaslAuthenticateResponse {
        auth_bytes: payload.into(),
        ..SaslAuthenticateResponse::default()
    };
    encode_response(id, API, VERSION, &body.into()).unwrap()
}

/// A script that never answers.
pub(crate) fn silent() -> Script {
    Script(Box::new(|_, _| Outcome::later(std::future::pending())))
}

/// A running server.
pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) shutdown: Shutdown,
    pub(crate) run: JoinHandle<Result<(), String>>,
}

/// Options for one listener on the loopback interface.
pub(crate) fn options() -> Options {
    Options {
        listeners: vec![ListenerOptions {
            name: "PLAINTEXT".into(),
            bind_host: "127.0.0.1".into(),
            port: 0,
        }],
        ..Options::default()
    }
}

/// Starts a server that answers by the closure.
pub(crate) async fn start(
    options: Options,
    answer: impl Fn(i32, Bytes) -> Outcome + Send + Sync + 'static,
) -> Node {
    let dispatch = Arc::new(Script(Box::new(answer)));
    let bound = Server::bind(Runtime::real(), options, dispatch).await;
    let (server, handle) = bound.unwrap();
    let shutdown = Shutdown::new();
    Node {
        handle,
        run: tokio::spawn(server.run(shutdown.clone())),
        shutdown,
    }
}

/// Starts a server that sends payloads back.
pub(crate) async fn start_echo(options: Options) -> Node {
    start(options, |id, payload| response(id, payload).into()).await
}

impl Node {
    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.local_addr("PLAINTEXT").unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address()).await.unwrap())
    }

    /// A connection from another address of the loopback interface.
    pub(crate) async fn connect_from(&self, ip: &str) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
        Client(socket.connect(self.address()).await.unwrap())
    }

    pub(crate) fn closed(&self, reason: crate::Closed) -> u64 {
        self.handle.probe().listeners()[0].closed(reason)
    }
}

/// The client's end.
pub(crate) struct Client(pub(crate) TcpStream);

/// The bytes of a request.
pub(crate) fn request(id: i32, payload: &[u8]) -> Bytes {
    let body = SaslAuthenticateRequest {
        auth_bytes: Bytes::copy_from_slice(payload),
        ..SaslAuthenticateRequest::default()
    };
    let header = RequestHeader::new(API, VERSION, id, Some("test".into()));
    encode_request(&header, &body.into()).unwrap().to_bytes()
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn request(&mut self, id: i32, payload: &[u8]) {
        self.send(&request(id, payload)).await;
    }

    /// The next frame's bytes without its length, or `None` at the end or after a reset.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let reading = async {
            let length = self.0.read_u32().await.ok()?;
            let mut body = vec![0; length as usize];
            self.0.read_exact(&mut body).await.ok()?;
            Some(Bytes::from(body))
        };
        let read = tokio::time::timeout(HANG, reading).await;
        read.expect("the server neither answers nor closes")
    }

    /// The next response's correlation id and payload.
    pub(crate) async fn reply(&mut self) -> Option<(i32, Bytes)> {
        let mut reader = Reader::new(self.frame().await?);
        let header = decode_response_header(API, VERSION, &mut reader).unwrap();
        match Response::decode(API, VERSION, &mut reader).unwrap() {
            Response::SaslAuthenticate(body) => Some((header.correlation_id, body.auth_bytes)),
            other => panic!("{other:?}"),
        }
    }

    /// Demands that the server has closed the connection.
    pub(crate) async fn is_closed(&mut self) {
        assert_eq!(self.frame().await, None);
    }

    /// Demands that a small request is served.
    pub(crate) async fn is_served(&mut self) {
        self.request(77, b"ping").await;
        assert_eq!(self.reply().await, Some((77, Bytes::from_static(b"ping"))));
    }
}

/// Waits until the condition holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let held = tokio::time::timeout(HANG, waiting).await;
    held.expect("the condition never came true");
}
