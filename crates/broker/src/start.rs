//! From options to a running broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::NodeConfig;
use ottla_log::{Cleaner, LogDir};
use ottla_metadata::{Endpoint, Image, Refusal, RegisterBroker};
use ottla_model::{BrokerId, ClusterId, Uuid};
use ottla_net::{ListenerOptions, Server};
use ottla_runtime::published::published;
use ottla_runtime::{Runtime, TaskKind};
use ottla_security::quota::Window;

use crate::broker::{Broker, Door, MetadataAccess};
use crate::lifecycle::{self, Lifecycle, LifecycleHandle, Standing};
use crate::live_config::{Limits, LiveConfig, cleaner_options, connection_limits};
use crate::log_levels::LogLevels;
use crate::probe::Probe;
use crate::reconcile::Reconciler;
use crate::replication::{Isr, IsrTask, ReplicationCounts};
use crate::telemetry::{ClientMetricFamily, TelemetryCounts};

/// What a broker is made of.
pub struct Options {
    /// The doors to the world.
    pub runtime: Runtime,
    /// The node's configuration.
    pub config: Arc<NodeConfig>,
    /// The node's number.
    pub node_id: BrokerId,
    /// The cluster that the node belongs to.
    pub cluster_id: ClusterId,
    /// The opened data directory.
    pub log_dir: LogDir,
    /// Whoever writes the log, if its levels can be changed.
    pub log_levels: Option<Arc<dyn LogLevels>>,
    /// The volume of the data directory (KIP-853).
    pub directory_id: Uuid,
    /// Whether there is no other node: then nobody could take over, and the broker takes part from
    /// its registration on.
    pub is_alone: bool,
    /// Whether records that were acknowledged may be gone: the last stop was not clean, and not
    /// all topics wait for the disk.
    pub data_may_be_lost: bool,
    /// The way to the controller.
    pub metadata: MetadataAccess,
    /// The bytes of requests that may be in memory at a time.
    pub request_budget_bytes: usize,
    /// The bytes of records on their way to clients that may be in memory at a time.
    pub read_budget_bytes: usize,
    /// The connections that the process has file descriptors for; `max.connections` may be lower.
    pub connections_max: usize,
    /// The most that `log.cleaner.dedupe.buffer.size` may take.
    pub dedupe_buffer_bytes_max: u64,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ottla_net::Error),
    /// The controller does not take the broker.
    #[error("the controller refuses this broker: {0}")]
    Refused(Refusal),
    /// The partitions cannot be brought in line with the metadata.
    #[error("the partitions cannot be opened: {0}")]
    Partitions(String),
}

/// A running broker.
#[derive(Clone)]
pub struct Handle {
    broker: Arc<Broker>,
    net: ottla_net::Handle,
    lifecycle: LifecycleHandle,
}

impl Handle {
    /// Where each listener listens, by name.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        bound(&self.net)
    }

    /// What the broker counts.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.broker.probe
    }

    /// What the connections count.
    #[must_use]
    pub fn net_probe(&self) -> &ottla_net::Probe {
        self.net.probe()
    }

    /// Whether the broker is fenced: it is there, but leads nothing and gets no new partitions.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        let standing = self.lifecycle.standing();
        matches!(standing, Standing::Fenced | Standing::TurnedAway)
    }

    /// Waits until the broker takes part in the cluster, or the node stops.
    ///
    /// # Errors
    /// The controller will never take the broker in as it is configured: another one that lives has an
    /// endpoint of its own.
    pub async fn active(&self) -> Result<(), Error> {
        self.lifecycle.active(&self.broker).await
    }

    /// Hands over what the broker leads, if the configuration says so: before it stops to answer.
    pub async fn hand_over(&self) {
        if self.broker.config().broker.controlled_shutdown_enable {
            self.lifecycle.hand_over(&self.broker).await;
        }
    }

    /// The newest metadata that clients see.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.broker.image()
    }

    /// How many partitions this broker holds, and how many of them can be used already.
    #[must_use]
    pub fn partitions(&self) -> (usize, usize) {
        let all = self.broker.partitions.all();
        (all.len(), all.iter().filter(|p| p.log().is_some()).count())
    }

    /// How the replication of this broker's partitions is.
    #[must_use]
    pub fn replication(&self) -> ReplicationCounts {
        ReplicationCounts::of(&self.broker)
    }

    /// Every partition that is open, with its log, for metrics.
    #[must_use]
    pub fn logs(&self) -> Vec<(String, i32, ottla_log::Log)> {
        let all = self.broker.partitions.all();
        all.iter()
            .filter_map(|p| Some((p.topic.to_string(), p.index, p.log()?.clone())))
            .collect()
    }

    /// How many shares of clients are being measured for quotas.
    #[must_use]
    pub fn quota_shares(&self) -> usize {
        self.broker.quotas.shares()
    }

    /// How many transactions that this broker coordinates are open, and for how many milliseconds
    /// the oldest of them is (0 for none).
    #[must_use]
    pub fn open_transactions(&self) -> (usize, i64) {
        let open = self.broker.transactions.open();
        let now_ms = self.broker.runtime.clock.now_ms();
        let oldest_ms = open.oldest_start_ms.map_or(0, |start_ms| now_ms - start_ms);
        (open.transactions, oldest_ms.max(0))
    }

    /// What clients have pushed of their metrics.
    #[must_use]
    pub fn client_metrics(&self) -> Vec<ClientMetricFamily> {
        let now_ms = self.broker.runtime.clock.monotonic_ms();
        self.broker.telemetry.families(now_ms)
    }

    /// How the pushing of clients' metrics goes.
    #[must_use]
    pub fn telemetry(&self) -> TelemetryCounts {
        self.broker.telemetry.counts()
    }

    /// The number of open fetch sessions.
    #[must_use]
    pub fn fetch_sessions(&self) -> usize {
        self.broker.sessions.len()
    }
}

/// Binds the listeners, registers the broker, opens its partitions, and serves.
///
/// Clients are answered from the first moment on; a partition whose log is still being recovered
/// tells them to come back.
pub async fn start(options: Options) -> Result<Handle, Error> {
    let Options {
        runtime,
        config,
        node_id,
        cluster_id,
        metadata,
        ..
    } = &options;
    let (publisher, shown) = published(Image::empty());
    let (config_publisher, live_config) = published((**config).clone());
    let (isr, proposals) = Isr::new();
    let broker = Arc::new(Broker::new(&options, live_config, shown, isr));
    let net_options = net_options(
        config,
        options.request_budget_bytes,
        options.connections_max,
    );
    let door = Arc::new(Door(Arc::clone(&broker)));
    let (server, net) = Server::bind(runtime.clone(), net_options, door).await?;
    let registration = RegisterBroker {
        broker_id: *node_id,
        cluster_id: cluster_id.clone(),
        incarnation_id: Uuid(runtime.random.bytes16()),
        directory_id: options.directory_id,
        rack: config.broker.broker_rack.clone(),
        endpoints: endpoints(config, &bound(&net)),
        features: ottla_metadata::supported_features(),
        fenced: !options.is_alone,
        data_may_be_lost: options.data_may_be_lost,
    };
    lifecycle::register(&broker, &registration).await?;
    let limits = Limits {
        connections_max: options.connections_max,
        dedupe_buffer_bytes_max: options.dedupe_buffer_bytes_max,
    };
    let (cleaning, cleaner) = Cleaner::new(&broker.log_dir, cleaner_options(config, limits));
    runtime.tasks.run("compaction", cleaning);
    let live_config = LiveConfig::new(
        *node_id,
        Arc::clone(config),
        config_publisher,
        net.clone(),
        broker.log_dir.clone(),
        cleaner,
        limits,
    );
    let mut reconciler = Reconciler::new(
        Arc::clone(&broker),
        metadata.image.clone(),
        publisher,
        live_config,
    );
    reconciler.start().await.map_err(Error::Partitions)?;
    let shutdown = runtime.shutdown().clone();
    runtime
        .tasks
        .spawn(TaskKind::Service, "reconciler", reconciler.run(shutdown));
    let isr = IsrTask::new(&broker, proposals);
    runtime.tasks.run("replicas in sync", isr);
    runtime.tasks.run("listeners", server);
    let (lifecycle, standing) = Lifecycle::new(&broker, registration);
    if !options.is_alone {
        runtime.tasks.run("lifecycle", lifecycle);
    }
    Ok(Handle {
        broker,
        net,
        lifecycle: standing,
    })
}

fn bound(net: &ottla_net::Handle) -> Vec<(String, SocketAddr)> {
    net.local_addrs()
        .map(|(name, address)| (name.to_owned(), address))
        .collect()
}

/// What the registration says of each listener: a port that the system chose is known by now.
fn endpoints(config: &NodeConfig, bound: &[(String, SocketAddr)]) -> Vec<Endpoint> {
    let port_of = |name: &str| bound.iter().find(|(n, _)| n == name).map(|(_, a)| a.port());
    let endpoint = |listener: &ottla_config::Listener| Endpoint {
        listener: listener.name.clone(),
        host: listener.advertised_host.clone(),
        port: listener
            .advertised_port
            .or_else(|| port_of(&listener.name))
            .unwrap_or(listener.port),
        security_protocol: 0,
    };
    config.listeners.iter().map(endpoint).collect()
}

fn net_options(
    config: &NodeConfig,
    budget_bytes: usize,
    connections_max: usize,
) -> ottla_net::Options {
    let broker = &config.broker;
    let count = |n: i32| usize::try_from(n).unwrap_or(0);
    let listeners = config.listeners.iter().map(|l| ListenerOptions {
        name: l.name.clone(),
        bind_host: l.bind_host.clone(),
        port: l.port,
    });
    let limits = connection_limits(config, connections_max);
    let idle_ms = u64::try_from(broker.connections_max_idle_ms).unwrap_or(u64::MAX / 4);
    ottla_net::Options {
        listeners: listeners.collect(),
        max_frame_bytes: count(broker.socket_request_max_bytes),
        max_connections: limits.max,
        max_connections_per_ip: limits.max_per_ip,
        max_connections_per_ip_overrides: limits.overrides,
        max_connection_creation_rate: limits.creation_rate,
        rate_window: Window::new(broker.quota_window_num, broker.quota_window_size_seconds),
        idle_timeout: Duration::from_millis(idle_ms),
        memory_budget_bytes: budget_bytes,
        ..ottla_net::Options::default()
    }
}
