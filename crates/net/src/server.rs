//! All listeners together: accepting, refusing, and stopping.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use ottla_runtime::net::{Listener, Stream};
use ottla_runtime::{Runtime, Service, Shutdown, TaskKind};

use crate::connection::Connection;
use crate::creation_rates::{CreationRates, IpCreationRates};
use crate::dispatch::Dispatch;
use crate::error::Error;
use crate::limits::{Connections, MemoryBudget};
use crate::log_limit::LogLimit;
use crate::options::{ConnectionLimits, Options};
use crate::peer::Peer;
use crate::probe::{ListenerProbe, Probe, Refused};

/// How long accepting rests when the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection shares.
pub(crate) struct Shared<D> {
    pub(crate) runtime: Runtime,
    pub(crate) options: Options,
    pub(crate) dispatch: Arc<D>,
    pub(crate) probe: Arc<Probe>,
    pub(crate) connections: Arc<Connections>,
    creation_rates: Arc<CreationRates>,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) log_limit: LogLimit,
    next_connection_id: AtomicU64,
}

/// The running half: bound already, it accepts once it runs.
pub struct Server<D> {
    shared: Arc<Shared<D>>,
    listeners: Vec<(Listener, Arc<ListenerProbe>)>,
}

/// Where the server listens and what it counts. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    addresses: Arc<Vec<(String, SocketAddr)>>,
    probe: Arc<Probe>,
    memory: Arc<MemoryBudget>,
    connections: Arc<Connections>,
    creation_rates: Arc<CreationRates>,
}

impl Handle {
    /// Changes how many connections there may be. Those that are open stay.
    pub fn set_connection_limits(&self, limits: ConnectionLimits) {
        self.creation_rates.set_limit(limits.creation_rate);
        self.connections.set_limits(limits);
    }

    /// From now on these rates of single addresses count.
    pub fn set_ip_creation_rates(&self, rates: IpCreationRates) {
        self.creation_rates.set_ips(rates);
    }

    /// The listeners' names and addresses, with the ports that the system chose.
    pub fn local_addrs(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.addresses.iter().map(|(name, at)| (name.as_str(), *at))
    }

    /// One listener's address.
    #[must_use]
    pub fn local_addr(&self, listener: &str) -> Option<SocketAddr> {
        let mut all = self.local_addrs();
        all.find(|(name, _)| *name == listener).map(|(_, at)| at)
    }

    /// The counters.
    #[must_use]
    pub fn probe(&self) -> &Arc<Probe> {
        &self.probe
    }

    /// Bytes of requests in memory now.
    #[must_use]
    pub fn request_memory_used_bytes(&self) -> usize {
        self.memory.used()
    }

    /// The most that [`Handle::request_memory_used_bytes`] can be.
    #[must_use]
    pub fn request_memory_budget_bytes(&self) -> usize {
        self.memory.total()
    }
}

impl<D: Dispatch> Server<D> {
    /// Binds all listeners. Connections wait in the system's queue until the server runs.
    pub async fn bind(
        runtime: Runtime,
        options: Options,
        dispatch: Arc<D>,
    ) -> Result<(Self, Handle), Error> {
        if options.listeners.is_empty() {
            return Err(Error::NoListener);
        }
        let mut names = HashSet::new();
        if let Some(twice) = options.listeners.iter().find(|l| !names.insert(&l.name)) {
            let name = twice.name.clone();
            return Err(Error::DuplicateName { name });
        }
        let names = options.listeners.iter().map(|l| l.name.as_str());
        let probe = Arc::new(Probe::new(names));
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for (listener, counters) in options.listeners.iter().zip(probe.listeners()) {
            let (name, host, port) = (listener.name.clone(), &listener.bind_host, listener.port);
            let bound = runtime.network.listen(host, port).await;
            let bound = bound.and_then(|bound| Ok((bound.local_addr()?, bound)));
            let (at, bound) = bound.map_err(|source| Error::Bind {
                name: name.clone(),
                address: address_text(host, port),
                source,
            })?;
            listeners.push((bound, Arc::clone(counters)));
            addresses.push((name, at));
        }
        let memory = Arc::new(MemoryBudget::new(options.memory_budget_bytes));
        let connections = Arc::new(Connections::new(&options));
        let limit = options.max_connection_creation_rate;
        let creation_rates = Arc::new(CreationRates::new(options.rate_window, limit));
        let shared = Arc::new(Shared {
            connections: Arc::clone(&connections),
            creation_rates: Arc::clone(&creation_rates),
            log_limit: LogLimit::new(runtime.clock.clone()),
            memory: Arc::clone(&memory),
            probe: Arc::clone(&probe),
            next_connection_id: AtomicU64::new(1),
            runtime,
            options,
            dispatch,
        });
        let handle = Handle {
            addresses: Arc::new(addresses),
            probe,
            memory,
            connections,
            creation_rates,
        };
        Ok((Server { shared, listeners }, handle))
    }
}

fn address_text(host: &str, port: u16) -> String {
    match host {
        "" => format!("port {port} of all interfaces"),
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

impl<D: Dispatch> Service for Server<D> {
    /// Accepts connections until the shutdown is announced; then no more are accepted, those that
    /// are open finish the requests in work (within the drain timeout), and it returns.
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        let Server { shared, listeners } = self;
        let accepting = listeners
            .into_iter()
            .map(|(listener, counters)| accept(&shared, listener, counters, &shutdown));
        join_all(accepting).await;
        shared.connections.all_gone().await;
        Ok(())
    }
}

async fn accept<D: Dispatch>(
    shared: &Arc<Shared<D>>,
    listener: Listener,
    counters: Arc<ListenerProbe>,
    shutdown: &Shutdown,
) {
    let clock = &shared.runtime.clock;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.announced() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let pause = shared.creation_rates.pause(clock.monotonic_ms());
                if !pause.is_zero() {
                    counters.count_delayed(pause);
                    tokio::select! {
                        biased;
                        () = shutdown.announced() => return,
                        () = clock.sleep(pause) => {}
                    }
                }
                admit(shared, &counters, shutdown, stream, from);
            }
            Err(error) if concerns_one_peer(&error) => {
                tracing::debug!(listener = counters.name(), %error, "a connection was gone at once");
            }
            Err(error) => {
                if let Some(suppressed) = shared.log_limit.pass() {
                    tracing::warn!(
                        listener = counters.name(), %error, suppressed,
                        "no connection can be accepted; if files are short, raise the limit of \
                         open files (ulimit -n) or lower max.connections"
                    );
                }
                shared.runtime.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether only the connection that was to be accepted is lost.
fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected,
    };
    matches!(
        error.kind(),
        BrokenPipe
            | ConnectionAborted
            | ConnectionReset
            | Interrupted
            | InvalidInput
            | NotConnected
    )
}

/// Starts a connection's task, or closes the connection when there are too many.
fn admit<D: Dispatch>(
    shared: &Arc<Shared<D>>,
    counters: &Arc<ListenerProbe>,
    shutdown: &Shutdown,
    stream: Stream,
    from: SocketAddr,
) {
    let id = shared.next_connection_id.fetch_add(1, Relaxed);
    let peer = Peer::new(counters.shared_name(), from, id);
    let (rates, now_ms) = (&shared.creation_rates, shared.runtime.clock.monotonic_ms());
    if let Some(pause) = rates.refused_for(peer.address().ip(), now_ms) {
        refuse(shared, counters, &peer, Refused::IpRate);
        hold(shared, shutdown, stream, pause);
        return;
    }
    let place = match shared.connections.enter(peer.address().ip()) {
        Ok(place) => place,
        Err(reason) => {
            refuse(shared, counters, &peer, reason);
            return;
        }
    };
    counters.count_accepted();
    let connection = Connection {
        shared: Arc::clone(shared),
        listener: Arc::clone(counters),
        peer: Arc::new(peer),
        shutdown: shutdown.child(),
        place,
    };
    let tasks = &shared.runtime.tasks;
    tasks.spawn(TaskKind::Connection, "connection", connection.serve(stream));
}

fn refuse<D>(shared: &Shared<D>, counters: &ListenerProbe, peer: &Peer, reason: Refused) {
    counters.count_refused(reason);
    if let Some(suppressed) = shared.log_limit.pass() {
        let limit = reason.property();
        tracing::warn!(%peer, suppressed, "refused a connection: {limit} is reached");
    }
}

/// Closes a connection later, if there is room to hold it until then.
fn hold<D: Dispatch>(
    shared: &Arc<Shared<D>>,
    shutdown: &Shutdown,
    stream: Stream,
    pause: Duration,
) {
    let Some(room) = shared.creation_rates.hold() else {
        return;
    };
    let (clock, shutdown) = (shared.runtime.clock.clone(), shutdown.child());
    let holding = async move {
        tokio::select! {
            biased;
            () = shutdown.announced() => {}
            () = clock.sleep(pause) => {}
        }
        drop((stream, room));
        Ok::<(), Infallible>(())
    };
    let tasks = &shared.runtime.tasks;
    tasks.spawn(TaskKind::Connection, "held connection", holding);
}
