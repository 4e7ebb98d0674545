//! One of the two: its servers, and the clients' connections to them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use ottla_jute::{ErrorCode, OpCode, Request, WatcherEvent, Writer, xid};

use super::seen::{Seen, error};
use super::step::{CLIENTS, Since, Step, set_watches};
use crate::keeper::connection::{Connection, Frame, Opened, Received, Session};

/// Of an answer on a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(15);
/// The timeout of a session that is to expire: less than any server grants.
const SHORT_TIMEOUT_MS: i32 = 1;
/// How long such a session may take to expire, with ticks of 200 ms.
const EXPIRED_AFTER: Duration = Duration::from_millis(2500);

/// How a client learns that it has been told everything: with an answer that is sent behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// To a ping: enough where there is one server.
    Ping,
    /// To a sync: the client's server has caught up with the one that answered the step.
    Sync,
}

/// The servers of one side and all clients.
#[derive(Debug)]
pub struct Side {
    addresses: Vec<SocketAddr>,
    drain: Drain,
    clients: Vec<Client>,
}

#[derive(Debug, Default)]
struct Client {
    session: Option<Session>,
    connection: Option<Connection>,
    /// The transactions in the headers of its answers.
    zxids: Vec<i64>,
}

/// What arrived on a connection, in its order.
#[derive(Debug, Default)]
struct Arrived {
    frames: Vec<Frame>,
    /// The connection ended, or an answer did not come.
    end: Option<&'static str>,
}

impl Side {
    /// Clients without sessions.
    pub fn of(addresses: &[SocketAddr], drain: Drain) -> Side {
        Side {
            addresses: addresses.to_vec(),
            drain,
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
        }
    }

    /// Whether a client has a connection.
    pub fn is_connected(&self, client: usize) -> bool {
        self.clients[client].connection.is_some()
    }

    /// Whether a client has a session, as far as it knows.
    pub fn has_session(&self, client: usize) -> bool {
        self.clients[client].session.is_some()
    }

    /// How many servers there are.
    pub fn servers(&self) -> usize {
        self.addresses.len()
    }

    /// Carries a step out and waits until every client has heard of it.
    pub fn carry_out(&mut self, step: &Step) -> Result<Seen> {
        let mut seen = Seen::default();
        let at = step.client();
        match step {
            Step::Open { timeout_ms, .. } => self.open(at, *timeout_ms, &mut seen)?,
            Step::Resume {
                server,
                with_password,
                ..
            } => self.resume(at, *server, *with_password, &mut seen)?,
            Step::Drop { .. } => self.clients[at].connection = None,
            Step::Expire { .. } => self.expire(at, &mut seen)?,
            Step::Request {
                op,
                body,
                has_private_data,
                ..
            } => {
                self.request(at, *op, body, *has_private_data, &mut seen)?;
                if *op == OpCode::CloseSession.code() && !self.is_connected(at) {
                    self.clients[at].session = None;
                }
            }
            Step::SetWatches { since, watches, .. } => {
                let request = set_watches(self.since(at, *since), watches);
                let mut body = BytesMut::new();
                request.write(&mut Writer::new(&mut body));
                let op = request.op_code().code();
                self.request(at, op, &body.freeze(), false, &mut seen)?;
            }
            Step::Bytes { bytes, .. } => {
                if let Some(connection) = &mut self.clients[at].connection {
                    connection.send_bytes(bytes);
                }
            }
        }
        self.hear_all(step, &mut seen)?;
        Ok(seen)
    }

    /// Waits until every client that may have been told something has heard it.
    fn hear_all(&mut self, step: &Step, seen: &mut Seen) -> Result<()> {
        let actor = step.client();
        // Nobody hears of a read.
        let is_heard = |client: &usize| *client == actor || !step.is_read();
        let hearing: Vec<usize> = (0..CLIENTS).filter(is_heard).collect();
        let mut asked = Vec::new();
        for &client in &hearing {
            // The one that acted is asked with a ping: its server has answered it.
            let drain = if client == actor {
                Drain::Ping
            } else {
                self.drain
            };
            asked.push(self.clients[client].ask(drain));
        }
        for (&client, number) in hearing.iter().zip(asked) {
            let Some(number) = number else { continue };
            let mut arrived = self.clients[client].hear(number)?;
            if step.deletes_in_any_order() {
                arrived.sort_events();
            }
            arrived.show(&format!("client {client} "), seen);
        }
        Ok(())
    }

    /// The transaction that a client has seen so many answers ago.
    fn since(&self, client: usize, since: Since) -> i64 {
        let zxids = &self.clients[client].zxids;
        match since {
            Since::Nothing => 0,
            Since::Back(back) => {
                let at = zxids.len().checked_sub(back + 1);
                at.and_then(|at| zxids.get(at)).copied().unwrap_or(0)
            }
        }
    }

    fn address(&self, client: usize, server: usize) -> SocketAddr {
        self.addresses[(client + server) % self.addresses.len()]
    }

    fn open(&mut self, at: usize, timeout_ms: i32, seen: &mut Seen) -> Result<()> {
        if self.is_connected(at) {
            return Ok(());
        }
        let request = ottla_jute::ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id: 0,
            password: Some(Bytes::from_static(&[0; 16])),
            read_only: Some(false),
        };
        let opened = Connection::handshake(self.address(at, 0), &request, LIMIT)?;
        self.clients[at] = Client::default();
        self.clients[at].opened(opened, true, seen);
        Ok(())
    }

    fn resume(
        &mut self,
        at: usize,
        server: usize,
        with_password: bool,
        seen: &mut Seen,
    ) -> Result<()> {
        let address = self.address(at, server);
        let client = &mut self.clients[at];
        let (Some(session), None) = (&client.session, &client.connection) else {
            return Ok(());
        };
        let mut session = session.clone();
        if !with_password {
            session.password = Bytes::from_static(b"another password");
        }
        let newest = client.zxids.iter().copied().max().unwrap_or(0);
        let opened = Connection::resume(address, &session, newest, LIMIT)?;
        client.opened(opened, with_password, seen);
        Ok(())
    }

    fn expire(&mut self, at: usize, seen: &mut Seen) -> Result<()> {
        let address = self.address(at, 0);
        let client = &mut self.clients[at];
        client.connection = None;
        let Some(mut session) = client.session.clone() else {
            return Ok(());
        };
        session.timeout_ms = SHORT_TIMEOUT_MS;
        let newest = client.zxids.iter().copied().max().unwrap_or(0);
        let opened = Connection::resume(address, &session, newest, LIMIT)?;
        client.opened(opened, true, seen);
        if client.connection.take().is_some() {
            thread::sleep(EXPIRED_AFTER);
            self.resume(at, 0, true, seen)?;
        }
        Ok(())
    }

    fn request(
        &mut self,
        at: usize,
        op: i32,
        body: &Bytes,
        has_private_data: bool,
        seen: &mut Seen,
    ) -> Result<()> {
        let client = &mut self.clients[at];
        let Some(connection) = &mut client.connection else {
            return Ok(());
        };
        let number = match OpCode::try_from(op) {
            Ok(OpCode::Auth) => xid::AUTH,
            Ok(OpCode::SetWatches | OpCode::SetWatches2) => xid::SET_WATCHES,
            _ => connection.next_xid(),
        };
        connection.send(number, op, body);
        let mut arrived = Arrived::until(connection, number)?;
        if op == OpCode::CloseSession.code() {
            // Nobody promises in which order the session's nodes go.
            arrived.sort_events();
        }
        if arrived.is_last_of_all(op, number) {
            arrived.hear_the_end(connection)?;
        }
        for frame in &arrived.frames {
            if let Frame::Reply { header, body } = frame
                && header.xid == number
            {
                client.zxids.push(header.zxid);
                seen.is("err", error(header.err));
                // Whether a request that fails takes a number, nobody promises.
                let is_change = header.err == 0 && is_change(op);
                if is_change {
                    seen.zxid("zxid", header.zxid);
                } else {
                    seen.reached("zxid", header.zxid);
                }
                if header.err == 0 {
                    seen.reply(op, body, has_private_data);
                } else if !body.is_empty() {
                    seen.is("bytes behind the error", body.len());
                }
            } else {
                show("", frame, seen);
            }
        }
        client.after(&arrived, seen, "");
        Ok(())
    }
}

impl Client {
    fn opened(&mut self, opened: Opened, with_password: bool, seen: &mut Seen) {
        match opened {
            Opened::Session(connection) => {
                let session = connection.session().clone();
                seen.is("opened", "a session");
                seen.session("session", session.id);
                seen.is("timeout_ms", session.timeout_ms);
                seen.is("bytes of the password", session.password.len());
                self.session = Some(session);
                self.connection = Some(connection);
            }
            Opened::Expired => {
                seen.is("opened", "expired");
                if with_password {
                    self.session = None;
                }
            }
            Opened::Closed => seen.is("opened", "closed"),
        }
    }

    /// Sends what will be answered behind everything else; its number, if there is a connection.
    fn ask(&mut self, drain: Drain) -> Option<i32> {
        let connection = self.connection.as_mut()?;
        let (number, op, body) = match drain {
            Drain::Ping => (xid::PING, OpCode::Ping, Bytes::new()),
            Drain::Sync => {
                let path = "/".to_owned();
                let mut body = BytesMut::new();
                Request::Sync(ottla_jute::Sync { path }).write(&mut Writer::new(&mut body));
                (connection.next_xid(), OpCode::Sync, body.freeze())
            }
        };
        connection.send(number, op.code(), &body);
        Some(number)
    }

    /// What there is to hear up to that answer. A connection that has ended is put away.
    fn hear(&mut self, number: i32) -> Result<Arrived> {
        let Some(connection) = &mut self.connection else {
            return Ok(Arrived::default());
        };
        let mut arrived = Arrived::until(connection, number)?;
        arrived
            .frames
            .retain(|frame| !matches!(frame, Frame::Reply { header, .. } if header.xid == number));
        if arrived.end.is_some() {
            self.connection = None;
        }
        Ok(arrived)
    }

    fn after(&mut self, arrived: &Arrived, seen: &mut Seen, prefix: &str) {
        if let Some(end) = arrived.end {
            seen.is(format!("{prefix}connection"), end);
            self.connection = None;
        }
    }
}

impl Arrived {
    /// Takes everything up to the answer to this request.
    fn until(connection: &mut Connection, number: i32) -> Result<Arrived> {
        let deadline = Instant::now() + LIMIT;
        let mut arrived = Arrived::default();
        loop {
            let bytes = match connection.receive(deadline)? {
                Received::Frame(bytes) => bytes,
                Received::Closed => {
                    arrived.end = Some("closed by the server");
                    return Ok(arrived);
                }
                Received::Late => {
                    arrived.end = Some("no answer");
                    return Ok(arrived);
                }
            };
            let frame = Frame::decode(&bytes).context("a frame of a server")?;
            let is_last = matches!(&frame, Frame::Reply { header, .. } if header.xid == number);
            arrived.frames.push(frame);
            if is_last {
                return Ok(arrived);
            }
        }
    }

    /// Whether the connection ends behind this answer. ZooKeeper may answer a little more before it does.
    fn is_last_of_all(&self, op: i32, number: i32) -> bool {
        self.frames.iter().any(|frame| match frame {
            Frame::Reply { header, .. } if header.xid == number => {
                match ErrorCode::try_from(header.err) {
                    Ok(ErrorCode::AuthFailed) => true,
                    Ok(ErrorCode::Unimplemented) => op != OpCode::Reconfig.code(),
                    Ok(ErrorCode::Ok) => op == OpCode::CloseSession.code(),
                    _ => false,
                }
            }
            _ => false,
        })
    }

    /// Waits for the end of the connection.
    fn hear_the_end(&mut self, connection: &mut Connection) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.end.is_none() {
            match connection.receive(deadline)? {
                Received::Frame(bytes) => self.frames.push(Frame::decode(&bytes)?),
                Received::Closed => self.end = Some("closed by the server"),
                Received::Late => return Ok(()),
            }
        }
        Ok(())
    }

    fn sort_events(&mut self) {
        self.frames.sort_by_key(|frame| match frame {
            Frame::Event { event, .. } => (0, event.kind, event.path.clone()),
            Frame::Reply { .. } => (1, 0, String::new()),
        });
    }

    fn show(&self, prefix: &str, seen: &mut Seen) {
        for frame in &self.frames {
            show(prefix, frame, seen);
        }
        if let Some(end) = self.end {
            seen.is(format!("{prefix}connection"), end);
        }
    }
}

/// Whether an operation that is carried out has a number of its own.
fn is_change(op: i32) -> bool {
    matches!(
        OpCode::try_from(op),
        Ok(OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::DeleteContainer
            | OpCode::SetData
            | OpCode::SetAcl)
    )
}

fn show(prefix: &str, frame: &Frame, seen: &mut Seen) {
    match frame {
        Frame::Event { zxid, event } => {
            let WatcherEvent { kind, state, path } = event;
            seen.is(
                format!("{prefix}event"),
                format!("{kind} in state {state} of {path}"),
            );
            seen.zxid(format!("{prefix}event's zxid"), *zxid);
        }
        Frame::Reply { header, .. } => {
            let what = format!("to {}, {}", header.xid, error(header.err));
            seen.is(format!("{prefix}unexpected answer"), what);
        }
    }
}
