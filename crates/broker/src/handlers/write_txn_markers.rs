//! WriteTxnMarkers (key 27): the ends of transactions in partitions of this broker. It comes from
//! transaction coordinators of other brokers, and from people who end a hanging one (KIP-664).

use std::collections::BTreeMap;

use futures_util::future::join_all;
use ottla_log::TransactionMarker;
use ottla_model::{ErrorCode, ProducerId};
use ottla_wire::Text;
use ottla_wire::messages::write_txn_markers_request::WritableTxnMarker;
use ottla_wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use ottla_wire::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use crate::context::{Answer, Ctx};
use crate::transactions::markers;

/// What became of each marker, by producer, topic and partition.
type Outcomes = BTreeMap<ProducerId, BTreeMap<Text, BTreeMap<i32, ErrorCode>>>;

pub(crate) async fn handle(
    ctx: Ctx,
    request: WriteTxnMarkersRequest,
) -> Answer<WriteTxnMarkersResponse> {
    Answer::later(async move {
        let written = request.markers.into_iter().flat_map(|m| write(&ctx, m));
        let mut outcomes = Outcomes::new();
        for (producer_id, topic, partition, code) in join_all(written).await {
            let topics = outcomes.entry(producer_id).or_default();
            topics.entry(topic).or_default().insert(partition, code);
        }
        WriteTxnMarkersResponse {
            markers: outcomes.into_iter().map(result).collect(),
            ..WriteTxnMarkersResponse::default()
        }
    })
}

/// One write for each partition that the marker names.
fn write(
    ctx: &Ctx,
    marker: WritableTxnMarker,
) -> Vec<impl Future<Output = (ProducerId, Text, i32, ErrorCode)>> {
    let end = TransactionMarker {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        commit: marker.transaction_result,
        transaction_version: marker.transaction_version.into(),
    };
    let mut writes = Vec::new();
    for topic in marker.topics {
        for partition in topic.partition_indexes {
            let (broker, name) = (&ctx.broker, topic.name.clone());
            writes.push(async move {
                let written = markers::write(broker, &name, partition, end).await;
                let code = written.err().unwrap_or(ErrorCode::None);
                (end.producer_id, name, partition, code)
            });
        }
    }
    writes
}

fn result(
    (producer_id, topics): (ProducerId, BTreeMap<Text, BTreeMap<i32, ErrorCode>>),
) -> WritableTxnMarkerResult {
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter();
        let partitions =
            partitions.map(|(partition_index, code)| WritableTxnMarkerPartitionResult {
                partition_index,
                error_code: code.code(),
                ..WritableTxnMarkerPartitionResult::default()
            });
        WritableTxnMarkerTopicResult {
            name,
            partitions: partitions.collect(),
            ..WritableTxnMarkerTopicResult::default()
        }
    });
    WritableTxnMarkerResult {
        producer_id,
        topics: topics.collect(),
        ..WritableTxnMarkerResult::default()
    }
}
