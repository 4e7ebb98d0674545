//! From options to a running server.
//!
//! ```text
//! ports of clients and servers ─▶ ensemble found, or founded ─▶ raft ─▶ desk, forwarder, sessions
//! ```
//!
//! Clients may connect from the first moment: what they ask waits for a leader, and `ruok` answers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ottla_config::KeeperConfig;
use ottla_net::tls::Tls;
use ottla_raft::{NodeId, Raft, State};
use ottla_runtime::published::Published;
use ottla_runtime::{Runtime, Shutdown, TaskKind};

use crate::clients::accept::Accept;
use crate::error::Error;
use crate::forwarder::{Forwarder, Frame, decode};
use crate::leader::desk::{DeskService, Office};
use crate::leader::liveness::LivenessService;
use crate::leader::reaper::Reaper;
use crate::machine::Machine;
use crate::members::{ForwardSink, Host, Members};
use crate::monitor::elections::Elections;
use crate::monitor::reading::is_alone;
use crate::monitor::{RaftObserver, Reading};
use crate::server::Server;

/// The folder of raft's log and snapshots in `dataLogDir`.
const RAFT_FOLDER: &str = "raft";
/// The largest entry: what all servers have gathered while one was under way.
const ENTRY_BYTES_MAX: usize = 64 << 20;
/// A snapshot is written after so many bytes of commands, unless the configuration says less.
const SNAPSHOT_AFTER_BYTES: u64 = 256 << 20;
/// How often a leader says that it is there, and how long servers do without at least: an election
/// begins after twice to four times as long. Busy machines answer late.
const HEARTBEAT_MS: u64 = 60;
const ELECTION_MS: u64 = 200;
/// How soon a server that is alone serves.
const SERVING_SOON: Duration = Duration::from_millis(1);
/// How long a server that stops lets another one take over.
const RESIGN_LIMIT: Duration = Duration::from_secs(3);

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its configuration.
    pub config: Arc<KeeperConfig>,
    /// `myid`
    pub id: i64,
}

/// The server, seen from the rest of its node. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) server: Arc<Server>,
    clients: Arc<[ClientPort]>,
}

/// A port for clients that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientPort {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub secure: bool,
}

impl Handle {
    /// The ports for clients.
    #[must_use]
    pub fn client_ports(&self) -> &[ClientPort] {
        &self.clients
    }

    /// Whether clients are served: commands find their way to a leader.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.server.has_leader()
    }

    /// Whether clients that want to may read without a leader (`readonlymode.enabled`): then a server
    /// is of use without one.
    #[must_use]
    pub fn serves_readers_alone(&self) -> bool {
        self.server.config.read_only_mode_enabled
    }

    /// The ensemble as this server sees it, once its member of the group runs.
    #[must_use]
    pub fn ensemble(&self) -> Option<Arc<State>> {
        Some(self.server.raft()?.state().get())
    }

    /// The newest change that this server has applied, and a hash of all that it holds then: servers
    /// with the same number have the same hash.
    #[must_use]
    pub fn fingerprint(&self) -> (i64, u64) {
        self.server.tree.fingerprint()
    }

    /// All metrics of this moment. Blocks, since the system is asked, too.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading::take(&self.server)
    }

    /// Lets another server lead, before this one stops.
    pub async fn resign(&self) {
        if let Some(raft) = self.server.raft() {
            let state = raft.state().get();
            if state.is_leader && state.voters.len() > 1 {
                raft.resign(RESIGN_LIMIT).await;
            }
        }
    }
}

/// Starts a server. A server that is alone serves when this returns; one of an ensemble may have to
/// wait for the others, and does so in the background.
///
/// # Errors
/// A port cannot be opened, the volume belongs to another server, or keys cannot be read.
pub async fn start(runtime: &Runtime, options: Options, stop: &Shutdown) -> Result<Handle, Error> {
    let config = Arc::clone(&options.config);
    let member_options = crate::members::Options::of_config(&config, options.id)?;
    let is_standalone = member_options.is_standalone;
    let id = member_options.id;
    let sasl_users = crate::clients::auth::users(runtime, &config).await?;
    let server = Arc::new(Server::new(runtime, Arc::clone(&config), id, sasl_users));
    let host = Arc::new(Receiving(Arc::clone(&server)));
    let members = Members::start(runtime, member_options, host).await?;
    let clients = open_ports(runtime, &server).await?;
    let beginning = begin(server.clone(), members, stop.clone());
    if is_standalone {
        beginning.await?;
        // Nobody else has to be waited for, and whoever is told that the server is there uses it.
        while !server.has_leader() && !stop.is_announced() {
            runtime.clock.sleep(SERVING_SOON).await;
        }
    } else {
        let stopping = runtime.shutdown().clone();
        runtime
            .tasks
            .spawn(TaskKind::Service, "the ensemble", async move {
                match Box::pin(beginning).await {
                    Err(Error::Stopped) => Ok(()),
                    Err(_) if stopping.is_announced() => Ok(()),
                    other => other,
                }
            });
    }
    Ok(Handle {
        server,
        clients: clients.into(),
    })
}

async fn open_ports(runtime: &Runtime, server: &Arc<Server>) -> Result<Vec<ClientPort>, Error> {
    let config = &server.config;
    let mut open = Vec::new();
    // What the server's own line says counts for all servers, and so for this one.
    let own = i64::try_from(server.id)
        .ok()
        .and_then(|id| config.server(id));
    let of_line = own.and_then(|line| line.client.clone());
    let plain = of_line.or_else(|| config.client_listener.clone());
    for (listener, secure) in [(&plain, false), (&config.secure_client_listener, true)] {
        let Some(listener) = listener else { continue };
        let tls = match (&config.client_tls, secure) {
            (Some(options), true) => {
                let loading = Tls::load(runtime, options.clone());
                Some(loading.await.map_err(Error::ClientTls)?)
            }
            _ => None,
        };
        let refused = |source| Error::ListenForClients {
            host: listener.host.clone(),
            port: listener.port,
            source,
        };
        let listening = runtime.network.listen(&listener.host, listener.port);
        let listening = listening.await.map_err(refused)?;
        let address = listening.local_addr().map_err(refused)?;
        runtime
            .tasks
            .run("a port for clients", Accept::new(server, listening, tls));
        server.set_port(address.port(), secure);
        open.push(ClientPort { address, secure });
    }
    Ok(open)
}

/// Finds the ensemble, and takes part in it.
async fn begin(server: Arc<Server>, members: Members, stop: Shutdown) -> Result<(), Error> {
    let runtime = server.runtime.clone();
    let ensemble = members.find(&stop).await?;
    let storage = &server.config.storage;
    let directory = PathBuf::from(&storage.data_log_dir).join(RAFT_FOLDER);
    let snapshot_bytes = storage.snap_size_limit_bytes.unwrap_or(u64::MAX);
    let options = ottla_raft::Options {
        heartbeat_ms: HEARTBEAT_MS,
        election_timeout_ms: ELECTION_MS,
        snapshot_after_bytes: snapshot_bytes.min(SNAPSHOT_AFTER_BYTES),
        snapshot_after_entries: storage.snap_count,
        entry_bytes_max: ENTRY_BYTES_MAX,
        observer: Some(Arc::new(RaftObserver::new(&server))),
        ..members.raft_options(&ensemble, directory)
    };
    let machine = Machine::new(Arc::clone(&server));
    let began = runtime.clock.instant();
    let (service, raft) = Raft::open(&runtime, options, machine, members.transport()).await?;
    server
        .meters
        .started(runtime.clock.instant().saturating_duration_since(began));
    server.set_members(raft.clone(), members.clone());
    let tasks = &runtime.tasks;
    if !is_alone(&server) {
        let elections = Elections {
            meters: Arc::clone(&server.meters),
            clock: runtime.clock.clone(),
            state: raft.state(),
        };
        tasks.run("counting elections", elections);
    }
    tasks.run("the keeper's raft", service);
    let participants: Published<BTreeSet<NodeId>> = server.participants();
    tasks.run(
        "the leader's desk",
        DeskService {
            server: Arc::clone(&server),
            raft: raft.clone(),
        },
    );
    tasks.run(
        "forwarding to the leader",
        Forwarder {
            server: Arc::clone(&server),
            raft: raft.clone(),
            members: members.clone(),
        },
    );
    let of_server = || Arc::clone(&server);
    tasks.run(
        "sessions",
        LivenessService {
            server: of_server(),
        },
    );
    tasks.run(
        "containers",
        Reaper {
            server: of_server(),
        },
    );
    members
        .take_part(&raft, &ensemble, participants, &stop)
        .await
}

/// What other servers reach of this one.
struct Receiving(Arc<Server>);

impl Host for Receiving {
    fn raft(&self) -> Option<ottla_raft::Handle> {
        self.0.raft().cloned()
    }

    fn forwarded(&self, _from: NodeId, term: u64) -> Result<Box<dyn ForwardSink>, String> {
        let state = self.0.raft().map(|raft| raft.state().get());
        if !state.is_some_and(|state| state.is_leader && state.term == term) {
            return Err(format!("this server does not lead in term {term}"));
        }
        Ok(Box::new(Forwarded {
            server: Arc::clone(&self.0),
            term,
            office: None,
        }))
    }
}

/// The commands of another server.
struct Forwarded {
    server: Arc<Server>,
    term: u64,
    /// The one that the stream began in.
    office: Option<Office>,
}

impl ForwardSink for Forwarded {
    /// A leader that was just elected takes office in a moment; one that a majority does not answer
    /// is in none.
    fn taken(&mut self) -> BoxFuture<'_, ()> {
        async move { self.office = Some(self.server.desk.taken(self.term).await) }.boxed()
    }

    fn ended(&self) -> BoxFuture<'static, String> {
        let (server, office) = (Arc::clone(&self.server), self.office);
        async move {
            if let Some(office) = office {
                server.desk.leaves(office).await;
            }
            LEADS_NO_MORE.to_owned()
        }
        .boxed()
    }

    fn frame(&mut self, frame: Bytes) -> BoxFuture<'_, Result<(), String>> {
        async move {
            let server = &self.server;
            match decode(&frame)? {
                Frame::Touched(sessions) => {
                    let now_ms = server.runtime.clock.monotonic_ms();
                    server.liveness.touch(sessions.into_iter(), now_ms);
                    Ok(())
                }
                Frame::Commands(commands) => {
                    let office = self.office.ok_or(LEADS_NO_MORE)?;
                    let brought = server.desk.bring(office, commands).await;
                    brought.map_err(|_| LEADS_NO_MORE.to_owned())
                }
            }
        }
        .boxed()
    }
}

/// What another server is told when its stream ends.
const LEADS_NO_MORE: &str = "this server leads no more";
