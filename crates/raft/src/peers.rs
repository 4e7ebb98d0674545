//! How the other members fare: whom to call, whom to leave in peace for a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::member::{Member, NodeId};

/// The first pause after a failed call, and the longest.
const PAUSE_MIN_MS: u64 = 50;
const PAUSE_MAX_MS: u64 = 1_000;
/// The same trouble is told once in so many milliseconds.
const TELL_MS: i64 = 60_000;

/// All peers that were ever called or heard.
pub(crate) struct Peers {
    clock: Clock,
    peers: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    /// Where the membership says that they are, and whether they have a vote.
    members: Mutex<BTreeMap<NodeId, (Member, bool)>>,
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
    answered_ms: Option<i64>,
}

impl Peers {
    pub(crate) fn new(clock: Clock) -> Self {
        Peers {
            clock,
            peers: Mutex::default(),
            members: Mutex::default(),
        }
    }

    /// There is another membership. Who has moved is called at once.
    pub(crate) fn take_members(&self, members: BTreeMap<NodeId, (Member, bool)>) {
        let before = std::mem::replace(&mut *self.members.lock(), members.clone());
        for (id, (member, _)) in &members {
            if before.get(id).is_some_and(|(before, _)| before != member) {
                self.heard(*id);
            }
        }
    }

    /// Whether it is a member that has no vote.
    pub(crate) fn is_learner(&self, id: NodeId) -> bool {
        matches!(self.members.lock().get(&id), Some((_, false)))
    }

    /// Where the member is now, that was `then` when openraft asked for a way to it: openraft keeps
    /// its ways although a member has moved. With another directory it would be another member.
    pub(crate) fn whereabouts(&self, id: NodeId, then: &Member) -> Member {
        let members = self.members.lock();
        let now = members.get(&id).map_or(then, |(member, _)| member);
        if now.directory_id == then.directory_id {
            now.clone()
        } else {
            then.clone()
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
        *trouble = Trouble {
            answered_ms: Some(self.clock.monotonic_ms()),
            ..Trouble::default()
        };
    }

    /// How long ago a call was answered, if none has failed since.
    pub(crate) fn silent_ms(&self) -> Option<i64> {
        let trouble = self.trouble.lock();
        let answered_ms = trouble.answered_ms.filter(|_| trouble.failures == 0)?;
        Some(self.clock.monotonic_ms() - answered_ms)
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
