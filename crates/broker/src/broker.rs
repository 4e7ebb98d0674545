//! The broker's state as its handlers see it, and its place between connections and handlers.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ottla_config::{NodeConfig, TopicConfig};
use ottla_log::LogDir;
use ottla_metadata::{Command, Image, NewTopic, Quorum, Refusal, Reply, TopicImage};
use ottla_model::{BrokerId, CONSUMER_OFFSETS_TOPIC, ErrorCode, TRANSACTION_STATE_TOPIC};
use ottla_net::{Dispatch, Incoming, Outcome, Peer};
use ottla_record::DecompressLimit;
use ottla_runtime::Runtime;
use ottla_runtime::mailbox::Caller;
use ottla_runtime::published::Published;
use ottla_security::quota::Window;
use ottla_wire::messages::RequestHeader;
use ottla_wire::{ApiKey, Request, Response};

use crate::contact::Contact;
use crate::context::Ctx;
use crate::fetch_sessions::FetchSessions;
use crate::gone::Gone;
use crate::groups::Groups;
use crate::handlers;
use crate::log_levels::LogLevels;
use crate::partitions::PartitionTable;
use crate::peers::Peers;
use crate::probe::Probe;
use crate::producer_ids::ProducerIds;
use crate::quotas::{self, Quotas};
use crate::read_budget::ReadBudget;
use crate::replication::{Fetchers, Isr, Throttle};
use crate::start::Options;
use crate::telemetry::Telemetry;
use crate::transactions::Transactions;

/// How the broker reaches the controller, wherever that runs.
#[derive(Clone)]
pub struct MetadataAccess {
    /// Asks for a change; the answer comes when the change is durable and published.
    pub commands: Caller<Command, Result<Reply, Refusal>>,
    /// The newest image.
    pub image: Published<Image>,
    /// Who keeps the metadata.
    pub quorum: Published<Quorum>,
    /// Asks the quorum about itself: requests that only its leader can answer.
    pub questions: Caller<Request, Result<Response, Refusal>>,
}

/// The state of the broker. Handlers share it.
pub struct Broker {
    pub(crate) runtime: Runtime,
    /// The configuration as it counts now.
    config: Published<NodeConfig>,
    pub(crate) log_levels: Option<Arc<dyn LogLevels>>,
    pub(crate) telemetry: Telemetry,
    pub(crate) node_id: BrokerId,
    pub(crate) log_dir: LogDir,
    pub(crate) partitions: PartitionTable,
    pub(crate) peers: Peers,
    pub(crate) gone: Gone,
    pub(crate) contact: Contact,
    pub(crate) fetchers: Fetchers,
    pub(crate) isr: Isr,
    pub(crate) throttle: Throttle,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) sessions: FetchSessions,
    pub(crate) read_budget: ReadBudget,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) quotas: Quotas,
    pub(crate) probe: Probe,
    metadata: MetadataAccess,
    /// The newest image for which the partitions are in line.
    shown: Published<Image>,
    /// The number of this broker's registration, -1 before it.
    epoch: AtomicI64,
}

impl Broker {
    pub(crate) fn new(
        options: &Options,
        config: Published<NodeConfig>,
        shown: Published<Image>,
        isr: Isr,
    ) -> Self {
        let slots = options
            .config
            .broker
            .max_incremental_fetch_session_cache_slots;
        Broker {
            runtime: options.runtime.clone(),
            node_id: options.node_id,
            log_dir: options.log_dir.clone(),
            log_levels: options.log_levels.clone(),
            telemetry: telemetry(&options.config),
            partitions: PartitionTable::default(),
            peers: Peers::new(
                options.runtime.clone(),
                options.node_id,
                options.config.inter_broker_listener_name.clone(),
            ),
            gone: Gone::default(),
            contact: Contact::default(),
            fetchers: Fetchers::default(),
            isr,
            throttle: throttle_of(options.node_id, &options.config),
            groups: Groups::default(),
            read_budget: ReadBudget::new(options.read_budget_bytes),
            transactions: Transactions::new(
                options.runtime.clone(),
                options.node_id,
                options.config.inter_broker_listener_name.clone(),
            ),
            sessions: FetchSessions::new(usize::try_from(slots).unwrap_or(0)),
            producer_ids: ProducerIds::default(),
            quotas: quotas_of(&config.get()),
            probe: Probe::default(),
            metadata: options.metadata.clone(),
            shown,
            epoch: AtomicI64::new(-1),
            config,
        }
    }

    /// The configuration as it counts now: properties can change while the node runs.
    pub(crate) fn config(&self) -> Arc<NodeConfig> {
        self.config.get()
    }

    /// Whether a broker is gone, although the metadata takes it for live.
    pub(crate) fn is_gone(&self, image: &Image, broker: BrokerId) -> bool {
        let registered = image.broker(broker);
        registered.is_some_and(|b| {
            let now_ms = self.runtime.clock.monotonic_ms();
            self.gone.contains(broker, b.epoch, now_ms)
        })
    }

    /// Whether others may lead what this broker takes itself for the leader of.
    pub(crate) fn has_lost_contact(&self) -> bool {
        let session_ms = self.config().broker.broker_session_timeout_ms;
        let now_ms = self.runtime.clock.monotonic_ms();
        self.contact.is_lost(now_ms, session_ms.into())
    }

    /// Takes over the bounds of throttled replicas.
    pub(crate) fn follow_throttles(&self) {
        let config = self.config();
        let broker = &config.broker;
        self.throttle.set_limits(
            broker.leader_replication_throttled_rate,
            broker.follower_replication_throttled_rate,
        );
    }

    /// The metadata that handlers answer from.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.shown.get()
    }

    /// The newest metadata, which this broker may not have followed yet.
    pub(crate) fn newest_image(&self) -> Arc<Image> {
        self.metadata.image.get()
    }

    /// Asks the leader of the quorum, wherever it is.
    pub(crate) async fn ask_quorum(&self, request: Request) -> Result<Response, Refusal> {
        let stopping = |_| Refusal::new(ErrorCode::NotController, "The node is stopping.");
        let questions = &self.metadata.questions;
        questions.call(request).await.map_err(stopping)?
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn set_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Asks the controller for a change; the answer does not wait until this broker has followed it.
    pub(crate) async fn ask_controller(&self, command: Command) -> Result<Reply, Refusal> {
        // Clients try this one again, and so find the node that takes over, or this one restarted.
        let stopping = |_| Refusal::new(ErrorCode::NotController, "The node is stopping.");
        self.metadata
            .commands
            .call(command)
            .await
            .map_err(stopping)?
    }

    /// Asks the controller for a change and waits until this broker has followed it.
    pub(crate) async fn submit(&self, command: Command) -> Result<Reply, Refusal> {
        let reply = self.ask_controller(command).await?;
        // The reply comes after the image was published, so that this one is new enough.
        let offset = self.metadata.image.get().metadata_offset();
        let mut shown = self.shown.clone();
        while shown.get().metadata_offset() < offset {
            if !shown.changed().await {
                let message = "The node is stopping.";
                return Err(Refusal::new(ErrorCode::NotController, message));
            }
        }
        Ok(reply)
    }

    /// A topic that comes into being without anyone saying how.
    pub(crate) fn automatic_topic(&self, name: &str) -> NewTopic {
        let config = self.config();
        let broker = &config.broker;
        let mut topic = NewTopic::with_defaults(name);
        let set = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        if name == CONSUMER_OFFSETS_TOPIC {
            topic.num_partitions = broker.offsets_topic_num_partitions;
            topic.replication_factor =
                self.possible_replicas(broker.offsets_topic_replication_factor);
            let segment = broker.offsets_topic_segment_bytes.to_string();
            topic.configs = vec![
                set("cleanup.policy", "compact"),
                set("compression.type", "producer"),
                set("segment.bytes", &segment),
            ];
        }
        if name == TRANSACTION_STATE_TOPIC {
            let replicas = self.possible_replicas(broker.transaction_state_log_replication_factor);
            let min_isr = broker.transaction_state_log_min_isr.min(replicas.into());
            let segment = broker.transaction_state_log_segment_bytes.to_string();
            topic.num_partitions = broker.transaction_state_log_num_partitions;
            topic.replication_factor = replicas;
            topic.configs = vec![
                set("cleanup.policy", "compact"),
                set("compression.type", "uncompressed"),
                set("min.insync.replicas", &min_isr.to_string()),
                set("segment.bytes", &segment),
                set("unclean.leader.election.enable", "false"),
            ];
        }
        topic
    }

    /// A small cluster must work, too: there cannot be more replicas than brokers.
    ///
    /// Brokers that are away count, and so do the other members of the quorum where its members are
    /// brokers as well: a cluster that is just starting must not get its internal topics on the
    /// first node alone.
    fn possible_replicas(&self, wanted: i16) -> i16 {
        let registered = self.image().brokers().count();
        let quorum = self.metadata.quorum.get();
        let is_member = quorum.voters.iter().any(|v| v.id == self.node_id);
        let members = if is_member { quorum.voters.len() } else { 0 };
        let most = i16::try_from(registered.max(members)).unwrap_or(i16::MAX);
        wanted.min(most).max(1)
    }

    /// The topic's configuration. The controller has checked the overrides; one that no longer
    /// holds (the node was configured anew) is named, and the topic falls back to the defaults.
    pub(crate) fn topic_config(&self, topic: &TopicImage) -> TopicConfig {
        let config = self.config();
        TopicConfig::resolve(&config, &topic.configs).unwrap_or_else(|error| {
            tracing::error!(topic = %topic.name, %error, "the topic's configuration is not valid");
            config.topic_defaults.clone()
        })
    }

    /// The most that one compressed batch may become while the broker looks into it: as much as a
    /// request may have.
    pub(crate) fn decompress_limit(&self) -> DecompressLimit {
        let max = self.config().broker.socket_request_max_bytes;
        DecompressLimit(usize::try_from(max).unwrap_or(0))
    }
}

/// No limits yet, measured over the windows that the node's properties say.
fn quotas_of(config: &NodeConfig) -> Quotas {
    let broker = &config.broker;
    Quotas::new(
        Window::new(broker.quota_window_num, broker.quota_window_size_seconds),
        Window::new(
            broker.controller_quota_window_num,
            broker.controller_quota_window_size_seconds,
        ),
    )
}

/// No bound yet, measured over the windows that the node's properties say.
fn throttle_of(me: BrokerId, config: &NodeConfig) -> Throttle {
    let broker = &config.broker;
    let window = Window::new(
        broker.replication_quota_window_num,
        broker.replication_quota_window_size_seconds,
    );
    let throttle = Throttle::new(me, window);
    throttle.set_limits(
        broker.leader_replication_throttled_rate,
        broker.follower_replication_throttled_rate,
    );
    throttle
}

fn telemetry(config: &NodeConfig) -> Telemetry {
    let broker = &config.broker;
    let count = |n: i32| usize::try_from(n).unwrap_or(0);
    Telemetry::new(
        count(broker.telemetry_max_bytes),
        count(broker.client_metrics_series_max),
    )
}

/// What the connections hand their requests to.
pub(crate) struct Door(pub(crate) Arc<Broker>);

impl Dispatch for Door {
    fn versions(&self, _peer: &Peer, api: ApiKey) -> Option<RangeInclusive<i16>> {
        handlers::served_range(api).filter(|_| handlers::is_offered(&self.0, api))
    }

    fn unsupported_api_versions(&self, _peer: &Peer, header: &RequestHeader) -> ottla_net::Reply {
        handlers::unsupported_api_versions(header.correlation_id)
    }

    async fn dispatch(&self, peer: &Arc<Peer>, incoming: Incoming) -> Outcome {
        let ctx = Ctx {
            broker: Arc::clone(&self.0),
            peer: Arc::clone(peer),
            version: incoming.header.request_api_version,
            client_id: incoming.header.client_id.clone().unwrap_or_default(),
            charge: quotas::charge(&self.0, peer, &incoming),
        };
        let charge = ctx.charge.clone();
        let handling = handlers::handle(ctx, incoming.header.correlation_id, incoming.body);
        match charge {
            None => handling.await,
            Some(charge) => charge.timed(pin!(handling)).await,
        }
    }
}
