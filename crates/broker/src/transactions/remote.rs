//! What coordinators and leaders of partitions ask each other across brokers: markers go from a
//! coordinator to the partitions' leaders (WriteTxnMarkers), and the question whether a partition
//! belongs to a transaction goes from its leader to the coordinator (AddPartitionsToTxn, KIP-890).

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::TransactionMarker;
use ottla_model::{BrokerId, ErrorCode, ProducerId, TopicPartition};
use ottla_runtime::{Runtime, TaskKind};
use ottla_txn::ProducerIdAndEpoch;
use ottla_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_wire::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_wire::messages::{AddPartitionsToTxnRequest, WriteTxnMarkersRequest};
use ottla_wire::{Request, Response, Text};
use tokio::sync::oneshot;

use super::lanes::Lanes;
use crate::Broker;
use crate::peers::Peers;

/// The ways to the other brokers. They are not those of replication: an answer may take as long as
/// all replicas in sync need, and others would wait behind it.
pub(super) struct Remote {
    peers: Peers,
    markings: Lanes<Item<Marking>>,
    claims: Lanes<Item<Claim>>,
}

impl Remote {
    pub(super) fn new(runtime: Runtime, me: BrokerId, listener: String) -> Self {
        Remote {
            peers: Peers::new(runtime, me, listener),
            markings: Lanes::default(),
            claims: Lanes::default(),
        }
    }
}

/// What is said of each partition, by topic and number.
type Codes = BTreeMap<(String, i32), ErrorCode>;

/// Something on its way to another broker.
pub(super) struct Item<W> {
    wish: W,
    answer: oneshot::Sender<Result<Codes, ErrorCode>>,
}

/// What many of can go in one request.
pub(super) trait Carried: Sized + Send + Sync + 'static {
    /// Answers are told apart by it.
    type Key: Ord + Clone + Send;
    /// What the tasks that carry it are called.
    const NAME: &'static str;
    fn key(&self) -> Self::Key;
    fn partitions(&self) -> &[TopicPartition];
    fn lanes(remote: &Remote) -> &Lanes<Item<Self>>;
    fn request<'a>(wishes: impl Iterator<Item = &'a Self>) -> Request;
    fn answers(response: Response) -> Result<BTreeMap<Self::Key, Codes>, ErrorCode>;
}

/// The end of a transaction in partitions that the other broker leads.
pub(super) struct Marking {
    pub(super) marker: TransactionMarker,
    pub(super) partitions: Vec<TopicPartition>,
}

/// Partitions that a transaction is said to have, for its coordinator to confirm or to add.
pub(super) struct Claim {
    pub(super) transactional_id: Arc<str>,
    pub(super) producer: ProducerIdAndEpoch,
    pub(super) verify_only: bool,
    pub(super) partitions: Vec<TopicPartition>,
}

/// Asks another broker; an answer for each partition. `NETWORK_EXCEPTION` when it does not answer:
/// what became of the request is open then.
pub(super) async fn ask<W: Carried>(
    broker: &Arc<Broker>,
    to: BrokerId,
    wish: W,
) -> BTreeMap<TopicPartition, ErrorCode> {
    let partitions = wish.partitions().to_vec();
    let (answer, answered) = oneshot::channel();
    if W::lanes(&broker.transactions.remote).add(to, Item { wish, answer }) {
        let carrying = carry::<W>(Arc::clone(broker), to);
        let tasks = &broker.runtime.tasks;
        tasks.spawn(TaskKind::Housekeeping, W::NAME, async move {
            carrying.await;
            Ok::<(), String>(())
        });
    }
    let answered = answered.await.unwrap_or(Err(ErrorCode::NetworkException));
    let code_of = |at: &TopicPartition| match &answered {
        Ok(codes) => {
            let code = codes.get(&(at.topic.to_string(), at.partition));
            code.copied().unwrap_or(ErrorCode::UnknownServerError)
        }
        Err(code) => *code,
    };
    let codes = partitions.into_iter().map(|at| {
        let code = code_of(&at);
        (at, code)
    });
    codes.collect()
}

/// Sends what waits for a broker until nothing is left.
async fn carry<W: Carried>(broker: Arc<Broker>, to: BrokerId) {
    let remote = &broker.transactions.remote;
    while let Some(items) = W::lanes(remote).take(to, |item| item.wish.key()) {
        let request = W::request(items.values().map(|item| &item.wish));
        let image = broker.newest_image();
        let answered = remote.peers.call(&image, to, request).await;
        let mut answers = answered
            .map_err(|error| {
                tracing::debug!(%error, what = W::NAME, "another broker does not answer");
                ErrorCode::NetworkException
            })
            .and_then(W::answers);
        for (key, item) in items {
            let answer = match &mut answers {
                Ok(answers) => Ok(answers.remove(&key).unwrap_or_default()),
                Err(code) => Err(*code),
            };
            // Whoever asked may have ended with its term.
            drop(item.answer.send(answer));
        }
    }
}

/// Partitions by topic, for a request.
fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<&str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        let indexes = topics.entry(at.topic.as_str()).or_default();
        indexes.push(at.partition);
    }
    topics
}

fn code_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

impl Carried for Marking {
    type Key = ProducerId;
    const NAME: &'static str = "transaction markers";

    fn key(&self) -> ProducerId {
        self.marker.producer_id
    }

    fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    fn lanes(remote: &Remote) -> &Lanes<Item<Self>> {
        &remote.markings
    }

    fn request<'a>(wishes: impl Iterator<Item = &'a Self>) -> Request {
        let markers = wishes.map(|wish| {
            let topics = by_topic(&wish.partitions).into_iter();
            let topics = topics.map(|(name, partition_indexes)| WritableTxnMarkerTopic {
                name: Text::from(name),
                partition_indexes,
                ..WritableTxnMarkerTopic::default()
            });
            WritableTxnMarker {
                producer_id: wish.marker.producer_id,
                producer_epoch: wish.marker.producer_epoch,
                transaction_result: wish.marker.commit,
                topics: topics.collect(),
                coordinator_epoch: wish.marker.coordinator_epoch,
                transaction_version: i8::try_from(wish.marker.transaction_version).unwrap_or(0),
                ..WritableTxnMarker::default()
            }
        });
        Request::from(WriteTxnMarkersRequest {
            markers: markers.collect(),
            ..WriteTxnMarkersRequest::default()
        })
    }

    fn answers(response: Response) -> Result<BTreeMap<ProducerId, Codes>, ErrorCode> {
        let Response::WriteTxnMarkers(response) = response else {
            return Err(ErrorCode::UnknownServerError);
        };
        let mut answers: BTreeMap<ProducerId, Codes> = BTreeMap::new();
        for marker in response.markers {
            let codes = answers.entry(marker.producer_id).or_default();
            for topic in marker.topics {
                codes.extend(topic.partitions.into_iter().map(|p| {
                    let at = (topic.name.to_string(), p.partition_index);
                    (at, code_of(p.error_code))
                }));
            }
        }
        Ok(answers)
    }
}

impl Carried for Claim {
    type Key = Arc<str>;
    const NAME: &'static str = "partitions of transactions";

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.transactional_id)
    }

    fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    fn lanes(remote: &Remote) -> &Lanes<Item<Self>> {
        &remote.claims
    }

    fn request<'a>(wishes: impl Iterator<Item = &'a Self>) -> Request {
        let transactions = wishes.map(|wish| {
            let topics = by_topic(&wish.partitions).into_iter();
            let topics = topics.map(|(name, partitions)| AddPartitionsToTxnTopic {
                name: Text::from(name),
                partitions,
                ..AddPartitionsToTxnTopic::default()
            });
            AddPartitionsToTxnTransaction {
                transactional_id: Text::from(&*wish.transactional_id),
                producer_id: wish.producer.producer_id,
                producer_epoch: wish.producer.producer_epoch,
                verify_only: wish.verify_only,
                topics: topics.collect(),
                ..AddPartitionsToTxnTransaction::default()
            }
        });
        Request::from(AddPartitionsToTxnRequest {
            transactions: transactions.collect(),
            ..AddPartitionsToTxnRequest::default()
        })
    }

    fn answers(response: Response) -> Result<BTreeMap<Arc<str>, Codes>, ErrorCode> {
        let Response::AddPartitionsToTxn(response) = response else {
            return Err(ErrorCode::UnknownServerError);
        };
        if response.error_code != ErrorCode::None.code() {
            return Err(code_of(response.error_code));
        }
        let results = response.results_by_transaction.into_iter().map(|result| {
            let topics = result.topic_results.into_iter();
            let codes = topics.flat_map(|topic| {
                let name = topic.name.to_string();
                let partitions = topic.results_by_partition.into_iter();
                partitions.map(move |p| {
                    let at = (name.clone(), p.partition_index);
                    (at, code_of(p.partition_error_code))
                })
            });
            (Arc::from(&*result.transactional_id), codes.collect())
        });
        Ok(results.collect())
    }
}
