//! One partition of `__consumer_offsets` and the coordinator that lives in it.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use ottla_config::NodeConfig;
use ottla_group::{AppendId, Coordinator, Effect, EndTransactionRequest, KeyValue, Notice};
use ottla_group::{Options, Producer, Request, Response, Token};
use ottla_log::{Append, TransactionMarker, VerificationGuard};
use ottla_metadata::Image;
use ottla_model::ErrorCode;
use ottla_record::{Batch, BatchBuilder, BatchOptions, ControlType};
use ottla_runtime::mailbox::{Inbox, Responder};
use ottla_runtime::{Shutdown, TaskKind};

use super::Ask;
use super::cluster::{ClusterView, consumer_options};
use crate::Broker;
use crate::coordinators::{self, REPLAY_LIMIT, Seat, State, Unavailable};

/// How much of the log is read at once while it is replayed.
const REPLAY_CHUNK_BYTES: usize = 1 << 20;
/// How long the end waits for appends that are on their way.
const LINGER: Duration = Duration::from_secs(5);

/// By how much the time of day has to step for somebody to have set the clock.
const STEP_MS: i64 = 500;

/// Starts the task: it replays the log and then answers, as long as the term goes on.
pub(super) fn spawn(broker: &Arc<Broker>, seat: Seat, inbox: Inbox<Ask, Response>) {
    let broker = Arc::clone(broker);
    let shutdown = broker.runtime.shutdown().clone();
    let tasks = broker.runtime.tasks.clone();
    tasks.spawn(TaskKind::Service, "group coordinator", async move {
        match Shard::load(&broker, &seat, inbox).await {
            Ok(shard) => shard.run(shutdown).await,
            Err(Unavailable::Ended) => {}
            // The other groups and all partitions can do without it.
            Err(Unavailable::Failed(error)) => {
                if broker.groups.shards.set_state(&seat, State::Failed) {
                    tracing::error!(
                        partition = %seat.name(),
                        leader_epoch = seat.leader_epoch,
                        %error,
                        "the groups of this partition cannot be loaded; they stay unavailable here"
                    );
                }
                seat.ended().await;
            }
        }
        broker.groups.shards.remove(&seat);
        Ok::<(), String>(())
    });
}

struct Shard {
    broker: Arc<Broker>,
    seat: Seat,
    coordinator: Coordinator,
    inbox: Inbox<Ask, Response>,
    /// What the coordinator knows of the cluster.
    image: Arc<Image>,
    /// How far the time of day is ahead of the monotonic clock.
    ahead_ms: i64,
    waiting: HashMap<Token, Responder<Response>>,
    next_token: Token,
    /// The proofs for appends of transactions that are decided and not handed to the log yet.
    guards: HashMap<AppendId, VerificationGuard>,
    appends: FuturesOrdered<BoxFuture<'static, (AppendId, Result<(), ErrorCode>)>>,
}

impl Shard {
    /// Rebuilds the coordinator's state from the log.
    async fn load(
        broker: &Arc<Broker>,
        seat: &Seat,
        inbox: Inbox<Ask, Response>,
    ) -> Result<Self, Unavailable> {
        let coordinator = Coordinator::new(options(&broker.config()));
        let loading = coordinators::load(broker, seat, REPLAY_CHUNK_BYTES, coordinator, replay);
        let coordinator = loading.await?;
        let broker = Arc::clone(broker);
        let image = broker.image();
        let clock = &broker.runtime.clock;
        let ahead_ms = clock.now_ms() - clock.monotonic_ms();
        let mut shard = Shard {
            broker,
            seat: seat.clone(),
            coordinator,
            inbox,
            image,
            ahead_ms,
            waiting: HashMap::new(),
            next_token: 0,
            guards: HashMap::new(),
            appends: FuturesOrdered::new(),
        };
        let cluster = ClusterView(Arc::clone(&shard.image));
        shard.coordinator.set_cluster(Arc::new(cluster));
        let now_ms = shard.now_ms();
        let effects = shard.coordinator.loaded(now_ms);
        shard.carry_out(effects);
        let shards = &shard.broker.groups.shards;
        shards.set_state(&shard.seat, State::Active);
        Ok(shard)
    }

    /// The time of day. When somebody has set the clock, what runs goes on running.
    fn now_ms(&mut self) -> i64 {
        let clock = &self.broker.runtime.clock;
        let now_ms = clock.now_ms();
        let ahead_ms = now_ms - clock.monotonic_ms();
        let by_ms = ahead_ms - self.ahead_ms;
        // A clock that is only slewed is not worth it, but its small steps must not add up.
        if by_ms.abs() >= STEP_MS {
            self.ahead_ms = ahead_ms;
            self.coordinator.clock_stepped(by_ms);
        }
        now_ms
    }

    async fn run(mut self, shutdown: Shutdown) {
        let clock = self.broker.runtime.clock.clone();
        let mut ended = pin!(self.seat.ended());
        loop {
            let now_ms = self.now_ms();
            let wait_ms = self
                .coordinator
                .next_deadline_ms()
                .map(|at| (at - now_ms).max(0));
            let deadline = async {
                match wait_ms {
                    Some(ms) => clock.sleep(Duration::from_millis(ms.unsigned_abs())).await,
                    None => std::future::pending().await,
                }
            };
            let effects = tokio::select! {
                // In a fixed order, so that a simulation can be repeated; new work comes last, so
                // that it cannot keep what is due from its turn.
                biased;
                () = shutdown.announced() => break,
                // Before what comes from the log: of that another coordinator speaks now.
                () = &mut ended => break,
                Some((id, outcome)) = self.appends.next() => {
                    self.follow();
                    let now_ms = self.now_ms();
                    self.coordinator.appended(now_ms, id, outcome)
                }
                () = deadline => {
                    self.follow();
                    let now_ms = self.now_ms();
                    self.coordinator.tick(now_ms)
                }
                request = self.inbox.recv() => match request {
                    Some((request, responder)) => self.ask(request, responder),
                    // Nobody can ask any more: this broker has resigned, or the topic is gone.
                    None => break,
                },
            };
            self.carry_out(effects);
        }
        self.finish(&clock).await;
    }

    /// What is on its way to the disk is still answered; everyone else is told to look elsewhere.
    async fn finish(mut self, clock: &ottla_runtime::Clock) {
        let drain = async {
            while let Some((id, outcome)) = self.appends.next().await {
                let now_ms = self.now_ms();
                let effects = self.coordinator.appended(now_ms, id, outcome);
                self.answer_only(effects);
            }
        };
        clock.timeout(LINGER, drain).await;
        let effects = self.coordinator.unloaded();
        self.answer_only(effects);
    }

    /// Sends replies, and begins nothing new.
    fn answer_only(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Reply { token, response } = effect
                && let Some(responder) = self.waiting.remove(&token)
            {
                responder.send(response);
            }
        }
    }

    /// Shows the coordinator the newest image.
    fn follow(&mut self) {
        let image = self.broker.image();
        if !Arc::ptr_eq(&image, &self.image) {
            self.image = Arc::clone(&image);
            self.coordinator.set_cluster(Arc::new(ClusterView(image)));
        }
    }

    fn ask(&mut self, ask: Ask, responder: Responder<Response>) -> Vec<Effect> {
        let (request, guard) = match ask {
            Ask::Client(request) => (request, None),
            Ask::InTransaction(commit, guard) => (Request::TxnOffsetCommit(commit), guard),
            Ask::TopicsDeleted(topics) => {
                let now_ms = self.now_ms();
                return self.coordinator.topics_deleted(now_ms, &topics);
            }
        };
        self.follow();
        let token = self.next_token;
        self.next_token += 1;
        self.waiting.insert(token, responder);
        let now_ms = self.now_ms();
        let random = self.broker.runtime.random.bytes16();
        let effects = self.coordinator.handle(now_ms, token, request, random);
        // Its records, if the coordinator takes it, are among the effects, and no one else's.
        for effect in &effects {
            if let (Effect::Append { append_id, .. }, Some(guard)) = (effect, guard) {
                self.guards.insert(*append_id, guard);
            }
        }
        effects
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { token, response } => match self.waiting.remove(&token) {
                    Some(responder) => responder.send(response),
                    None => ottla_runtime::fail_stop(format!(
                        "the group coordinator answered request {token} twice"
                    )),
                },
                Effect::Append {
                    append_id,
                    records,
                    producer,
                } => {
                    let guard = self.guards.remove(&append_id);
                    self.append_records(append_id, &records, producer, guard);
                }
                Effect::AppendMarker { append_id, marker } => {
                    self.append_marker(append_id, marker);
                }
                Effect::Notice(notice) => self.tell(&notice),
            }
        }
    }

    fn append_records(
        &mut self,
        id: AppendId,
        records: &[KeyValue],
        producer: Option<Producer>,
        guard: Option<VerificationGuard>,
    ) {
        let now_ms = self.now_ms();
        let batch = match build(records, producer, now_ms) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "records of a group do not fit into a batch");
                let refused = async move { (id, Err(ErrorCode::RecordListTooLarge)) };
                self.appends.push_back(Box::pin(refused));
                return;
            }
        };
        let append = Append::from_coordinator(vec![batch], self.seat.leader_epoch);
        self.append(id, Append { guard, ..append });
    }

    fn append_marker(&mut self, id: AppendId, marker: EndTransactionRequest) {
        let marker = TransactionMarker {
            producer_id: marker.producer.id,
            producer_epoch: marker.producer.epoch,
            coordinator_epoch: marker.coordinator_epoch,
            commit: marker.commit,
            transaction_version: marker.transaction_version,
        };
        let leader_epoch = self.seat.leader_epoch;
        self.append(id, Append::transaction_marker(marker, leader_epoch));
    }

    fn append(&mut self, id: AppendId, append: Append) {
        let appending = self.seat.append(append);
        self.appends
            .push_back(Box::pin(async move { (id, appending.await) }));
    }

    fn tell(&self, notice: &Notice) {
        match notice {
            Notice::Rebalancing {
                group_id,
                generation_id,
                reason,
            } => {
                self.broker.probe.count_rebalance();
                tracing::info!(group = %group_id, generation = generation_id, %reason, "rebalancing");
            }
            Notice::AppendFailed { group_id, error } => {
                let group = group_id.as_deref().unwrap_or("(the end of a transaction)");
                tracing::error!(%group, %error, "a group's change could not be stored");
            }
            other => tracing::debug!(?other, "group"),
        }
    }
}

/// One batch of records. Those of a transaction have a producer, but no sequence.
fn build(
    records: &[KeyValue],
    producer: Option<Producer>,
    now_ms: i64,
) -> Result<Batch, ottla_record::Error> {
    let mut options = BatchOptions::default();
    if let Some(producer) = producer {
        options.transactional = true;
        options.producer_id = producer.id;
        options.producer_epoch = producer.epoch;
    }
    let mut builder = BatchBuilder::new(options);
    for (key, value) in records {
        builder.append(now_ms, Some(key), value.as_deref(), &[])?;
    }
    builder.build_batch()
}

/// Applies every record of a batch.
fn replay(batch: &Batch, coordinator: &mut Coordinator) -> Result<(), String> {
    let header = batch.header();
    if header.attributes.is_control() {
        // Compaction may have left nothing of it but its header.
        if header.record_count > 0 {
            let record = batch.control_record(REPLAY_LIMIT);
            let (kind, _) = record.map_err(|e| e.to_string())?;
            if matches!(kind, ControlType::Commit | ControlType::Abort) {
                coordinator.apply_marker(header.producer_id, kind == ControlType::Commit);
            }
        }
        return Ok(());
    }
    let producer_id = Some(header.producer_id).filter(|_| header.attributes.is_transactional());
    let records = batch.records(REPLAY_LIMIT);
    for record in records.map_err(|e| e.to_string())? {
        let record = record.map_err(|e| e.to_string())?;
        let key = record.key.unwrap_or_default();
        coordinator
            .apply(producer_id, &key, record.value.as_deref())
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn options(config: &NodeConfig) -> Options {
    let broker = &config.broker;
    let defaults = Options::default();
    Options {
        session_timeout_ms_min: broker.group_min_session_timeout_ms,
        session_timeout_ms_max: broker.group_max_session_timeout_ms,
        initial_rebalance_delay_ms: broker.group_initial_rebalance_delay_ms,
        group_size_max: usize::try_from(broker.group_max_size).unwrap_or(usize::MAX),
        offset_metadata_len_max: usize::try_from(broker.offset_metadata_max_bytes).unwrap_or(0),
        offsets_retention_ms: i64::from(broker.offsets_retention_minutes) * 60_000,
        offsets_retention_check_interval_ms: broker.offsets_retention_check_interval_ms,
        consumer: consumer_options(config),
        ..defaults
    }
}
