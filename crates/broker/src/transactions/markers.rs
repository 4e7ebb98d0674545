//! The ends of transactions in the partitions of this node.
//!
//! A coordinator writes to the partitions that this node leads; those of other nodes are reached
//! with WriteTxnMarkers, whose handler ends up here as well.

use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group::EndTransactionRequest;
use ottla_log::{Append, TransactionMarker};
use ottla_model::{CONSUMER_OFFSETS_TOPIC, ErrorCode, PartitionIndex, TopicPartition};
use ottla_txn::{MarkerOutcome, Markers};

use crate::Broker;
use crate::errors;

/// Writes one marker; it is durable when this returns `Ok`.
///
/// # Errors
/// `UNKNOWN_TOPIC_OR_PARTITION` when this node does not have the partition,
/// `NOT_LEADER_OR_FOLLOWER` while it is not ready, and those of the append.
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
    let log = partition.log().ok_or(ErrorCode::NotLeaderOrFollower)?;
    let append = Append::transaction_marker(marker, partition.leader_epoch());
    let appended = log.append(append).await;
    appended
        .map(drop)
        .map_err(|error| errors::of_append(&error).code)
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
    let written = markers.partitions.into_iter().map(|at| async move {
        let written = write(broker, at.topic.as_str(), at.partition, marker).await;
        let outcome = outcome(broker, &at, written);
        (at, outcome)
    });
    join_all(written).await
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
    let image = broker.image();
    image
        .partition(partition.topic.as_str(), partition.partition)
        .is_some()
}
