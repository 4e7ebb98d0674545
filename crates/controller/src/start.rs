//! From options to a running member of the quorum.
//!
//! ```text
//! volume ─▶ listener ─▶ cluster found, or founded ─▶ raft ─▶ decider, router, membership
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use ottla_config::{Listener, NodeConfig, QuorumConfig, Roles};
use ottla_metadata::{ConfigRules, Defaults};
use ottla_model::{BrokerId, ClusterId};
use ottla_net::{ListenerOptions, Server};
use ottla_raft::{Endpoint, Member};
use ottla_runtime::mailbox::mailbox;
use ottla_runtime::published::published;
use ottla_runtime::{Runtime, Shutdown};
use tokio::sync::mpsc;

use crate::decider::{Decider, Deciding, Doors};
use crate::discovery::{Found, Search};
use crate::door::{Door, Host, Joined};
use crate::error::Error;
use crate::handle::{Handle, Parts};
use crate::identity::{Identity, IdentityOptions, Volume};
use crate::joiner::{Joiner, Standing};
use crate::machine::Machine;
use crate::members::node_id;
use crate::membership::Membership;
use crate::old;
use crate::peers::Peers;
use crate::questions::{Asking, Questions};
use crate::quorum::{self, Watch};
use crate::router::{Router, Routes};
use crate::rules::DeclaredRules;
use crate::suspects::Suspects;
use crate::transport::Wire;

/// How many commands may wait; more callers wait for room.
const MAILBOX_CAPACITY: usize = 256;
/// The largest change. That of a node which comes from before there was a quorum is its whole
/// metadata.
const ENTRY_BYTES_MAX: usize = 256 << 20;

/// The name of the listener through which a broker follows the quorum.
const FOLLOWER_LISTENER: &str = "METADATA";

/// What a member of the quorum needs to know.
#[derive(Clone)]
pub struct Options {
    /// The data directory: `meta.properties` and `__cluster_metadata-0` lie in it.
    pub log_dir: PathBuf,
    /// What the configuration says of the node's identity.
    pub identity: IdentityOptions,
    /// `process.roles`
    pub roles: Roles,
    /// The other controllers.
    pub quorum: QuorumConfig,
    /// `controller.quorum.auto.join.enable`
    pub auto_join: bool,
    /// Where other nodes reach this one; none for a node that is a cluster of its own.
    pub listeners: Vec<Listener>,
    /// Properties that decisions depend on.
    pub defaults: Defaults,
    /// Which configuration overrides are allowed.
    pub rules: Arc<dyn ConfigRules>,
    /// A snapshot is written after so many bytes of records
    /// (`metadata.log.max.record.bytes.between.snapshots`).
    pub snapshot_after_bytes: u64,
    /// A snapshot is written after so many changes.
    pub snapshot_after_records: u64,
    /// `controller.quorum.fetch.timeout.ms`
    pub election_timeout_ms: u64,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `broker.session.timeout.ms`
    pub session_timeout_ms: u64,
    /// `broker.heartbeat.interval.ms`
    pub heartbeat_ms: u64,
    /// How often leadership is balanced: `leader.imbalance.check.interval.seconds`, if
    /// `auto.leader.rebalance.enable` says so.
    pub balance_every: Option<Duration>,
}

impl Options {
    /// Options of a node that is a cluster of its own, with the declared defaults.
    #[must_use]
    pub fn alone(log_dir: PathBuf, identity: IdentityOptions, rules: Arc<dyn ConfigRules>) -> Self {
        let roles = Roles {
            broker: true,
            controller: true,
            keeper: false,
        };
        Options {
            log_dir,
            identity,
            roles,
            quorum: QuorumConfig::default(),
            auto_join: false,
            listeners: Vec::new(),
            defaults: Defaults::default(),
            rules,
            snapshot_after_bytes: 20 << 20,
            snapshot_after_records: 20_000,
            election_timeout_ms: 300,
            request_timeout: Duration::from_secs(2),
            retry_backoff: Duration::from_millis(20),
            session_timeout_ms: 3_000,
            heartbeat_ms: 500,
            balance_every: None,
        }
    }

    /// Options as a node's configuration says.
    #[must_use]
    pub fn of_node(node: &Arc<NodeConfig>) -> Self {
        // At least one folder is configured: the configuration checks it.
        let log_dir = node.log_dirs.first().map(PathBuf::from).unwrap_or_default();
        let broker = &node.broker;
        let ms = |n: i32| u64::try_from(n).unwrap_or(0);
        let identity = IdentityOptions {
            node_id: node.node_id.configured().map(BrokerId),
            cluster_id: broker.cluster_id.clone().map(ClusterId),
        };
        let every = u64::try_from(broker.leader_imbalance_check_interval_seconds).unwrap_or(1);
        Options {
            roles: node.roles,
            quorum: node.quorum.clone(),
            auto_join: broker.quorum_auto_join_enable,
            listeners: listeners(node),
            defaults: Defaults {
                num_partitions: broker.num_partitions,
                replication_factor: i16::try_from(broker.default_replication_factor)
                    .unwrap_or(i16::MAX),
                delete_topic_enable: broker.delete_topic_enable,
                min_insync_replicas: broker.min_insync_replicas,
                unclean_leader_election_enable: broker.unclean_leader_election_enable,
                ..Defaults::default()
            },
            snapshot_after_bytes: u64::try_from(broker.metadata_snapshot_bytes).unwrap_or(1),
            election_timeout_ms: ms(broker.quorum_fetch_timeout_ms),
            request_timeout: Duration::from_millis(ms(broker.quorum_request_timeout_ms)),
            retry_backoff: Duration::from_millis(ms(broker.quorum_retry_backoff_ms)),
            session_timeout_ms: ms(broker.broker_session_timeout_ms),
            heartbeat_ms: ms(broker.broker_heartbeat_interval_ms),
            balance_every: broker
                .auto_leader_rebalance_enable
                .then(|| Duration::from_secs(every)),
            ..Options::alone(
                log_dir,
                identity,
                Arc::new(DeclaredRules::new(Arc::clone(node))),
            )
        }
    }

    fn is_alone(&self) -> bool {
        !self.quorum.is_configured()
    }

    /// Where raft keeps its log.
    fn raft_dir(&self) -> PathBuf {
        old::folder(&self.log_dir).join("raft")
    }
}

/// Where the other members reach this one. A broker alone has no listener for the quorum; its leader
/// has to reach it all the same, on any free port beside that of the other brokers.
fn listeners(node: &NodeConfig) -> Vec<Listener> {
    if node.roles.controller || !node.quorum.is_configured() {
        return node.controller_listeners.clone();
    }
    let name = &node.inter_broker_listener_name;
    let beside = node.listeners.iter().find(|l| l.name == *name);
    let follower = beside.map(|listener| Listener {
        name: FOLLOWER_LISTENER.to_owned(),
        port: 0,
        advertised_port: None,
        ..listener.clone()
    });
    follower.into_iter().collect()
}

/// Starts the node's member of the quorum, and returns once the node has a cluster and follows it.
///
/// That may take until other controllers are there; it ends early, with [`Error::Stopped`], when
/// `stop` is announced.
pub async fn start(runtime: &Runtime, options: Options, stop: &Shutdown) -> Result<Handle, Error> {
    let mut volume = open_volume(runtime, &options).await?;
    let host = Arc::new(Host {
        runtime: runtime.clone(),
        node_id: volume.node_id,
        directory_id: volume.directory_id,
        is_controller: options.roles.controller,
        member: OnceLock::new(),
        joined: OnceLock::new(),
    });
    let addresses = open_door(runtime, &options, &host).await?;
    let member = Member {
        endpoints: endpoints(&options.listeners, &addresses),
        directory_id: volume.directory_id,
    };
    if host.member.set(member.clone()).is_err() {
        ottla_runtime::fail_stop("a node was started twice");
    }
    let peers = Peers::new(runtime, options.request_timeout);
    let mut starting = Starting {
        runtime,
        options: &options,
        host: &host,
        peers: &peers,
        handle: None,
    };
    // A node that has a cluster lets the others of its quorum reach it before anything else.
    if let Some(cluster_id) = volume.cluster_id.clone() {
        starting.join(&mut volume, &cluster_id).await?;
    }
    let own = BTreeMap::from([(node_id(volume.node_id), member)]);
    if !starting.is_initialized().await? {
        let founder = starting.look(&volume, own, stop).await?;
        let (cluster_id, voters) = match founder {
            Found::Cluster(cluster_id) => (cluster_id, None),
            Found::Founder(cluster_id, voters) => (cluster_id, Some(voters)),
        };
        starting.join(&mut volume, &cluster_id).await?;
        if let Some(voters) = voters {
            starting.found(voters).await?;
        }
    } else if let (true, Some(joined)) = (options.is_alone(), host.joined.get()) {
        // Nobody else could lead, so that there is nobody to wait for.
        joined.raft.elect().await?;
    }
    let Some(handle) = starting.handle else {
        ottla_runtime::fail_stop("a node has joined its cluster and has no handle");
    };
    handle.wait_until_member(stop).await?;
    Ok(handle)
}

struct Starting<'a> {
    runtime: &'a Runtime,
    options: &'a Options,
    host: &'a Arc<Host>,
    peers: &'a Peers,
    handle: Option<Handle>,
}

impl Starting<'_> {
    async fn is_initialized(&self) -> Result<bool, Error> {
        match self.host.joined.get() {
            Some(joined) => Ok(joined.raft.is_initialized().await?),
            None => Ok(false),
        }
    }

    /// Which cluster it is, and whether this node founds it.
    async fn look(
        &self,
        volume: &Volume,
        own: BTreeMap<ottla_raft::NodeId, Member>,
        stop: &Shutdown,
    ) -> Result<Found, Error> {
        let wanted = volume
            .cluster_id
            .clone()
            .or_else(|| self.options.identity.cluster_id.clone());
        let founds_alone = self.options.is_alone()
            || self.options.roles.controller && volume.cluster_id.is_some() && self.has_old().await;
        if founds_alone {
            let new = || ClusterId(crate::identity::random_uuid(self.runtime).to_string());
            return Ok(Found::Founder(wanted.unwrap_or_else(new), own));
        }
        let search = Search {
            runtime: self.runtime,
            host: self.host,
            peers: self.peers,
            quorum: &self.options.quorum,
            cluster_id: wanted,
        };
        search.run(stop).await
    }

    /// Whether the node has metadata from before there was a quorum: then nobody else founds its
    /// cluster.
    async fn has_old(&self) -> bool {
        let disk = Arc::clone(&self.runtime.disk);
        let dir = old::folder(&self.options.log_dir);
        let look = move || old::is_there(&*disk, &dir);
        self.runtime.tasks.blocking(look).await
    }

    /// From now on the node belongs to this cluster: its raft member runs.
    async fn join(&mut self, volume: &mut Volume, cluster_id: &ClusterId) -> Result<(), Error> {
        if self.handle.is_some() {
            // It has joined already, and looked whether the others had founded the cluster.
            return Ok(());
        }
        let identity = adopt(self.runtime, self.options, volume, cluster_id).await?;
        let handle =
            run_member(self.runtime, self.options, self.host, self.peers, identity).await?;
        self.handle = Some(handle);
        Ok(())
    }

    async fn found(&self, voters: BTreeMap<ottla_raft::NodeId, Member>) -> Result<(), Error> {
        let Some(joined) = self.host.joined.get() else {
            return Ok(());
        };
        tracing::info!(
            cluster_id = %joined.identity.cluster_id,
            voters = ?voters.keys().collect::<Vec<_>>(),
            "founding a cluster"
        );
        joined.raft.initialize(voters).await.map_err(Error::Found)
    }
}

async fn open_volume(runtime: &Runtime, options: &Options) -> Result<Volume, Error> {
    let (doors, log_dir) = (runtime.clone(), options.log_dir.clone());
    let wanted = options.identity.clone();
    let open = move || Volume::open(&doors, &log_dir, &wanted);
    runtime.tasks.blocking(open).await
}

async fn adopt(
    runtime: &Runtime,
    options: &Options,
    volume: &mut Volume,
    cluster_id: &ClusterId,
) -> Result<Identity, Error> {
    let (doors, log_dir) = (runtime.clone(), options.log_dir.clone());
    let (mut own, cluster_id) = (volume.clone(), cluster_id.clone());
    let adopt = move || {
        let identity = own.adopt(&doors, &log_dir, &cluster_id);
        identity.map(|identity| (own, identity))
    };
    let (adopted, identity) = runtime.tasks.blocking(adopt).await?;
    *volume = adopted;
    Ok(identity)
}

/// Opens the controller's listeners, if there are any. They are served at once: the others must be
/// able to ask who is here.
async fn open_door(
    runtime: &Runtime,
    options: &Options,
    host: &Arc<Host>,
) -> Result<Vec<(String, SocketAddr)>, Error> {
    if options.listeners.is_empty() {
        return Ok(Vec::new());
    }
    let listeners = options.listeners.iter().map(|l| ListenerOptions {
        name: l.name.clone(),
        bind_host: l.bind_host.clone(),
        port: l.port,
    });
    let net_options = ottla_net::Options {
        listeners: listeners.collect(),
        max_in_flight: 1024,
        drain_timeout: Duration::from_secs(1),
        ..ottla_net::Options::default()
    };
    let door = Arc::new(Door(Arc::clone(host)));
    let (server, net) = Server::bind(runtime.clone(), net_options, door).await?;
    let addresses = net.local_addrs();
    let addresses = addresses.map(|(name, at)| (name.to_owned(), at)).collect();
    runtime.tasks.run("controller listeners", server);
    Ok(addresses)
}

/// What the others are told: a port that the system chose is known by now.
fn endpoints(listeners: &[Listener], bound: &[(String, SocketAddr)]) -> Vec<Endpoint> {
    let port_of = |name: &str| bound.iter().find(|(n, _)| n == name).map(|(_, a)| a.port());
    let endpoint = |listener: &Listener| Endpoint {
        listener: listener.name.clone(),
        host: listener.advertised_host.clone(),
        port: listener
            .advertised_port
            .or_else(|| port_of(&listener.name))
            .unwrap_or(listener.port),
    };
    listeners.iter().map(endpoint).collect()
}

/// Opens raft's log and starts everything that lives with it.
async fn run_member(
    runtime: &Runtime,
    options: &Options,
    host: &Arc<Host>,
    peers: &Peers,
    identity: Identity,
) -> Result<Handle, Error> {
    let (machine, image) = Machine::new(&runtime.clock);
    let (refusals, refused) = mpsc::channel(MAILBOX_CAPACITY);
    let wire = Wire {
        peers: peers.clone(),
        refusals: refusals.clone(),
    };
    let raft_options = raft_options(options, &identity);
    let (member, raft) = ottla_raft::Raft::open(runtime, raft_options, machine, wire).await?;
    let state = raft.state();
    let (decider, inbox) = mailbox(MAILBOX_CAPACITY);
    let (caller, commands) = mailbox(MAILBOX_CAPACITY);
    let first = quorum::of(&state.get());
    let (publisher, quorum) = published(first.clone());
    let (changes, membership) = Membership::new(runtime, &raft);
    let doors = Doors {
        inbox,
        image: image.clone(),
        refusals: refused,
        suspects: Suspects::new(runtime, identity.node_id, options.heartbeat_ms, refusals),
    };
    let deciding = Deciding {
        cluster_id: identity.cluster_id.clone(),
        rules: Arc::clone(&options.rules),
        defaults: options.defaults,
        old: old::folder(&options.log_dir),
        session_timeout_ms: (!options.is_alone()).then_some(options.session_timeout_ms),
        balance_every: options.balance_every.filter(|_| !options.is_alone()),
    };
    let routes = Arc::new(Routes {
        runtime: runtime.clone(),
        identity: identity.clone(),
        decider: decider.clone(),
        state: state.clone(),
        image: image.clone(),
        peers: peers.clone(),
        backoff: options.retry_backoff,
    });
    let (standing_publisher, standing) = published(Standing::Outside);
    let joiner = Joiner {
        runtime: runtime.clone(),
        identity: identity.clone(),
        own: host.member.get().cloned().unwrap_or_default(),
        is_controller: options.roles.controller,
        auto_join: options.auto_join,
        quorum: Arc::new(options.quorum.clone()),
        state: state.clone(),
        membership: membership.clone(),
        peers: peers.clone(),
        standing: standing_publisher,
    };
    let (questions, asked) = mailbox(MAILBOX_CAPACITY);
    let asking = Asking {
        runtime: runtime.clone(),
        host: Arc::clone(host),
        peers: peers.clone(),
    };
    let tasks = &runtime.tasks;
    tasks.run(
        "questions about the quorum",
        Questions {
            asking,
            inbox: asked,
        },
    );
    tasks.run("raft", member);
    tasks.run(
        "controller",
        Decider::new(runtime, deciding, raft.clone(), doors),
    );
    tasks.run(
        "commands",
        Router {
            routes,
            inbox: commands,
        },
    );
    tasks.run("quorum changes", changes);
    tasks.run(
        "quorum",
        Watch {
            state: state.clone(),
            publisher,
            last: first,
        },
    );
    tasks.run("quorum membership", joiner);
    let joined = Joined {
        identity: identity.clone(),
        raft: raft.clone(),
        state,
        image: image.clone(),
        decider,
        membership,
    };
    if host.joined.set(joined).is_err() {
        ottla_runtime::fail_stop("a node has joined its cluster twice");
    }
    Ok(Handle::new(Parts {
        identity,
        caller,
        published: image,
        quorum,
        questions,
        raft,
        standing,
    }))
}

fn raft_options(options: &Options, identity: &Identity) -> ottla_raft::Options {
    let group = Bytes::copy_from_slice(identity.cluster_id.0.as_bytes());
    let id = node_id(identity.node_id);
    ottla_raft::Options {
        // Raft adds its leader's lease: an election begins after twice to four times as long.
        election_timeout_ms: (options.election_timeout_ms / 2).max(20),
        heartbeat_ms: (options.election_timeout_ms / 3).max(10),
        snapshot_after_bytes: options.snapshot_after_bytes,
        snapshot_after_entries: options.snapshot_after_records,
        entry_bytes_max: ENTRY_BYTES_MAX,
        ..ottla_raft::Options::new(id, identity.directory_id, group, options.raft_dir())
    }
}

#[cfg(test)]
mod tests;
