//! One server: what its clients, its member of the raft group and its services share.
//!
//! Locks are taken in this order, and never held across an await: tree, outbox, connections,
//! a connection's queue, watches, a connection's output.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ottla_config::KeeperConfig;
use ottla_jute::{EventType, KeeperState, ReplyHeader, perms, xid};
use ottla_raft::NodeId;
use ottla_runtime::Runtime;
use ottla_runtime::published::{Published, Publisher, published};
use ottla_znode::{Command, Fired, Owner, Rules, State, Watches};
use parking_lot::Mutex;

use crate::backup::{Gate, Steps};
use crate::clients::auth::SaslUsers;
use crate::clients::connection::{Connection, Waiting};
use crate::clients::serve::LENGTH_LEN;
use crate::leader::desk::Desk;
use crate::leader::liveness::Liveness;
use crate::members::Members;
use crate::monitor::Meters;
use crate::monitor::digests::Digests;
use crate::monitor::moments::Moments;
use crate::outbox::Outbox;
use crate::throttle::Throttles;
use crate::tree::Tree;

/// A client that leaves so many bytes unread is given up.
pub(crate) const UNREAD_BYTES_MAX: usize = 64 << 20;

/// What `gtmk` tells before `stmk` was sent (`ZooTrace`).
const TRACE_MASK: i64 = 306;

/// The newest snapshot of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastSnapshot {
    /// The last change that it holds.
    pub(crate) zxid: i64,
    /// When it was written, in seconds since the epoch; unknown for one that was there at the start.
    pub(crate) written_s: Option<i64>,
}

/// What everything of one server shares.
pub(crate) struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) config: Arc<KeeperConfig>,
    /// The number of this server in the ensemble.
    pub(crate) id: u64,
    pub(crate) tree: Tree,
    pub(crate) watches: Mutex<Watches>,
    pub(crate) connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
    pub(crate) outbox: Outbox,
    pub(crate) desk: Desk,
    pub(crate) liveness: Liveness,
    pub(crate) meters: Arc<Meters>,
    pub(crate) moments: Moments,
    pub(crate) digests: Digests,
    pub(crate) throttles: Throttles,
    /// The ports for clients that are open, in the clear and with TLS; -1 for none.
    pub(crate) ports: [AtomicI32; 2],
    /// `stmk`: kept and told; what is logged is decided elsewhere.
    pub(crate) trace_mask: AtomicI64,
    /// The newest snapshot, once there is one.
    pub(crate) last_snapshot: Mutex<Option<LastSnapshot>>,
    /// The last change in the snapshot that is being written.
    pub(crate) snapshot_zxid: AtomicI64,
    /// Backups that are sent, and restored.
    pub(crate) backups: Gate,
    pub(crate) restores: Gate,
    pub(crate) steps: Steps,
    pub(crate) rules: Rules,
    /// Whom SASL lets in.
    pub(crate) sasl_users: SaslUsers,
    group: OnceLock<(ottla_raft::Handle, Members)>,
    participants: (Publisher<BTreeSet<NodeId>>, Published<BTreeSet<NodeId>>),
    /// Numbers of connections; the upper half is drawn anew at each start.
    next_connection: AtomicU64,
    next_session: AtomicU64,
    has_leader: AtomicBool,
    touched: Mutex<Vec<i64>>,
    /// Connections of this server whose session has moved to another connection.
    pub(crate) left: Mutex<BTreeMap<i64, Owner>>,
    told: tokio::sync::Notify,
}

impl Server {
    pub(crate) fn new(
        runtime: &Runtime,
        config: Arc<KeeperConfig>,
        id: u64,
        sasl_users: SaslUsers,
    ) -> Self {
        let rules = Rules {
            skip_acl: config.auth.skip_acl,
            enforce_quota: config.enforce_quota,
            extended_types: config.extended_types_enabled,
            digest: config.auth.digest_enabled,
            sasl: sasl_users.is_some(),
            x509: config.secure_client_listener.is_some(),
        };
        // As ZooKeeper makes them: the server in the upper byte, then the time, then a counter.
        let now_ms = u64::try_from(runtime.clock.now_ms()).unwrap_or(0);
        let first_session = id << 56 | (now_ms << 24 >> 8);
        let meters = Arc::<Meters>::default();
        Server {
            runtime: runtime.clone(),
            id,
            tree: Tree::default(),
            watches: Mutex::default(),
            connections: Mutex::default(),
            outbox: Outbox::default(),
            desk: Desk::default(),
            liveness: Liveness::default(),
            throttles: Throttles::new(&config.limits, &runtime.clock, &meters),
            meters,
            moments: Moments::new(&runtime.clock),
            digests: Digests::default(),
            ports: [AtomicI32::new(-1), AtomicI32::new(-1)],
            trace_mask: AtomicI64::new(TRACE_MASK),
            last_snapshot: Mutex::default(),
            snapshot_zxid: AtomicI64::new(0),
            backups: Gate::default(),
            restores: Gate::default(),
            steps: Steps::default(),
            rules,
            sasl_users,
            group: OnceLock::new(),
            participants: published(BTreeSet::new()),
            next_connection: AtomicU64::new(runtime.random.next_u64() << 32 | 1),
            next_session: AtomicU64::new(first_session),
            has_leader: AtomicBool::new(false),
            touched: Mutex::default(),
            left: Mutex::default(),
            told: tokio::sync::Notify::new(),
            config,
        }
    }

    /// The member of the group runs.
    pub(crate) fn set_members(&self, raft: ottla_raft::Handle, members: Members) {
        if self.group.set((raft, members)).is_err() {
            ottla_runtime::fail_stop("a server of the keeper was started twice");
        }
    }

    pub(crate) fn raft(&self) -> Option<&ottla_raft::Handle> {
        Some(&self.group.get()?.0)
    }

    pub(crate) fn members(&self) -> Option<&Members> {
        Some(&self.group.get()?.1)
    }

    /// Who votes, as the replicated configuration says; empty while there is none.
    pub(crate) fn participants(&self) -> Published<BTreeSet<NodeId>> {
        self.participants.1.clone()
    }

    /// The replicated configuration may be another one.
    pub(crate) fn publish_participants(&self, state: &State) {
        let participants = crate::reconfig::participants(state);
        if participants != *self.participants.1.get() {
            self.participants.0.publish(participants);
        }
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_session(&self) -> i64 {
        self.next_session.fetch_add(1, Ordering::Relaxed) as i64
    }

    /// How a connection of this server is named in commands.
    pub(crate) fn owner(&self, connection: &Connection) -> Owner {
        Owner {
            server: self.id,
            attach: connection.number,
        }
    }

    /// Whether commands find their way to a leader now.
    pub(crate) fn has_leader(&self) -> bool {
        self.has_leader.load(Ordering::Acquire)
    }

    pub(crate) fn set_has_leader(&self, has: bool) {
        self.has_leader.store(has, Ordering::Release);
        if let Some(ms) = self.moments.set_serves(&self.runtime.clock, has) {
            let us = ms.saturating_mul(1_000);
            self.meters.unavailable.add(us);
            if self.desk.office().is_some() {
                self.meters.leader_unavailable.add(us);
            }
        }
        if has {
            // Whoever reads without a session gets one now.
            for connection in self.all_connections() {
                if connection.read_only.load(Ordering::Relaxed) {
                    connection.abort();
                }
            }
        }
    }

    /// A port for clients is open.
    pub(crate) fn set_port(&self, port: u16, secure: bool) {
        self.ports[usize::from(secure)].store(port.into(), Ordering::Relaxed);
    }

    /// The port for clients, in the clear or with TLS.
    pub(crate) fn port(&self, secure: bool) -> Option<u16> {
        u16::try_from(self.ports[usize::from(secure)].load(Ordering::Relaxed)).ok()
    }

    /// Sends a command for a connection, which waits for it from now on. False when the connection
    /// was given up.
    pub(crate) fn send(
        &self,
        connection: &Connection,
        waiting: Waiting,
        command: &Command,
    ) -> bool {
        // Before it can be answered.
        self.throttles.begun(1);
        let sent = self.outbox.send(connection, waiting, command);
        if !sent {
            self.throttles.ended(1);
        }
        sent
    }

    /// Whether more requests are in work than this server's part of `globalOutstandingLimit`.
    pub(crate) fn is_full(&self) -> bool {
        let voters = self
            .raft()
            .map_or(1, |raft| raft.state().get().voters.len());
        self.throttles.is_full(voters)
    }

    pub(crate) fn all_connections(&self) -> Vec<Arc<Connection>> {
        self.connections.lock().values().cloned().collect()
    }

    pub(crate) fn connection(&self, owner: Owner) -> Option<Arc<Connection>> {
        if owner.server != self.id {
            return None;
        }
        self.connections.lock().get(&owner.attach).cloned()
    }

    /// Whoever waits for a command will not learn what became of it.
    pub(crate) fn give_up_waiting(&self) {
        self.outbox.give_up(self.all_connections().into_iter());
        self.steps.give_up();
    }

    /// Nobody is served any more: this server has been without a leader for too long.
    pub(crate) fn leave_clients(&self) {
        for connection in self.all_connections() {
            if !connection.read_only.load(Ordering::Relaxed) {
                self.meters.closed_without_leader.add(1);
                connection.abort();
            }
        }
    }

    /// Collects the sessions that were heard of, for the leader.
    pub(crate) fn touch_sessions(&self) {
        let now_ms = self.runtime.clock.monotonic_ms();
        let connections = self.all_connections().into_iter();
        let heard = connections.filter(|c| c.take_heard(now_ms));
        let sessions: Vec<_> = heard.map(|c| c.session()).filter(|s| *s != 0).collect();
        if !sessions.is_empty() {
            let mut touched = self.touched.lock();
            // Nobody takes them while there is no leader; the next one gives all sessions time.
            *touched = sessions;
            drop(touched);
            self.told.notify_one();
        }
    }

    /// Waits for sessions that were heard of.
    pub(crate) async fn touched(&self) -> Vec<i64> {
        loop {
            let told = self.told.notified();
            let touched = std::mem::take(&mut *self.touched.lock());
            if !touched.is_empty() {
                return touched;
            }
            told.await;
        }
    }

    /// The timeout that a client gets for the one that it asks for.
    pub(crate) fn session_timeout_ms(&self, wanted_ms: i32) -> i32 {
        let wanted = u64::try_from(wanted_ms).unwrap_or(0);
        let least = self.config.session_timeout_ms_min;
        let most = self.config.session_timeout_ms_max.max(least);
        i32::try_from(wanted.clamp(least, most)).unwrap_or(i32::MAX)
    }

    /// How long a session may be silent at least, as a duration.
    pub(crate) fn handshake_limit(&self) -> Duration {
        Duration::from_millis(self.config.session_timeout_ms_max.max(1_000))
    }

    /// The state comes from a snapshot: what happened before it is not known one by one, so that
    /// no watch can be served. The clients come back and tell what they have seen.
    pub(crate) fn restore(&self, state: State) {
        let mut tree = self.tree.write();
        *tree = state;
        self.steps.give_up();
        self.replaced(&tree);
    }

    /// The state is another one.
    pub(crate) fn replaced(&self, state: &State) {
        self.digests.clear();
        self.publish_participants(state);
        for connection in self.all_connections() {
            connection.abort();
        }
    }

    /// Sends events to whoever watches and may read.
    pub(crate) fn send_events(&self, zxid: i64, fired: &[Fired]) {
        for event in fired {
            let meters = &self.meters;
            let count = match event.kind {
                EventType::NodeCreated => &meters.created_watches,
                EventType::NodeDeleted => &meters.deleted_watches,
                EventType::NodeDataChanged => &meters.changed_watches,
                _ => &meters.children_watches,
            };
            count.add(event.watchers.len() as u64);
            for watcher in &event.watchers {
                let Some(connection) = self.connections.lock().get(watcher).cloned() else {
                    continue;
                };
                let identities = connection.identities();
                if ottla_znode::allows(&event.acl, perms::READ, &identities, self.rules) {
                    self.send_event(&connection, zxid, event.kind, &event.path);
                }
            }
        }
    }

    /// Sends one event.
    pub(crate) fn send_event(
        &self,
        connection: &Connection,
        zxid: i64,
        kind: EventType,
        path: &str,
    ) {
        let header = ReplyHeader {
            xid: xid::NOTIFICATION,
            zxid,
            err: 0,
        };
        let mut bytes = 0;
        connection.send(|out| {
            let before = out.len();
            ottla_jute::reply(out, header, |writer| {
                writer.int(kind.code());
                writer.int(KeeperState::SyncConnected.code());
                writer.string(path);
            });
            bytes = out.len() - before;
        });
        connection.figures.count_sent();
        self.meters.sent_else.add(1);
        self.meters
            .watch_bytes
            .add(bytes.saturating_sub(LENGTH_LEN) as u64);
        if connection.unsent_bytes() > UNREAD_BYTES_MAX {
            tracing::warn!(peer = %connection.peer, "a client leaves its events unread and is disconnected");
            connection.abort();
        }
    }
}
