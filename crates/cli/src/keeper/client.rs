//! A small ZooKeeper client for our own tools.
//!
//! ```text
//!   command ─▶ Client::ask ─▶ mailbox ─▶ Session (one task) ⇄ Link ⇄ a server of the list
//!      ▲                                   │ pings, reconnects, sets watches anew
//!      └────────── Events ◀────────────────┘
//! ```
//!
//! A request that was on its way when its connection broke is lost: nobody knows whether it was
//! carried out. Reads are asked again; for changes the caller is told.
//!
//! Sources: the page "ZooKeeper Programmer's Guide" of ZooKeeper 3.9 ("Sessions", "Watches"), the
//! classes `ClientCnxn` and `ZKWatchManager`.

mod calls;
mod failure;
mod link;
mod session;
mod watches;

use std::time::Duration;

use ottla_jute::{Request, Response};
use ottla_runtime::{Clock, Runtime, TaskKind};
use tokio::sync::{mpsc, oneshot};

pub(crate) use calls::{NewNode, WatchKind};
pub(crate) use failure::Failure;
pub(in crate::keeper) use link::{Duplex, dial};

use super::connection::Target;
use link::Dialer;
use session::{Job, Session};
use watches::Watch;

/// So many requests wait for their answers at a time.
const WAITING: usize = 256;
/// So many events wait to be taken; the session reads on when there is room.
const EVENTS: usize = 1024;
/// The end of a session is waited for no longer than this.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What happens without being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A watch has seen something; see [`ottla_jute::EventType`].
    Seen { kind: i32, path: String },
    /// The connection broke; another one is looked for.
    Disconnected { reason: String },
    /// Connected again, with the same session.
    Reconnected { server: String },
    /// The session was given up by the servers, and its ephemeral znodes are gone. A new one is
    /// there, with the watches of the old one.
    Expired { server: String },
}

/// Events in their order; `None` once the client is closed.
pub(crate) type Events = mpsc::Receiver<Event>;

/// A session with a keeper. Clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    jobs: mpsc::Sender<Job>,
    clock: Clock,
    chroot: String,
    /// How long an answer is waited for.
    timeout: Duration,
    /// Who it is, at the beginning.
    session: i64,
    server: String,
}

impl Client {
    /// Opens a session. Servers that refuse the connection are told at once; those that are without
    /// a leader are asked until the time is over.
    pub(crate) async fn connect(
        runtime: &Runtime,
        target: &Target,
        timeout: Duration,
    ) -> Result<(Self, Events), Failure> {
        let tls = target.load_tls(runtime).await;
        let tls = tls.map_err(|error| Failure::Unusable(error.to_string()))?;
        let mut dialer = Dialer::new(runtime, target, tls);
        let (link, identity) = dialer.first(timeout).await?;
        let (jobs, inbox) = mpsc::channel(WAITING);
        let (events, receiver) = mpsc::channel(EVENTS);
        let client = Client {
            jobs,
            clock: runtime.clock.clone(),
            chroot: target.servers.chroot.clone(),
            timeout,
            session: identity.id,
            server: link.server.to_string(),
        };
        let session = Session::new(dialer, identity, inbox, events);
        runtime
            .tasks
            .spawn(TaskKind::Housekeeping, "the session", async move {
                session.run(link).await;
                Ok::<_, std::convert::Infallible>(())
            });
        Ok((client, receiver))
    }

    /// The session that was opened.
    pub(crate) fn session(&self) -> i64 {
        self.session
    }

    /// The server that was connected to first.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Asks, and waits for the answer. Paths are the servers', with the chroot.
    async fn ask(&self, request: Request, watch: Option<Watch>) -> Result<Response, Failure> {
        let asking = async {
            loop {
                let (reply, answered) = oneshot::channel();
                let job = Job {
                    request: request.clone(),
                    watch: watch.clone(),
                    reply,
                };
                self.jobs.send(job).await.map_err(|_| Failure::Closed)?;
                match answered.await.map_err(|_| Failure::Closed)? {
                    // Asking twice changes nothing.
                    Err(Failure::Lost { .. }) if is_read(&request) => {}
                    done => return done,
                }
            }
        };
        match self.clock.timeout(self.timeout, asking).await {
            Some(done) => done,
            None => Err(Failure::TimedOut {
                limit: self.timeout,
            }),
        }
    }

    /// Ends the session, and with it its ephemeral znodes.
    pub(crate) async fn close(self) {
        let (reply, answered) = oneshot::channel();
        let job = Job {
            request: Request::CloseSession,
            watch: None,
            reply,
        };
        let closing = async {
            if self.jobs.send(job).await.is_ok() {
                let _ = answered.await;
            }
        };
        let _ = self.clock.timeout(CLOSE_LIMIT, closing).await;
    }
}

/// Whether a request changes nothing at the servers but watches.
fn is_read(request: &Request) -> bool {
    matches!(
        request,
        Request::Exists(_)
            | Request::GetData(_)
            | Request::GetAcl(_)
            | Request::GetChildren(_)
            | Request::GetChildren2(_)
            | Request::GetEphemerals(_)
            | Request::GetAllChildrenNumber(_)
            | Request::MultiRead(_)
            | Request::Sync(_)
            | Request::WhoAmI
            | Request::AddWatch(_)
    )
}

#[cfg(test)]
mod tests;
