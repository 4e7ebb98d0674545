//! Requests as they come: reads are answered, writes set on their way to the leader.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use ottla_jute::{ErrorCode, OpCode, Reader, Record, ReplyHeader, Request, RequestHeader};
use ottla_model::Sabotage;
use ottla_runtime::Instant;
use ottla_znode::{Closing, Command, Operation, Requester, State};
use parking_lot::RwLockReadGuard;

use crate::clients::connection::{Connection, Waiting};
use crate::clients::serve::LENGTH_LEN;
use crate::clients::{auth, replies};
use crate::server::Server;
use crate::throttle::{Large, Turn};

/// A client that does not read its replies is not listened to any more.
pub(crate) const UNSENT_BYTES: usize = 4 << 20;
/// A connection with so many unanswered requests is not read from.
pub(crate) const WAITING_MAX: usize = 10_000;
/// The reply to what is no request has the number that requests begin with in ZooKeeper.
const ZXID_OF_NOTHING: i64 = -1;

/// Takes the requests of a connection that came together.
pub(crate) async fn take(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    burst: &mut Vec<Bytes>,
) -> io::Result<()> {
    count_received(server, connection, burst);
    let arrived = server.runtime.clock.instant();
    let mut frames = burst.drain(..);
    let mut turn = None;
    loop {
        let taking = Taking {
            server,
            connection,
            tree: None,
            arrived,
            large: None,
        };
        let Some(held) = taking.take_all(&mut frames, turn.take())? else {
            return Ok(());
        };
        turn = held.carry_out(server, connection, arrived).await;
    }
}

/// Counts frames that came.
pub(crate) fn count_received(server: &Server, connection: &Connection, frames: &[Bytes]) {
    connection.figures.count_received(frames.len());
    server.meters.received.add(frames.len() as u64);
    let bytes: usize = frames.iter().map(|frame| LENGTH_LEN + frame.len()).sum();
    server.meters.received_bytes.add(bytes as u64);
}

/// A request that takes its time, and behind which nothing is taken meanwhile.
enum Held {
    Reconfig(i32, ottla_jute::Reconfig),
    /// It waits for its turn.
    Throttled(Bytes),
    /// The client has yet to read the replies to what it asked before.
    Unread,
}

impl Held {
    /// Carries it out, or tells what is to be done with it now.
    async fn carry_out(
        self,
        server: &Arc<Server>,
        connection: &Arc<Connection>,
        arrived: Instant,
    ) -> Option<(Bytes, Turn)> {
        match self {
            Held::Reconfig(xid, request) => {
                crate::reconfig::carry_out(server, connection, xid, request).await;
                None
            }
            Held::Unread => {
                while connection.unsent_bytes() > UNSENT_BYTES && !connection.is_ending() {
                    connection.room().await;
                }
                None
            }
            Held::Throttled(frame) => {
                let op = op_of(&frame);
                let is_close = op == Some(OpCode::CloseSession);
                let turn = server.turn(connection, arrived, is_close).await;
                // These two are never refused, however long they have waited (`Request.isThrottlable`).
                let is_exempt = is_close || op == Some(OpCode::Ping);
                match turn {
                    Turn::Throttled if is_exempt => Some((frame, Turn::CarryOut)),
                    turn => Some((frame, turn)),
                }
            }
        }
    }
}

/// What a request asks for, if that can be read.
fn op_of(frame: &Bytes) -> Option<OpCode> {
    let header = RequestHeader::read(&mut Reader::shared(frame)).ok()?;
    OpCode::try_from(header.op).ok()
}

struct Taking<'a> {
    server: &'a Server,
    connection: &'a Connection,
    /// Reads that follow one another lock the tree once.
    tree: Option<RwLockReadGuard<'a, State>>,
    arrived: Instant,
    /// The bytes of the request that is being taken, if they are many.
    large: Option<Large>,
}

impl Taking<'_> {
    /// Takes the first of the frames whose turn has come, and all others as long as none has to
    /// wait.
    fn take_all(
        mut self,
        frames: &mut std::vec::Drain<'_, Bytes>,
        mut first: Option<(Bytes, Turn)>,
    ) -> io::Result<Option<Held>> {
        let is_throttling = self.server.throttles_requests();
        loop {
            if self.connection.is_ending() {
                return Ok(None);
            }
            let (frame, turn) = match first.take() {
                Some(first) => first,
                None if self.connection.unsent_bytes() > UNSENT_BYTES => {
                    return Ok(Some(Held::Unread));
                }
                None => match frames.next() {
                    Some(frame) if is_throttling => return Ok(Some(Held::Throttled(frame))),
                    Some(frame) => (frame, Turn::CarryOut),
                    None => return Ok(None),
                },
            };
            if let Some(large) = &self.server.throttles.large {
                self.large = large.take(frame.len())?;
            }
            let held = match turn {
                Turn::CarryOut => self.take_one(&frame)?,
                Turn::Throttled => self.throttle(&frame)?,
                Turn::Drop => return Err(io::Error::other("a stale request is dropped")),
            };
            if held.is_some() {
                return Ok(held);
            }
        }
    }

    /// Answers that the server has too much to do.
    fn throttle(&mut self, frame: &Bytes) -> io::Result<Option<Held>> {
        let header = RequestHeader::read(&mut Reader::shared(frame));
        let header = header.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.server.meters.throttled_ops.add(1);
        self.refuse(header.xid, ErrorCode::ThrottledOp);
        Ok(None)
    }

    fn take_one(&mut self, frame: &Bytes) -> io::Result<Option<Held>> {
        let mut reader = Reader::shared(frame);
        let bad = |error: ottla_jute::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let RequestHeader { xid, op } = RequestHeader::read(&mut reader).map_err(bad)?;
        let request = match OpCode::try_from(op).map(|op| (op, Request::read(op, &mut reader))) {
            Ok((_, Ok(request))) => request,
            // An unknown operation, or one that is not for clients (`UnimplementedRequestProcessor`).
            Err(_) | Ok((_, Err(ottla_jute::Error::NotARequest { .. }))) => {
                let (zxid, err) = (ZXID_OF_NOTHING, ErrorCode::Unimplemented.code());
                self.ready(ReplyHeader { xid, zxid, err }, |_| ());
                self.connection.close();
                return Ok(None);
            }
            // Whoever cannot even say who it is gets no answer (`ZooKeeperServer.processPacket`).
            Ok((OpCode::Auth | OpCode::Sasl, Err(error))) => return Err(bad(error)),
            Ok((_, Err(error))) => {
                tracing::debug!(peer = %self.connection.peer, %error, "a request cannot be read");
                self.refuse(xid, of_unreadable(&error));
                return Ok(None);
            }
        };
        let needs_more = auth::must_prove_more(self.server, self.connection, &request);
        if let Some(code) = needs_more {
            self.told_of_login(xid, code.code(), |_| ());
            self.connection.close();
            return Ok(None);
        }
        match request {
            Request::Auth(packet) => self.authenticate(xid, &packet),
            Request::Sasl(step) => self.sasl(xid, step.token.as_deref().unwrap_or_default()),
            Request::Reconfig(request) => {
                self.tree = None;
                return Ok(Some(Held::Reconfig(xid, request)));
            }
            Request::CloseSession => {
                let command = Command::CloseSession {
                    session: self.connection.session(),
                    owner: Some(self.server.owner(self.connection)),
                    closing: Closing::ByClient,
                };
                self.write((OpCode::CloseSession, xid), &command);
            }
            Request::Sync(asked) if Sabotage::SyncsAtOnce.is_on() => {
                let response = ottla_jute::Response::Sync { path: asked.path };
                let header = self.answered_now(xid, 0);
                self.ready(header, |writer| response.write(writer));
            }
            other => {
                let op = other.op_code();
                match Operation::try_from(other) {
                    Ok(operation) => {
                        let requester = self.requester(xid);
                        let command = Command::Write {
                            requester,
                            operation,
                        };
                        self.write((op, xid), &command);
                    }
                    Err(read) => self.read(xid, read),
                }
            }
        }
        Ok(None)
    }

    fn requester(&self, xid: i32) -> Requester {
        Requester {
            session: self.connection.session(),
            owner: self.server.owner(self.connection),
            cxid: xid,
            identities: self.connection.identities(),
        }
    }

    fn write(&mut self, (op, xid): (OpCode, i32), command: &Command) {
        if self.connection.read_only.load(Ordering::Relaxed) {
            if matches!(command, Command::CloseSession { .. }) {
                self.reply(xid, 0);
                self.connection.close();
            } else {
                self.refuse(xid, ErrorCode::NotReadOnly);
            }
            return;
        }
        // The applier takes the tree before anything else.
        self.tree = None;
        let arrived = self.arrived;
        let large = self.large.take();
        let waiting = Waiting::Write {
            op,
            xid,
            arrived,
            large,
        };
        // A connection that was given up ends by itself.
        let _: bool = self.server.send(self.connection, waiting, command);
    }

    fn read(&mut self, xid: i32, request: Request) {
        let server = self.server;
        let tree = self.tree.get_or_insert_with(|| server.tree.read());
        let identities = self.connection.identities();
        {
            let mut work = self.connection.work();
            if !work.waiting.is_empty() && !Sabotage::ReadsPastWrites.is_on() {
                server.throttles.begun(1);
                work.waiting.push_back(Waiting::Read {
                    xid,
                    request,
                    identities,
                    arrived: self.arrived,
                    large: self.large.take(),
                });
                return;
            }
        }
        self.large = None;
        let at = (xid, self.arrived);
        replies::read(server, tree, self.connection, &identities, at, &request);
    }

    fn authenticate(&mut self, xid: i32, packet: &ottla_jute::AuthPacket) {
        match auth::prove(self.server, self.connection, packet) {
            Ok(()) => self.told_of_login(xid, 0, |_| ()),
            Err(()) => {
                self.told_of_login(xid, ErrorCode::AuthFailed.code(), |_| ());
                self.connection.close();
            }
        }
    }

    fn sasl(&mut self, xid: i32, token: &[u8]) {
        match auth::sasl_step(self.server, self.connection, token) {
            Ok(answer) => {
                let response = ottla_jute::Response::Sasl {
                    token: Some(answer.into()),
                };
                self.told_of_login(xid, 0, |writer| response.write(writer));
            }
            Err(code) => {
                // Java's client reads the token even of a refusal, and tries for ever without it.
                let response = ottla_jute::Response::Sasl { token: None };
                self.told_of_login(xid, code.code(), |writer| response.write(writer));
                self.connection.close();
            }
        }
    }

    fn refuse(&mut self, xid: i32, code: ErrorCode) {
        self.reply(xid, code.code());
    }

    fn reply(&mut self, xid: i32, err: i32) {
        let header = self.answered_now(xid, err);
        self.ready(header, |_| ());
    }

    /// The header of an answer that knows of everything that was applied so far.
    fn answered_now(&mut self, xid: i32, err: i32) -> ReplyHeader {
        let server = self.server;
        let tree = self.tree.get_or_insert_with(|| server.tree.read());
        let zxid = tree.last_zxid();
        ReplyHeader { xid, zxid, err }
    }

    /// What is said of who the client is: that has no place among transactions, and ZooKeeper says so.
    fn told_of_login(
        &mut self,
        xid: i32,
        err: i32,
        body: impl FnOnce(&mut ottla_jute::Writer<'_>),
    ) {
        let zxid = 0;
        self.ready(ReplyHeader { xid, zxid, err }, body);
    }

    /// A reply that is there already, in its turn.
    fn ready(&mut self, header: ReplyHeader, body: impl FnOnce(&mut ottla_jute::Writer<'_>)) {
        let server = self.server;
        let mut reply = BytesMut::new();
        ottla_jute::reply(&mut reply, header, body);
        let mut work = self.connection.work();
        if work.waiting.is_empty() {
            drop(work);
            replies::ready(server, self.connection, &reply);
        } else {
            server.throttles.begun(1);
            work.waiting.push_back(Waiting::Ready(reply.freeze()));
        }
    }
}

/// What a client is told of a request that cannot be read. ZooKeeper reads any bytes as text, and then
/// refuses the path.
fn of_unreadable(error: &ottla_jute::Error) -> ErrorCode {
    match error {
        ottla_jute::Error::NotUtf8 { .. } => ErrorCode::BadArguments,
        _ => ErrorCode::MarshallingError,
    }
}
