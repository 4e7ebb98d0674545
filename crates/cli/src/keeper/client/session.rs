//! The task that has the connection.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use ottla_jute::{
    ErrorCode, OpCode, Reader, Record, ReplyHeader, Request, Response, WatcherEvent, xid,
};
use ottla_runtime::Instant;
use tokio::sync::{mpsc, oneshot};

use super::Event;
use super::failure::Failure;
use super::link::{Dialer, Identity, Link, Refusal};
use super::watches::{Watch, Watches};
use crate::keeper::connection::Credentials;

/// So many requests are on their way at a time.
const ON_THEIR_WAY: usize = 64;
/// The pause between two rounds through the servers grows up to this.
const PAUSE_MAX: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// A request, and who waits for its answer.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) watch: Option<Watch>,
    pub(super) reply: oneshot::Sender<Result<Response, Failure>>,
}

/// A request that was sent.
struct Sent {
    xid: i32,
    op: OpCode,
    watch: Option<Watch>,
    /// What is proved on later connections, too, if the server takes it.
    proved: Option<Credentials>,
    reply: oneshot::Sender<Result<Response, Failure>>,
}

/// How serving a connection ends.
enum End {
    /// The session is closed, or nobody wants it any more.
    Closed,
    /// The connection broke.
    Broken(String),
}

pub(super) struct Session {
    dialer: Dialer,
    identity: Identity,
    inbox: mpsc::Receiver<Job>,
    events: mpsc::Sender<Event>,
    watches: Watches,
    sent: VecDeque<Sent>,
    xid: i32,
}

impl Session {
    pub(super) fn new(
        dialer: Dialer,
        identity: Identity,
        inbox: mpsc::Receiver<Job>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Session {
            dialer,
            identity,
            inbox,
            events,
            watches: Watches::default(),
            sent: VecDeque::new(),
            xid: 0,
        }
    }

    /// Serves requests until the session is closed.
    pub(super) async fn run(mut self, mut link: Link) {
        loop {
            let reason = match self.serve(&mut link).await {
                End::Closed => return,
                End::Broken(reason) => reason,
            };
            for sent in self.sent.drain(..) {
                // Whoever closes is content with any end of the connection.
                let outcome = match sent.op {
                    OpCode::CloseSession => Ok(Response::Empty),
                    _ => Err(Failure::Lost {
                        reason: reason.clone(),
                    }),
                };
                let _ = sent.reply.send(outcome);
            }
            self.tell(Event::Disconnected { reason }).await;
            match self.reconnect().await {
                Some(again) => link = again,
                None => return,
            }
        }
    }

    /// Whoever does not want events has let go of the other end.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    async fn serve(&mut self, link: &mut Link) -> End {
        let clock = self.dialer.runtime.clock.clone();
        // As ZooKeeper's client: a third of the timeout without a request, and there is a ping; two
        // thirds without an answer, and the server counts as dead.
        let (ping_after, dead_after) = (self.identity.timeout / 3, self.identity.timeout * 2 / 3);
        let (mut sent_at, mut heard_at) = (clock.instant(), clock.instant());
        loop {
            let (ping_at, dead_at) = (sent_at + ping_after, heard_at + dead_after);
            let may_send = self.sent.len() < ON_THEIR_WAY;
            tokio::select! {
                biased;
                frame = link.next() => {
                    heard_at = clock.instant();
                    let frame = match frame {
                        Ok(frame) => frame,
                        Err(error) => return End::Broken(error.to_string()),
                    };
                    match self.take(&frame).await {
                        Ok(true) => return End::Closed,
                        Ok(false) => {}
                        Err(reason) => return End::Broken(reason),
                    }
                }
                job = self.inbox.recv(), if may_send => {
                    sent_at = clock.instant();
                    match job {
                        Some(job) => if let Err(reason) = self.send(link, job).await {
                            return End::Broken(reason);
                        },
                        None => {
                            // Nobody is left: what goes wrong now concerns nobody.
                            let _ = link.send(0, &Request::CloseSession).await;
                            return End::Closed;
                        }
                    }
                }
                () = clock.sleep_until(ping_at.min(dead_at)) => {
                    if clock.instant() >= dead_at {
                        return End::Broken("nothing was heard of the server".to_owned());
                    }
                    sent_at = clock.instant();
                    if let Err(error) = link.send(xid::PING, &Request::Ping).await {
                        return End::Broken(error.to_string());
                    }
                }
            }
        }
    }

    async fn send(&mut self, link: &mut Link, job: Job) -> Result<(), String> {
        // Whoever has given up must not find it carried out later.
        if job.reply.is_closed() {
            return Ok(());
        }
        let xid = match job.request {
            Request::Auth(_) => xid::AUTH,
            _ => {
                self.xid = self.xid.checked_add(1).unwrap_or(1);
                self.xid
            }
        };
        let proved = match &job.request {
            Request::Auth(packet) => Credentials::of_packet(packet),
            _ => None,
        };
        self.sent.push_back(Sent {
            xid,
            proved,
            op: job.request.op_code(),
            watch: job.watch,
            reply: job.reply,
        });
        let sending = link.send(xid, &job.request);
        sending.await.map_err(|error| error.to_string())
    }

    /// Takes a frame; true when it is the answer to the end of the session.
    async fn take(&mut self, frame: &Bytes) -> Result<bool, String> {
        let mut reader = Reader::shared(frame);
        let header = ReplyHeader::read(&mut reader).map_err(|error| error.to_string())?;
        self.identity.last_zxid = self.identity.last_zxid.max(header.zxid);
        match header.xid {
            xid::NOTIFICATION => {
                let event = WatcherEvent::read(&mut reader).map_err(|error| error.to_string())?;
                self.watches.fired(event.kind, &event.path);
                self.tell(Event::Seen {
                    kind: event.kind,
                    path: event.path,
                })
                .await;
                return Ok(false);
            }
            xid::PING | xid::SET_WATCHES => return Ok(false),
            _ => {}
        }
        let sent = if header.xid == xid::AUTH {
            // It may overtake others.
            let at = self.sent.iter().position(|sent| sent.xid == xid::AUTH);
            at.and_then(|at| self.sent.remove(at))
        } else {
            // Another one stays, and learns that the connection is lost.
            self.sent.pop_front_if(|sent| sent.xid == header.xid)
        };
        let Some(sent) = sent else {
            return Err(format!(
                "an answer to request {}, which was not asked",
                header.xid
            ));
        };
        let answer = match header.err {
            0 => Response::read(sent.op, &mut reader).map_err(Failure::Unreadable),
            err => match ErrorCode::try_from(err) {
                Ok(code) => Err(Failure::Refused(code)),
                Err(error) => Err(Failure::Unreadable(error)),
            },
        };
        if let Some(watch) = sent.watch {
            let found = answer.is_ok();
            if found || matches!(answer, Err(Failure::Refused(ErrorCode::NoNode))) {
                self.watches.set(watch, found);
            }
        }
        if answer.is_ok()
            && let Some(credentials) = sent.proved
        {
            self.dialer.add_auth(credentials);
        }
        let _ = sent.reply.send(answer);
        Ok(sent.op == OpCode::CloseSession)
    }

    /// Finds a server that takes the session; none when nobody wants it any more.
    async fn reconnect(&mut self) -> Option<Link> {
        let clock = self.dialer.runtime.clock.clone();
        let mut pause = PAUSE_MIN;
        loop {
            if self.inbox.is_closed() && self.inbox.is_empty() {
                return None;
            }
            let until: Instant = clock.instant() + self.identity.timeout;
            let had = self.identity.id;
            match self.dialer.round(&mut self.identity, until).await {
                Ok(mut link) => {
                    let requests = self.watches.requests(self.identity.last_zxid);
                    if link.watch(requests).await.is_ok() {
                        let server = link.server.to_string();
                        self.tell(match had {
                            0 => Event::Expired { server },
                            _ => Event::Reconnected { server },
                        })
                        .await;
                        return Some(link);
                    }
                }
                Err(refusals) => {
                    let is_over = |(_, r): &(_, Refusal)| matches!(r, Refusal::Expired);
                    if refusals.iter().any(is_over) {
                        let last_zxid = self.identity.last_zxid;
                        self.identity = self.dialer.nobody();
                        self.identity.last_zxid = last_zxid;
                        continue;
                    }
                }
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
