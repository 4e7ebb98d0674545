//! A member at work: its start, and the loop that publishes what it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, ServerState, SnapshotPolicy};
use ottla_runtime::published::{Publisher, published};
use ottla_runtime::{Runtime, Shutdown};
use parking_lot::Mutex;

use crate::async_runtime::with_random;
use crate::error::Error;
use crate::handle::Handle;
use crate::machine::Machine;
use crate::member::{Member, NodeId, Position};
use crate::network::Factory;
use crate::openraft_config::Types;
use crate::options::Options;
use crate::peers::Peers;
use crate::receive::Incoming;
use crate::rpc::Envelope;
use crate::snapshot::Snapshots;
use crate::state::{Peer, State};
use crate::state_machine::StateMachine;
use crate::store::Store;
use crate::transport::Transport;

/// How often the loop looks around although nothing has happened.
const TICK: Duration = Duration::from_millis(100);
/// The committed position is noted down once in so many ticks.
const TICKS_PER_NOTE: u64 = 10;
/// An answer that needs a flush may take so many heartbeats, and a second.
const HEARTBEATS_PER_ANSWER: u64 = 4;

type Metrics = openraft::RaftMetrics<Types>;

/// A member of a group. [`Raft::open`] makes it.
pub struct Raft;

/// The half of a member that runs.
pub struct Service {
    shared: Arc<Shared>,
    publisher: Publisher<State>,
    growth: Arc<AtomicU64>,
    options: Options,
    state: State,
    /// Which membership [`Service::state`] has.
    membership: Option<Position>,
}

/// What the loop and all handles have in common.
pub(crate) struct Shared {
    pub(crate) id: NodeId,
    pub(crate) runtime: Runtime,
    pub(crate) entry_bytes_max: usize,
    pub(crate) raft: openraft::Raft<Types, Machine>,
    pub(crate) store: Store,
    pub(crate) snapshots: Snapshots,
    pub(crate) peers: Arc<Peers>,
    pub(crate) envelope: Envelope,
    pub(crate) incoming: Mutex<Incoming>,
}

impl Raft {
    /// Reads log and snapshot, restores the state machine up to what is known to be committed, and
    /// makes both halves. Nothing is sent or answered before [`Service`] runs.
    pub async fn open(
        runtime: &Runtime,
        options: Options,
        state_machine: impl StateMachine,
        transport: impl Transport,
    ) -> Result<(Service, Handle), Error> {
        let config = config(&options)?;
        let snapshots = Snapshots {
            disk: Arc::clone(&runtime.disk),
            dir: options.directory.clone(),
        };
        let (store, newest) = {
            let (runtime2, snapshots, options) =
                (runtime.clone(), snapshots.clone(), options.clone());
            let read = move || {
                let dir = &options.directory;
                snapshots
                    .disk
                    .create_dir_all(dir)
                    .map_err(Error::io("create", dir))?;
                snapshots.remove_unfinished()?;
                let newest = snapshots.newest()?;
                let last = newest.as_ref().and_then(|(meta, _)| meta.last_log_id);
                let last = last.as_ref().map(Position::of);
                let (size, observer) = (options.segment_bytes, options.observer.clone());
                let store = Store::open(&runtime2, dir, last, size, observer)?;
                Ok::<_, Error>((store, newest))
            };
            runtime.tasks.blocking(read).await?
        };
        let growth = Arc::new(AtomicU64::new(0));
        let machine = Machine::new(
            runtime.clone(),
            snapshots.clone(),
            Box::new(state_machine),
            newest,
            Arc::clone(&growth),
            options.observer.clone(),
        );
        let peers = Arc::new(Peers::new(runtime.clock.clone()));
        let envelope = Envelope {
            group: options.group.clone(),
            from: options.id,
            from_directory: options.directory_id,
            to: options.id,
            to_directory: options.directory_id,
        };
        let factory = Factory {
            runtime: runtime.clone(),
            transport: Arc::new(transport),
            peers: Arc::clone(&peers),
            envelope: envelope.clone(),
            observer: options.observer.clone(),
            limit: Duration::from_millis(1_000 + HEARTBEATS_PER_ANSWER * options.heartbeat_ms),
        };
        let build = openraft::Raft::build(
            options.id,
            Arc::new(config),
            factory,
            store.clone(),
            machine,
        );
        let raft = with_random(runtime.random.clone(), build)
            .await
            .map_err(|error| Error::Options(error.to_string()))?;
        let shared = Arc::new(Shared {
            id: options.id,
            runtime: runtime.clone(),
            entry_bytes_max: options.entry_bytes_max,
            raft,
            store,
            snapshots,
            peers,
            envelope,
            incoming: Mutex::default(),
        });
        let state = State {
            id: options.id,
            ..State::default()
        };
        let (publisher, reader) = published(state.clone());
        let handle = Handle::new(Arc::clone(&shared), reader);
        let mut service = Service {
            shared,
            publisher,
            growth,
            options,
            state,
            membership: None,
        };
        service.publish();
        Ok((service, handle))
    }
}

fn config(options: &Options) -> Result<Config, Error> {
    if options.group.len() > usize::from(u8::MAX) {
        return Err(Error::Options(
            "the name of the group has more than 255 bytes".to_owned(),
        ));
    }
    let config = Config {
        cluster_name: String::from_utf8_lossy(&options.group).into_owned(),
        heartbeat_interval: options.heartbeat_ms,
        election_timeout_min: options.election_timeout_ms,
        election_timeout_max: options.election_timeout_ms.saturating_mul(2),
        // The network ends its calls by itself.
        install_snapshot_timeout: 60_000,
        max_payload_entries: 1_024,
        // When to write one depends on bytes, too: see `Service::compact`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: options.keep_entries,
        purge_batch_size: 64,
        replication_lag_threshold: u64::MAX / 2,
        enable_pre_vote: Some(true),
        // A leader that comes back in its old term may have lost entries that others have.
        enable_leader_restore: Some(false),
        // `peers` makes the pauses longer, and ends them when the member is heard.
        backoff: format!("{}ms", options.heartbeat_ms),
        ..Config::default()
    };
    config
        .validate()
        .map_err(|error| Error::Options(error.to_string()))
}

impl ottla_runtime::Service for Service {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let random = self.shared.runtime.random.clone();
        // The future is large; it lives as long as the member.
        Box::pin(with_random(random, self.work(shutdown))).await
    }
}

impl Service {
    async fn work(mut self, shutdown: Shutdown) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        shared.raft.run();
        let mut metrics = shared.raft.metrics();
        let mut ticks = 0_u64;
        let mut next_tick = shared.runtime.clock.instant() + TICK;
        loop {
            let ticked = tokio::select! {
                biased;
                () = shutdown.announced() => break,
                () = shared.runtime.clock.sleep_until(next_tick) => true,
                changed = metrics.changed() => {
                    if changed.is_err() {
                        return Err("the core of the member has ended".to_owned());
                    }
                    false
                }
            };
            self.publish();
            let failed = metrics.borrow_watched().running_state.clone().err();
            if let Some(error) = failed {
                return Err(error.to_string());
            }
            if ticked {
                next_tick = shared.runtime.clock.instant() + TICK;
                ticks += 1;
                self.tick(ticks).await;
            }
        }
        // Its error says that the core had stopped before, which comes to the same.
        drop(shared.raft.shutdown().await);
        shared.store.close().await;
        Ok(())
    }

    async fn tick(&mut self, ticks: u64) {
        if ticks.is_multiple_of(TICKS_PER_NOTE) {
            self.shared.store.note_committed();
        }
        if self.shared.store.is_full() {
            self.shared.store.retry();
        }
        self.compact().await;
        self.yield_office().await;
    }

    /// A leader that has become a learner hands over. (One that was removed does so by itself.)
    async fn yield_office(&self) {
        let state = &self.state;
        if !state.is_leader || state.changing || state.is_voter(state.id) {
            return;
        }
        if let Some(to) = state.successor() {
            // A stopped core is noticed by the loop.
            drop(self.shared.raft.trigger().transfer_leader(to).await);
        }
    }

    /// Asks for a snapshot when enough has happened since the last one.
    async fn compact(&self) {
        let Some(applied) = self.state.applied else {
            return;
        };
        let covered = self.state.snapshot.map_or(0, |snapshot| snapshot.index + 1);
        let entries = (applied.index + 1).saturating_sub(covered);
        let bytes = self.growth.load(Ordering::Relaxed);
        let many = entries >= self.options.snapshot_after_entries;
        let large = entries > 0 && bytes >= self.options.snapshot_after_bytes;
        if many || large {
            // A stopped core is noticed by the loop.
            drop(self.shared.raft.trigger().snapshot().await);
        }
    }

    fn publish(&mut self) {
        let metrics = self.shared.raft.metrics();
        let metrics = metrics.borrow_watched().clone();
        self.take_membership(&metrics);
        let now_ms = self.shared.runtime.clock.monotonic_ms();
        let state = &mut self.state;
        state.term = metrics.current_term;
        state.leader = metrics.current_leader;
        state.is_leader = metrics.state == ServerState::Leader;
        state.last_log = metrics.last_log_index;
        state.committed = metrics.local_committed.as_ref().map(Position::of);
        state.applied = metrics.last_applied.as_ref().map(Position::of);
        state.snapshot = metrics.snapshot.as_ref().map(Position::of);
        state.disk_full = self.shared.store.is_full();
        let ago = |instant: &openraft::type_config::alias::SerdeInstantOf<Types>| {
            let elapsed = openraft::Instant::elapsed(&**instant).as_millis();
            now_ms - i64::try_from(elapsed).unwrap_or(i64::MAX / 2)
        };
        state.quorum_ms = metrics.last_quorum_acked.as_ref().map(ago);
        let lease_ms = 2 * self.options.election_timeout_ms as i64;
        let alone = state.voters.len() == 1 && state.is_voter(state.id);
        let in_touch = alone || state.quorum_ms.is_some_and(|ms| now_ms - ms < lease_ms);
        let caught_up = state
            .applied
            .is_some_and(|applied| applied.term == state.term);
        state.ready = state.is_leader && caught_up && in_touch;
        let mut peers = BTreeMap::new();
        for (id, matched) in metrics.replication.iter().flatten() {
            if *id == state.id {
                continue;
            }
            let matched = matched.as_ref().map(Position::of);
            let heard = metrics.heartbeat.as_ref().and_then(|all| all.get(id));
            let heard = heard.and_then(Option::as_ref).map(ago);
            let known = state.peers.get(id).copied().unwrap_or_default();
            let has_all = matched.map(|matched| matched.index) >= state.last_log;
            peers.insert(
                *id,
                Peer {
                    matched,
                    last_contact_ms: heard.or(known.last_contact_ms),
                    caught_up_ms: if has_all {
                        Some(now_ms)
                    } else {
                        known.caught_up_ms
                    },
                },
            );
        }
        state.peers = peers;
        self.publisher.publish(state.clone());
    }

    fn take_membership(&mut self, metrics: &Metrics) {
        let stored = &metrics.membership_config;
        let at = stored.log_id().as_ref().map(Position::of);
        if at == self.membership && self.state.initialized {
            return;
        }
        self.membership = at;
        let membership = stored.membership();
        let of = |id: NodeId| -> (NodeId, Member) {
            (id, membership.get_node(&id).cloned().unwrap_or_default())
        };
        self.state.initialized = at.is_some();
        self.state.voters = Arc::new(membership.voter_ids().map(of).collect());
        self.state.learners = Arc::new(membership.learner_ids().map(of).collect());
        let voters = self.state.voters.iter().map(|voter| (voter, true));
        let learners = self.state.learners.iter().map(|learner| (learner, false));
        let members = voters.chain(learners);
        let members = members.map(|((id, member), votes)| (*id, (member.clone(), votes)));
        self.shared.peers.take_members(members.collect());
        self.state.changing = membership.get_joint_config().len() > 1;
    }
}
