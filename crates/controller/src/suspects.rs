//! Brokers that may be gone: a process that was killed leaves a port that refuses connections, and
//! that is seen long before its session ends.
//!
//! A broker that misses a heartbeat, or whose controller port refuses a message, is dialled many
//! times a second for a while. What is refused, [`Liveness`](ottla_metadata::Liveness) counts. A
//! port that is open proves nothing (the process may be paused): then its session has to end.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_metadata::{BrokerImage, Image};
use ottla_model::BrokerId;
use ottla_raft::NodeId;
use ottla_runtime::{Runtime, TaskKind};
use tokio::sync::mpsc;

/// How late a heartbeat may be before its broker is dialled.
const LATE_MS: u64 = 250;
/// How often a suspect is dialled, and how many times.
const DIAL_EVERY: Duration = Duration::from_millis(70);
const DIALS: usize = 30;
const DIAL_LIMIT: Duration = Duration::from_millis(300);
/// How long a broker that was dialled in vain is left alone.
const PAUSE_MS: u64 = 1000;

/// The watch over the brokers; one at a time, while the node is the controller.
pub(crate) struct Suspects {
    runtime: Runtime,
    own: BrokerId,
    heartbeat_ms: u64,
    refusals: mpsc::Sender<NodeId>,
    watched: BTreeMap<BrokerId, Watched>,
}

#[derive(Default)]
struct Watched {
    /// When it should be heard at the latest.
    due_ms: u64,
    /// Set when the dialling has come to its end, or is no longer wanted.
    dialling: Option<Arc<AtomicBool>>,
}

impl Suspects {
    /// `refusals` is told each broker that refuses a connection.
    pub(crate) fn new(
        runtime: &Runtime,
        own: BrokerId,
        heartbeat_ms: u64,
        refusals: mpsc::Sender<NodeId>,
    ) -> Self {
        Suspects {
            runtime: runtime.clone(),
            own,
            heartbeat_ms,
            refusals,
            watched: BTreeMap::new(),
        }
    }

    /// A new office: whoever is not heard soon is looked after, the controller before among them.
    pub(crate) fn begin(&mut self, image: &Image, now_ms: u64) {
        self.watched.clear();
        self.follow(image, now_ms);
        for watched in self.watched.values_mut() {
            watched.due_ms = now_ms;
        }
    }

    /// Watches the live brokers, and nobody else.
    pub(crate) fn follow(&mut self, image: &Image, now_ms: u64) {
        self.watched.retain(|id, _| image.is_live(*id));
        for broker in image.brokers().filter(|b| !b.fenced && b.id != self.own) {
            let due_ms = now_ms + self.heartbeat_ms + LATE_MS;
            self.watched.entry(broker.id).or_insert(Watched {
                due_ms,
                dialling: None,
            });
        }
    }

    pub(crate) fn heard(&mut self, broker: BrokerId, now_ms: u64) {
        if let Some(watched) = self.watched.get_mut(&broker) {
            watched.due_ms = now_ms + self.heartbeat_ms + LATE_MS;
            if let Some(dialling) = watched.dialling.take() {
                dialling.store(true, Ordering::Relaxed);
            }
        }
    }

    /// A connection to the node was refused, by one of its ports.
    pub(crate) fn refused(&mut self, broker: BrokerId, now_ms: u64) {
        if let Some(watched) = self.watched.get_mut(&broker) {
            watched.due_ms = watched.due_ms.min(now_ms);
        }
    }

    /// When somebody becomes a suspect, if nothing is heard.
    pub(crate) fn next_look_ms(&self) -> Option<u64> {
        self.watched.values().map(|watched| watched.due_ms).min()
    }

    /// Begins to dial those that are late.
    pub(crate) fn look(&mut self, image: &Image, now_ms: u64) {
        for (id, watched) in &mut self.watched {
            if watched.due_ms > now_ms {
                continue;
            }
            watched.due_ms = now_ms + PAUSE_MS;
            let dials = watched.dialling.as_ref();
            if dials.is_some_and(|ended| !ended.load(Ordering::Relaxed)) {
                continue;
            }
            let Some(broker) = image.broker(*id) else {
                continue;
            };
            let ended = Arc::new(AtomicBool::new(false));
            watched.dialling = Some(Arc::clone(&ended));
            dial(&self.runtime, broker, &self.refusals, ended);
        }
    }
}

/// Dials a broker until it answers, is heard, or enough is known.
fn dial(
    runtime: &Runtime,
    broker: &BrokerImage,
    refusals: &mpsc::Sender<NodeId>,
    ended: Arc<AtomicBool>,
) {
    let Some(endpoint) = broker.endpoints.values().next() else {
        return;
    };
    let Ok(node) = NodeId::try_from(broker.id.0) else {
        return;
    };
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    let (doors, refusals) = (runtime.clone(), refusals.clone());
    let dialling = async move {
        for _ in 0..DIALS {
            let dialled = doors.network.connect(&host, port, DIAL_LIMIT).await;
            match dialled {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    // The reader may be behind: what counts is that there are refusals.
                    refusals.try_send(node).ok();
                }
                Err(_) => {}
            }
            if ended.load(Ordering::Relaxed) {
                break;
            }
            tokio::select! {
                biased;
                () = doors.shutdown().announced() => break,
                () = doors.clock.sleep(DIAL_EVERY) => {}
            }
        }
        ended.store(true, Ordering::Relaxed);
        Ok::<(), std::convert::Infallible>(())
    };
    let tasks = &runtime.tasks;
    tasks.spawn(TaskKind::Connection, "dialling a silent broker", dialling);
}
