//! The driver of the group coordinators: each partition of `__consumer_offsets` has one pure
//! [`ottla_group::Coordinator`], owned by one task ([`shard`]); handlers ask it by mailbox.
//!
//! ```text
//! handler ──ask──▶ Groups ──mailbox──▶ shard task: Coordinator ──append──▶ __consumer_offsets-N
//!    ▲                                      │  ▲                                 │
//!    └──────────────── reply ───────────────┘  └────── on all replicas in sync ───┘
//! ```

mod cluster;
mod shard;

use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group::{EndTransactionRequest, ListRequest, ListedGroup, OffsetCommitResponse};
use ottla_group::{Request, Response, TxnOffsetCommitRequest};
use ottla_log::{Log, Verification, VerificationGuard};
use ottla_metadata::Image;
use ottla_model::{
    BrokerId, CONSUMER_OFFSETS_TOPIC, ErrorCode, LeaderEpoch, NO_SEQUENCE, PartitionIndex, TopicId,
};
use ottla_model::{TopicName, coordinator_partition};
use ottla_txn::ProducerIdAndEpoch;
use ottla_wire::Text;

use crate::Broker;
use crate::coordinators::{self, Asked, Seat, Shards};
use crate::errors;
use crate::partitions::{self, Partition};
use crate::transactions::Verify;

/// What a shard can be asked.
enum Ask {
    /// What a client wants of its group.
    Client(Request),
    /// Offsets of a transaction, with the proof that its coordinator was asked, if it had to be.
    InTransaction(TxnOffsetCommitRequest, Option<VerificationGuard>),
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
    /// The broker that has the coordinator of a group.
    pub(crate) fn coordinator(&self, image: &Image, group_id: &str) -> Result<BrokerId, ErrorCode> {
        self.shards.leader_of_key(image, group_id)
    }

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

    /// Commits offsets as part of a transaction, once its coordinator vouches for it (KIP-890).
    ///
    /// # Errors
    /// Those of [`Self::ask`], of the verification, and `INVALID_PRODUCER_EPOCH` for a fenced
    /// producer. What a partition is refused for is in the answer.
    pub(crate) async fn commit_in_transaction(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        how: Verify,
        commit: TxnOffsetCommitRequest,
    ) -> Result<OffsetCommitResponse, ErrorCode> {
        if commit.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let shard = self.shards.of_key(broker, &commit.group_id)?;
        let log = log_of(broker, &commit.group_id)?;
        let producer = commit.producer;
        let bumps_epoch = how == Verify::AddIfMissing;
        let verification = log
            .verification(producer.id, producer.epoch, NO_SEQUENCE, bumps_epoch)
            .map_err(|error| errors::of_append(&error).code)?;
        let guard = match verification {
            Verification::Ongoing => None,
            Verification::Needed(guard) => {
                let producer = ProducerIdAndEpoch {
                    producer_id: producer.id,
                    producer_epoch: producer.epoch,
                };
                let partition = log.partition().clone();
                let transactions = &broker.transactions;
                transactions
                    .verify(broker, transactional_id, producer, partition, how)
                    .await?;
                Some(guard)
            }
        };
        match shard.call(Ask::InTransaction(commit, guard)).await {
            Ok(Response::OffsetCommit(committed)) => Ok(committed),
            Ok(_) => Err(ErrorCode::UnknownServerError),
            Err(_) => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Ends a transaction in a partition of `__consumer_offsets`: all replicas in sync have the
    /// marker, and the transaction's offsets are committed or forgotten, when this returns `Ok`.
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

    /// Starts the coordinator of a partition that this broker leads from now on. It answers when its
    /// log is replayed, and all of it is committed.
    pub(crate) fn start(
        &self,
        broker: &Arc<Broker>,
        partition: &Arc<Partition>,
        leader_epoch: LeaderEpoch,
    ) {
        let seat = Seat {
            partition: Arc::clone(partition),
            leader_epoch,
        };
        if let Some(inbox) = self.shards.add(&seat) {
            shard::spawn(broker, seat, inbox);
        }
    }

    /// Stops the coordinator of a partition that this broker does not lead any more.
    pub(crate) fn resign(&self, partition: &Partition) {
        self.shards.resign(partition);
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

/// The log that a group's records are in.
fn log_of(broker: &Broker, group_id: &str) -> Result<Log, ErrorCode> {
    let topic = broker.partitions.topic_by_name(CONSUMER_OFFSETS_TOPIC);
    let image = broker.image();
    let image = image.topic(CONSUMER_OFFSETS_TOPIC);
    let count = image.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let index = coordinator_partition(group_id, count.partition_count());
    let partition = partitions::find(topic.as_deref(), index);
    let log = partition.and_then(|p| p.leader_log().cloned());
    log.map_err(|_| ErrorCode::NotCoordinator)
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
