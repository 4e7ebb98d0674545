//! How the other members fare: whom to call, whom to leave in peace for a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::member::NodeId;

/// The first pause after a failed call, and the longest.
const PAUSE_MIN_MS: u64 = 50;
const PAUSE_MAX_MS: u64 = 1_000;
/// The same trouble is told once in so many milliseconds.
const TELL_MS: i64 = 60_000;

/// All peers that were ever called or heard.
pub(crate) struct Peers {
    clock: Clock,
    peers: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
}

/// One of them.
pub(crate) struct Peer {
    clock: Clock,
    trouble: Mutex<Trouble>,
    heard: Notify,
}

#[derive(Default)]
struct Trouble {
    failures: u32,
    /// Nobody calls before.
    pause_until_ms: i64,
    told_ms: Option<i64>,
    told: String,
}

impl Peers {
    pub(crate) fn new(clock: Clock) -> Self {
        Peers {
            clock,
            peers: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        let peer = peers.entry(id).or_insert_with(|| {
            Arc::new(Peer {
                clock: self.clock.clone(),
                trouble: Mutex::default(),
                heard: Notify::new(),
            })
        });
        Arc::clone(peer)
    }

    /// The peer has called: it is there, so it can be called at once.
    pub(crate) fn heard(&self, id: NodeId) {
        let peer = self.peers.lock().get(&id).cloned();
        if let Some(peer) = peer {
            peer.trouble.lock().pause_until_ms = 0;
            peer.heard.notify_waiters();
        }
    }
}

impl Peer {
    /// Waits until the peer may be called again after failures.
    pub(crate) async fn pause(&self) {
        loop {
            let heard = self.heard.notified();
            let left = self.trouble.lock().pause_until_ms - self.clock.monotonic_ms();
            let Ok(left) = u64::try_from(left) else {
                return;
            };
            if left == 0 {
                return;
            }
            self.clock.timeout(Duration::from_millis(left), heard).await;
        }
    }

    /// A call was answered.
    pub(crate) fn answered(&self, id: NodeId) {
        let mut trouble = self.trouble.lock();
        if trouble.failures > 0 && trouble.told_ms.is_some() {
            tracing::info!(member = id, failures = trouble.failures, "reached again");
        }
        *trouble = Trouble::default();
    }

    /// A call was not answered, or was refused. The same reason is not told over and over.
    pub(crate) fn failed(&self, id: NodeId, reason: &str) {
        let now_ms = self.clock.monotonic_ms();
        let mut trouble = self.trouble.lock();
        let pause = PAUSE_MIN_MS << trouble.failures.min(10);
        trouble.failures = trouble.failures.saturating_add(1);
        // At most a second.
        trouble.pause_until_ms = now_ms + pause.min(PAUSE_MAX_MS) as i64;
        let silent = trouble.told_ms.is_some_and(|told| now_ms - told < TELL_MS);
        if trouble.failures > 1 && !(silent && trouble.told == reason) {
            tracing::warn!(member = id, reason, "cannot be reached; trying again");
            trouble.told_ms = Some(now_ms);
            reason.clone_into(&mut trouble.told);
        }
    }
}
