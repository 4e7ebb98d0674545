//! Replies: what the state answers to a read, and what became of a write.

use bytes::Bytes;
use ottla_jute::{
    ClientInfo, ConnectResponse, ErrorCode, Id, OpCode, Record, ReplyHeader, Request, Response,
    Writer,
};
use ottla_runtime::Instant;
use ottla_znode::{Access, Command, Outcome, Reply, State, WatchMode, Watches};

use crate::clients::connection::{Connection, Waiting};
use crate::clients::figures::Answered;
use crate::clients::handshake::PASSWORD_LEN;
use crate::clients::serve::LENGTH_LEN;
use crate::monitor::micros;
use crate::server::Server;

/// What has happened while a client was away is told without its transaction (`WatchedEvent.NO_ZXID`).
const ZXID_OF_THE_PAST: i64 = -1;

/// Answers the first frame of a client: its session is open or attached, or it is refused.
pub(crate) fn session(
    server: &Server,
    state: &State,
    connection: &Connection,
    command: &Command,
    outcome: &Outcome,
) {
    let waiting = connection.work().waiting.pop_front();
    let Some(waiting) = waiting else { return };
    server.throttles.ended(1);
    let Waiting::Session { arrived } = waiting else {
        return;
    };
    let (Command::OpenSession {
        session, password, ..
    }
    | Command::AttachSession {
        session, password, ..
    }) = command
    else {
        return;
    };
    let granted = match &outcome.reply {
        Ok(Reply::Session { timeout_ms }) => Some(*timeout_ms),
        _ => None,
    };
    if granted.is_some() && connection.last_zxid_seen() > state.last_zxid() {
        // It has seen another ensemble, or this one before it lost its data.
        tracing::warn!(
            peer = %connection.peer,
            seen = format_args!("0x{:x}", connection.last_zxid_seen()),
            here = format_args!("0x{:x}", state.last_zxid()),
            "a client has seen more than this ensemble has; it is disconnected, as it must not go back"
        );
        connection.abort();
        return;
    }
    if let Some(timeout_ms) = granted {
        connection.set_session(*session, timeout_ms);
        connection.hear();
    }
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: granted.unwrap_or(0),
        session_id: granted.map_or(0, |_| *session),
        password: Some(match granted {
            Some(_) => Bytes::copy_from_slice(password),
            None => Bytes::from_static(&[0; PASSWORD_LEN]),
        }),
        read_only: connection.knows_read_only().then_some(false),
    };
    let mut bytes = 0;
    connection.send(|out| {
        let before = out.len();
        ottla_jute::frame(out, |writer| response.write(writer));
        bytes = out.len() - before;
    });
    let asked = Asked {
        op: OpCode::CreateSession,
        xid: 0,
        arrived,
    };
    count(
        server,
        connection,
        &asked,
        outcome.zxid,
        (Kind::Write, bytes),
    );
    if granted.is_none() {
        connection.close();
    }
}

/// What is known of a request when it is answered.
pub(crate) struct Asked {
    pub(crate) op: OpCode,
    pub(crate) xid: i32,
    pub(crate) arrived: Instant,
}

/// Whether a request went through the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// Sends a reply, and counts it.
pub(crate) fn send(
    server: &Server,
    connection: &Connection,
    (kind, asked): (Kind, &Asked),
    zxid: i64,
    answer: Result<impl FnOnce(&mut Writer<'_>), ErrorCode>,
) {
    let (err, body) = match answer {
        Ok(body) => (0, Some(body)),
        Err(code) => (code.code(), None),
    };
    let xid = asked.xid;
    let mut bytes = 0;
    connection.send(|out| {
        let before = out.len();
        ottla_jute::reply(out, ReplyHeader { xid, zxid, err }, |writer| {
            if let Some(body) = body {
                body(writer);
            }
        });
        bytes = out.len() - before;
    });
    count(server, connection, asked, zxid, (kind, bytes));
}

/// Sends a reply that was put together before, to a request whose latency says nothing.
pub(crate) fn ready(server: &Server, connection: &Connection, reply: &[u8]) {
    connection.send(|out| out.extend_from_slice(reply));
    connection.figures.count_sent();
    server.meters.sent_else.add(1);
}

/// Counts an answer.
fn count(
    server: &Server,
    connection: &Connection,
    asked: &Asked,
    zxid: i64,
    (kind, bytes): (Kind, usize),
) {
    let now = server.runtime.clock.instant();
    let latency_us = micros(now.saturating_duration_since(asked.arrived));
    let meters = &server.meters;
    match kind {
        Kind::Read => meters.reads.add(latency_us),
        Kind::Write => meters.writes.add(latency_us),
    }
    // What it would be without its length, as ZooKeeper counts it.
    let bytes = bytes.saturating_sub(LENGTH_LEN);
    meters.response_sizes.add(bytes);
    meters.response_bytes.add(bytes as u64);
    connection.figures.count_answer(Answered {
        op: asked.op,
        xid: asked.xid,
        zxid,
        at: now,
        latency_us,
    });
}

/// Answers a write that was applied.
pub(crate) fn write(server: &Server, connection: &Connection, asked: &Asked, outcome: &Outcome) {
    let zxid = outcome.zxid;
    let asked = (Kind::Write, asked);
    match &outcome.reply {
        // As ZooKeeper: a client that has moved on needs no answer here.
        Err(ErrorCode::SessionMoved) => connection.abort(),
        Err(code) => {
            let refused: Result<fn(&mut Writer<'_>), _> = Err(*code);
            send(server, connection, asked, zxid, refused);
        }
        Ok(Reply::Response(response)) => {
            let body = |writer: &mut Writer<'_>| response.write(writer);
            send(server, connection, asked, zxid, Ok(body));
        }
        Ok(_) => send(server, connection, asked, zxid, Ok(|_: &mut Writer<'_>| ())),
    }
}

/// Answers a read from the state as it is now, and sets its watch in the same moment.
pub(crate) fn read(
    server: &Server,
    state: &State,
    connection: &Connection,
    identities: &[Id],
    (xid, arrived): (i32, Instant),
    request: &Request,
) {
    let asked = Asked {
        op: request.op_code(),
        xid,
        arrived,
    };
    let zxid = state.last_zxid();
    let reading = Reading {
        server,
        state,
        connection,
        identities,
    };
    if !State::is_read(request.op_code()) {
        let answer = reading.answer(request);
        let body = answer.map(|response| move |writer: &mut Writer<'_>| response.write(writer));
        send(server, connection, (Kind::Read, &asked), zxid, body);
        return;
    }
    let access = Access {
        session: connection.session(),
        identities,
        rules: server.rules,
    };
    let mut outcome = Ok(());
    let mut bytes = 0;
    connection.send(|out| {
        let start = out.len();
        let header = ReplyHeader { xid, zxid, err: 0 };
        ottla_jute::reply(out, header, |writer| {
            outcome = state.answer(request, access, writer);
        });
        if let Err(code) = outcome {
            out.truncate(start);
            let err = code.code();
            ottla_jute::reply(out, ReplyHeader { err, ..header }, |_| ());
        }
        bytes = out.len() - start;
    });
    count(server, connection, &asked, zxid, (Kind::Read, bytes));
    reading.set_watch(request, outcome);
}

struct Reading<'a> {
    server: &'a Server,
    state: &'a State,
    connection: &'a Connection,
    identities: &'a [Id],
}

impl Reading<'_> {
    fn watches<T>(&self, change: impl FnOnce(&mut Watches) -> T) -> T {
        change(&mut self.server.watches.lock())
    }

    fn watch(&self, path: &str, mode: WatchMode) {
        self.watches(|w| w.add(path, self.connection.number, mode));
    }

    /// Sets the watch that a read asks for.
    fn set_watch(&self, request: &Request, outcome: Result<(), ErrorCode>) {
        match request {
            // Who asks for a node that is not there waits for it to appear.
            Request::Exists(asked) if asked.watch => match outcome {
                Ok(()) | Err(ErrorCode::NoNode) => self.watch(&asked.path, WatchMode::Data),
                Err(_) => {}
            },
            Request::GetData(asked) if asked.watch && outcome.is_ok() => {
                self.watch(&asked.path, WatchMode::Data);
            }
            Request::GetChildren(asked) | Request::GetChildren2(asked)
                if asked.watch && outcome.is_ok() =>
            {
                self.watch(&asked.path, WatchMode::Children);
            }
            _ => {}
        }
    }

    fn answer(&self, request: &Request) -> Result<Response, ErrorCode> {
        match request {
            Request::Ping => Ok(Response::Empty),
            Request::WhoAmI => Ok(Response::WhoAmI {
                client_info: self.identities.iter().map(shown).collect(),
            }),
            other => self.change_watches(other),
        }
    }

    fn change_watches(&self, request: &Request) -> Result<Response, ErrorCode> {
        let number = self.connection.number;
        match request {
            Request::AddWatch(asked) => {
                self.watch(&asked.path, asked.mode.into());
                Ok(Response::Error { err: 0 })
            }
            Request::CheckWatches(asked) => {
                let is_there = self.watches(|w| w.contains(&asked.path, number, asked.kind));
                is_there
                    .then_some(Response::Empty)
                    .ok_or(ErrorCode::NoWatcher)
            }
            Request::RemoveWatches(asked) => {
                let was_there = self.watches(|w| w.remove(&asked.path, number, asked.kind));
                was_there
                    .then_some(Response::Empty)
                    .ok_or(ErrorCode::NoWatcher)
            }
            Request::SetWatches(asked) => {
                self.set_watches(&ottla_jute::SetWatches2 {
                    relative_zxid: asked.relative_zxid,
                    data_watches: asked.data_watches.clone(),
                    exist_watches: asked.exist_watches.clone(),
                    child_watches: asked.child_watches.clone(),
                    persistent_watches: Vec::new(),
                    persistent_recursive_watches: Vec::new(),
                });
                Ok(Response::Empty)
            }
            Request::SetWatches2(asked) => {
                self.set_watches(asked);
                Ok(Response::Empty)
            }
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    fn set_watches(&self, asked: &ottla_jute::SetWatches2) {
        let number = self.connection.number;
        let events = self.watches(|w| w.set_watches(self.state, number, asked));
        for (kind, path) in events {
            self.server
                .send_event(self.connection, ZXID_OF_THE_PAST, kind, &path);
        }
    }
}

/// An identity as `whoAmI` shows it: passwords are not.
fn shown(id: &Id) -> ClientInfo {
    let user = match id.scheme.as_str() {
        "digest" => id.id.split(':').next().unwrap_or_default().to_owned(),
        _ => id.id.clone(),
    };
    ClientInfo {
        auth_scheme: id.scheme.clone(),
        user,
    }
}
