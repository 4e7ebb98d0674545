//! AlterReplicaLogDirs (key 34, KIP-113): moves replicas between the folders of a broker. A broker
//! has one folder, so that a move ends where it began or goes nowhere.

use std::path::Path;

use ottla_model::ErrorCode;
use ottla_wire::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use ottla_wire::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;

pub(crate) async fn handle(
    ctx: Ctx,
    request: AlterReplicaLogDirsRequest,
) -> Answer<AlterReplicaLogDirsResponse> {
    let own = ctx.broker.log_dir.path();
    let own = std::path::absolute(own).unwrap_or_else(|_| own.to_owned());
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for dir in request.dirs {
        let is_own = Path::new(&*dir.path) == own;
        if !is_own {
            tracing::warn!(
                wanted = &*dir.path,
                has = %own.display(),
                "a client wants to move replicas to a folder that this broker does not have: it \
                 keeps all of them in one, move them to another broker instead"
            );
        }
        for topic in dir.topics {
            let partitions = distinct(topic.partitions, |index| *index);
            let partitions = partitions.into_iter().map(|partition_index| {
                let code = match is_own {
                    true => of_own_folder(&ctx, &topic.name, partition_index),
                    false => ErrorCode::LogDirNotFound,
                };
                AlterReplicaLogDirPartitionResult {
                    partition_index,
                    error_code: code.code(),
                    ..AlterReplicaLogDirPartitionResult::default()
                }
            });
            results.push(AlterReplicaLogDirTopicResult {
                partitions: partitions.collect(),
                topic_name: topic.name,
                ..AlterReplicaLogDirTopicResult::default()
            });
        }
    }
    Answer::Now(AlterReplicaLogDirsResponse {
        results,
        ..AlterReplicaLogDirsResponse::default()
    })
}

/// A replica that this broker has is in its folder already.
fn of_own_folder(ctx: &Ctx, topic: &str, partition: i32) -> ErrorCode {
    let image = ctx.broker.image();
    match image.partition(topic, partition) {
        None => ErrorCode::UnknownTopicOrPartition,
        Some(held) if held.replicas.contains(&ctx.broker.node_id) => ErrorCode::None,
        Some(_) => ErrorCode::ReplicaNotAvailable,
    }
}
