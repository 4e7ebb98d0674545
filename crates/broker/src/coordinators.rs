//! What the drivers of the coordinators have in common: each partition of an internal topic has
//! one pure coordinator, owned by one task, its shard; handlers ask it by mailbox.
//!
//! ```text
//! handler ──ask──▶ Shards ──mailbox──▶ shard task: coordinator ──append──▶ the topic's partition
//!    ▲                                      │  ▲                                 │
//!    └──────────────── reply ───────────────┘  └────────── durable ──────────────┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::{Log, UpTo};
use ottla_metadata::{Command, CreateTopics, Reply};
use ottla_model::{ErrorCode, PartitionIndex, TopicId, coordinator_partition};
use ottla_record::{Batch, DecompressLimit, split_batches};
use ottla_runtime::mailbox::{Caller, Inbox, Pending, mailbox};
use parking_lot::RwLock;

use crate::Broker;
use crate::partitions::Partition;

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
        let local = broker.partitions.topic(topic.id);
        let is_here = local.is_some_and(|t| t.partition(partition).is_some());
        // Its log is still being recovered: it is here that the client will find its coordinator.
        Err(if is_here {
            ErrorCode::CoordinatorLoadInProgress
        } else {
            ErrorCode::NotCoordinator
        })
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
        let local = broker.partitions.topic_by_name(self.topic);
        let here = local.map_or(0, |t| t.partitions.iter().flatten().count());
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

    /// Adds the shard of a partition whose log is ready. Its task gets the requests.
    pub(crate) fn add(&self, partition: &Partition) -> Inbox<A, R> {
        let (caller, inbox) = mailbox(MAILBOX_LEN);
        let shard = Shard {
            topic_id: partition.topic_id,
            caller,
            state: State::Loading,
        };
        self.shards.write().insert(partition.index, shard);
        inbox
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

    /// Notes what became of a shard. `false` when its topic was deleted meanwhile.
    pub(crate) fn set_state(&self, partition: &Partition, state: State) -> bool {
        match self.shards.write().get_mut(&partition.index) {
            Some(shard) if shard.topic_id == partition.topic_id => {
                shard.state = state;
                true
            }
            _ => false,
        }
    }
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

/// Hands out every batch of the log, from its start to its end. Blocks.
pub(crate) fn replay(
    log: &Log,
    chunk_bytes: usize,
    mut apply: impl FnMut(&Batch) -> Result<(), String>,
) -> Result<(), String> {
    let mut offset = log.log_start_offset();
    let end = log.high_watermark();
    while offset < end {
        let read = log
            .read_blocking(offset, chunk_bytes, true, UpTo::HighWatermark)
            .map_err(|e| e.to_string())?;
        let before = offset;
        for chunk in read.chunks {
            for batch in split_batches(chunk) {
                let batch = batch.map_err(|e| format!("at offset {offset}: {e}"))?;
                offset = batch.header().last_offset() + 1;
                apply(&batch).map_err(|e| {
                    format!("in the batch at offset {}: {e}", batch.header().base_offset)
                })?;
            }
        }
        if offset == before {
            return Err(format!(
                "nothing is left to read at offset {offset}, before {end}"
            ));
        }
    }
    Ok(())
}
