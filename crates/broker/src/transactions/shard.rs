//! One partition of `__transaction_state` and the coordinator that lives in it.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use ottla_config::NodeConfig;
use ottla_log::Append;
use ottla_model::{ErrorCode, ProducerId, TopicPartition};
use ottla_record::{Batch, BatchBuilder, BatchOptions};
use ottla_runtime::mailbox::{Inbox, Responder};
use ottla_runtime::{Shutdown, TaskKind};
use ottla_txn::{AppendId, Coordinator, Effect, KeyValue, MarkerOutcome, Markers, MarkingId};
use ottla_txn::{Notice, Options, Request, Response, Token};

use super::{Open, markers};
use crate::Broker;
use crate::coordinators::{self, REPLAY_LIMIT, Seat, State, Unavailable};

/// How long the end waits for appends that are on their way.
const LINGER: Duration = Duration::from_secs(5);

/// Starts the task: it replays the log and then answers, as long as the term goes on.
pub(super) fn spawn(broker: &Arc<Broker>, seat: Seat, inbox: Inbox<Request, Response>) {
    let broker = Arc::clone(broker);
    let shutdown = broker.runtime.shutdown().clone();
    let tasks = broker.runtime.tasks.clone();
    tasks.spawn(TaskKind::Service, "transaction coordinator", async move {
        match Shard::load(&broker, &seat, inbox).await {
            Ok(shard) => shard.run(shutdown).await,
            Err(Unavailable::Ended) => {}
            // The other transactions and all partitions can do without it.
            Err(Unavailable::Failed(error)) => {
                if broker.transactions.shards.set_state(&seat, State::Failed) {
                    tracing::error!(
                        partition = %seat.name(),
                        leader_epoch = seat.leader_epoch,
                        %error,
                        "the transactions of this partition cannot be loaded; they stay unavailable \
                         here"
                    );
                }
                seat.ended().await;
            }
        }
        broker.transactions.ended(&seat);
        Ok::<(), String>(())
    });
}

/// What became of one round of markers.
type Marked = (Arc<str>, MarkingId, Vec<(TopicPartition, MarkerOutcome)>);

struct Shard {
    broker: Arc<Broker>,
    seat: Seat,
    coordinator: Coordinator,
    inbox: Inbox<Request, Response>,
    waiting: HashMap<Token, Responder<Response>>,
    next_token: Token,
    appends: FuturesOrdered<BoxFuture<'static, (AppendId, Result<(), ErrorCode>)>>,
    markings: FuturesUnordered<BoxFuture<'static, Marked>>,
    allocations: FuturesOrdered<BoxFuture<'static, Result<ProducerId, ErrorCode>>>,
    /// What was last said of the open transactions.
    open: Open,
}

impl Shard {
    /// Rebuilds the coordinator's state from the log.
    async fn load(
        broker: &Arc<Broker>,
        seat: &Seat,
        inbox: Inbox<Request, Response>,
    ) -> Result<Self, Unavailable> {
        let config = broker.config();
        let coordinator = Coordinator::new(options(&config));
        let chunk = config.broker.transaction_state_log_load_buffer_size;
        let chunk_bytes = usize::try_from(chunk).unwrap_or(0);
        let loading = coordinators::load(broker, seat, chunk_bytes, coordinator, replay);
        let mut shard = Shard {
            coordinator: loading.await?,
            broker: Arc::clone(broker),
            seat: seat.clone(),
            inbox,
            waiting: HashMap::new(),
            next_token: 0,
            appends: FuturesOrdered::new(),
            markings: FuturesUnordered::new(),
            allocations: FuturesOrdered::new(),
            open: Open::default(),
        };
        let now_ms = shard.now_ms();
        let effects = shard.coordinator.loaded(now_ms);
        shard.carry_out(effects);
        let shards = &shard.broker.transactions.shards;
        shards.set_state(&shard.seat, State::Active);
        Ok(shard)
    }

    fn now_ms(&self) -> i64 {
        self.broker.runtime.clock.now_ms()
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
                    let now_ms = self.now_ms();
                    self.coordinator.appended(now_ms, id, outcome)
                }
                Some((transactional_id, id, outcomes)) = self.markings.next() => {
                    let now_ms = self.now_ms();
                    self.coordinator.marked(now_ms, &transactional_id, id, outcomes)
                }
                Some(outcome) = self.allocations.next() => {
                    let now_ms = self.now_ms();
                    self.coordinator.producer_id_allocated(now_ms, outcome)
                }
                () = deadline => {
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
    /// Markers go on with the next coordinator.
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

    fn ask(&mut self, request: Request, responder: Responder<Response>) -> Vec<Effect> {
        let token = self.next_token;
        self.next_token += 1;
        self.waiting.insert(token, responder);
        let now_ms = self.now_ms();
        self.coordinator.handle(now_ms, token, request)
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { token, response } => match self.waiting.remove(&token) {
                    Some(responder) => responder.send(response),
                    None => ottla_runtime::fail_stop(format!(
                        "the transaction coordinator answered request {token} twice"
                    )),
                },
                Effect::Append { append_id, records } => self.append(append_id, &records),
                Effect::WriteMarkers(markers) => self.mark(markers),
                Effect::AllocateProducerId => {
                    let broker = Arc::clone(&self.broker);
                    let next = async move { broker.producer_ids.next(&broker).await };
                    self.allocations.push_back(Box::pin(next));
                }
                Effect::Notice(notice) => tell(&notice),
            }
        }
        self.show_open();
    }

    fn append(&mut self, id: AppendId, records: &[KeyValue]) {
        let batch = match build(records, self.now_ms()) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "records of a transaction do not fit into a batch");
                let refused = async move { (id, Err(ErrorCode::RecordListTooLarge)) };
                self.appends.push_back(Box::pin(refused));
                return;
            }
        };
        let append = Append::from_coordinator(vec![batch], self.seat.leader_epoch);
        let appending = self.seat.append(append);
        self.appends
            .push_back(Box::pin(async move { (id, appending.await) }));
    }

    fn mark(&self, markers: Markers) {
        let (broker, epoch) = (Arc::clone(&self.broker), self.seat.leader_epoch);
        self.markings.push(Box::pin(async move {
            let (id, transactional_id) = (markers.marking_id, markers.transactional_id.clone());
            let outcomes = markers::write_all(broker, markers, epoch).await;
            (transactional_id, id, outcomes)
        }));
    }

    /// Lets metrics know, when something has changed.
    fn show_open(&mut self) {
        let open = Open {
            transactions: self.coordinator.open_transactions(),
            oldest_start_ms: self.coordinator.oldest_open_start_ms(),
        };
        if open != self.open {
            self.open = open;
            self.broker.transactions.set_open(&self.seat, open);
        }
    }
}

fn tell(notice: &Notice) {
    match notice {
        Notice::TimedOut {
            transactional_id,
            open_ms,
        } => {
            tracing::info!(%transactional_id, open_ms, "aborting a transaction that is open for too long");
        }
        Notice::MarkerFailed {
            transactional_id,
            partition,
            error,
        } => {
            tracing::warn!(%transactional_id, %partition, %error, "a transaction's end could not be written; it is tried again");
        }
        Notice::MarkerSkipped {
            transactional_id,
            partition,
            reason,
        } => {
            tracing::info!(%transactional_id, %partition, reason, "a transaction's end was not written");
        }
        Notice::AppendFailed {
            transactional_id,
            error,
        } => {
            tracing::error!(%transactional_id, %error, "a transaction's change could not be stored");
        }
        other => tracing::debug!(?other, "transaction"),
    }
}

fn build(records: &[KeyValue], now_ms: i64) -> Result<Batch, ottla_record::Error> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for (key, value) in records {
        builder.append(now_ms, Some(key), value.as_deref(), &[])?;
    }
    builder.build_batch()
}

/// Applies every record of a batch.
fn replay(batch: &Batch, coordinator: &mut Coordinator) -> Result<(), String> {
    if batch.header().attributes.is_control() {
        return Ok(());
    }
    for record in batch.records(REPLAY_LIMIT).map_err(|e| e.to_string())? {
        let record = record.map_err(|e| e.to_string())?;
        let key = record.key.unwrap_or_default();
        coordinator
            .apply(&key, record.value.as_deref())
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn options(config: &NodeConfig) -> Options {
    let broker = &config.broker;
    Options {
        transaction_timeout_ms_max: broker.transaction_max_timeout_ms,
        transactional_id_expiration_ms: broker.transactional_id_expiration_ms.into(),
        abort_timed_out_interval_ms: broker.transaction_abort_timed_out_interval_ms.into(),
        remove_expired_interval_ms: broker.transaction_remove_expired_interval_ms.into(),
        ..Options::default()
    }
}
