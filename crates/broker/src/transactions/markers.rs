//! The ends of transactions in partitions.
//!
//! A coordinator writes to the partitions that this broker leads; those of other brokers are reached
//! with WriteTxnMarkers, whose handler ends up here as well. What could not be written is tried again
//! with the newest leaders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_group::EndTransactionRequest;
use ottla_log::{Append, TransactionMarker};
use ottla_model::{BrokerId, CONSUMER_OFFSETS_TOPIC, ErrorCode, PartitionIndex, TopicPartition};
use ottla_txn::{MarkerOutcome, Markers};

use super::remote::{self, Marking};
use crate::Broker;

/// How long all replicas in sync are waited for. Then the coordinator tries again, and perhaps
/// elsewhere; a second marker ends nothing.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Writes one marker in a partition of this broker; all replicas in sync have it when this returns
/// `Ok`.
///
/// # Errors
/// `UNKNOWN_TOPIC_OR_PARTITION` when this broker does not have the partition,
/// `NOT_LEADER_OR_FOLLOWER` when it does not lead it or is not ready, and those of the append.
pub(crate) async fn write(
    broker: &Arc<Broker>,
    topic: &str,
    partition: PartitionIndex,
    marker: TransactionMarker,
) -> Result<(), ErrorCode> {
    let local = broker.partitions.topic_by_name(topic);
    let partition = local
        .as_deref()
        .and_then(|t| t.partition(partition))
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if topic == CONSUMER_OFFSETS_TOPIC {
        // The group coordinator holds the transaction's offsets back until it hears of the end.
        let end = EndTransactionRequest {
            producer: ottla_group::Producer {
                id: marker.producer_id,
                epoch: marker.producer_epoch,
            },
            coordinator_epoch: marker.coordinator_epoch,
            commit: marker.commit,
            transaction_version: marker.transaction_version,
        };
        return broker.groups.end_transaction(partition.index, end).await;
    }
    let append = Append::transaction_marker(marker, partition.leader_epoch());
    let appending = partition.append_committed(append, Some(COMMIT_TIMEOUT));
    appending.await.map(drop)
}

/// Where a transaction's partitions are led.
#[derive(Default)]
struct Places {
    here: Vec<TopicPartition>,
    elsewhere: BTreeMap<BrokerId, Vec<TopicPartition>>,
    nowhere: Vec<(TopicPartition, MarkerOutcome)>,
}

impl Places {
    fn find(broker: &Broker, partitions: Vec<TopicPartition>) -> Self {
        let image = broker.newest_image();
        let mut places = Places::default();
        for at in partitions {
            let known = image.partition(at.topic.as_str(), at.partition);
            match known.map(|partition| partition.leader) {
                Some(Some(leader)) if leader == broker.node_id => places.here.push(at),
                Some(Some(leader)) => places.elsewhere.entry(leader).or_default().push(at),
                Some(None) => {
                    let outcome = MarkerOutcome::Failed(ErrorCode::LeaderNotAvailable);
                    places.nowhere.push((at, outcome));
                }
                None => places.nowhere.push((at, MarkerOutcome::Deleted)),
            }
        }
        places
    }
}

/// Tells every partition of a transaction's end, and says what became of each.
pub(super) async fn write_all(
    broker: Arc<Broker>,
    markers: Markers,
    coordinator_epoch: i32,
) -> Vec<(TopicPartition, MarkerOutcome)> {
    let marker = TransactionMarker {
        producer_id: markers.producer_id,
        producer_epoch: markers.producer_epoch,
        coordinator_epoch,
        commit: markers.commit,
        transaction_version: markers.transaction_version.0,
    };
    let broker = &broker;
    let places = Places::find(broker, markers.partitions);
    let here = places.here.into_iter().map(|at| async move {
        let written = write(broker, at.topic.as_str(), at.partition, marker).await;
        let outcome = outcome(broker, &at, written);
        (at, outcome)
    });
    let elsewhere = places.elsewhere.into_iter().map(|(to, partitions)| {
        let marking = Marking { marker, partitions };
        remote::ask(broker, to, marking)
    });
    let (here, elsewhere) = futures_util::join!(join_all(here), join_all(elsewhere));
    let mut outcomes = places.nowhere;
    outcomes.extend(here);
    for (at, code) in elsewhere.into_iter().flatten() {
        let written = match code {
            ErrorCode::None => Ok(()),
            code => Err(code),
        };
        let outcome = outcome(broker, &at, written);
        outcomes.push((at, outcome));
    }
    outcomes
}

fn outcome(
    broker: &Broker,
    partition: &TopicPartition,
    written: Result<(), ErrorCode>,
) -> MarkerOutcome {
    match written {
        Ok(()) => MarkerOutcome::Written,
        Err(ErrorCode::UnknownTopicOrPartition) if !exists(broker, partition) => {
            MarkerOutcome::Deleted
        }
        Err(ErrorCode::InvalidProducerEpoch) => MarkerOutcome::Fenced,
        Err(error) => MarkerOutcome::Failed(error),
    }
}

fn exists(broker: &Broker, partition: &TopicPartition) -> bool {
    let image = broker.newest_image();
    image
        .partition(partition.topic.as_str(), partition.partition)
        .is_some()
}
