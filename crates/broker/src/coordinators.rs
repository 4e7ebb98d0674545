//! What the drivers of the coordinators have in common: each partition of an internal topic has
//! one pure coordinator, owned by one task, its shard; handlers ask it by mailbox. It is on the
//! broker that leads the partition, for one term ([`Seat`]).
//!
//! ```text
//! handler ──ask──▶ Shards ──mailbox──▶ shard task: coordinator ──append──▶ the topic's partition
//!    ▲                                      │  ▲                                 │
//!    └──────────────── reply ───────────────┘  └────── on all replicas in sync ───┘
//! ```

mod seat;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::UpTo;
use ottla_metadata::{Command, CreateTopics, Image, Reply, TopicImage};
use ottla_model::{
    BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, coordinator_partition,
};
use ottla_record::{Batch, DecompressLimit, split_batches};
use ottla_runtime::mailbox::{Caller, Inbox, Pending, mailbox};
use ottla_wire::Chunks;
use parking_lot::RwLock;

use crate::Broker;
use crate::partitions::Partition;

pub(crate) use seat::{Seat, Unavailable};

/// Requests that may wait in a shard's mailbox; further ones hold up their connections.
const MAILBOX_LEN: usize = 1024;
/// Batches of internal topics are written by brokers; larger ones than this are not theirs.
pub(crate) const REPLAY_LIMIT: DecompressLimit = DecompressLimit(256 << 20);

/// The shards of one internal topic. `A` is what they are asked, `R` what they reply.
pub(crate) struct Shards<A, R> {
    topic: &'static str,
    shards: RwLock<BTreeMap<PartitionIndex, Shard<A, R>>>,
}

/// A shard, as those who ask see it.
struct Shard<A, R> {
    /// The topic's id: a topic that is deleted and made again has other shards.
    topic_id: TopicId,
    /// The term that it belongs to.
    leader_epoch: LeaderEpoch,
    caller: Caller<A, R>,
    state: State,
}

/// Whether a shard can be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its log is being replayed.
    Loading,
    /// It answers.
    Active,
    /// Its log cannot be replayed.
    Failed,
}

/// An answer that may still be on its way.
pub(crate) enum Asked<R> {
    Refused(ErrorCode),
    Waiting(Pending<R>),
}

impl<R> Asked<R> {
    /// Waits for the answer.
    pub(crate) async fn wait(self) -> Result<R, ErrorCode> {
        match self {
            Asked::Refused(code) => Err(code),
            Asked::Waiting(pending) => pending.wait().await.map_err(|_| ErrorCode::NotCoordinator),
        }
    }
}

impl<A, R> Shards<A, R> {
    /// No shard yet.
    pub(crate) fn new(topic: &'static str) -> Self {
        Shards {
            topic,
            shards: RwLock::default(),
        }
    }

    /// Puts a request into the mailbox of the key's coordinator, in the order of the calls.
    pub(crate) async fn ask(&self, broker: &Broker, key: &str, request: A) -> Asked<R> {
        match self.of_key(broker, key) {
            Err(code) => Asked::Refused(code),
            Ok(caller) => match caller.send(request).await {
                Ok(pending) => Asked::Waiting(pending),
                Err(_) => Asked::Refused(ErrorCode::NotCoordinator),
            },
        }
    }

    /// The shard of a key, if it answers.
    pub(crate) fn of_key(&self, broker: &Broker, key: &str) -> Result<Caller<A, R>, ErrorCode> {
        let image = broker.image();
        let topic = image
            .topic(self.topic)
            .ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let partition = coordinator_partition(key, topic.partition_count());
        if let Some(shard) = self.shards.read().get(&partition) {
            return match shard.state {
                State::Loading => Err(ErrorCode::CoordinatorLoadInProgress),
                State::Failed => Err(ErrorCode::CoordinatorNotAvailable),
                State::Active => Ok(shard.caller.clone()),
            };
        }
        // Its log is still being recovered: it is here that the client will find its coordinator.
        Err(if leads(broker, topic, partition) {
            ErrorCode::CoordinatorLoadInProgress
        } else {
            ErrorCode::NotCoordinator
        })
    }

    /// The broker that has the shard of a key.
    pub(crate) fn leader_of_key(&self, image: &Image, key: &str) -> Result<BrokerId, ErrorCode> {
        let topic = image.topic(self.topic);
        let leader = topic.and_then(|topic| {
            let partition = coordinator_partition(key, topic.partition_count());
            topic.partition(partition)?.leader
        });
        leader.ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    /// The shard of a partition, once it answers.
    pub(crate) fn of_partition(&self, partition: PartitionIndex) -> Option<Caller<A, R>> {
        let shards = self.shards.read();
        let shard = shards.get(&partition)?;
        (shard.state == State::Active).then(|| shard.caller.clone())
    }

    /// All shards, those that still load too.
    pub(crate) fn all(&self) -> Vec<Caller<A, R>> {
        let shards = self.shards.read();
        shards.values().map(|s| s.caller.clone()).collect()
    }

    /// The shards that answer, and an error that says when these are not all.
    pub(crate) fn active(&self, broker: &Broker) -> (ErrorCode, Vec<Caller<A, R>>) {
        let image = broker.image();
        let here = image.topic(self.topic).map_or(0, |topic| {
            let led = (0..topic.partition_count()).filter(|p| leads(broker, topic, *p));
            led.count()
        });
        let shards = self.shards.read();
        let mut error = if shards.len() < here {
            ErrorCode::CoordinatorLoadInProgress
        } else {
            ErrorCode::None
        };
        let mut callers = Vec::with_capacity(shards.len());
        for shard in shards.values() {
            match shard.state {
                State::Active => callers.push(shard.caller.clone()),
                State::Loading => error = ErrorCode::CoordinatorLoadInProgress,
                State::Failed => error = ErrorCode::CoordinatorNotAvailable,
            }
        }
        (error, callers)
    }

    /// Adds the shard of a term. Its task gets the requests. None when there is one of a later term
    /// already.
    pub(crate) fn add(&self, seat: &Seat) -> Option<Inbox<A, R>> {
        let topic_id = seat.partition.topic_id;
        let mut shards = self.shards.write();
        let is_stale = |shard: &Shard<A, R>| {
            shard.topic_id == topic_id && shard.leader_epoch >= seat.leader_epoch
        };
        if shards.get(&seat.partition.index).is_some_and(is_stale) {
            return None;
        }
        let (caller, inbox) = mailbox(MAILBOX_LEN);
        let shard = Shard {
            topic_id,
            leader_epoch: seat.leader_epoch,
            caller,
            state: State::Loading,
        };
        shards.insert(seat.partition.index, shard);
        Some(inbox)
    }

    /// Stops the coordinator of a partition that this broker does not lead any more.
    pub(crate) fn resign(&self, partition: &Partition) {
        // Dropping the caller ends the task behind it.
        self.shards.write().remove(&partition.index);
    }

    /// Stops the coordinators of a topic that is gone.
    pub(crate) fn stop_all(&self) {
        // Dropping the callers ends the tasks behind them.
        self.shards.write().clear();
    }

    /// Notes what became of a shard. `false` when it is not the partition's any more.
    pub(crate) fn set_state(&self, seat: &Seat, state: State) -> bool {
        let mut shards = self.shards.write();
        match shards.get_mut(&seat.partition.index) {
            Some(shard) if shard.is_of(seat) => {
                shard.state = state;
                true
            }
            _ => false,
        }
    }

    /// Takes a shard out whose task has ended; `false` when another one has its place.
    pub(crate) fn remove(&self, seat: &Seat) -> bool {
        let mut shards = self.shards.write();
        let is_there = |shard: &Shard<A, R>| shard.is_of(seat);
        let is_there = shards.get(&seat.partition.index).is_some_and(is_there);
        is_there && shards.remove(&seat.partition.index).is_some()
    }
}

impl<A, R> Shard<A, R> {
    fn is_of(&self, seat: &Seat) -> bool {
        self.topic_id == seat.partition.topic_id && self.leader_epoch == seat.leader_epoch
    }
}

/// Whether this broker leads a partition, as far as it knows.
fn leads(broker: &Broker, topic: &TopicImage, partition: PartitionIndex) -> bool {
    let partition = topic.partition(partition);
    partition.is_some_and(|p| p.leader == Some(broker.node_id))
}

/// Makes an internal topic, if it is not there yet.
pub(crate) async fn ensure_topic(broker: &Arc<Broker>, name: &str) -> Result<(), ErrorCode> {
    if broker.image().topic(name).is_some() {
        return Ok(());
    }
    let command = Command::CreateTopics(CreateTopics {
        topics: vec![broker.automatic_topic(name)],
        ..CreateTopics::default()
    });
    match broker.submit(command).await {
        Ok(Reply::CreateTopics(results)) => match results.into_iter().next() {
            Some(result) => match result.outcome {
                Ok(_) => Ok(()),
                Err(refusal) if refusal.code == ErrorCode::TopicAlreadyExists => Ok(()),
                Err(refusal) => {
                    tracing::warn!(topic = name, %refusal, "an internal topic could not be created");
                    Err(ErrorCode::CoordinatorNotAvailable)
                }
            },
            None => Err(ErrorCode::CoordinatorNotAvailable),
        },
        Ok(_) | Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// Replays a shard's history, and waits until all of it is committed. `apply` gets every batch and
/// what it makes of them, on a thread where it may block.
pub(crate) async fn load<S: Send + 'static>(
    broker: &Broker,
    seat: &Seat,
    chunk_bytes: usize,
    state: S,
    apply: impl FnMut(&Batch, &mut S) -> Result<(), String> + Send + 'static,
) -> Result<S, Unavailable> {
    let (log, end) = seat.history().await?;
    let replaying = Replay {
        seat: seat.clone(),
        chunk_bytes,
        end,
    };
    let tasks = &broker.runtime.tasks;
    let replayed = tasks.blocking(move || replaying.run(state, apply)).await?;
    seat.committed(&log, end).await?;
    Ok(replayed)
}

struct Replay {
    seat: Seat,
    chunk_bytes: usize,
    end: Offset,
}

impl Replay {
    /// Hands out every batch of the log, from its start to the end. Blocks.
    fn run<S>(
        self,
        mut state: S,
        mut apply: impl FnMut(&Batch, &mut S) -> Result<(), String>,
    ) -> Result<S, Unavailable> {
        let failed = |reason: String| Unavailable::Failed(reason);
        let log = self.seat.partition.log().ok_or(Unavailable::Ended)?;
        let (mut offset, end) = (log.log_start_offset(), self.end);
        while offset < end {
            if !self.seat.is_held() {
                return Err(Unavailable::Ended);
            }
            let read = log
                .read_blocking(offset, self.chunk_bytes, true, UpTo::LogEnd)
                .map_err(|e| failed(e.to_string()))?;
            let before = offset;
            // From memory a batch comes in pieces.
            let bytes = Chunks::from(read.chunks).into_contiguous();
            for batch in split_batches(bytes) {
                let batch = batch.map_err(|e| failed(format!("at offset {offset}: {e}")))?;
                offset = batch.header().last_offset() + 1;
                apply(&batch, &mut state).map_err(|e| {
                    let base = batch.header().base_offset;
                    failed(format!("in the batch at offset {base}: {e}"))
                })?;
            }
            if offset == before {
                return Err(failed(format!(
                    "nothing is left to read at offset {offset}, before {end}"
                )));
            }
        }
        Ok(state)
    }
}
