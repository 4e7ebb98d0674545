//! ElectLeaders (key 43, KIP-460).

use ottla_metadata::{Command, ElectLeaders, ElectLeadersResult, ElectionKind, Refusal, Reply};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_wire::messages::{ElectLeadersRequest, ElectLeadersResponse};

use crate::context::{Answer, Ctx};
use crate::distinct::distinct;

pub(crate) async fn handle(ctx: Ctx, request: ElectLeadersRequest) -> Answer<ElectLeadersResponse> {
    let kind = match request.election_type {
        0 => ElectionKind::Preferred,
        1 => ElectionKind::Unclean,
        _ => return Answer::Now(failed(ErrorCode::InvalidRequest)),
    };
    let partitions = request.topic_partitions.map(|topics| {
        let mut all: Vec<(String, i32)> = Vec::new();
        for topic in topics {
            let partitions = topic.partitions.into_iter();
            all.extend(partitions.map(|partition| (topic.topic.to_string(), partition)));
        }
        distinct(all, Clone::clone)
    });
    Answer::later(async move {
        let asked = partitions.clone();
        let command = Command::ElectLeaders(ElectLeaders { kind, partitions });
        let results = match (ctx.broker.submit(command).await, asked) {
            (Ok(Reply::ElectLeaders(results)), _) => results,
            (Ok(_), _) => return failed(ErrorCode::UnknownServerError),
            // Version 0 has no error but those of partitions.
            (Err(refusal), Some(asked)) if ctx.version == 0 => refused(asked, &refusal),
            (Err(refusal), _) => return failed(refusal.code),
        };
        ElectLeadersResponse {
            replica_election_results: by_topic(results),
            ..ElectLeadersResponse::default()
        }
    })
}

fn failed(code: ErrorCode) -> ElectLeadersResponse {
    ElectLeadersResponse {
        error_code: code.code(),
        ..ElectLeadersResponse::default()
    }
}

fn refused(asked: Vec<(String, i32)>, refusal: &Refusal) -> Vec<ElectLeadersResult> {
    let refused = |(topic, partition)| ElectLeadersResult {
        topic,
        partition,
        outcome: Err(refusal.clone()),
    };
    asked.into_iter().map(refused).collect()
}

/// The results of a topic stand together, as they were asked for.
fn by_topic(results: Vec<ElectLeadersResult>) -> Vec<ReplicaElectionResult> {
    let mut topics: Vec<ReplicaElectionResult> = Vec::new();
    for result in results {
        let (code, message) = match result.outcome {
            Ok(()) => (ErrorCode::None, None),
            Err(refusal) => (refusal.code, Some(Text::from(refusal.message.as_str()))),
        };
        let partition = PartitionResult {
            partition_id: result.partition,
            error_code: code.code(),
            error_message: message,
            ..PartitionResult::default()
        };
        match topics.last_mut() {
            Some(last) if *last.topic == *result.topic => last.partition_result.push(partition),
            _ => topics.push(ReplicaElectionResult {
                topic: Text::from(result.topic.as_str()),
                partition_result: vec![partition],
                ..ReplicaElectionResult::default()
            }),
        }
    }
    topics
}
