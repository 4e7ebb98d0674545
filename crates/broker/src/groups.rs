//! The driver of the group coordinators: each partition of `__consumer_offsets` has one pure
//! [`ottla_group::Coordinator`], owned by one task ([`shard`]); handlers ask it by mailbox.
//!
//! ```text
//! handler ──ask──▶ Groups ──mailbox──▶ shard task: Coordinator ──append──▶ __consumer_offsets-N
//!    ▲                                      │  ▲                                 │
//!    └──────────────── reply ───────────────┘  └────────── durable ──────────────┘
//! ```

mod shard;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group::{ListRequest, ListedGroup, Request, Response, partition_for};
use ottla_metadata::{Command, CreateTopics, Reply};
use ottla_model::{CONSUMER_OFFSETS_TOPIC, ErrorCode, TopicName};
use ottla_runtime::mailbox::{Caller, Pending};
use ottla_wire::Text;
use parking_lot::RwLock;

use crate::Broker;
use crate::partitions::Partition;

/// A shard, as the handlers see it.
#[derive(Clone)]
enum Shard {
    /// Its log is being replayed.
    Loading,
    /// It answers.
    Active(Caller<Request, Response>),
}

/// All group coordinators of this broker.
#[derive(Default)]
pub(crate) struct Groups {
    shards: RwLock<HashMap<i32, Shard>>,
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
        let shard = self.shards.read().get(&partition).cloned();
        match shard {
            None => Asked::Refused(ErrorCode::NotCoordinator),
            Some(Shard::Loading) => Asked::Refused(ErrorCode::CoordinatorLoadInProgress),
            Some(Shard::Active(caller)) => match caller.send(request).await {
                Ok(pending) => Asked::Waiting(pending),
                Err(_) => Asked::Refused(ErrorCode::NotCoordinator),
            },
        }
    }

    /// The groups of all shards. While a shard loads, the list is not whole, and says so.
    pub(crate) async fn list(&self, filter: ListRequest) -> (ErrorCode, Vec<ListedGroup>) {
        let shards: Vec<Shard> = self.shards.read().values().cloned().collect();
        let mut error = ErrorCode::None;
        let mut callers = Vec::with_capacity(shards.len());
        for shard in shards {
            match shard {
                Shard::Loading => error = ErrorCode::CoordinatorLoadInProgress,
                Shard::Active(caller) => callers.push(caller),
            }
        }
        let asked = callers.iter().map(|c| c.call(Request::List(filter.clone())));
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
        let command = Command::CreateTopics(CreateTopics { topics, validate_only: false });
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
        self.shards.write().insert(partition.index, Shard::Loading);
        shard::spawn(broker, partition);
    }

    /// Stops the coordinators of a topic that is gone.
    pub(crate) fn stop_all(&self) {
        // Dropping the callers ends the tasks behind them.
        self.shards.write().clear();
    }

    fn activate(&self, partition: i32, caller: Caller<Request, Response>) {
        if let Some(shard) = self.shards.write().get_mut(&partition) {
            *shard = Shard::Active(caller);
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
