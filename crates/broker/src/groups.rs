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

use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group::{EndTransactionRequest, ListRequest, ListedGroup, Request, Response};
use ottla_model::{CONSUMER_OFFSETS_TOPIC, ErrorCode, PartitionIndex, TopicId, TopicName};
use ottla_wire::Text;

use crate::Broker;
use crate::coordinators::{self, Asked, Shards};
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

/// All group coordinators of this broker.
pub(crate) struct Groups {
    shards: Shards<Ask, Response>,
}

impl Default for Groups {
    fn default() -> Self {
        Groups {
            shards: Shards::new(CONSUMER_OFFSETS_TOPIC),
        }
    }
}

impl Groups {
    /// Puts a request into its coordinator's mailbox, in the order of the calls.
    pub(crate) async fn ask(
        &self,
        broker: &Broker,
        group_id: &str,
        request: Request,
    ) -> Asked<Response> {
        self.shards
            .ask(broker, group_id, Ask::Client(request))
            .await
    }

    /// Ends a transaction in a partition of `__consumer_offsets`: the marker is durable, and the
    /// transaction's offsets are committed or forgotten, when this returns `Ok`.
    ///
    /// # Errors
    /// Those of the append, and `NOT_LEADER_OR_FOLLOWER` while the partition's groups cannot be
    /// had: the transaction coordinator tries again then.
    pub(crate) async fn end_transaction(
        &self,
        partition: PartitionIndex,
        marker: EndTransactionRequest,
    ) -> Result<(), ErrorCode> {
        let shard = self.shards.of_partition(partition);
        let caller = shard.ok_or(ErrorCode::NotLeaderOrFollower)?;
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
        let (error, callers) = self.shards.active(broker);
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
        coordinators::ensure_topic(broker, CONSUMER_OFFSETS_TOPIC).await
    }

    /// Starts the coordinator of a partition whose log is ready.
    pub(crate) fn start(&self, broker: &Arc<Broker>, partition: &Arc<Partition>) {
        shard::spawn(broker, partition, self.shards.add(partition));
    }

    /// Stops the coordinators of a topic that is gone.
    pub(crate) fn stop_all(&self) {
        self.shards.stop_all();
    }

    /// Has every coordinator forget what is committed for topics that are gone. Those that still
    /// load do so when they are done.
    pub(crate) async fn topics_deleted(&self, topics: Vec<DeletedTopic>) {
        let topics: Arc<[DeletedTopic]> = topics.into();
        for caller in self.shards.all() {
            // A coordinator that is gone has nothing to forget.
            drop(caller.send(Ask::TopicsDeleted(Arc::clone(&topics))).await);
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
