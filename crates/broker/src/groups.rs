//! The driver of the group coordinators: each partition of `__consumer_offsets` has one pure
//! [`ottla_group::Coordinator`], owned by one task ([`shard`]); handlers ask it by mailbox.
//!
//! ```text
//! handler ──ask──▶ Groups ──mailbox──▶ shard task: Coordinator ──append──▶ __consumer_offsets-N
//!    ▲                                      │  ▲                                 │
//!    └──────────────── reply ───────────────┘  └────────── durable ──────────────┘
//! ```

mod cluster;
mod shard;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group::partition_for;
use ottla_group::{EndTransactionRequest, ListRequest, ListedGroup, Request, Response};
use ottla_metadata::{Command, CreateTopics, Reply};
use ottla_model::{CONSUMER_OFFSETS_TOPIC, ErrorCode, PartitionIndex, TopicId, TopicName};
use ottla_runtime::mailbox::{Caller, Pending};
use ottla_wire::Text;
use parking_lot::RwLock;

use crate::Broker;
use crate::partitions::Partition;

/// What a shard can be asked.
enum Ask {
    /// What a client wants of its group.
    Client(Request),
    /// These topics, with their ids, are gone; nobody waits for an answer.
    TopicsDeleted(Arc<[DeletedTopic]>),
}

/// The name and the id of a topic that was deleted.
pub(crate) type DeletedTopic = (Arc<str>, TopicId);

/// A shard, as the handlers see it.
#[derive(Clone)]
struct Shard {
    /// The topic's id: a topic that is deleted and made again has other shards.
    topic_id: TopicId,
    caller: Caller<Ask, Response>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its log is being replayed.
    Loading,
    /// It answers.
    Active,
    /// Its log cannot be replayed.
    Failed,
}

/// All group coordinators of this broker.
#[derive(Default)]
pub(crate) struct Groups {
    shards: RwLock<BTreeMap<i32, Shard>>,
}

/// An answer that may still be on its way.
pub(crate) enum Asked {
    Refused(ErrorCode),
    Waiting(Pending<Response>),
}

impl Asked {
    /// Waits for the answer.
    pub(crate) async fn wait(self) -> Result<Response, ErrorCode> {
        match self {
            Asked::Refused(code) => Err(code),
            Asked::Waiting(pending) => pending.wait().await.map_err(|_| ErrorCode::NotCoordinator),
        }
    }
}

impl Groups {
    /// Puts a request into its coordinator's mailbox, in the order of the calls.
    pub(crate) async fn ask(&self, broker: &Broker, group_id: &str, request: Request) -> Asked {
        let image = broker.image();
        let Some(topic) = image.topic(CONSUMER_OFFSETS_TOPIC) else {
            return Asked::Refused(ErrorCode::CoordinatorNotAvailable);
        };
        let partition = partition_for(group_id, topic.partition_count());
        let Some(shard) = self.shards.read().get(&partition).cloned() else {
            let local = broker.partitions.topic(topic.id);
            let is_here = local.is_some_and(|t| t.partition(partition).is_some());
            // Its log is still being recovered: it is here that the client will find its group.
            return Asked::Refused(if is_here {
                ErrorCode::CoordinatorLoadInProgress
            } else {
                ErrorCode::NotCoordinator
            });
        };
        match shard.state {
            State::Loading => Asked::Refused(ErrorCode::CoordinatorLoadInProgress),
            State::Failed => Asked::Refused(ErrorCode::CoordinatorNotAvailable),
            State::Active => match shard.caller.send(Ask::Client(request)).await {
                Ok(pending) => Asked::Waiting(pending),
                Err(_) => Asked::Refused(ErrorCode::NotCoordinator),
            },
        }
    }

    /// Ends a transaction in a partition of `__consumer_offsets`: the marker is durable, and the
    /// transaction's offsets are committed or forgotten, when this returns `Ok`.
    ///
    /// # Errors
    /// Those of the append, and `NOT_LEADER_OR_FOLLOWER` while the partition's groups cannot be
    /// had: the transaction coordinator tries again then.
    #[allow(dead_code, reason = "the transaction coordinator calls it")]
    pub(crate) async fn end_transaction(
        &self,
        partition: PartitionIndex,
        marker: EndTransactionRequest,
    ) -> Result<(), ErrorCode> {
        let shard = self.shards.read().get(&partition).cloned();
        let active = shard.filter(|shard| shard.state == State::Active);
        let caller = active.ok_or(ErrorCode::NotLeaderOrFollower)?.caller;
        let ask = Ask::Client(Request::EndTransaction(marker));
        match caller.call(ask).await {
            Ok(Response::EndTransaction(ErrorCode::None)) => Ok(()),
            Ok(Response::EndTransaction(ErrorCode::NotCoordinator)) | Err(_) => {
                Err(ErrorCode::NotLeaderOrFollower)
            }
            Ok(Response::EndTransaction(error)) => Err(error),
            Ok(_) => Err(ErrorCode::UnknownServerError),
        }
    }

    /// The groups of all shards. While a shard loads, the list is not whole, and says so.
    pub(crate) async fn list(
        &self,
        broker: &Broker,
        filter: ListRequest,
    ) -> (ErrorCode, Vec<ListedGroup>) {
        let shards: Vec<Shard> = self.shards.read().values().cloned().collect();
        let local = broker.partitions.topic_by_name(CONSUMER_OFFSETS_TOPIC);
        let here = local.map_or(0, |t| t.partitions.iter().flatten().count());
        let mut error = if shards.len() < here {
            ErrorCode::CoordinatorLoadInProgress
        } else {
            ErrorCode::None
        };
        let mut callers = Vec::with_capacity(shards.len());
        for shard in shards {
            match shard.state {
                State::Active => callers.push(shard.caller),
                State::Loading => error = ErrorCode::CoordinatorLoadInProgress,
                State::Failed => error = ErrorCode::CoordinatorNotAvailable,
            }
        }
        let asked = callers
            .iter()
            .map(|c| c.call(Ask::Client(Request::List(filter.clone()))));
        let mut groups = Vec::new();
        for answer in join_all(asked).await {
            if let Ok(Response::List(listed)) = answer {
                groups.extend(listed);
            }
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        (error, groups)
    }

    /// Makes the topic that holds the groups, if it is not there yet.
    pub(crate) async fn ensure_topic(&self, broker: &Arc<Broker>) -> Result<(), ErrorCode> {
        if broker.image().topic(CONSUMER_OFFSETS_TOPIC).is_some() {
            return Ok(());
        }
        let topics = vec![broker.automatic_topic(CONSUMER_OFFSETS_TOPIC)];
        let command = Command::CreateTopics(CreateTopics {
            topics,
            ..CreateTopics::default()
        });
        match broker.submit(command).await {
            Ok(Reply::CreateTopics(results)) => match results.into_iter().next() {
                Some(result) => match result.outcome {
                    Ok(_) => Ok(()),
                    Err(refusal) if refusal.code == ErrorCode::TopicAlreadyExists => Ok(()),
                    Err(refusal) => {
                        tracing::warn!(%refusal, "the topic for groups could not be created");
                        Err(ErrorCode::CoordinatorNotAvailable)
                    }
                },
                None => Err(ErrorCode::CoordinatorNotAvailable),
            },
            Ok(_) | Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }

    /// Starts the coordinator of a partition whose log is ready.
    pub(crate) fn start(&self, broker: &Arc<Broker>, partition: &Arc<Partition>) {
        let (caller, inbox) = shard::mailbox();
        let shard = Shard {
            topic_id: partition.topic_id,
            caller,
            state: State::Loading,
        };
        self.shards.write().insert(partition.index, shard);
        shard::spawn(broker, partition, inbox);
    }

    /// Stops the coordinators of a topic that is gone.
    pub(crate) fn stop_all(&self) {
        // Dropping the callers ends the tasks behind them.
        self.shards.write().clear();
    }

    /// Has every coordinator forget what is committed for topics that are gone. Those that still
    /// load do so when they are done.
    pub(crate) async fn topics_deleted(&self, topics: Vec<DeletedTopic>) {
        let topics: Arc<[DeletedTopic]> = topics.into();
        let callers: Vec<_> = self
            .shards
            .read()
            .values()
            .map(|s| s.caller.clone())
            .collect();
        for caller in callers {
            // A coordinator that is gone has nothing to forget.
            drop(caller.send(Ask::TopicsDeleted(Arc::clone(&topics))).await);
        }
    }

    /// Notes what became of a shard. `false` when its topic was deleted meanwhile.
    fn set_state(&self, partition: &Partition, state: State) -> bool {
        match self.shards.write().get_mut(&partition.index) {
            Some(shard) if shard.topic_id == partition.topic_id => {
                shard.state = state;
                true
            }
            _ => false,
        }
    }
}

/// Text of a request, detached from the frame that it came in.
pub(crate) fn shared(text: &Text) -> Arc<str> {
    Arc::from(&**text)
}

/// The same for an optional text.
pub(crate) fn shared_option(text: Option<&Text>) -> Option<Arc<str>> {
    text.map(shared)
}

/// Text for a response.
pub(crate) fn text(shared: &Arc<str>) -> Text {
    Text::from(&**shared)
}

/// The same for an optional text.
pub(crate) fn text_option(shared: Option<&Arc<str>>) -> Option<Text> {
    shared.map(text)
}

/// Whether a topic is the one whose partitions hold groups.
pub(crate) fn holds_groups(topic: &TopicName) -> bool {
    topic.as_str() == CONSUMER_OFFSETS_TOPIC
}
