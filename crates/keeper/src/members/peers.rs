//! How raft's messages reach the other servers: one connection to each of them, kept open.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use ottla_raft::{Endpoint, Member, NodeId, Transport, TransportError};
use ottla_runtime::{Instant, TaskKind};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::dial::dial;
use super::hello::Purpose;
use super::here::Here;
use super::link::Link;

/// The first pause after an attempt to connect that came to nothing, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

type Opening = Shared<BoxFuture<'static, Result<Arc<Link>, TransportError>>>;

/// What there is for one server.
struct Slot {
    endpoints: Vec<Endpoint>,
    opening: Opening,
}

/// How the attempts to connect to a server have fared.
#[derive(Default)]
struct Attempts {
    failures: u32,
    /// Until then the last failure is the answer.
    rest_until: Option<Instant>,
}

#[derive(Default)]
struct Peers {
    slots: BTreeMap<NodeId, Slot>,
    attempts: BTreeMap<NodeId, Attempts>,
}

/// Raft's way to the other servers. Cheap to clone.
#[derive(Clone)]
pub struct PeerTransport {
    here: Arc<Here>,
    peers: Arc<Mutex<Peers>>,
}

impl Transport for PeerTransport {
    async fn call(
        &self,
        to: NodeId,
        member: &Member,
        request: Bytes,
    ) -> Result<Bytes, TransportError> {
        let link = self.link(to, &member.endpoints).await?;
        link.call(request).await
    }
}

impl PeerTransport {
    pub(crate) fn new(here: &Arc<Here>) -> Self {
        PeerTransport {
            here: Arc::clone(here),
            peers: Arc::default(),
        }
    }

    /// A server has called: it is there, so it can be called at once.
    pub(crate) fn heard(&self, from: NodeId) {
        if let Some(attempts) = self.peers.lock().attempts.get_mut(&from) {
            *attempts = Attempts::default();
        }
    }

    /// The open connection, or a new one. Everyone who wants it meanwhile waits for the same one.
    async fn link(&self, to: NodeId, endpoints: &[Endpoint]) -> Result<Arc<Link>, TransportError> {
        let opening = {
            let mut peers = self.peers.lock();
            let now = self.here.runtime.clock.instant();
            let rests = peers
                .attempts
                .get(&to)
                .and_then(|attempts| attempts.rest_until)
                .is_some_and(|until| now < until);
            let usable = peers.slots.get(&to).filter(|slot| {
                // It may have come about while nobody waited.
                let is_usable = match slot.opening.clone().now_or_never() {
                    None => true,
                    Some(Ok(link)) => link.is_open(),
                    Some(Err(_)) => rests,
                };
                is_usable && slot.endpoints == endpoints
            });
            match usable {
                Some(slot) => slot.opening.clone(),
                None => {
                    let endpoints = endpoints.to_vec();
                    let opening = self.open(to, endpoints.clone());
                    let slot = Slot {
                        endpoints,
                        opening: opening.clone(),
                    };
                    peers.slots.insert(to, slot);
                    opening
                }
            }
        };
        opening.await
    }

    /// A connection that comes about even if nobody waits for it any more.
    fn open(&self, to: NodeId, endpoints: Vec<Endpoint>) -> Opening {
        let (tx, rx) = oneshot::channel();
        let (here, peers) = (Arc::clone(&self.here), Arc::clone(&self.peers));
        let connecting = async move {
            let shutdown = here.runtime.shutdown().clone();
            let dialed = tokio::select! {
                biased;
                () = shutdown.announced() => Err(stopping()),
                dialed = dial(&here, to, &endpoints, Purpose::Raft) => dialed,
            };
            let now = here.runtime.clock.instant();
            peers
                .lock()
                .attempts
                .entry(to)
                .or_default()
                .note(&dialed, now);
            match dialed {
                Err(error) => drop(tx.send(Err(error))),
                Ok(dialed) => {
                    let (runner, link) = Link::new(&here, dialed);
                    // Nobody may wait any more; the next call finds it in its slot.
                    drop(tx.send(Ok(Arc::new(link))));
                    if let Err(error) = runner.run().await {
                        tracing::debug!(server = to, %error, "a connection to a server has ended");
                    }
                }
            }
            Ok::<(), Infallible>(())
        };
        let tasks = &self.here.runtime.tasks;
        tasks.spawn(TaskKind::Connection, "calling a server", connecting);
        let opened = async move { rx.await.unwrap_or_else(|_| Err(stopping())) };
        opened.boxed().shared()
    }
}

impl Attempts {
    fn note<T>(&mut self, outcome: &Result<T, TransportError>, now: Instant) {
        if outcome.is_ok() {
            *self = Attempts::default();
            return;
        }
        let pause = PAUSE_MIN * 2_u32.pow(self.failures.min(8));
        self.failures += 1;
        self.rest_until = Some(now + pause.min(PAUSE_MAX));
    }
}

fn stopping() -> TransportError {
    TransportError::Unreachable("this server is stopping".to_owned())
}

#[cfg(test)]
mod tests;
