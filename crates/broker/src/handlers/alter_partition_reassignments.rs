//! AlterPartitionReassignments (key 45, KIP-455, KIP-860): moves partitions to other brokers.

use ottla_metadata::{AlterPartitionReassignments, Command, ReassignPartition, Reply};
use ottla_metadata::{ReassignPartitionResult, Refusal};
use ottla_model::{BrokerId, ErrorCode};
use ottla_wire::Text;
use ottla_wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;

pub(crate) async fn handle(
    ctx: Ctx,
    request: AlterPartitionReassignmentsRequest,
) -> Answer<AlterPartitionReassignmentsResponse> {
    let allow_replication_factor_change = request.allow_replication_factor_change;
    let mut partitions = Vec::new();
    for topic in request.topics {
        partitions.extend(topic.partitions.into_iter().map(|p| {
            ReassignPartition {
                topic: topic.name.to_string(),
                partition: p.partition_index,
                replicas: p
                    .replicas
                    .map(|ids| ids.into_iter().map(BrokerId).collect()),
            }
        }));
    }
    let partitions = distinct(partitions, |p| (p.topic.clone(), p.partition));
    Answer::later(async move {
        let command = Command::AlterPartitionReassignments(AlterPartitionReassignments {
            allow_replication_factor_change,
            partitions,
        });
        let response = AlterPartitionReassignmentsResponse {
            allow_replication_factor_change,
            ..AlterPartitionReassignmentsResponse::default()
        };
        match ctx.broker.submit(command).await {
            Ok(Reply::AlterPartitionReassignments(results)) => {
                AlterPartitionReassignmentsResponse {
                    responses: by_topic(results),
                    ..response
                }
            }
            Ok(_) => AlterPartitionReassignmentsResponse {
                error_code: ErrorCode::UnknownServerError.code(),
                ..response
            },
            Err(refusal) => AlterPartitionReassignmentsResponse {
                error_code: refusal.code.code(),
                error_message: Some(Text::from(refusal.message.as_str())),
                ..response
            },
        }
    })
}

/// The results of a topic stand together, as they were asked for.
fn by_topic(results: Vec<ReassignPartitionResult>) -> Vec<ReassignableTopicResponse> {
    let mut topics: Vec<ReassignableTopicResponse> = Vec::new();
    for result in results {
        let partition = partition(result.partition, result.outcome);
        match topics.last_mut() {
            Some(last) if *last.name == *result.topic => last.partitions.push(partition),
            _ => topics.push(ReassignableTopicResponse {
                name: Text::from(result.topic.as_str()),
                partitions: vec![partition],
                ..ReassignableTopicResponse::default()
            }),
        }
    }
    topics
}

fn partition(index: i32, outcome: Result<(), Refusal>) -> ReassignablePartitionResponse {
    let (code, message) = match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, Some(Text::from(refusal.message.as_str()))),
    };
    ReassignablePartitionResponse {
        partition_index: index,
        error_code: code.code(),
        error_message: message,
        ..ReassignablePartitionResponse::default()
    }
}
