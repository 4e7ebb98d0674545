//! Connections to the other nodes of the quorum: one for each node and purpose, kept open.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use ottla_client::{ClientOptions, Error as ClientError, Link};
use ottla_raft::NodeId;
use ottla_runtime::{Runtime, TaskKind};
use ottla_wire::{Request, Response};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How long a command may wait for its answer.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection is for: a large message of one kind does not delay those of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Messages of the raft group.
    Raft,
    /// Forwarded commands, and questions.
    Commands,
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The host says that nobody listens there.
    Refused(String),
    /// No connection came about: the request was not sent.
    Unreachable(String),
    /// The request may or may not have arrived.
    Open(String),
}

impl Failure {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Failure::Refused(reason) | Failure::Unreachable(reason) | Failure::Open(reason) => {
                reason
            }
        }
    }
}

type Opening = Shared<BoxFuture<'static, Result<Arc<Link>, Failure>>>;

struct Slot {
    place: Place,
    opening: Opening,
}

/// The connections of this node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Peers {
    runtime: Runtime,
    /// For messages of the raft group, which are sent again soon.
    raft: Arc<ClientOptions>,
    /// For commands, which may have to wait until they are committed.
    commands: Arc<ClientOptions>,
    slots: Arc<Mutex<BTreeMap<(NodeId, Lane), Slot>>>,
}

impl Peers {
    pub(crate) fn new(runtime: &Runtime, request_timeout: Duration) -> Self {
        let options = ClientOptions {
            client_id: "ottla-node".to_owned(),
            connect_timeout: Duration::from_secs(1).min(request_timeout),
            request_timeout,
            max_in_flight: 1024,
            ..ClientOptions::default()
        };
        let commands = ClientOptions {
            request_timeout: request_timeout.max(COMMAND_TIMEOUT),
            ..options.clone()
        };
        Peers {
            runtime: runtime.clone(),
            raft: Arc::new(options),
            commands: Arc::new(commands),
            slots: Arc::default(),
        }
    }

    /// Asks a node and waits for its answer.
    pub(crate) async fn call(
        &self,
        node: NodeId,
        lane: Lane,
        place: &Place,
        request: &Request,
    ) -> Result<Response, Failure> {
        let link = self.link(node, lane, place).await?;
        match lane {
            Lane::Raft => self.ask_to_the_end(link, request.clone()).await,
            Lane::Commands => ask(&link, request).await,
        }
    }

    /// Waits for the answer even if nobody else does any more: whoever sends heartbeats gives each of
    /// them up sooner than it takes to see that a connection is dead, and would use that one for ever.
    async fn ask_to_the_end(&self, link: Arc<Link>, request: Request) -> Result<Response, Failure> {
        let (tx, rx) = oneshot::channel();
        let shutdown = self.runtime.shutdown().clone();
        let asking = async move {
            let answer = tokio::select! {
                biased;
                answer = ask(&link, &request) => answer,
                () = shutdown.announced() => Err(stopping()),
            };
            drop(tx.send(answer));
            Ok::<(), std::convert::Infallible>(())
        };
        let tasks = &self.runtime.tasks;
        tasks.spawn(TaskKind::Connection, "asking a node", asking);
        rx.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Asks whoever listens at a place, over a connection of its own.
    pub(crate) async fn call_once(
        &self,
        place: &Place,
        request: &Request,
    ) -> Result<Response, Failure> {
        let link = open(&self.runtime, &self.raft, place).await?;
        ask(&link, request).await
    }

    /// The open connection, or a new one. Everyone who wants it meanwhile waits for the same one.
    async fn link(&self, node: NodeId, lane: Lane, place: &Place) -> Result<Arc<Link>, Failure> {
        let opening = {
            let mut slots = self.slots.lock();
            let usable = slots.get(&(node, lane)).filter(|slot| {
                let ended = match slot.opening.peek() {
                    None => false,
                    Some(Ok(link)) => !link.is_open(),
                    Some(Err(_)) => true,
                };
                slot.place == *place && !ended
            });
            match usable {
                Some(slot) => slot.opening.clone(),
                None => {
                    let opening = self.open(lane, place.clone());
                    let slot = Slot {
                        place: place.clone(),
                        opening: opening.clone(),
                    };
                    slots.insert((node, lane), slot);
                    opening
                }
            }
        };
        opening.await
    }

    /// A connection that comes about even if nobody waits for it any more.
    fn open(&self, lane: Lane, place: Place) -> Opening {
        let (tx, rx) = oneshot::channel();
        let options = match lane {
            Lane::Raft => Arc::clone(&self.raft),
            Lane::Commands => Arc::clone(&self.commands),
        };
        let runtime = self.runtime.clone();
        let opening = async move {
            let shutdown = runtime.shutdown().clone();
            let opened = tokio::select! {
                biased;
                opened = open(&runtime, &options, &place) => opened,
                () = shutdown.announced() => Err(stopping()),
            };
            // Nobody may wait any more.
            drop(tx.send(opened.map(Arc::new)));
            Ok::<(), std::convert::Infallible>(())
        };
        let tasks = &self.runtime.tasks;
        tasks.spawn(TaskKind::Connection, "connecting to a node", opening);
        let opened = async move { rx.await.unwrap_or_else(|_| Err(stopping())) };
        opened.boxed().shared()
    }
}

fn stopping() -> Failure {
    Failure::Unreachable("the node is stopping".to_owned())
}

async fn open(runtime: &Runtime, options: &ClientOptions, place: &Place) -> Result<Link, Failure> {
    let opened = Link::open(runtime, options, &place.host, place.port).await;
    opened.map_err(|error| match &error {
        ClientError::Connect { source, .. } if source.kind() == ErrorKind::ConnectionRefused => {
            Failure::Refused(error.to_string())
        }
        _ => Failure::Unreachable(error.to_string()),
    })
}

async fn ask(link: &Link, request: &Request) -> Result<Response, Failure> {
    let version = link.version(request.api());
    let version = version.map_err(|error| Failure::Unreachable(error.to_string()))?;
    let answer = link.call(version, request).await;
    answer.map_err(|error| Failure::Open(error.to_string()))
}

#[cfg(test)]
mod tests;
