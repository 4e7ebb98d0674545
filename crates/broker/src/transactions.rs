//! The driver of the transaction coordinators: each partition of `__transaction_state` has one pure
//! [`ottla_txn::Coordinator`], owned by one task ([`shard`]); handlers ask it by mailbox.
//!
//! ```text
//! handler ──ask──▶ Transactions ──mailbox──▶ shard task: Coordinator ──append──▶ __transaction_state-N
//!    ▲                                            │  │  ▲                                 │
//!    └──────────────── reply ─────────────────────┘  │  ├──────────── durable ────────────┘
//!                                                    │  └──── written everywhere ────┐
//!                                                    └──────────── markers ──▶ other partitions' logs,
//!                                                                              here and elsewhere
//! ```

mod lanes;
pub(crate) mod markers;
mod remote;
mod shard;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use ottla_metadata::Image;
use ottla_model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TRANSACTION_STATE_TOPIC};
use ottla_model::{TimestampMs, TopicName};
use ottla_runtime::Runtime;
use ottla_txn::{ListRequest, ListResponse, Request, Response};
use parking_lot::Mutex;

use crate::Broker;
use crate::coordinators::{self, Asked, Seat, Shards};
use crate::partitions::Partition;

use remote::Remote;
pub(crate) use verify::Verify;

/// All transaction coordinators of this broker.
pub(crate) struct Transactions {
    shards: Shards<Request, Response>,
    /// What each shard last said of its open transactions; those without any have no entry.
    open: Mutex<BTreeMap<PartitionIndex, Open>>,
    remote: Remote,
}

/// The open transactions of one shard, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Open {
    /// How many there are: ongoing, or with markers on their way.
    pub(crate) transactions: usize,
    /// When the oldest one began.
    pub(crate) oldest_start_ms: Option<TimestampMs>,
}

impl Transactions {
    /// No coordinator yet. `listener` is the one that brokers use among themselves.
    pub(crate) fn new(runtime: Runtime, me: BrokerId, listener: String) -> Self {
        Transactions {
            shards: Shards::new(TRANSACTION_STATE_TOPIC),
            open: Mutex::default(),
            remote: Remote::new(runtime, me, listener),
        }
    }

    /// The broker that has the coordinator of a transactional id.
    pub(crate) fn coordinator(
        &self,
        image: &Image,
        transactional_id: &str,
    ) -> Result<BrokerId, ErrorCode> {
        self.shards.leader_of_key(image, transactional_id)
    }

    /// Puts a request into its coordinator's mailbox, in the order of the calls.
    pub(crate) async fn ask(
        &self,
        broker: &Broker,
        transactional_id: &str,
        request: Request,
    ) -> Asked<Response> {
        self.shards.ask(broker, transactional_id, request).await
    }

    /// The transactional ids of all shards. While a shard loads, the list is not whole, and the
    /// error says so.
    pub(crate) async fn list(
        &self,
        broker: &Broker,
        filter: ListRequest,
    ) -> (ErrorCode, ListResponse) {
        let (error, callers) = self.shards.active(broker);
        let asked = callers
            .iter()
            .map(|c| c.call(Request::List(filter.clone())));
        let mut all = ListResponse::new();
        for answer in join_all(asked).await {
            if let Ok(Response::List(listed)) = answer {
                all.extend(listed);
            }
        }
        all.sort_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
        (error, all)
    }

    /// Makes the topic that holds the transactions, if it is not there yet.
    pub(crate) async fn ensure_topic(&self, broker: &Arc<Broker>) -> Result<(), ErrorCode> {
        coordinators::ensure_topic(broker, TRANSACTION_STATE_TOPIC).await
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

    /// A shard's task has ended.
    fn ended(&self, seat: &Seat) {
        if self.shards.remove(seat) {
            self.open.lock().remove(&seat.partition.index);
        }
    }

    /// Stops the coordinator of a partition that this broker does not lead any more.
    pub(crate) fn resign(&self, partition: &Partition) {
        self.shards.resign(partition);
        self.open.lock().remove(&partition.index);
    }

    /// Stops the coordinators of a topic that is gone.
    pub(crate) fn stop_all(&self) {
        self.shards.stop_all();
        self.open.lock().clear();
    }

    /// The open transactions of all shards.
    pub(crate) fn open(&self) -> Open {
        let open = self.open.lock();
        Open {
            transactions: open.values().map(|o| o.transactions).sum(),
            oldest_start_ms: open.values().filter_map(|o| o.oldest_start_ms).min(),
        }
    }

    fn set_open(&self, seat: &Seat, open: Open) {
        let partition = seat.partition.index;
        let mut all = self.open.lock();
        if open.transactions > 0 && seat.is_held() {
            all.insert(partition, open);
        } else {
            all.remove(&partition);
        }
    }
}

/// Whether a topic is the one whose partitions hold transactions.
pub(crate) fn holds_transactions(topic: &TopicName) -> bool {
    topic.as_str() == TRANSACTION_STATE_TOPIC
}
